// The tensor cores' product in TF32, for GPUs that have it (compute capability 8.0 and later) and programs that ask for it.
//
// Invariant: operands were rounded by `operand`; a tensor core reads no more of them. In which order it adds up the 8 products of
// a sum, and how it rounds there, NVIDIA does not say; the same GPU does it in the same way each time.

#if defined(I2M2_TF32) && (defined(I2M2_EMULATOR) || __CUDA_ARCH__ >= 800)
#define I2M2_TENSOR_CORES

// sum[16 x 8] += rows[16 x 8] * columns[8 x 8], by a warp. Of lane l, with g = l / 4 and t = l % 4 (PTX ISA, mma.m16n8k8, .tf32):
//
//   rows     (row, term):    (g, t), (g + 8, t), (g, t + 4), (g + 8, t + 4)
//   columns  (term, column): (t, g), (t + 4, g)
//   sums     (row, column):  (g, 2 t), (g, 2 t + 1), (g + 8, 2 t), (g + 8, 2 t + 1)
__device__ __forceinline__ void mma_m16n8k8_tf32(float (&sum)[4], const float (&rows)[4], const float (&columns)[2]) {
#ifdef I2M2_EMULATOR
    // Every lane shows what it holds; what a tensor core does not read is cut off.
    __shared__ float held[WARP][6][WARP];
    const u32 lane = threadIdx.x % WARP, g = lane / 4, t = lane % 4;
    float (&shown)[6][WARP] = held[threadIdx.x / WARP];
    for (u32 i = 0; i < 6; ++i) {
        shown[i][lane] = __uint_as_float(__float_as_uint(i < 4 ? rows[i] : columns[i - 4]) & 0xffffe000u);
    }
    __syncwarp();
    for (u32 i = 0; i < 4; ++i) {
        const u32 lower = i / 2, column = 2 * t + i % 2;
        for (u32 term = 0; term < 8; ++term) {
            const u32 half = term / 4;
            const float row = shown[2 * half + lower][4 * g + term % 4];
            sum[i] = fmaf(row, shown[4 + half][4 * column + term % 4], sum[i]);
        }
    }
    __syncwarp();
#else
    asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
        : "r"(__float_as_uint(rows[0])), "r"(__float_as_uint(rows[1])), "r"(__float_as_uint(rows[2])),
          "r"(__float_as_uint(rows[3])), "r"(__float_as_uint(columns[0])), "r"(__float_as_uint(columns[1])));
#endif
}
#endif
