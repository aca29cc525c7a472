"""BLAKE3 with 32 bytes of output, in hash and derive-key mode.

Source: the BLAKE3 paper (O'Connor, Aumasson, Neves, Wilcox-O'Hearn), sections 2.1 to 2.6. The standard library has none.
"""

import struct

BLOCK_BYTES = 64
CHUNK_BYTES = 1024
CHUNK_START, CHUNK_END, PARENT, ROOT = 1, 2, 4, 8
DERIVE_KEY_CONTEXT, DERIVE_KEY_MATERIAL = 32, 64
MASK = 0xFFFFFFFF

INITIAL = (
    0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A,
    0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19,
)
PERMUTATION = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
QUARTERS = (
    (0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
    (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14),
)


def _schedule():
    """For each of the seven rounds and eight quarter rounds: four positions of the state, two words of the block."""
    order = tuple(range(16))
    rounds = []
    for _ in range(7):
        for quarter in range(8):
            rounds.append(QUARTERS[quarter] + (order[2 * quarter], order[2 * quarter + 1]))
        order = tuple(order[position] for position in PERMUTATION)
    return tuple(rounds)


SCHEDULE = _schedule()


def _compress(chain, block, counter, length, flags):
    """The first eight words of the compression function: the next chaining value."""
    words = struct.unpack("<16I", block)
    state = list(chain) + list(INITIAL[:4]) + [counter & MASK, counter >> 32 & MASK, length, flags]
    for a, b, c, d, x, y in SCHEDULE:
        p, q, r, s = state[a], state[b], state[c], state[d]
        p = p + q + words[x] & MASK
        s ^= p
        s = (s >> 16 | s << 16) & MASK
        r = r + s & MASK
        q ^= r
        q = (q >> 12 | q << 20) & MASK
        p = p + q + words[y] & MASK
        s ^= p
        s = (s >> 8 | s << 24) & MASK
        r = r + s & MASK
        q ^= r
        q = (q >> 7 | q << 25) & MASK
        state[a], state[b], state[c], state[d] = p, q, r, s
    return tuple(state[i] ^ state[i + 8] for i in range(8))


def _chunk(key, chunk, counter, flags):
    """The chaining value of a chunk of at most 1024 bytes; `flags` may hold ROOT for a lone chunk."""
    chain = key
    root = flags & ROOT
    flags &= ~ROOT
    last = max(len(chunk) - 1, 0) // BLOCK_BYTES
    for index in range(last + 1):
        block = chunk[index * BLOCK_BYTES:(index + 1) * BLOCK_BYTES]
        block_flags = flags
        if index == 0:
            block_flags |= CHUNK_START
        if index == last:
            block_flags |= CHUNK_END | root
        chain = _compress(chain, block.ljust(BLOCK_BYTES, b"\0"), counter, len(block), block_flags)
    return chain


def _tree(key, data, flags):
    """The root's 32 bytes. A left subtree holds the largest power of two of chunks that leaves something to the right."""
    count = max(1, -(-len(data) // CHUNK_BYTES))

    def subtree(first, chunks, root):
        if chunks == 1:
            return _chunk(key, data[first * CHUNK_BYTES:(first + 1) * CHUNK_BYTES], first, flags | root)
        left = 1 << (chunks - 1).bit_length() - 1
        block = struct.pack("<16I", *(subtree(first, left, 0) + subtree(first + left, chunks - left, 0)))
        return _compress(key, block, 0, BLOCK_BYTES, flags | PARENT | root)

    return struct.pack("<8I", *subtree(0, count, ROOT))


def hash_bytes(data):
    """BLAKE3 of `data` in the default mode, 32 bytes."""
    return _tree(INITIAL, data, 0)


def derive_key(context, material):
    """BLAKE3 of `material` in derive-key mode under the context string, 32 bytes."""
    context_key = _tree(INITIAL, context.encode("utf-8"), DERIVE_KEY_CONTEXT)
    return _tree(struct.unpack("<8I", context_key), material, DERIVE_KEY_MATERIAL)
