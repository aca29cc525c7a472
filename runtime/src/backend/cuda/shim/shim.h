// Runs the text of CUDA kernels on a processor, slowly: for tests. One launch at a time; a block after the other.
//
// A kernel written in phases (EACH_THREAD) is called once a block and loops over its threads. Any other kernel has a
// fiber per thread; one that waits for others switches to the next one until all have arrived.
// It knows no races and no warps: what needs those is not tested here.
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

struct dim3 { unsigned x, y, z; };
static dim3 threadIdx, blockIdx, blockDim, gridDim;
#define __global__
#define __device__
#define __constant__ static const
#define __shared__ static
#define __restrict__
#define __grid_constant__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define EACH_THREAD for (threadIdx.x = 0; threadIdx.x < blockDim.x; ++threadIdx.x)

static pthread_mutex_t shim_lock = PTHREAD_MUTEX_INITIALIZER;
enum { SHIM_STACK = 1 << 16, SHIM_THREADS_MAX = 1024 };
// A fiber begins on a context of its own; from then on it is left and entered by jumps, which ask nothing of the system.
struct shim_fiber { ucontext_t context; jmp_buf jump; char *stack; bool begun, done; };
static shim_fiber shim_fibers[SHIM_THREADS_MAX];
static ucontext_t shim_caller;
static jmp_buf shim_scheduler;
static bool shim_in_fiber, shim_alive;
static unsigned shim_thread;
static void (*shim_entry)(void **);
static void **shim_arguments;

static __attribute__((noinline)) void shim_yield() {
    if (!_setjmp(shim_fibers[shim_thread].jump)) _longjmp(shim_scheduler, 1);
}
// Threads that wait for each other: the warps, and the block.
enum { SHIM_BLOCK = SHIM_THREADS_MAX / 32 };
static unsigned shim_arrived[SHIM_BLOCK + 1], shim_generation[SHIM_BLOCK + 1];
static void shim_meet(unsigned place, unsigned count) {
    const unsigned generation = shim_generation[place];
    if (++shim_arrived[place] == count) {
        shim_arrived[place] = 0;
        ++shim_generation[place];
    }
    while (shim_generation[place] == generation) shim_yield();
}
static inline void __syncthreads() { if (shim_in_fiber) shim_meet(SHIM_BLOCK, blockDim.x); }
static inline void __syncwarp() { if (shim_in_fiber) shim_meet(shim_thread / 32, 32); }
struct uint4 { unsigned x, y, z, w; };
static inline unsigned __umulhi(unsigned a, unsigned b) { return (unsigned long long)a * b >> 32; }
static inline unsigned __dp4a(unsigned a, unsigned b, unsigned sum) {
    for (unsigned i = 0; i < 32; i += 8) sum += (a >> i & 255) * (b >> i & 255);
    return sum;
}
template <class T> static inline T __ldg(const T *from) { return *from; }
template <class T> static inline T atomicAdd(T *to, T value) { T old = *to; *to += value; return old; }

static void shim_start() {
    shim_entry(shim_arguments);
    shim_fibers[shim_thread].done = true;
    _longjmp(shim_scheduler, 1);
}

static __attribute__((noinline)) void shim_enter() {
    shim_fiber &fiber = shim_fibers[shim_thread];
    threadIdx.x = shim_thread;
    if (_setjmp(shim_scheduler)) return;
    if (fiber.begun) _longjmp(fiber.jump, 1);
    fiber.begun = true;
    swapcontext(&shim_caller, &fiber.context);
}

static void shim_block_of_fibers() {
    for (unsigned thread = 0; thread < blockDim.x; ++thread) {
        shim_fiber &fiber = shim_fibers[thread];
        if (!fiber.stack) fiber.stack = (char *)malloc(SHIM_STACK);
        getcontext(&fiber.context);
        fiber.context.uc_stack.ss_sp = fiber.stack;
        fiber.context.uc_stack.ss_size = SHIM_STACK;
        fiber.begun = fiber.done = false;
        makecontext(&fiber.context, shim_start, 0);
    }
    shim_in_fiber = true;
    do {
        shim_alive = false;
        for (shim_thread = 0; shim_thread < blockDim.x; ++shim_thread) {
            if (shim_fibers[shim_thread].done) continue;
            shim_enter();
            shim_alive |= !shim_fibers[shim_thread].done;
        }
    } while (shim_alive);
    shim_in_fiber = false;
}

static void shim_launch(void (*entry)(void **), bool phased, unsigned blocks, unsigned threads, void **arguments) {
    pthread_mutex_lock(&shim_lock);
    gridDim = {blocks, 1, 1};
    blockDim = {threads, 1, 1};
    shim_entry = entry;
    shim_arguments = arguments;
    for (unsigned block = 0; block < blocks; ++block) {
        blockIdx = {block, 0, 0};
        if (phased) entry(arguments); else shim_block_of_fibers();
    }
    pthread_mutex_unlock(&shim_lock);
}

// Calls a kernel with the arguments at these addresses.
template <unsigned... I> struct shim_indices {};
template <unsigned N, unsigned... I> struct shim_count : shim_count<N - 1, N - 1, I...> {};
template <unsigned... I> struct shim_count<0, I...> { typedef shim_indices<I...> type; };
template <class... A, unsigned... I>
static inline void shim_call(void (*kernel)(A...), void **arguments, shim_indices<I...>) {
    kernel(*(A *)arguments[I]...);
}
#define SHIM_EXPORT(kernel, phased)                                                                          \
    static void shim_unpack_##kernel(void **arguments) { shim_expand(kernel, arguments); }                   \
    extern "C" __attribute__((visibility("default"))) void shim_##kernel(unsigned blocks, unsigned threads,  \
                                                                         void **arguments) {                 \
        shim_launch(shim_unpack_##kernel, phased, blocks, threads, arguments);                               \
    }
template <class... A> static inline void shim_expand(void (*kernel)(A...), void **arguments) {
    shim_call(kernel, arguments, typename shim_count<sizeof...(A)>::type());
}
