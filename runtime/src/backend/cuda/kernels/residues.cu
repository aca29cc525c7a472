// Products modulo 2^64 on 8-bit tensor cores, by residues. CPU twins: backend::cpu::matrix, circuit::products.
//
// A product is computed modulo pairwise coprime p <= 256, where residues fit signed bytes, and put together again: with
// M the product of all p and words read as signed, the sum S of 2 * inner products has |S| <= inner * 2^127 < 0.49 M,
// so that S = sum of c_i * M/p_i - q * M with c_i = S * (M/p_i)^-1 mod p_i and q the integer nearest to sum of c_i/p_i,
// which doubles tell to 2^-44. Modulo 2^64 nothing but M/p_i and M modulo 2^64 is needed. The host cuts the inner axis
// into parts for which the bound holds.
//
// Three kernels: `pack` lays the residues of a factor out as [modulus][batch][line][step], a step being 32 bytes of each of
// its components one after the other; lines are padded to the 64 of a warp, the inner axis to whole steps, with zeros. So
// `residue_digits`, which has nothing but whole tiles to multiply, asks nothing; it writes the c_i, a byte each, in the
// order in which warps hold them, and `combined` makes words of them in the same order.
//
// How often bytes are read is what bounds such a product. A warp's tile has 32 multiplications for every byte that is
// read from shared memory, so that its 128 bytes a cycle would feed the tensor cores of an H100 at their full rate (4096 a
// cycle); copies into it take three eighths as much again. A block's tile has 85 for every byte from the second-level cache,
// 48 bytes a cycle at the full rate.

#define RESIDUE_STEP 32
// Lines of a warp's tile, in both directions, and of a block's.
#define WARP_SIDE 64
#define RESIDUE_ROWS 128
#define RESIDUE_COLUMNS 256

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
static __device__ __forceinline__ void pack(u32 *packed, const Operands &operands, u64 batches, u64 lines, u64 lines_padded,
                                            u64 inner_padded, const Modulus *__restrict__ moduli, u64 count) {
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
            // Quads of a step: its own component's, then as many of the other's.
            const u64 first = index / (RESIDUE_STEP / 4) * (RESIDUE_STEP / 2) + index % (RESIDUE_STEP / 4);
            for (u32 modulus = 0; modulus < count; ++modulus) {
                const Modulus m = moduli[modulus];
                u32 x = 0, y = 0;
#pragma unroll
                for (u32 i = 0; i < 4; ++i) {
                    x |= residue(a[i], m) << 8 * i;
                    y |= residue(b[i], m) << 8 * i;
                }
                packed[2 * modulus * all + first] = x;
                packed[2 * modulus * all + first + RESIDUE_STEP / 4] = y;
            }
        }
    }
}

#define PACK(name, LEFT, KIND)                                                                                         \
    extern "C" __global__ void name(u32 *__restrict__ packed, const u64 *__restrict__ x_own,                           \
                                    const u64 *__restrict__ x_next, const u64 *__restrict__ y_next,                    \
                                    const u64 *__restrict__ y_own, u64 rows, u64 columns, u64 inner,                   \
                                    const u64 *__restrict__ table, u64 batches, u64 lines_padded, u64 inner_padded,    \
                                    const Modulus *__restrict__ moduli, u64 count) {                                   \
        pack<LEFT>(packed, KIND{x_own, x_next, y_next, y_own, rows, columns, inner, table}, batches,                   \
                   LEFT ? rows : columns, lines_padded, inner_padded, moduli, count);                                  \
    }
PACK(pack_left_matrices, true, Matrices)
PACK(pack_right_matrices, false, Matrices)
PACK(pack_left_windows, true, Windows)
PACK(pack_right_windows, false, Windows)

// Where warps' tiles of the result are, and what they hold: lane 4g + t of a warp has of fragment 8i + j the digits of rows
// 16i + g and 16i + g + 8 and columns 8j + 2t and 8j + 2t + 1 of its tile, a byte each.
struct WarpTiles {
    u64 rows, columns, batches;

    __device__ __forceinline__ u32 down() const { return (u32)((rows + WARP_SIDE - 1) / WARP_SIDE); }
    __device__ __forceinline__ u32 across() const { return (u32)((columns + WARP_SIDE - 1) / WARP_SIDE); }
    // Words of four digits of one modulus.
    __device__ __forceinline__ u64 words() const { return batches * down() * across() * (WARP_SIDE * WARP_SIDE / 4); }
    __device__ __forceinline__ u64 word(u32 batch, u32 row, u32 column) const {
        const u64 tile = ((u64)batch * down() + row / WARP_SIDE) * across() + column / WARP_SIDE;
        return tile * (WARP_SIDE * WARP_SIDE / 4);
    }
};

// A block computes 128 x 256 digits of one modulus with eight warps, a warp 64 x 64 of them; the next step's bytes are on
// their way while this one's are multiplied. Warps beyond the result have nothing to do, and their lines are not there.
extern "C" __global__ void __launch_bounds__(WARPS * 32, 1)
    residue_digits(u32 *__restrict__ digits, const uint4 *__restrict__ x, const uint4 *__restrict__ y, u64 rows, u64 columns,
                   u64 inner_padded, u64 batches, u64 y_batches, u64 y_first, u64 begin, u64 end,
                   const Modulus *__restrict__ moduli) {
    __shared__ uint4 left[2][RESIDUE_ROWS * CHUNKS], right[2][RESIDUE_COLUMNS * CHUNKS];
    const u32 down = (u32)((rows + RESIDUE_ROWS - 1) / RESIDUE_ROWS);
    const u32 across = (u32)((columns + RESIDUE_COLUMNS - 1) / RESIDUE_COLUMNS);
    const u32 tile = blockIdx.x % (down * across), rest = blockIdx.x / (down * across);
    const u32 batch = rest % (u32)batches, index = rest / (u32)batches;
    const u32 top = tile / across * RESIDUE_ROWS, start = tile % across * RESIDUE_COLUMNS;
    const WarpTiles tiles{rows, columns, batches};
    const u32 x_lines = tiles.down() * WARP_SIDE, y_lines = tiles.across() * WARP_SIDE;
    const u64 pitch = inner_padded / RESIDUE_STEP * CHUNKS;
    const u64 y_batch = (u64)index * y_batches + (batch + y_first) % (u32)y_batches;
    // This thread's chunk of the first lines, there and in shared memory.
    const u32 line = threadIdx.x / CHUNKS, chunk = threadIdx.x % CHUNKS, at = chunk_at(line, chunk);
    const u64 first = line * pitch + begin / RESIDUE_STEP * CHUNKS + chunk;
    const uint4 *x_at = x + (((u64)index * batches + batch) * x_lines + top) * pitch + first;
    const uint4 *y_at = y + (y_batch * y_lines + start) * pitch + first;
    const u32 lane = threadIdx.x % 32, row = threadIdx.x / 32 / 4 * WARP_SIDE, column = threadIdx.x / 32 % 4 * WARP_SIDE;
    const bool has_outputs = top + row < x_lines && start + column < y_lines;
    u32 sums[4][8][4] = {};
    bring<RESIDUE_ROWS>(left[0] + at, x_at, pitch, x_lines - top);
    bring<RESIDUE_COLUMNS>(right[0] + at, y_at, pitch, y_lines - start);
    u32 now = 0;
    for (u64 k = begin; k < end; k += RESIDUE_STEP) {
        copies_arrived();
        // All have what all asked for, and nobody reads any more what the next copies take the place of.
        __syncthreads();
        if (k + RESIDUE_STEP < end) {
            x_at += CHUNKS;
            y_at += CHUNKS;
            bring<RESIDUE_ROWS>(left[1 - now] + at, x_at, pitch, x_lines - top);
            bring<RESIDUE_COLUMNS>(right[1 - now] + at, y_at, pitch, y_lines - start);
        }
        if (has_outputs)
#pragma unroll
            for (u32 component = 0; component < 2; ++component) {
                u32 a[4][4];
#pragma unroll
                for (u32 i = 0; i < 4; ++i)
                    four_matrices(a[i], left[now] + chunk_at(row + 16 * i + lane % 16, 2 * component + lane / 16));
#pragma unroll
                for (u32 j = 0; j < 8; j += 2) {
#ifndef __CUDA_ARCH__
                    // Columns of padding take their turn on a GPU, so that reads of the next ones go on beside products.
                    if (start + column + 8 * j >= columns) break;
#endif
                    u32 b[4];
                    four_matrices(b, right[now] + chunk_at(column + 8 * j + lane / 16 * 8 + lane % 8, 2 * component + lane / 8 % 2));
#pragma unroll
                    for (u32 i = 0; i < 4; ++i) {
                        multiply_bytes<signed char>(sums[i][j], a[i], b);
                        multiply_bytes<signed char>(sums[i][j + 1], a[i], b + 2);
                    }
                }
            }
        now = 1 - now;
    }
    if (has_outputs) {
        const Modulus modulus = moduli[index];
        const u32 p = (u32)modulus.p, reciprocal = (u32)modulus.reciprocal;
        u32 *to = digits + index * tiles.words() + tiles.word(batch, top + row, start + column) + lane;
#pragma unroll
        for (u32 i = 0; i < 4; ++i)
#pragma unroll
            for (u32 j = 0; j < 8; ++j) {
                u32 four = 0;
#pragma unroll
                for (u32 place = 0; place < 4; ++place) {
                    const u32 own = reduced(sums[i][j][place] + (u32)modulus.multiple, p, reciprocal);
                    four |= reduced(own * (u32)modulus.inverse, p, reciprocal) << 8 * place;
                }
                to[32 * (8 * i + j)] = four;
            }
    }
}

// out += coefficient * the words that have these digits, four words a thread.
extern "C" __global__ void combined(u64 *__restrict__ out, u64 rows, u64 columns, u64 batches, u64 columns_first,
                                    const u32 *__restrict__ digits, u64 coefficient, const Modulus *__restrict__ moduli,
                                    u64 count, u64 product) {
    EACH_THREAD {
        const WarpTiles tiles{rows, columns, batches};
        const u64 index = (u64)blockIdx.x * blockDim.x + threadIdx.x, words = tiles.words();
        if (index < words) {
            const u32 lane = index % 32, fragment = index / 32 % 32;
            const u64 tile = index / (WARP_SIDE * WARP_SIDE / 4);
            const u64 batch = tile / tiles.across() / tiles.down();
            const u32 row = (u32)(tile / tiles.across() % tiles.down()) * WARP_SIDE + fragment / 8 * 16 + lane / 4;
            const u32 column = (u32)(tile % tiles.across()) * WARP_SIDE + fragment % 8 * 8 + lane % 4 * 2;
            u64 totals[4] = {};
            double quotients[4] = {};
            for (u64 modulus = 0; modulus < count; ++modulus) {
                const u32 four = digits[modulus * words + index];
#pragma unroll
                for (u32 place = 0; place < 4; ++place) {
                    const u32 digit = four >> 8 * place & 255;
                    totals[place] += digit * moduli[modulus].rest;
                    quotients[place] += (double)digit * moduli[modulus].inverse_of_p;
                }
            }
#pragma unroll
            for (u32 place = 0; place < 4; ++place) {
                const u64 r = row + place / 2 * 8, c = column + place % 2;
                if (r < rows && c < columns)
                    out[columns_first ? (batch * columns + c) * rows + r : (batch * rows + r) * columns + c] +=
                        coefficient * (totals[place] - (u64)rint(quotients[place]) * product);
            }
        }
    }
}
