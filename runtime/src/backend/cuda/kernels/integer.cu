// Products modulo 2^64 on integer units. CPU twins: backend::cpu::matrix, circuit::products.

#define TILE 64
#define DEPTH 16
#define SIDE 16

// A block computes TILE x TILE outputs with SIDE x SIDE threads, a thread 4 x 4 of them, SIDE apart.
template <class Operands> static __device__ __forceinline__ void tiled(u64 *out, const Operands &operands, u64 coefficient) {
    __shared__ u64 x_own[DEPTH][TILE + 1], x_next[DEPTH][TILE + 1], y_both[DEPTH][TILE], y_own[DEPTH][TILE];
    const u32 down = (u32)((operands.rows + TILE - 1) / TILE), across = (u32)((operands.columns + TILE - 1) / TILE);
    const u32 batch = blockIdx.x / (down * across), tile = blockIdx.x % (down * across);
    const u32 top = tile / across * TILE, start = tile % across * TILE;
    const u32 row = threadIdx.x / SIDE, column = threadIdx.x % SIDE;
    u64 sums[4][4] = {};
    for (u32 begin = 0; begin < operands.inner; begin += DEPTH) {
        for (u32 index = threadIdx.x; index < TILE * DEPTH; index += SIDE * SIDE) {
            const u32 r = index / DEPTH, k = index % DEPTH;
            u64 own = 0, next = 0;
            if (top + r < operands.rows && begin + k < operands.inner) operands.left(batch, top + r, begin + k, own, next);
            x_own[k][r] = own;
            x_next[k][r] = next;
        }
        for (u32 index = threadIdx.x; index < TILE * DEPTH; index += SIDE * SIDE) {
            const u32 k = index / TILE, c = index % TILE;
            u64 both = 0, own = 0;
            if (start + c < operands.columns && begin + k < operands.inner) operands.right(batch, begin + k, start + c, both, own);
            y_both[k][c] = both;
            y_own[k][c] = own;
        }
        __syncthreads();
#pragma unroll
        for (u32 k = 0; k < DEPTH; ++k)
#pragma unroll
            for (u32 i = 0; i < 4; ++i)
#pragma unroll
                for (u32 j = 0; j < 4; ++j)
                    sums[i][j] += x_own[k][row + SIDE * i] * y_both[k][column + SIDE * j] +
                                  x_next[k][row + SIDE * i] * y_own[k][column + SIDE * j];
        __syncthreads();
    }
    for (u32 i = 0; i < 4; ++i)
        for (u32 j = 0; j < 4; ++j) {
            const u32 r = top + row + SIDE * i, c = start + column + SIDE * j;
            if (r < operands.rows && c < operands.columns) out[operands.place(batch, r, c)] += coefficient * sums[i][j];
        }
}

// A thread computes one output over a part of the inner axis; the parts meet in memory, exactly, in any order.
template <class Operands>
static __device__ __forceinline__ void direct(u64 *out, const Operands &operands, u64 outputs, u64 part, u64 coefficient) {
    EACH_THREAD {
        const u32 blocks = ((u32)outputs + blockDim.x - 1) / blockDim.x;
        const u32 index = blockIdx.x % blocks * blockDim.x + threadIdx.x, begin = blockIdx.x / blocks * (u32)part;
        if (index < outputs) {
            const u32 columns = (u32)operands.columns, size = (u32)operands.rows * columns;
            const u32 batch = index / size, row = index % size / columns, column = index % columns;
            const u32 end = begin + part < operands.inner ? begin + (u32)part : (u32)operands.inner;
            u64 sum = 0;
#pragma unroll 4
            for (u32 k = begin; k < end; ++k) {
                u64 own, next, both, y_own;
                operands.left(batch, row, k, own, next);
                operands.right(batch, k, column, both, y_own);
                sum += own * both + next * y_own;
            }
            atomicAdd(&out[operands.place(batch, row, column)], coefficient * sum);
        }
    }
}

extern "C" __global__ void __launch_bounds__(SIDE *SIDE)
    matrices_tiled(u64 *out, const u64 *x_own, const u64 *x_next, const u64 *y_next, const u64 *y_own, u64 rows,
                   u64 columns, u64 inner, const u64 *starts, u64 coefficient) {
    tiled(out, Matrices{x_own, x_next, y_next, y_own, rows, columns, inner, starts}, coefficient);
}

extern "C" __global__ void __launch_bounds__(SIDE *SIDE)
    windows_tiled(u64 *out, const u64 *x_own, const u64 *x_next, const u64 *y_next, const u64 *y_own, u64 rows,
                  u64 columns, u64 inner, const u64 *geometry, u64 coefficient) {
    tiled(out, Windows{x_own, x_next, y_next, y_own, rows, columns, inner, geometry}, coefficient);
}

extern "C" __global__ void matrices_direct(u64 *out, const u64 *x_own, const u64 *x_next, const u64 *y_next,
                                           const u64 *y_own, u64 rows, u64 columns, u64 inner, const u64 *starts,
                                           u64 coefficient, u64 outputs, u64 part) {
    direct(out, Matrices{x_own, x_next, y_next, y_own, rows, columns, inner, starts}, outputs, part, coefficient);
}

extern "C" __global__ void windows_direct(u64 *out, const u64 *x_own, const u64 *x_next, const u64 *y_next,
                                          const u64 *y_own, u64 rows, u64 columns, u64 inner, const u64 *geometry,
                                          u64 coefficient, u64 outputs, u64 part) {
    direct(out, Windows{x_own, x_next, y_next, y_own, rows, columns, inner, geometry}, outputs, part, coefficient);
}
