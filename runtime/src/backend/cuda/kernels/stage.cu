// What printed kernels call: ChaCha12 and fields of frames. CPU twins: random::Generator::fill, backend::cpu::packing.

#define CHACHA_QUARTER(a, b, c, d)                                  \
    a += b; d ^= a; d = (d << 16) | (d >> 16);                      \
    c += d; b ^= c; b = (b << 12) | (b >> 20);                      \
    a += b; d ^= a; d = (d << 8) | (d >> 24);                       \
    c += d; b ^= c; b = (b << 7) | (b >> 25);

// One block of 64 bytes of the stream whose nonce is (node, tile, high).
static __device__ __forceinline__ void chacha12(u32 *out, const u32 *key, u32 counter, u32 node, u32 tile, u32 high) {
    const u32 start[16] = {0x61707865u, 0x3320646eu, 0x79622d32u, 0x6b206574u, key[0], key[1], key[2], key[3],
                           key[4],      key[5],      key[6],      key[7],      counter, node,   tile,   high};
    u32 s[16];
#pragma unroll
    for (int i = 0; i < 16; ++i) s[i] = start[i];
#pragma unroll
    for (int round = 0; round < 6; ++round) {
        CHACHA_QUARTER(s[0], s[4], s[8], s[12])
        CHACHA_QUARTER(s[1], s[5], s[9], s[13])
        CHACHA_QUARTER(s[2], s[6], s[10], s[14])
        CHACHA_QUARTER(s[3], s[7], s[11], s[15])
        CHACHA_QUARTER(s[0], s[5], s[10], s[15])
        CHACHA_QUARTER(s[1], s[6], s[11], s[12])
        CHACHA_QUARTER(s[2], s[7], s[8], s[13])
        CHACHA_QUARTER(s[3], s[4], s[9], s[14])
    }
#pragma unroll
    for (int i = 0; i < 16; ++i) out[i] = s[i] + start[i];
}

// A draw of a kernel: its blocks of a tile end before `end`; `key` is the pair, `high` the fixed part of the nonce.
struct Draw {
    u32 end;
    u32 key;
    u32 high;
    u32 word_bytes;
};

// Every block that a tile needs is computed once, by whichever thread comes to it.
static __device__ __forceinline__ void draw_tile(u32 *masks, const Draw *draws, u32 blocks, u64 first,
                                                 const Streams &streams) {
    u32 draw = 0, begin = 0;
    for (u32 task = threadIdx.x; task < blocks; task += blockDim.x) {
        while (task >= draws[draw].end) begin = draws[draw++].end;
        const u32 counter = (u32)(first * draws[draw].word_bytes / 64) + (task - begin);
        chacha12(masks + 16 * task, streams.keys[draws[draw].key], counter, streams.node, streams.tile,
                 draws[draw].high);
    }
}

// The word of a draw at a lane of the tile, from the blocks that start at `block`.
template <unsigned WORD> static __device__ __forceinline__ u64 drawn(const u32 *masks, u32 block, u32 lane) {
    const u32 *from = masks + 16 * block;
    if (WORD == 8) return from[2 * lane] | (u64)from[2 * lane + 1] << 32;
    if (WORD == 4) return from[lane];
    if (WORD == 2) return from[lane / 2] >> 16 * (lane % 2) & 0xffff;
    return from[lane / 4] >> 8 * (lane % 4) & 0xff;
}

// The same for a draw that found no room in shared memory: its block is computed for this lane alone.
template <unsigned WORD>
static __device__ __forceinline__ u64 drawn_alone(const Streams &streams, u32 key, u32 high, u64 lane) {
    u32 block[16];
    chacha12(block, streams.keys[key], (u32)(lane * WORD / 64), streams.node, streams.tile, high);
    return drawn<WORD>(block, 0, (u32)(lane % (64 / WORD)));
}

// The word of a lane of a field that starts at `field`.
template <unsigned BITS> static __device__ __forceinline__ u64 unpacked(const u64 *field, u64 lane) {
    const u64 bit = lane * BITS;
    const u32 offset = (u32)(bit % 64);
    u64 word = field[bit / 64] >> offset;
    if (offset + BITS > 64) word |= field[bit / 64 + 1] << (64 - offset);
    return BITS == 64 ? word : word & ((1ull << (BITS % 64)) - 1);
}

// Writes the words of a field that hold the lanes from `first` on; `values` are a tile of them, `end` the field's end.
template <unsigned BITS, unsigned TILE>
static __device__ __forceinline__ void packed(const u64 *values, u64 *field, u64 first, u64 end) {
    const u32 index = threadIdx.x;
    const u64 place = first / 64 * BITS + index;
    if (index >= TILE / 64 * BITS || place >= end) return;
    const u64 mask = BITS == 64 ? ~0ull : (1ull << (BITS % 64)) - 1;
    u32 lane = index * 64 / BITS;
    int offset = (int)(lane * BITS) - (int)(index * 64);
    u64 word = 0;
    for (; offset < 64; offset += (int)BITS, ++lane) {
        const u64 value = values[lane] & mask;
        word |= offset >= 0 ? value << offset : value >> -offset;
    }
    field[place] = word;
}

// The same for a field that found no room in shared memory, lane by lane, into words that are zero.
template <unsigned BITS> static __device__ __forceinline__ void packed_alone(u64 value, u64 *field, u64 lane) {
    const u64 bit = lane * BITS;
    const u32 offset = (u32)(bit % 64);
    if (BITS < 64) value &= (1ull << (BITS % 64)) - 1;
    atomicOr(&field[bit / 64], value << offset);
    if (offset + BITS > 64) atomicOr(&field[bit / 64 + 1], value >> (64 - offset));
}
