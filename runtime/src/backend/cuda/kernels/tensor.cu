// Products of bytes on 8-bit tensor cores, for limbs.cu and residues.cu: a warp multiplies a [16 x 32], by rows, and
// b [32 x 8], by columns. Rows and columns lie in shared memory, `row` words of 32 bits from one to the next.

// Warps of a block.
#define WARPS 8

// What a lane of the warp holds of a and of b; `from` is word lane % 4 of its row or column lane / 4.
static __device__ __forceinline__ void left_bytes(u32 a[4], const u32 *from, u32 row) {
    a[0] = from[0];
    a[1] = from[8 * row];
    a[2] = from[4];
    a[3] = from[8 * row + 4];
}
static __device__ __forceinline__ void right_bytes(u32 b[2], const u32 *from) {
    b[0] = from[0];
    b[1] = from[4];
}

#define MULTIPLY_BYTES(kind)                                                                                           \
    asm volatile("mma.sync.aligned.m16n8k32.row.col.s32." kind "." kind ".s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, " \
                 "{%0,%1,%2,%3};"                                                                                      \
                 : "+r"(acc[0]), "+r"(acc[1]), "+r"(acc[2]), "+r"(acc[3])                                              \
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]))

// acc += a * b for bytes of the type `Byte`, modulo 2^32, spread over a warp as PTX says.
template <class Byte> static __device__ __forceinline__ void multiply_bytes(u32 acc[4], const u32 a[4], const u32 b[2]) {
#ifdef __CUDA_ARCH__
    if ((Byte)-1 < 0) MULTIPLY_BYTES("s8");
    else MULTIPLY_BYTES("u8");
#else
    // The same by the layout in the definition: lane 4g + t holds rows g and g + 8 of a, column g of b, and columns 2t
    // and 2t + 1 of the result. The lane of a warp that comes last multiplies for all.
    static u32 *results[WARPS][32], arrived[WARPS];
    static Byte left[WARPS][16][32], right[WARPS][8][32];
    const u32 warp = threadIdx.x / 32, lane = threadIdx.x % 32, group = lane / 4, member = lane % 4;
    results[warp][lane] = acc;
    for (u32 i = 0; i < 4; ++i) {
        for (u32 word = 0; word < 4; ++word) left[warp][group + word % 2 * 8][word / 2 * 16 + 4 * member + i] = a[word] >> 8 * i;
        for (u32 word = 0; word < 2; ++word) right[warp][group][word * 16 + 4 * member + i] = b[word] >> 8 * i;
    }
    if (++arrived[warp] == 32) {
        arrived[warp] = 0;
        for (u32 row = 0; row < 16; ++row) {
            int any = 0;
            for (u32 k = 0; k < 32; ++k) any |= left[warp][row][k];
            // Most rows of tests' small products are padding.
            for (u32 column = 0; any && column < 8; ++column) {
                int sum = 0;
                for (u32 k = 0; k < 32; ++k) sum += left[warp][row][k] * right[warp][column][k];
                results[warp][row % 8 * 4 + column / 2][row / 8 * 2 + column % 2] += (u32)sum;
            }
        }
    }
    __syncwarp();
#endif
}
