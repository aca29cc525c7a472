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

// Words from one block of masks to the next: sixteen and one by which a warp that writes blocks meets every bank once.
#define BLOCK_WORDS 17

// Every block that a tile needs is computed once, by whichever thread comes to it.
static __device__ __forceinline__ void draw_tile(u32 *masks, const Draw *draws, u32 blocks, u64 first,
                                                 const Streams &streams) {
    u32 draw = 0, begin = 0;
    for (u32 task = threadIdx.x; task < blocks; task += blockDim.x) {
        while (task >= draws[draw].end) begin = draws[draw++].end;
        const u32 counter = (u32)(first * draws[draw].word_bytes / 64) + (task - begin);
        chacha12(masks + BLOCK_WORDS * task, streams.keys[draws[draw].key], counter, streams.node, streams.tile,
                 draws[draw].high);
    }
}

// The word of a draw at a lane of the tile, from the blocks that start at `block`.
template <unsigned WORD> static __device__ __forceinline__ u64 drawn(const u32 *masks, u32 block, u32 lane) {
    const u32 at = lane * WORD / 4;
    const u32 *from = masks + BLOCK_WORDS * block + at + at / 16;
    if (WORD == 8) return from[0] | (u64)from[1] << 32;
    if (WORD == 4) return from[0];
    if (WORD == 2) return from[0] >> 16 * (lane % 2) & 0xffff;
    return from[0] >> 8 * (lane % 4) & 0xff;
}

// The word of a lane of a field that starts at `field`.
template <unsigned BITS> static __device__ __forceinline__ u64 unpacked(const u64 *__restrict__ field, u64 lane) {
    const u64 bit = lane * BITS;
    const u32 offset = (u32)(bit % 64);
    u64 word = field[bit / 64] >> offset;
    if (64 % BITS != 0 && offset + BITS > 64) word |= field[bit / 64 + 1] << (64 - offset);
    return BITS == 64 ? word : word & ((1ull << (BITS % 64)) - 1);
}

// A sent field: the words of a tile of all fields up to it, its width, and the words of a group before it.
struct Sent {
    u32 end;
    u32 bits;
    u32 start;
};

// Writes the words of all fields that hold the lanes of the tile at `first`, each by whichever thread comes to it.
// `leaving` has the tile's lanes of one field after the other, and one word between them, by which threads that gather
// the same lane of different fields meet different banks.
template <unsigned TILE>
static __device__ __forceinline__ void pack_tile(const u64 *leaving, const Sent *fields, u32 words, u64 *sent, u64 first,
                                                 u64 groups) {
    u32 field = 0, begin = 0;
    for (u32 task = threadIdx.x; task < words; task += TILE) {
        while (task >= fields[field].end) begin = fields[field++].end;
        const u32 bits = fields[field].bits, index = task - begin;
        const u64 place = first / 64 * bits + index;
        if (place >= bits * groups) continue;
        const u64 *values = leaving + field * (TILE + 1);
        const u64 mask = ~0ull >> (64 - bits);
        u32 lane = index * 64 / bits;
        int offset = (int)(lane * bits) - (int)(index * 64);
        u64 word = 0;
        for (; offset < 64; offset += (int)bits, ++lane) {
            const u64 value = values[lane] & mask;
            word |= offset >= 0 ? value << offset : value >> -offset;
        }
        sent[fields[field].start * groups + place] = word;
    }
}
