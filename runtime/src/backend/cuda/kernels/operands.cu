// Where the factors of a product are. Every product is the local part of a product of shares:
// x.own * y.both + x.next * y.own, y.both = y.own + y.next.

// Rows of a left matrix [rows, inner] and columns of a right one [inner, columns], per batch; T is a word or a residue.
template <class T> struct Matrices {
    const T *x_own, *x_next, *y_both, *y_own;
    u64 rows, columns, inner;
    // Per batch, where its left and right matrix start.
    const u64 *starts;

    __device__ __forceinline__ void left(u64 batch, u64 row, u64 k, T &own, T &next) const {
        const u64 at = starts[2 * batch] + row * inner + k;
        own = x_own[at];
        next = x_next[at];
    }
    __device__ __forceinline__ void right(u64 batch, u64 k, u64 column, T &both, T &own) const {
        const u64 at = starts[2 * batch + 1] + k * columns + column;
        both = y_both[at];
        own = y_own[at];
    }
    __device__ __forceinline__ u64 place(u64 batch, u64 row, u64 column) const {
        return (batch * rows + row) * columns + column;
    }
};

// A convolution as a product: a batch is an image and a group, a row a position, a column an output channel, `inner`
// the channels of a group and their taps. geometry: input, kernel and output extents, strides, dilations, padding,
// groups, channels of a group.
template <class T> struct Windows {
    const T *x_own, *x_next, *y_both, *y_own;
    u64 rows, columns, inner;
    const u64 *geometry;

    __device__ __forceinline__ void left(u64 batch, u64 row, u64 k, T &own, T &next) const {
        const u32 height = (u32)geometry[0], width = (u32)geometry[1];
        const u32 kernel_width = (u32)geometry[3], taps = (u32)geometry[2] * kernel_width;
        const u32 channel = (u32)k / taps, tap = (u32)k % taps, output_width = (u32)geometry[5];
        // A place before the image wraps to a large number, so that one comparison serves both ends.
        const u32 y = (u32)row / output_width * (u32)geometry[6] + tap / kernel_width * (u32)geometry[8] - (u32)geometry[10];
        const u32 x = (u32)row % output_width * (u32)geometry[7] + tap % kernel_width * (u32)geometry[9] - (u32)geometry[11];
        own = next = 0;
        if (y < height && x < width) {
            const u64 at = ((batch * geometry[13] + channel) * height + y) * width + x;
            own = x_own[at];
            next = x_next[at];
        }
    }
    __device__ __forceinline__ void right(u64 batch, u64 k, u64 column, T &both, T &own) const {
        const u64 at = (batch % geometry[12] * columns + column) * inner + k;
        both = y_both[at];
        own = y_own[at];
    }
    __device__ __forceinline__ u64 place(u64 batch, u64 row, u64 column) const {
        return (batch * columns + column) * rows + row;
    }
};

