// Where the factors of a product are. Every product is the local part of a product of shares:
// x.own * (y.own + y.next) + x.next * y.own. Rows, columns, and the inner axis are below 2^31.

// Rows of a left matrix [rows, inner] and columns of a right one [inner, columns], per batch.
struct Matrices {
    const u64 *__restrict__ x_own, *__restrict__ x_next, *__restrict__ y_next, *__restrict__ y_own;
    u64 rows, columns, inner;
    // Per batch, where its left and right matrix start.
    const u64 *__restrict__ starts;

    __device__ __forceinline__ void left(u32 batch, u32 row, u32 k, u64 &own, u64 &next) const {
        const u64 at = starts[2 * batch] + row * inner + k;
        own = x_own[at];
        next = x_next[at];
    }
    __device__ __forceinline__ void right(u32 batch, u32 k, u32 column, u64 &both, u64 &own) const {
        const u64 at = starts[2 * batch + 1] + k * columns + column;
        own = y_own[at];
        both = own + y_next[at];
    }
    __device__ __forceinline__ u64 place(u32 batch, u32 row, u32 column) const {
        return (batch * rows + row) * columns + column;
    }
};

// A convolution as a product: a batch is an image and a group, a row a position, a column an output channel, `inner`
// the channels of a group and their taps. geometry: the image's height and width, the output's width, strides, padding,
// groups, places of a batch; then for each place of the inner axis where it is from the place of the first tap, and its
// row and column from there, in the halves of a word.
struct Windows {
    const u64 *__restrict__ x_own, *__restrict__ x_next, *__restrict__ y_next, *__restrict__ y_own;
    u64 rows, columns, inner;
    const u64 *__restrict__ geometry;

    __device__ __forceinline__ void left(u32 batch, u32 row, u32 k, u64 &own, u64 &next) const {
        const u32 height = (u32)geometry[0], width = (u32)geometry[1], output_width = (u32)geometry[2];
        const u64 offset = geometry[9 + 2 * k], tap = geometry[10 + 2 * k];
        // A place before the image wraps to a large number, so that one comparison serves both ends.
        const u32 top = row / output_width * (u32)geometry[3] - (u32)geometry[5];
        const u32 start = row % output_width * (u32)geometry[4] - (u32)geometry[6];
        own = next = 0;
        if (top + (u32)tap < height && start + (u32)(tap >> 32) < width) {
            const u64 at = batch * geometry[8] + (u64)((long long)(int)top * (int)width + (int)start) + offset;
            own = x_own[at];
            next = x_next[at];
        }
    }
    __device__ __forceinline__ void right(u32 batch, u32 k, u32 column, u64 &both, u64 &own) const {
        const u64 at = (batch % (u32)geometry[7] * columns + column) * inner + k;
        own = y_own[at];
        both = own + y_next[at];
    }
    __device__ __forceinline__ u64 place(u32 batch, u32 row, u32 column) const {
        return (batch * columns + column) * rows + row;
    }
};
