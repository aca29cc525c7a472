// Products modulo 2^64 on 8-bit tensor cores, by residues. CPU twins: backend::cpu::matrix, circuit::products.
//
// A product is computed modulo pairwise coprime p <= 256, where residues fit signed bytes, and put together again: with
// M the product of all p and words read as signed, the sum S of 2 * inner products has |S| <= inner * 2^127 < 0.49 M,
// so that S = sum of c_i * M/p_i - q * M with c_i = S * (M/p_i)^-1 mod p_i and q the integer nearest to sum of c_i/p_i,
// which doubles tell to 2^-44. Modulo 2^64 nothing but M/p_i and M modulo 2^64 is needed. The inner axis is cut into
// parts for which the bound holds. The host gives the numbers of each modulus: p, (M/p)^-1 mod p, M/p; and M.

#define RESIDUE_SIDE 64
#define RESIDUE_STEP 64
#define RESIDUE_WARPS 8
// Words from one row of a plane to the next: 128 bytes and a padding by which a warp meets every bank once.
#define RESIDUE_ROW 36

// acc += a * b, a [16 x 32] by rows and b [32 x 8] by columns, signed bytes, spread over a warp as PTX says.
static __device__ __forceinline__ void multiply_signed_bytes(int acc[4], const u32 a[4], const u32 b[2]) {
#ifdef __CUDA_ARCH__
    asm volatile("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+r"(acc[0]), "+r"(acc[1]), "+r"(acc[2]), "+r"(acc[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
    // As in limbs.cu.
    static u32 left[RESIDUE_WARPS][32][4], right[RESIDUE_WARPS][32][2];
    const u32 warp = threadIdx.x / 32, lane = threadIdx.x % 32, group = lane / 4, member = lane % 4;
    for (u32 i = 0; i < 4; ++i) left[warp][lane][i] = a[i];
    for (u32 i = 0; i < 2; ++i) right[warp][lane][i] = b[i];
    __syncthreads();
    for (u32 i = 0; i < 4; ++i) {
        const u32 column = 2 * member + i % 2;
        for (u32 k = 0; k < 32; ++k) {
            const u32 holder = 4 * group + k % 16 / 4, shift = 8 * (k % 4);
            const int x = (signed char)(left[warp][holder][i / 2 + k / 16 * 2] >> shift);
            const int y = (signed char)(right[warp][4 * column + k % 16 / 4][k / 16] >> shift);
            acc[i] += x * y;
        }
    }
    __syncthreads();
#endif
}

// The residues of signed words nearest to zero, plane by plane; `moduli` has four words for each.
extern "C" __global__ void residues(signed char *planes, u64 lanes, const u64 *words, const u64 *moduli, u64 count) {
    EACH_THREAD {
        const u64 lane = (u64)blockIdx.x * blockDim.x + threadIdx.x;
        if (lane < lanes) {
            const u64 word = words[lane];
            for (u64 index = 0; index < count; ++index) {
                const u32 p = (u32)moduli[4 * index];
                // 2^32 mod p times the upper half, which is below 2^16, and the lower half; a negative word is 2^64 less.
                const u32 power = (u32)((1ull << 32) % p);
                u32 rest = ((u32)(word >> 32) % p * power + (u32)word % p) % p;
                if (word >> 63) rest = (rest + p - power * power % p) % p;
                planes[index * lanes + lane] = (signed char)(2 * rest >= p ? (int)rest - (int)p : (int)rest);
            }
        }
    }
}

// A block computes 64 x 64 outputs with eight warps, a warp 16 x 32 of them, modulus by modulus.
template <class Operands>
static __device__ __forceinline__ void by_residues(u64 *out, const Operands &all, u64 coefficient, u64 x_words, u64 y_words,
                                                   const u64 *moduli, u64 count, u64 part_max) {
    __shared__ u32 left[RESIDUE_SIDE * RESIDUE_ROW], right[RESIDUE_SIDE * RESIDUE_ROW];
    signed char *left_bytes = (signed char *)left, *right_bytes = (signed char *)right;
    const u64 down = (all.rows + RESIDUE_SIDE - 1) / RESIDUE_SIDE, across = (all.columns + RESIDUE_SIDE - 1) / RESIDUE_SIDE;
    const u64 batch = blockIdx.x / (down * across), tile = blockIdx.x % (down * across);
    const u64 top = tile / across * RESIDUE_SIDE, start = tile % across * RESIDUE_SIDE;
    const u32 warp = threadIdx.x / 32, group = threadIdx.x % 32 / 4, member = threadIdx.x % 4;
    const u32 row = warp / 2 * 16 + group, column = warp % 2 * 32;
    for (u64 first = 0; first < all.inner; first += part_max) {
        const u64 end = first + part_max < all.inner ? first + part_max : all.inner;
        u64 totals[4][4] = {};
        double quotients[4][4] = {};
        for (u64 index = 0; index < count; ++index) {
            Operands operands = all;
            operands.x_own += index * x_words;
            operands.x_next += index * x_words;
            operands.y_both += index * y_words;
            operands.y_own += index * y_words;
            int sums[4][4] = {};
            for (u64 begin = first; begin < end; begin += RESIDUE_STEP) {
                for (u32 at = threadIdx.x; at < RESIDUE_SIDE * RESIDUE_STEP; at += RESIDUE_WARPS * 32) {
                    const u32 r = at / RESIDUE_STEP, k = at % RESIDUE_STEP;
                    signed char own = 0, next = 0;
                    if (top + r < all.rows && begin + k < end) operands.left(batch, top + r, begin + k, own, next);
                    left_bytes[r * 4 * RESIDUE_ROW + k] = own;
                    left_bytes[r * 4 * RESIDUE_ROW + RESIDUE_STEP + k] = next;
                }
                for (u32 at = threadIdx.x; at < RESIDUE_SIDE * RESIDUE_STEP; at += RESIDUE_WARPS * 32) {
                    const u32 c = at % RESIDUE_SIDE, k = at / RESIDUE_SIDE;
                    signed char both = 0, own = 0;
                    if (start + c < all.columns && begin + k < end) operands.right(batch, begin + k, start + c, both, own);
                    right_bytes[c * 4 * RESIDUE_ROW + k] = both;
                    right_bytes[c * 4 * RESIDUE_ROW + RESIDUE_STEP + k] = own;
                }
                __syncthreads();
#pragma unroll
                for (u32 slice = 0; slice < 2 * RESIDUE_STEP / 32; ++slice) {
                    const u32 *x = left + row * RESIDUE_ROW + 8 * slice + member;
                    const u32 a[4] = {x[0], x[8 * RESIDUE_ROW], x[4], x[8 * RESIDUE_ROW + 4]};
#pragma unroll
                    for (u32 part = 0; part < 4; ++part) {
                        const u32 *y = right + (column + 8 * part + group) * RESIDUE_ROW + 8 * slice + member;
                        const u32 b[2] = {y[0], y[4]};
                        multiply_signed_bytes(sums[part], a, b);
                    }
                }
                __syncthreads();
            }
            const int p = (int)moduli[4 * index];
            const u32 inverse = (u32)moduli[4 * index + 1];
            const u64 weight = moduli[4 * index + 2];
#pragma unroll
            for (u32 part = 0; part < 4; ++part)
#pragma unroll
                for (u32 i = 0; i < 4; ++i) {
                    const int rest = sums[part][i] % p;
                    const u32 c = (u32)(rest < 0 ? rest + p : rest) * inverse % (u32)p;
                    totals[part][i] += c * weight;
                    quotients[part][i] += (double)c / (double)p;
                }
        }
        const u64 whole = moduli[4 * count];
#pragma unroll
        for (u32 part = 0; part < 4; ++part)
#pragma unroll
            for (u32 i = 0; i < 4; ++i) {
                const u64 total = totals[part][i] - (u64)rint(quotients[part][i]) * whole;
                const u64 r = top + row + i / 2 * 8, c = start + column + 8 * part + 2 * member + i % 2;
                if (r < all.rows && c < all.columns) out[all.place(batch, r, c)] += coefficient * total;
            }
    }
}

extern "C" __global__ void __launch_bounds__(RESIDUE_WARPS * 32)
    matrices_residues(u64 *out, const signed char *x_own, const signed char *x_next, const signed char *y_both,
                      const signed char *y_own, u64 rows, u64 columns, u64 inner, const u64 *starts, u64 coefficient,
                      u64 x_words, u64 y_words, const u64 *moduli, u64 count, u64 part_max) {
    const Matrices<signed char> operands = {x_own, x_next, y_both, y_own, rows, columns, inner, starts};
    by_residues(out, operands, coefficient, x_words, y_words, moduli, count, part_max);
}

extern "C" __global__ void __launch_bounds__(RESIDUE_WARPS * 32)
    windows_residues(u64 *out, const signed char *x_own, const signed char *x_next, const signed char *y_both,
                     const signed char *y_own, u64 rows, u64 columns, u64 inner, const u64 *geometry, u64 coefficient,
                     u64 x_words, u64 y_words, const u64 *moduli, u64 count, u64 part_max) {
    const Windows<signed char> operands = {x_own, x_next, y_both, y_own, rows, columns, inner, geometry};
    by_residues(out, operands, coefficient, x_words, y_words, moduli, count, part_max);
}
