// What a device does at most, as kernels that do nothing else. CPU twins: `rates::twin`.

static __device__ __forceinline__ u64 rate_lane() { return (u64)blockIdx.x * blockDim.x + threadIdx.x; }

// out = in, 16 bytes a thread.
extern "C" __global__ void copied(uint4 *__restrict__ out, const uint4 *__restrict__ in, u64 pieces) {
    EACH_THREAD {
        const u64 lane = rate_lane();
        if (lane < pieces) out[lane] = in[lane];
    }
}

// Eight chains of x = x / 2 + 1, each a fused multiply-add; the sum of their ends.
extern "C" __global__ void doubles(double *__restrict__ out, u64 lanes, u64 steps) {
    EACH_THREAD {
        const u64 lane = rate_lane();
        if (lane < lanes) {
            double chains[8];
#pragma unroll
            for (int chain = 0; chain < 8; ++chain) chains[chain] = (double)(lane + chain);
            for (u64 step = 0; step < steps; ++step) {
#pragma unroll
                for (int chain = 0; chain < 8; ++chain) chains[chain] = fma(chains[chain], 0.5, 1.0);
            }
            double total = 0;
#pragma unroll
            for (int chain = 0; chain < 8; ++chain) total += chains[chain];
            out[lane] = total;
        }
    }
}

// Eight chains of x = x * factor + (lane | 1) modulo 2^64; the sum of their ends.
extern "C" __global__ void words(u64 *__restrict__ out, u64 lanes, u64 steps, u64 factor) {
    EACH_THREAD {
        const u64 lane = rate_lane();
        if (lane < lanes) {
            u64 chains[8];
#pragma unroll
            for (int chain = 0; chain < 8; ++chain) chains[chain] = lane + chain;
            for (u64 step = 0; step < steps; ++step) {
#pragma unroll
                for (int chain = 0; chain < 8; ++chain) chains[chain] = chains[chain] * factor + (lane | 1);
            }
            u64 total = 0;
#pragma unroll
            for (int chain = 0; chain < 8; ++chain) total += chains[chain];
            out[lane] = total;
        }
    }
}
