// Products modulo 2^(8 LIMBS) on 8-bit tensor cores, by limbs. CPU twins: backend::cpu::matrix, circuit::products.
//
// A word is LIMBS bytes; a product modulo 2^(8 LIMBS) needs the products of bytes i of the left and j of the right with
// i + j < LIMBS: 36 at 8 limbs, 21 at 6, 10 at 4. Those of equal i + j = s share one accumulator of 32 bits, which has
// to be right modulo 2^(8 (LIMBS - s)): from s = 4 on it may wrap, below that (s + 1) * 255^2 * 2 * part_max < 2^32 keeps
// it exact. After `part_max` steps of the inner axis, a multiple of STEP, the accumulators are added to the result.
//
// One step of 32 of the tensor core's inner axis is 16 steps of ours: x.own beside y.both, then x.next beside y.own.

#define SIDE 64
#define STEP 16
// 32-bit words from one row of a limb's plane to the next: eight and a padding by which a warp meets every bank once.
#define ROW 12

// Byte `limb` of four words, the first lowest.
static __device__ __forceinline__ u32 bytes_of(const u64 words[4], u32 limb) {
    u32 bytes = 0;
#pragma unroll
    for (u32 i = 0; i < 4; ++i) bytes |= (u32)(words[i] >> 8 * limb & 255) << 8 * i;
    return bytes;
}

template <unsigned LIMBS> struct Planes {
    u32 left[LIMBS][SIDE * ROW];
    u32 right[LIMBS][SIDE * ROW];
};

// Puts the bytes of a step's words into planes; words beyond the operands are zero.
template <unsigned LIMBS, class Operands>
static __device__ __forceinline__ void fill(Planes<LIMBS> &planes, const Operands &operands, u32 batch, u32 top, u32 start,
                                            u32 begin) {
    for (u32 index = threadIdx.x; index < SIDE * STEP / 4; index += WARPS * 32) {
        const u32 row = index / (STEP / 4), quarter = index % (STEP / 4);
        u64 own[4] = {}, next[4] = {};
        for (u32 i = 0; i < 4; ++i) {
            const u32 k = begin + 4 * quarter + i;
            if (top + row < operands.rows && k < operands.inner) operands.left(batch, top + row, k, own[i], next[i]);
        }
#pragma unroll
        for (u32 limb = 0; limb < LIMBS; ++limb) {
            planes.left[limb][row * ROW + quarter] = bytes_of(own, limb);
            planes.left[limb][row * ROW + STEP / 4 + quarter] = bytes_of(next, limb);
        }
    }
    for (u32 index = threadIdx.x; index < SIDE * STEP / 4; index += WARPS * 32) {
        const u32 column = index % SIDE, quarter = index / SIDE;
        u64 both[4] = {}, own[4] = {};
        for (u32 i = 0; i < 4; ++i) {
            const u32 k = begin + 4 * quarter + i;
            if (start + column < operands.columns && k < operands.inner)
                operands.right(batch, k, start + column, both[i], own[i]);
        }
#pragma unroll
        for (u32 limb = 0; limb < LIMBS; ++limb) {
            planes.right[limb][column * ROW + quarter] = bytes_of(both, limb);
            planes.right[limb][column * ROW + STEP / 4 + quarter] = bytes_of(own, limb);
        }
    }
}

// A block computes SIDE x SIDE outputs with eight warps, a warp 16 x 32 of them.
template <unsigned LIMBS, class Operands>
static __device__ __forceinline__ void by_limbs(u64 *out, const Operands &operands, u64 coefficient, u64 part_max) {
    __shared__ Planes<LIMBS> planes;
    const u32 down = (u32)((operands.rows + SIDE - 1) / SIDE), across = (u32)((operands.columns + SIDE - 1) / SIDE);
    const u32 batch = blockIdx.x / (down * across), tile = blockIdx.x % (down * across);
    const u32 top = tile / across * SIDE, start = tile % across * SIDE;
    const u32 warp = threadIdx.x / 32, group = threadIdx.x % 32 / 4, member = threadIdx.x % 4;
    const u32 row = warp / 2 * 16 + group, column = warp % 2 * 32;
    u32 sums[LIMBS][4][4] = {};
    for (u32 begin = 0; begin < operands.inner; begin += STEP) {
        fill(planes, operands, batch, top, start, begin);
        __syncthreads();
        u32 b[LIMBS][4][2];
#pragma unroll
        for (u32 limb = 0; limb < LIMBS; ++limb)
#pragma unroll
            for (u32 part = 0; part < 4; ++part)
                right_bytes(b[limb][part], planes.right[limb] + (column + 8 * part + group) * ROW + member);
#pragma unroll
        for (u32 i = 0; i < LIMBS; ++i) {
            u32 a[4];
            left_bytes(a, planes.left[i] + row * ROW + member, ROW);
#pragma unroll
            for (u32 j = 0; j + i < LIMBS; ++j)
#pragma unroll
                for (u32 part = 0; part < 4; ++part)
                    // The same for a whole warp: nothing is multiplied for outputs that do not exist.
                    if (top + warp / 2 * 16 < operands.rows && start + column + 8 * part < operands.columns)
                        multiply_bytes<u8>(sums[i + j][part], a, b[j][part]);
        }
        __syncthreads();
        if ((begin + STEP) % part_max == 0 || begin + STEP >= operands.inner) {
#pragma unroll
            for (u32 part = 0; part < 4; ++part)
#pragma unroll
                for (u32 i = 0; i < 4; ++i) {
                    u64 total = 0;
#pragma unroll
                    for (u32 s = 0; s < LIMBS; ++s) {
                        total += (u64)sums[s][part][i] << 8 * s;
                        sums[s][part][i] = 0;
                    }
                    const u32 r = top + row + i / 2 * 8, c = start + column + 8 * part + 2 * member + i % 2;
                    if (r < operands.rows && c < operands.columns) out[operands.place(batch, r, c)] += coefficient * total;
                }
        }
    }
}

#define BY_LIMBS(limbs)                                                                                                \
    extern "C" __global__ void __launch_bounds__(WARPS * 32)                                                           \
        matrices_limbs_##limbs(u64 *out, const u64 *x_own, const u64 *x_next, const u64 *y_next, const u64 *y_own,     \
                               u64 rows, u64 columns, u64 inner, const u64 *starts, u64 coefficient, u64 part_max) {   \
        by_limbs<limbs>(out, Matrices{x_own, x_next, y_next, y_own, rows, columns, inner, starts}, coefficient, part_max); \
    }                                                                                                                  \
    extern "C" __global__ void __launch_bounds__(WARPS * 32)                                                           \
        windows_limbs_##limbs(u64 *out, const u64 *x_own, const u64 *x_next, const u64 *y_next, const u64 *y_own,      \
                              u64 rows, u64 columns, u64 inner, const u64 *geometry, u64 coefficient, u64 part_max) {  \
        by_limbs<limbs>(out, Windows{x_own, x_next, y_next, y_own, rows, columns, inner, geometry}, coefficient, part_max); \
    }
BY_LIMBS(4)
BY_LIMBS(6)
BY_LIMBS(8)
