// The gradient of attention. Probabilities are computed again from what is kept of each row, where they are needed: once down the
// queries, once down the keys, and once for the table of positions. So every sum has one block, and no two add to one number.
//
// With p the probabilities, k what dropout multiplies them with, g the gradient of what is averaged and D the product of output and
// output's gradient, the gradient of a score is p (k g - D).

struct ScoreGradient {
    // The probability as it was used, and the gradient of the score.
    float used, slope;
};

__device__ __forceinline__ ScoreGradient score_gradient(
    const AttentionUnit& unit, uint2 pair, const TokenInfo& query, const TokenInfo& key, const RowState& state, float dot,
    float product
) {
    if (pair.x >= unit.a.query_count || pair.y >= unit.a.key_count) {
        return {0.0f, 0.0f};
    }
    const float probability = expf(unit.score(dot, query, key) - state.most) * state.inverse;
    const float keep = unit.keep(pair.x, pair.y);
    return {probability * keep, probability * (product * keep - state.along)};
}

__device__ __forceinline__ RowState row_state(const AttentionUnit& unit, u32 query) {
    if (query >= unit.a.query_count) {
        return {0.0f, 0.0f, 0.0f};
    }
    const long long row = (long long)unit.unit * unit.a.query_count + query;
    return {unit.a.rows[2 * row], unit.a.rows[2 * row + 1], unit.a.along[row]};
}

// The products of tokens down with tokens across: queries with keys, and gradients with values. What stands down stays there unless
// heads have several chunks, or `fresh` says that it is new.
template <u32 size, bool keys_down>
__device__ __forceinline__ void score_products(
    const AttentionUnit& unit, AttentionRoom<size>& room, u32 down, u32 across, bool fresh, Band<ACROSS>& dots,
    Band<ACROSS>& products
) {
    using Room = AttentionRoom<size>;
    const u32 band = threadIdx.x / WARP * BAND * Room::PITCH;
    for (u32 chunk = 0; chunk < unit.a.chunks; ++chunk) {
        __syncthreads();
        if (fresh || unit.a.chunks > 1) {
            if (keys_down) {
                unit.keys<Room::DOWN, size>(room.x, down, chunk);
                unit.values<Room::DOWN, size>(room.y, down, chunk);
            } else {
                unit.queries<Room::DOWN, size>(room.x, down, chunk);
                unit.gradients<Room::DOWN, size>(room.y, down, chunk);
            }
            if (chunk == 0) {
                for (u32 i = threadIdx.x; i < Room::DOWN; i += blockDim.x) {
                    room.down[i] = unit.info(down + i, keys_down);
                }
            }
        }
        if (keys_down) {
            unit.queries<ACROSS, size>(room.u, across, chunk);
            unit.gradients<ACROSS, size>(room.w, across, chunk);
        } else {
            unit.keys<ACROSS, size>(room.u, across, chunk);
            unit.values<ACROSS, size>(room.w, across, chunk);
        }
        if (chunk == 0 && threadIdx.x < ACROSS) {
            room.across[threadIdx.x] = unit.info(across + threadIdx.x, !keys_down);
            if (keys_down) {
                room.states[threadIdx.x] = row_state(unit, across + threadIdx.x);
            }
        }
        __syncthreads();
        add_scores<size>(room.x + band, room.u, dots);
        add_scores<size>(room.y + band, room.w, products);
    }
}

// Adds a thread's sums to the gradient of its tokens, whose features of all heads stand `stride` apart.
template <u32 size>
__device__ __forceinline__ void add_to_tokens(
    const AttentionUnit& unit, float* gradient, u32 stride, u32 count, u32 first, float factor, Band<size>& sums
) {
#pragma unroll
    for (u32 i = 0; i < OWN_ROWS; ++i) {
        const u32 token = first + threadIdx.x / WARP * BAND + band_row(i);
        if (token >= count) {
            continue;
        }
        float* to = gradient + ((long long)unit.group * count + token) * stride + unit.number * unit.a.head;
#pragma unroll
        for (u32 j = 0; j < Band<size>::OWN_COLUMNS; ++j) {
            const u32 feature = blockIdx.y * size + feature_column(j);
            if (feature < unit.a.head) {
                to[feature] += sums.of(i, j) * factor;
            }
        }
    }
}

// The product of the output and its gradient, of each row of each unit: a warp has a row.
KERNEL_BOUNDS(attention_along, Attention, 256) {
    const u32 row = (blockIdx.x * blockDim.x + threadIdx.x) / WARP;
    if (row >= a.groups * a.heads * a.query_count) {
        return;
    }
    const AttentionUnit unit(a, row / a.query_count);
    const long long token = (long long)unit.group * a.query_count + row % a.query_count;
    const long long first = (token * a.heads + unit.number) * a.head;
    float sum = 0.0f;
    for (u32 i = threadIdx.x % WARP; i < a.head; i += WARP) {
        sum = fmaf(a.out[first + i], a.gradient[first + i], sum);
    }
    sum = warp_sum(sum);
    if (threadIdx.x % WARP == 0) {
        a.along[row] = sum;
    }
}

template <u32 size> __device__ __forceinline__ void queries_backward(const Attention& a) {
    using Room = AttentionRoom<size>;
    Room& room = *reinterpret_cast<Room*>(shared_words);
    const u32 tiles = (a.query_count + Room::DOWN - 1) / Room::DOWN;
    const AttentionUnit unit(a, blockIdx.x / tiles);
    const u32 first = blockIdx.x % tiles * Room::DOWN, band = threadIdx.x / WARP * BAND;
    RowState states[OWN_ROWS];
#pragma unroll
    for (u32 i = 0; i < OWN_ROWS; ++i) {
        states[i] = row_state(unit, first + band + band_row(i));
    }
    Band<size> sums = {};
    for (u32 key = 0; key < a.key_count; key += ACROSS) {
        Band<ACROSS> dots = {}, products = {};
        score_products<size, false>(unit, room, first, key, key == 0, dots, products);
        if (a.chunks > 1) {
            __syncthreads();
            unit.keys<ACROSS, size>(room.u, key, blockIdx.y);
            __syncthreads();
        }
#pragma unroll
        for (u32 i = 0; i < OWN_ROWS; ++i) {
            const u32 row = band + band_row(i);
#pragma unroll
            for (u32 j = 0; j < Band<ACROSS>::OWN_COLUMNS; ++j) {
                const u32 column = score_column(j);
                const ScoreGradient found = score_gradient(
                    unit, make_uint2(first + row, key + column), room.down[row], room.across[column], states[i],
                    dots.of(i, j), products.of(i, j)
                );
                room.d[row * SCORE_PITCH + column] = operand(found.slope);
            }
        }
        __syncwarp();
        add_features<size>(room.d + band * SCORE_PITCH, room.u, sums);
    }
    add_to_tokens<size>(unit, a.query_gradient, a.query_stride, a.query_count, first, a.scale, sums);
}

template <u32 size> __device__ __forceinline__ void keys_backward(const Attention& a) {
    using Room = AttentionRoom<size>;
    Room& room = *reinterpret_cast<Room*>(shared_words);
    const u32 tiles = (a.key_count + Room::DOWN - 1) / Room::DOWN;
    const AttentionUnit unit(a, blockIdx.x / tiles);
    const u32 first = blockIdx.x % tiles * Room::DOWN, band = threadIdx.x / WARP * BAND;
    float* d = room.d + band * SCORE_PITCH;
    Band<size> key_sums = {}, value_sums = {};
    for (u32 query = 0; query < a.query_count; query += ACROSS) {
        Band<ACROSS> dots = {}, products = {};
        score_products<size, true>(unit, room, first, query, query == 0, dots, products);
        if (a.chunks > 1) {
            __syncthreads();
            unit.queries<ACROSS, size>(room.u, query, blockIdx.y);
            unit.gradients<ACROSS, size>(room.w, query, blockIdx.y);
            __syncthreads();
        }
#pragma unroll
        for (u32 i = 0; i < OWN_ROWS; ++i) {
            const u32 row = band_row(i);
#pragma unroll
            for (u32 j = 0; j < Band<ACROSS>::OWN_COLUMNS; ++j) {
                const u32 column = score_column(j);
                const ScoreGradient found = score_gradient(
                    unit, make_uint2(query + column, first + band + row), room.across[column], room.down[band + row],
                    room.states[column], dots.of(i, j), products.of(i, j)
                );
                d[row * SCORE_PITCH + column] = operand(found.used);
                dots.of(i, j) = found.slope;
            }
        }
        __syncwarp();
        add_features<size>(d, room.w, value_sums);
        __syncwarp();
#pragma unroll
        for (u32 i = 0; i < OWN_ROWS; ++i) {
#pragma unroll
            for (u32 j = 0; j < Band<ACROSS>::OWN_COLUMNS; ++j) {
                d[band_row(i) * SCORE_PITCH + score_column(j)] = operand(dots.of(i, j));
            }
        }
        __syncwarp();
        add_features<size>(d, room.u, key_sums);
    }
    // Queries were scaled before they were multiplied.
    add_to_tokens<size>(unit, a.key_gradient, a.key_stride, a.key_count, first, 1.0f, key_sums);
    add_to_tokens<size>(unit, a.value_gradient, a.value_stride, a.key_count, first, 1.0f, value_sums);
}

// Gradients of some scores of one head, added up over a share of the groups in their order.
template <u32 size> __device__ __forceinline__ void table_backward(const Attention& a) {
    using Room = AttentionRoom<size>;
    Room& room = *reinterpret_cast<Room*>(shared_words);
    const u32 down = (a.query_count + Room::DOWN - 1) / Room::DOWN, across = (a.key_count + ACROSS - 1) / ACROSS;
    const u32 number = blockIdx.x / (down * across), band = threadIdx.x / WARP * BAND;
    const u32 first = blockIdx.x / across % down * Room::DOWN, key = blockIdx.x % across * ACROSS;
    const Share share = share_of(a.groups, blockIdx.y, a.shares);
    Band<ACROSS> sums = {};
    for (u32 group = share.begin; group < share.end; ++group) {
        const AttentionUnit unit(a, number * a.groups + group);
        Band<ACROSS> dots = {}, products = {};
        score_products<size, false>(unit, room, first, key, true, dots, products);
#pragma unroll
        for (u32 i = 0; i < OWN_ROWS; ++i) {
            const u32 row = band + band_row(i);
            const RowState state = row_state(unit, first + row);
#pragma unroll
            for (u32 j = 0; j < Band<ACROSS>::OWN_COLUMNS; ++j) {
                const u32 column = score_column(j);
                const ScoreGradient found = score_gradient(
                    unit, make_uint2(first + row, key + column), room.down[row], room.across[column], state, dots.of(i, j),
                    products.of(i, j)
                );
                sums.of(i, j) += found.slope;
            }
        }
    }
    float* parts = a.table_parts + ((long long)blockIdx.y * a.heads + number) * a.query_count * a.key_count;
#pragma unroll
    for (u32 i = 0; i < OWN_ROWS; ++i) {
#pragma unroll
        for (u32 j = 0; j < Band<ACROSS>::OWN_COLUMNS; ++j) {
            const u32 query = first + band + band_row(i), other = key + score_column(j);
            if (query < a.query_count && other < a.key_count) {
                parts[(long long)query * a.key_count + other] = sums.of(i, j);
            }
        }
    }
}

KERNEL_BOUNDS(attention_queries_h32, Attention, 128) { queries_backward<32>(a); }
KERNEL_BOUNDS(attention_queries_h64, Attention, 64) { queries_backward<64>(a); }
KERNEL_BOUNDS(attention_keys_h32, Attention, 128) { keys_backward<32>(a); }
KERNEL_BOUNDS(attention_keys_h64, Attention, 64) { keys_backward<64>(a); }
KERNEL_BOUNDS(attention_table_h32, Attention, 128) { table_backward<32>(a); }
KERNEL_BOUNDS(attention_table_h64, Attention, 64) { table_backward<64>(a); }

// A table's gradient: a warp has an entry of a head, whose pairs it adds up lane by lane, each over the shares in their order.
KERNEL_BOUNDS(attention_table_gather, Attention, 256) {
    const int side = a.side, across = 2 * side - 1;
    const u32 place = (blockIdx.x * blockDim.x + threadIdx.x) / WARP;
    if (place >= (u32)(across * across) * a.heads) {
        return;
    }
    // How far the query is below, and to the right of, the key.
    const int entry = place / a.heads, number = place % a.heads;
    const int below = entry / across - side + 1, right = entry % across - side + 1;
    const int top = max(below, 0), left = max(right, 0);
    const u32 height = side - max(below, -below), width = side - max(right, -right);
    const long long pairs = (long long)a.query_count * a.key_count;
    float sum = 0.0f;
    for (u32 i = threadIdx.x % WARP; i < height * width; i += WARP) {
        const int row = top + (int)(i / width), column = left + (int)(i % width);
        const int query = row * side + column, key = (row - below) * side + column - right;
        for (u32 share = 0; share < a.shares; ++share) {
            sum += a.table_parts[((long long)share * a.heads + number) * pairs + (long long)query * a.key_count + key];
        }
    }
    sum = warp_sum(sum);
    if (threadIdx.x % WARP == 0) {
        a.table_gradient[place] += sum;
    }
}
