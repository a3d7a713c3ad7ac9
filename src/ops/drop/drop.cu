// Which units are dropped, and dropping them.

constexpr u32 KEY_WORDS = 8;

// A byte for each unit: 1 if it is kept.
struct DrawUnits {
    // Sixteen units each.
    uint4* kept;
    // Of the stream.
    u32 key[KEY_WORDS];
    // A unit is kept if its 32 bits are no number below this.
    u32 limit;
    u32 blocks;
};

__device__ __forceinline__ u32 turned_left(u32 value, u32 bits) { return value << bits | value >> (32 - bits); }

__device__ __forceinline__ void quarter_round(u32& a, u32& b, u32& c, u32& d) {
    a += b;
    d = turned_left(d ^ a, 16);
    c += d;
    b = turned_left(b ^ c, 12);
    a += b;
    d = turned_left(d ^ a, 8);
    c += d;
    b = turned_left(b ^ c, 7);
}

// A thread per block of the stream: ChaCha12 with nonce 0 (`random.rs`). A block has 16 words, one for each unit, in order.
KERNEL(draw_units, DrawUnits) {
    const u32 block = blockIdx.x * blockDim.x + threadIdx.x;
    if (block >= a.blocks) {
        return;
    }
    u32 begin[16] = {0x61707865u, 0x3320646eu, 0x79622d32u, 0x6b206574u};
#pragma unroll
    for (u32 i = 0; i < KEY_WORDS; ++i) {
        begin[4 + i] = a.key[i];
    }
    begin[12] = block;
    u32 x[16];
#pragma unroll
    for (u32 i = 0; i < 16; ++i) {
        x[i] = begin[i];
    }
#pragma unroll
    for (u32 round = 0; round < 6; ++round) {
        quarter_round(x[0], x[4], x[8], x[12]);
        quarter_round(x[1], x[5], x[9], x[13]);
        quarter_round(x[2], x[6], x[10], x[14]);
        quarter_round(x[3], x[7], x[11], x[15]);
        quarter_round(x[0], x[5], x[10], x[15]);
        quarter_round(x[1], x[6], x[11], x[12]);
        quarter_round(x[2], x[7], x[8], x[13]);
        quarter_round(x[3], x[4], x[9], x[14]);
    }
    u32 kept[4] = {};
#pragma unroll
    for (u32 i = 0; i < 16; ++i) {
        kept[i / 4] |= (u32)(x[i] + begin[i] >= a.limit) << i % 4 * 8;
    }
    a.kept[block] = make_uint4(kept[0], kept[1], kept[2], kept[3]);
}

struct DropUnits {
    const float* from;
    const unsigned char* kept;
    float* to;
    // Elements, and those of a unit.
    u32 count, unit;
    float scale;
    // 1: adds to what is in `to`.
    u32 accumulate;
};

KERNEL(drop_units, DropUnits) {
    const u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < a.count) {
        const float before = a.accumulate ? a.to[i] : 0.0f;
        a.to[i] = a.kept[i / a.unit] ? before + a.scale * a.from[i] : before;
    }
}
