// Bytes on their way into a block's shared memory while it multiplies, and from there to tensor cores: tiles of lines of
// 64 bytes, in chunks of 16.

// Chunks of a line.
#define CHUNKS 4

// Where a chunk of a line lies: two lines fill all banks, and pairs of lines begin with another chunk each, so that a warp
// meets every bank once both when it writes lines and when it reads the same chunk of eight lines.
static __device__ __forceinline__ u32 chunk_at(u32 line, u32 chunk) { return CHUNKS * line + (chunk ^ line / 2 % CHUNKS); }

#ifdef __CUDA_ARCH__
// Asks for 16 bytes of global memory, which `to` has after this thread's next `copies_arrived`.
static __device__ __forceinline__ void copy_ahead(uint4 *to, const uint4 *from) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"((u32)__cvta_generic_to_shared(to)), "l"(from) : "memory");
}
static __device__ __forceinline__ void copies_arrived() { asm volatile("cp.async.wait_all;" ::: "memory"); }

// What a lane of a warp holds of four matrices of 8 lines by 16 bytes: word lane % 4 of line lane / 4 of each. `from` is
// line lane % 8 of matrix lane / 8.
static __device__ __forceinline__ void four_matrices(u32 words[4], const uint4 *from) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(words[0]), "=r"(words[1]), "=r"(words[2]), "=r"(words[3])
                 : "r"((u32)__cvta_generic_to_shared(from))
                 : "memory");
}
#else
// The same by their definitions. A copy is done when its thread waits for it and not before, so that who does not wait,
// or reads what another thread has not waited for, finds old bytes.
struct AheadCopy {
    uint4 *to;
    const uint4 *from;
};
static AheadCopy ahead[WARPS * 32][64];
static u32 ahead_count[WARPS * 32];
static void copy_ahead(uint4 *to, const uint4 *from) { ahead[threadIdx.x][ahead_count[threadIdx.x]++ % 64] = {to, from}; }
static void copies_arrived() {
    u32 &count = ahead_count[threadIdx.x];
    for (u32 i = 0; i < count && i < 64; ++i) *ahead[threadIdx.x][i].to = *ahead[threadIdx.x][i].from;
    count = 0;
}
static void four_matrices(u32 words[4], const uint4 *from) {
    static const uint4 *lines[WARPS][32];
    static u32 *results[WARPS][32], arrived[WARPS];
    const u32 warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    lines[warp][lane] = from;
    results[warp][lane] = words;
    if (++arrived[warp] == 32) {
        arrived[warp] = 0;
        for (u32 holder = 0; holder < 32; ++holder)
            for (u32 matrix = 0; matrix < 4; ++matrix)
                results[warp][holder][matrix] = ((const u32 *)lines[warp][8 * matrix + holder / 4])[holder % 4];
    }
    __syncwarp();
}
#endif

// Lines that the threads of a block bring at once, a chunk each.
#define LINES_AT_ONCE (WARPS * 32 / CHUNKS)

// Asks for a step of the first `lines` of LINES lines, which are `pitch` chunks from one to the next; both numbers are
// multiples of LINES_AT_ONCE. `to` and `from` are where this thread's chunk of the first of these is: that of every other
// lies as many lines further, because `chunk_at` begins anew every eight lines.
template <u32 LINES> static __device__ __forceinline__ void bring(uint4 *to, const uint4 *from, u64 pitch, u32 lines) {
#pragma unroll
    for (u32 first = 0; first < LINES; first += LINES_AT_ONCE)
        // The same for a whole block.
        if (first < lines) copy_ahead(to + CHUNKS * first, from + first * pitch);
}
