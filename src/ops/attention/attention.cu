// Attention within groups, head by head: scores, softmax and averages in one pass over the keys. A block has some queries of one head
// of one group; it never writes down a score. The largest score so far and the sum of what is relative to it are carried along.
//
// A unit is a head of a group: number * groups + group. Heads with more features than `size` are worked on in chunks of that many: all of
// them for the scores, and a plane of blocks for each chunk of what comes out.

struct Attention {
    // From the first feature of the first head on.
    const float* queries;
    const float* keys;
    const float* values;
    // Bias of relative positions; null without.
    const float* table;
    // A label of each token of each window; whether a key is no padding; which probabilities are kept. Null without.
    const unsigned char* labels;
    const unsigned char* real;
    const unsigned char* kept;
    float* out;
    // Of each row of each unit: the largest score, and the inverse of the sum.
    float* rows;
    // In backward: the gradient of the output, and its product with the output, of each row of each unit.
    const float* gradient;
    float* along;
    float* query_gradient;
    float* key_gradient;
    float* value_gradient;
    float* table_gradient;
    // Of each share of the groups: the gradients of all scores of all heads.
    float* table_parts;
    // Numbers from token to token.
    u32 query_stride, key_stride, value_stride;
    u32 groups, query_count, key_count, heads, head;
    // Of a window with a table; windows of a sample.
    u32 side, windows;
    // Chunks of a head's features; shares of groups.
    u32 chunks, shares;
    // 1: four neighbouring features can be read at once.
    u32 wide;
    // Of queries; of what dropout keeps.
    float scale, keep_scale;
    u32 padding;
};

// What is added to scores between tokens of different labels, and to those of padding.
#define APART -100.0f
#define LEAST __int_as_float(0xff7fffff)

// What a score needs to know of a token.
struct TokenInfo {
    // Row of the table: that of a query plus the middle minus that of a key.
    int place;
    u32 label;
    // What is added for this key.
    float padding;
};

// What is kept of a query's row.
struct RowState {
    float most, inverse, along;
};

// The shared memory of a block, which the host knows the size of, with and without `y`.
template <u32 size> struct AttentionRoom {
    static constexpr u32 WARPS = size == 32 ? 4 : 2, DOWN = BAND * WARPS, PITCH = size + 4;
    // Tokens down the block (queries, or in the keys' backward the keys), and tokens across.
    float x[DOWN * PITCH], u[ACROSS * PITCH], w[ACROSS * PITCH];
    // Scores on their way to the next product.
    float d[DOWN * SCORE_PITCH];
    TokenInfo down[DOWN], across[ACROSS];
    RowState states[ACROSS];
    float y[DOWN * PITCH];
};

// One head of one group.
struct AttentionUnit {
    u32 unit, number, group;
    const Attention& a;

    __device__ __forceinline__ AttentionUnit(const Attention& a, u32 unit)
        : unit(unit), number(unit / a.groups), group(unit % a.groups), a(a) {}

    // Some tokens' features of a chunk, from token `first` on.
    template <u32 tokens, u32 size>
    __device__ __forceinline__ void load(
        float* to, const float* from, u32 stride, u32 count, u32 first, u32 chunk, float factor
    ) const {
        const float* at = from + ((long long)group * count + first) * stride + number * a.head + chunk * size;
        load_tokens<tokens, size>(to, at, stride, count - first, a.head - chunk * size, a.wide, factor);
    }
    template <u32 tokens, u32 size> __device__ __forceinline__ void queries(float* to, u32 first, u32 chunk) const {
        load<tokens, size>(to, a.queries, a.query_stride, a.query_count, first, chunk, a.scale);
    }
    template <u32 tokens, u32 size> __device__ __forceinline__ void keys(float* to, u32 first, u32 chunk) const {
        load<tokens, size>(to, a.keys, a.key_stride, a.key_count, first, chunk, 1.0f);
    }
    template <u32 tokens, u32 size> __device__ __forceinline__ void values(float* to, u32 first, u32 chunk) const {
        load<tokens, size>(to, a.values, a.value_stride, a.key_count, first, chunk, 1.0f);
    }
    template <u32 tokens, u32 size> __device__ __forceinline__ void gradients(float* to, u32 first, u32 chunk) const {
        load<tokens, size>(to, a.gradient, a.heads * a.head, a.query_count, first, chunk, 1.0f);
    }

    __device__ __forceinline__ TokenInfo info(u32 token, bool is_key) const {
        TokenInfo found = {0, 0, 0.0f};
        if (token >= (is_key ? a.key_count : a.query_count)) {
            found.padding = is_key ? MINUS_INFINITY : 0.0f;
            return found;
        }
        if (a.table) {
            found.place = (int)(token / a.side * (2 * a.side - 1) + token % a.side);
        }
        if (a.labels) {
            found.label = a.labels[group % a.windows * a.key_count + token];
        }
        if (is_key && a.real && !a.real[group * a.key_count + token]) {
            found.padding = LEAST;
        }
        return found;
    }

    __device__ __forceinline__ float score(float dot, const TokenInfo& query, const TokenInfo& key) const {
        if (a.labels) {
            dot += query.label == key.label ? 0.0f : APART;
        }
        if (a.table) {
            const int middle = 2 * (int)a.side * ((int)a.side - 1);
            dot += a.table[(u32)(query.place + middle - key.place) * a.heads + number];
        }
        return dot + key.padding;
    }

    // What a probability is multiplied with.
    __device__ __forceinline__ float keep(u32 query, u32 key) const {
        if (!a.kept) {
            return 1.0f;
        }
        return a.kept[((long long)unit * a.query_count + query) * a.key_count + key] ? a.keep_scale : 0.0f;
    }
};

template <u32 size> __device__ __forceinline__ void attend(const Attention& a) {
    using Room = AttentionRoom<size>;
    Room& room = *reinterpret_cast<Room*>(shared_words);
    const u32 tiles = (a.query_count + Room::DOWN - 1) / Room::DOWN;
    const AttentionUnit unit(a, blockIdx.x / tiles);
    const u32 first = blockIdx.x % tiles * Room::DOWN, band = threadIdx.x / WARP * BAND;
    for (u32 i = threadIdx.x; i < Room::DOWN; i += blockDim.x) {
        room.down[i] = unit.info(first + i, false);
    }
    Band<size> sums = {};
    float most[OWN_ROWS], total[OWN_ROWS] = {};
#pragma unroll
    for (u32 i = 0; i < OWN_ROWS; ++i) {
        most[i] = MINUS_INFINITY;
    }
    for (u32 key = 0; key < a.key_count; key += ACROSS) {
        Band<ACROSS> scores = {};
        for (u32 chunk = 0; chunk < a.chunks; ++chunk) {
            __syncthreads();
            if (key == 0 || a.chunks > 1) {
                unit.queries<Room::DOWN, size>(room.x, first, chunk);
            }
            unit.keys<ACROSS, size>(room.u, key, chunk);
            if (chunk == blockIdx.y) {
                unit.values<ACROSS, size>(room.w, key, chunk);
            }
            if (chunk == 0 && threadIdx.x < ACROSS) {
                room.across[threadIdx.x] = unit.info(key + threadIdx.x, true);
            }
            __syncthreads();
            add_scores<size>(room.x + band * Room::PITCH, room.u, scores);
        }
#pragma unroll
        for (u32 i = 0; i < OWN_ROWS; ++i) {
            const u32 row = band + band_row(i);
            float largest = most[i];
#pragma unroll
            for (u32 j = 0; j < Band<ACROSS>::OWN_COLUMNS; ++j) {
                scores.of(i, j) = unit.score(scores.of(i, j), room.down[row], room.across[score_column(j)]);
                largest = fmaxf(largest, scores.of(i, j));
            }
            largest = row_max(largest);
            const float fade = expf(most[i] - largest);
            most[i] = largest;
            total[i] *= fade;
#pragma unroll
            for (u32 j = 0; j < Band<size>::OWN_COLUMNS; ++j) {
                sums.of(i, j) *= fade;
            }
#pragma unroll
            for (u32 j = 0; j < Band<ACROSS>::OWN_COLUMNS; ++j) {
                const u32 column = score_column(j);
                float power = expf(scores.of(i, j) - largest);
                total[i] += power;
                if (first + row < a.query_count && key + column < a.key_count) {
                    power *= unit.keep(first + row, key + column);
                }
                room.d[row * SCORE_PITCH + column] = operand(power);
            }
        }
        __syncwarp();
        add_features<size>(room.d + band * SCORE_PITCH, room.w, sums);
    }
#pragma unroll
    for (u32 i = 0; i < OWN_ROWS; ++i) {
        const u32 query = first + band + band_row(i);
        const float inverse = 1.0f / row_sum(total[i]);
        if (query >= a.query_count) {
            continue;
        }
        if (blockIdx.y == 0 && threadIdx.x % ROW_LANES == 0) {
            float* kept = a.rows + 2 * ((long long)unit.unit * a.query_count + query);
            kept[0] = most[i];
            kept[1] = inverse;
        }
        const long long token = (long long)unit.group * a.query_count + query;
        float* out = a.out + (token * a.heads + unit.number) * a.head;
#pragma unroll
        for (u32 j = 0; j < Band<size>::OWN_COLUMNS; ++j) {
            const u32 feature = blockIdx.y * size + feature_column(j);
            if (feature < a.head) {
                out[feature] = sums.of(i, j) * inverse;
            }
        }
    }
}

KERNEL_BOUNDS(attention_h32, Attention, 128) { attend<32>(a); }
KERNEL_BOUNDS(attention_h64, Attention, 64) { attend<64>(a); }
