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
    // and 2t + 1 of the result. The lanes of a warp exchange what they hold.
    static u32 left[WARPS][32][4], right[WARPS][32][2];
    const u32 warp = threadIdx.x / 32, lane = threadIdx.x % 32, group = lane / 4, member = lane % 4;
    for (u32 i = 0; i < 4; ++i) left[warp][lane][i] = a[i];
    for (u32 i = 0; i < 2; ++i) right[warp][lane][i] = b[i];
    __syncwarp();
    for (u32 i = 0; i < 4; ++i) {
        const u32 column = 2 * member + i % 2;
        for (u32 k = 0; k < 32; ++k) {
            // Row `group` of the upper or lower half, inner place k.
            const u32 holder = 4 * group + k % 16 / 4, shift = 8 * (k % 4);
            const int x = (Byte)(left[warp][holder][i / 2 + k / 16 * 2] >> shift);
            const int y = (Byte)(right[warp][4 * column + k % 16 / 4][k / 16] >> shift);
            acc[i] += (u32)(x * y);
        }
    }
    __syncwarp();
#endif
}
