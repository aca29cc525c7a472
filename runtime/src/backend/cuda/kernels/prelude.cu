// What every translation unit starts with. The host shim defines EACH_THREAD itself: a kernel written in phases, each
// an EACH_THREAD block with nothing that lives across __syncthreads() but shared memory, runs there as plain loops.
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

#ifndef EACH_THREAD
#define EACH_THREAD
#endif

// The names of a unit's streams: the keys of the pairs that this role is in, and whose masks they are.
struct Streams {
    u32 keys[3][8];
    u32 node;
    u32 tile;
};

// Where the lanes of slots are: those that are read, then those that are written.
template <unsigned COUNT> struct Slots {
    u64 at[COUNT];
};
