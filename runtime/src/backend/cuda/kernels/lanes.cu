// Movements and linear sums. CPU twins: circuit::layout, backend::cpu::local. Words are written modulo 2^k by `mask`.
// A value has at most 2^31 lanes, so that places are divided as 32-bit numbers, which is several times faster.

static __device__ __forceinline__ u64 lane_here() { return (u64)blockIdx.x * blockDim.x + threadIdx.x; }

// The offset of a lane in a strided view: start, rank, extents, strides (modulo 2^64, so that they may be negative).
static __device__ __forceinline__ u64 strided(const u64 *view, u64 lane) {
    u64 offset = view[0];
    const u32 rank = (u32)view[1];
    const u64 *extents = view + 2, *strides = extents + rank;
    u32 rest = (u32)lane;
    for (u32 axis = rank; axis-- > 1;) {
        const u32 extent = (u32)extents[axis];
        offset += (rest % extent) * strides[axis];
        rest /= extent;
    }
    return rank == 0 ? offset : offset + rest * strides[0];
}

// out = scalar + sum of coefficient * words over the terms of `table`: (address, coefficient, words to the next, view).
extern "C" __global__ void linear(u64 *__restrict__ out, u64 lanes, const u64 *__restrict__ table, u64 terms, u64 scalar, u64 mask) {
    EACH_THREAD {
        const u64 lane = lane_here();
        if (lane < lanes) {
            u64 total = scalar;
            const u64 *term = table;
            for (u64 index = 0; index < terms; ++index) {
                total += ((const u64 *)term[0])[strided(term + 3, lane)] * term[1];
                term += term[2];
            }
            out[lane] = total & mask;
        }
    }
}

// out[view(i)] = words[i].
extern "C" __global__ void place(u64 *__restrict__ out, u64 lanes, const u64 *__restrict__ words, const u64 *__restrict__ view, u64 mask) {
    EACH_THREAD {
        const u64 lane = lane_here();
        if (lane < lanes) out[strided(view, lane)] = words[lane] & mask;
    }
}

// Rows at positions of an axis: [outer, positions, inner] from [outer, extent, inner].
extern "C" __global__ void gather(u64 *__restrict__ out, u64 lanes, const u64 *__restrict__ words, const u64 *__restrict__ positions, u64 count, u64 extent,
                                  u64 inner, u64 mask) {
    EACH_THREAD {
        const u64 lane = lane_here();
        if (lane < lanes) {
            const u32 row = (u32)lane / (u32)inner, column = (u32)lane % (u32)inner;
            const u64 from = (row / (u32)count * extent + positions[row % (u32)count]) * inner + column;
            out[lane] = words[from] & mask;
        }
    }
}

// [outer, 1, inner] from [outer, extent, inner].
extern "C" __global__ void sum_axis(u64 *__restrict__ out, u64 lanes, const u64 *__restrict__ words, u64 extent, u64 inner, u64 mask) {
    EACH_THREAD {
        const u64 lane = lane_here();
        if (lane < lanes) {
            const u64 *from = words + (u32)lane / (u32)inner * extent * inner + (u32)lane % (u32)inner;
            u64 total = 0;
            for (u64 position = 0; position < extent; ++position) total += from[position * inner];
            out[lane] = total & mask;
        }
    }
}

// `value` where a flag is set.
extern "C" __global__ void replace(u64 *__restrict__ out, u64 lanes, const u64 *__restrict__ words, const u64 *__restrict__ flags, u64 value, u64 mask) {
    EACH_THREAD {
        const u64 lane = lane_here();
        if (lane < lanes) {
            const bool replaced = flags[lane / 64] >> (lane % 64) & 1;
            out[lane] = (replaced ? value : words[lane]) & mask;
        }
    }
}

// Words modulo 2^k, in place.
extern "C" __global__ void reduce(u64 *out, u64 lanes, u64 mask) {
    EACH_THREAD {
        const u64 lane = lane_here();
        if (lane < lanes) out[lane] &= mask;
    }
}

// out += coefficient * (x.own * (y.own + y.next) + x.next * y.own), both factors broadcast.
extern "C" __global__ void hadamard(u64 *out, u64 lanes, const u64 *x_own, const u64 *x_next, const u64 *x_view,
                                    const u64 *y_own, const u64 *y_next, const u64 *y_view, u64 coefficient) {
    EACH_THREAD {
        const u64 lane = lane_here();
        if (lane < lanes) {
            const u64 x = strided(x_view, lane), y = strided(y_view, lane);
            const u64 part = x_own[x] * (y_own[y] + y_next[y]) + x_next[x] * y_own[y];
            out[lane] += coefficient * part;
        }
    }
}
