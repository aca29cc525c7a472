// Products modulo 2^64 on 8-bit tensor cores, by residues. CPU twins: backend::cpu::matrix, circuit::products.
//
// A product is computed modulo pairwise coprime p <= 256, where residues fit signed bytes, and put together again: with
// M the product of all p and words read as signed, the sum S of 2 * inner products has |S| <= inner * 2^127 < 0.49 M,
// so that S = sum of c_i * M/p_i - q * M with c_i = S * (M/p_i)^-1 mod p_i and q the integer nearest to sum of c_i/p_i,
// which doubles tell to 2^-44. Modulo 2^64 nothing but M/p_i and M modulo 2^64 is needed. The host cuts the inner axis
// into parts for which the bound holds.
//
// Three kernels: `pack` lays the residues of a factor out as [modulus][batch][line][inner], lines and inner axis padded
// with zeros to whole tiles, so that `digits`, which has nothing but tiles to multiply, reads 16 bytes at a time and
// asks nothing; it writes the c_i, a byte each, and `combined` makes words of them.

#define RESIDUE_ROWS 128
#define RESIDUE_COLUMNS 64
#define RESIDUE_STEP 64
// Words from one row of a tile to the next: 128 bytes and a padding by which a warp meets every bank once.
#define RESIDUE_ROW 36

// A modulus, as the host writes it.
struct Modulus {
    u64 p;
    // (M/p)^-1 mod p, and M/p mod 2^64.
    u64 inverse;
    u64 rest;
    // 2^(8i) mod p, a byte each.
    u64 powers;
    // What makes a word read as unsigned its signed one: -2^64 mod p.
    u64 negative;
    // 2^32 / p, rounded down: the quotient of a number below 2^32 is too small by one at most.
    u64 reciprocal;
    // The least multiple of p from 2^31 on.
    u64 multiple;
    double inverse_of_p;
};

static __device__ __forceinline__ u32 reduced(u32 value, u32 p, u32 reciprocal) {
    const u32 rest = value - __umulhi(value, reciprocal) * p;
    return rest >= p ? rest - p : rest;
}

// The residue of a signed word nearest to zero, in the low byte.
static __device__ __forceinline__ u32 residue(u64 word, const Modulus &modulus) {
    u32 sum = __dp4a((u32)word, (u32)modulus.powers, 0u);
    sum = __dp4a((u32)(word >> 32), (u32)(modulus.powers >> 32), sum);
    if (word >> 63) sum += (u32)modulus.negative;
    const u32 p = (u32)modulus.p, rest = reduced(sum, p, (u32)modulus.reciprocal);
    return (2 * rest >= p ? rest - p : rest) & 255;
}

// Four places of the inner axis of a line, in both of its components.
template <bool LEFT, class Operands>
static __device__ __forceinline__ void pack(u32 *first, u32 *second, const Operands &operands, u64 batches, u64 lines,
                                            u64 lines_padded, u64 inner_padded, const Modulus *__restrict__ moduli, u64 count) {
    EACH_THREAD {
        const u32 quads = (u32)(inner_padded / 4), index = blockIdx.x * blockDim.x + threadIdx.x;
        const u64 all = batches * lines_padded * quads;
        if (index < all) {
            const u32 line = index / quads % (u32)lines_padded, batch = index / quads / (u32)lines_padded;
            const u32 k = index % quads * 4;
            u64 a[4] = {}, b[4] = {};
#pragma unroll
            for (u32 i = 0; i < 4; ++i)
                if (line < lines && k + i < operands.inner) {
                    if (LEFT) operands.left(batch, line, k + i, a[i], b[i]);
                    else operands.right(batch, k + i, line, a[i], b[i]);
                }
            for (u32 modulus = 0; modulus < count; ++modulus) {
                const Modulus m = moduli[modulus];
                u32 x = 0, y = 0;
#pragma unroll
                for (u32 i = 0; i < 4; ++i) {
                    x |= residue(a[i], m) << 8 * i;
                    y |= residue(b[i], m) << 8 * i;
                }
                first[modulus * all + index] = x;
                second[modulus * all + index] = y;
            }
        }
    }
}

#define PACK(name, LEFT, KIND)                                                                                         \
    extern "C" __global__ void name(u32 *__restrict__ first, u32 *__restrict__ second, const u64 *__restrict__ x_own,  \
                                    const u64 *__restrict__ x_next, const u64 *__restrict__ y_next,                    \
                                    const u64 *__restrict__ y_own, u64 rows, u64 columns, u64 inner,                   \
                                    const u64 *__restrict__ table, u64 batches, u64 lines_padded, u64 inner_padded,    \
                                    const Modulus *__restrict__ moduli, u64 count) {                                   \
        pack<LEFT>(first, second, KIND{x_own, x_next, y_next, y_own, rows, columns, inner, table}, batches,            \
                   LEFT ? rows : columns, lines_padded, inner_padded, moduli, count);                                  \
    }
PACK(pack_left_matrices, true, Matrices)
PACK(pack_right_matrices, false, Matrices)
PACK(pack_left_windows, true, Windows)
PACK(pack_right_windows, false, Windows)

// What a thread brings of a step: 16 bytes of a line at a time, own beside both and next beside own.
struct ResiduePart {
    uint4 left[4], right[2];
};

static __device__ __forceinline__ void fetch(ResiduePart &part, const signed char *x_own, const signed char *x_next,
                                             const signed char *y_both, const signed char *y_own, u64 pitch) {
#pragma unroll
    for (u32 i = 0; i < 4; ++i) {
        const u32 at = threadIdx.x + i * WARPS * 32, row = at / 8, chunk = at % 8;
        part.left[i] = __ldg((const uint4 *)((chunk < 4 ? x_own : x_next) + row * pitch + chunk % 4 * 16));
    }
#pragma unroll
    for (u32 i = 0; i < 2; ++i) {
        const u32 at = threadIdx.x + i * WARPS * 32, row = at / 8, chunk = at % 8;
        part.right[i] = __ldg((const uint4 *)((chunk < 4 ? y_both : y_own) + row * pitch + chunk % 4 * 16));
    }
}

static __device__ __forceinline__ void keep(const ResiduePart &part, uint4 *left, uint4 *right) {
#pragma unroll
    for (u32 i = 0; i < 4; ++i) {
        const u32 at = threadIdx.x + i * WARPS * 32;
        left[at / 8 * (RESIDUE_ROW / 4) + at % 8] = part.left[i];
    }
#pragma unroll
    for (u32 i = 0; i < 2; ++i) {
        const u32 at = threadIdx.x + i * WARPS * 32;
        right[at / 8 * (RESIDUE_ROW / 4) + at % 8] = part.right[i];
    }
}

// A block computes 128 x 64 digits of one modulus with eight warps, a warp 32 x 32 of them; the next step's bytes are on
// their way while this one's are multiplied. Digits are at [modulus][place of the output].
extern "C" __global__ void __launch_bounds__(WARPS * 32, 2)
    residue_digits(u8 *__restrict__ digits, const signed char *__restrict__ x_own, const signed char *__restrict__ x_next,
                   const signed char *__restrict__ y_both, const signed char *__restrict__ y_own, u64 rows, u64 columns,
                   u64 inner_padded, u64 batches, u64 y_batches, u64 y_first, u64 columns_first, u64 begin, u64 end,
                   const Modulus *__restrict__ moduli) {
    __shared__ uint4 left[RESIDUE_ROWS * RESIDUE_ROW / 4], right[RESIDUE_COLUMNS * RESIDUE_ROW / 4];
    const u32 down = (u32)((rows + RESIDUE_ROWS - 1) / RESIDUE_ROWS);
    const u32 across = (u32)((columns + RESIDUE_COLUMNS - 1) / RESIDUE_COLUMNS);
    const u32 tile = blockIdx.x % (down * across), rest = blockIdx.x / (down * across);
    const u32 batch = rest % (u32)batches, index = rest / (u32)batches;
    const u32 top = tile / across * RESIDUE_ROWS, start = tile % across * RESIDUE_COLUMNS;
    const u64 x = (((u64)index * batches + batch) * down * RESIDUE_ROWS + top) * inner_padded;
    const u64 y_batch = (u64)index * y_batches + (batch + y_first) % (u32)y_batches;
    const u64 y = (y_batch * across * RESIDUE_COLUMNS + start) * inner_padded;
    const u32 warp = threadIdx.x / 32, group = threadIdx.x % 32 / 4, member = threadIdx.x % 4;
    const u32 row = warp / 2 * 32, column = warp % 2 * 32;
    u32 sums[2][4][4] = {};
    ResiduePart part;
    fetch(part, x_own + x + begin, x_next + x + begin, y_both + y + begin, y_own + y + begin, inner_padded);
    for (u64 k = begin; k < end; k += RESIDUE_STEP) {
        keep(part, left, right);
        __syncthreads();
        const u64 next = k + RESIDUE_STEP;
        if (next < end) fetch(part, x_own + x + next, x_next + x + next, y_both + y + next, y_own + y + next, inner_padded);
#pragma unroll
        for (u32 slice = 0; slice < 2 * RESIDUE_STEP / 32; ++slice) {
            u32 a[2][4], b[4][2];
#pragma unroll
            for (u32 half = 0; half < 2; ++half)
                left_bytes(a[half], (const u32 *)left + (row + 16 * half + group) * RESIDUE_ROW + 8 * slice + member,
                           RESIDUE_ROW);
#pragma unroll
            for (u32 quarter = 0; quarter < 4; ++quarter)
                right_bytes(b[quarter],
                            (const u32 *)right + (column + 8 * quarter + group) * RESIDUE_ROW + 8 * slice + member);
#pragma unroll
            for (u32 half = 0; half < 2; ++half)
#pragma unroll
                for (u32 quarter = 0; quarter < 4; ++quarter)
                    // The same for a whole warp: nothing is multiplied for outputs that do not exist.
                    if (top + row + 16 * half < rows && start + column + 8 * quarter < columns)
                        multiply_bytes<signed char>(sums[half][quarter], a[half], b[quarter]);
        }
        __syncthreads();
    }
    const Modulus modulus = moduli[index];
    const u32 p = (u32)modulus.p, reciprocal = (u32)modulus.reciprocal;
    const u64 outputs = batches * rows * columns;
#pragma unroll
    for (u32 half = 0; half < 2; ++half)
#pragma unroll
        for (u32 quarter = 0; quarter < 4; ++quarter)
#pragma unroll
            for (u32 i = 0; i < 4; ++i) {
                const u32 r = top + row + 16 * half + i / 2 * 8 + group, c = start + column + 8 * quarter + 2 * member + i % 2;
                if (r < rows && c < columns) {
                    const u32 own = reduced(sums[half][quarter][i] + (u32)modulus.multiple, p, reciprocal);
                    const u32 digit = reduced(own * (u32)modulus.inverse, p, reciprocal);
                    const u64 place = columns_first ? (batch * columns + c) * rows + r : (batch * rows + r) * columns + c;
                    digits[index * outputs + place] = (u8)digit;
                }
            }
}

// out += coefficient * the words that have these digits.
extern "C" __global__ void combined(u64 *__restrict__ out, u64 outputs, const u8 *__restrict__ digits, u64 coefficient,
                                    const Modulus *__restrict__ moduli, u64 count, u64 product) {
    EACH_THREAD {
        const u64 lane = (u64)blockIdx.x * blockDim.x + threadIdx.x;
        if (lane < outputs) {
            u64 total = 0;
            double quotient = 0;
            for (u64 index = 0; index < count; ++index) {
                const u32 digit = digits[index * outputs + lane];
                total += digit * moduli[index].rest;
                quotient += (double)digit * moduli[index].inverse_of_p;
            }
            out[lane] += coefficient * (total - (u64)rint(quotient) * product);
        }
    }
}
