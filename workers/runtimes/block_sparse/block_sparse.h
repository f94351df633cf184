/* y = x W' + b on one thread, for a W whose nonzeros come in blocks of 16 outputs x 1 input.

   A block row is 16 outputs. `values` holds the blocks of the first block row, then those of the
   second, and so on, 16 values each; `columns` holds the input of each block; block row r has the
   blocks starts[r] to starts[r + 1]. x is rows x inputs and y rows x outputs, row by row without
   gaps; `bias` has one value per output. Of a last block row that stands out beyond the outputs,
   the values are read, but nothing is written.

   A block that is left out is not multiplied: where x is infinite or NaN and a dense layer's
   zeros would have made NaN of it, y stays what the other inputs make it.

   The vectors are those of GCC and Clang, not intrinsics: one source for AVX-512, AVX2, NEON. */

#include <stdint.h>

#define BLOCK 16

/* TILE rows of x share each block that is loaded; their sums stay in registers. With more rows
   than this, the values that a block takes from a wide x lie a power of two apart and throw each
   other out of the first cache: of 2048 inputs, 16 rows took twice as long as 8. */
#if defined(__AVX512F__)
#define LANES 16
#define TILE 8
#elif defined(__AVX__)
#define LANES 8
#define TILE 4
#else
#define LANES 4
#define TILE 4
#endif
#define VECTORS (BLOCK / LANES)
#define INLINE static inline __attribute__((always_inline))

typedef float vector __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

INLINE void add_block(
    const int rows, const float *x, int64_t inputs, const vector *weights, vector (*sums)[VECTORS])
{
    for (int row = 0; row < rows; row++)
        for (int part = 0; part < VECTORS; part++)
            sums[row][part] += x[row * inputs] * weights[part];
}

/* With few rows, several blocks are summed apart, so that there are always TILE x VECTORS sums
   that do not wait for each other: a single row took twice as long without. */
INLINE void multiply_rows(
    const int rows, const float *x, int64_t inputs, const float *values, const int32_t *columns,
    const int32_t *starts, const float *bias, float *y, int64_t outputs)
{
    const int apart = TILE / rows;
    for (int64_t first = 0; first < outputs; first += BLOCK, starts++) {
        vector sums[TILE][VECTORS] = {{{0}}};
        const vector *weights = (const vector *)(values + (int64_t)BLOCK * starts[0]);
        int32_t block = starts[0];
        for (; block + apart <= starts[1]; block += apart)
            for (int one = 0; one < apart; one++, weights += VECTORS)
                add_block(rows, x + columns[block + one], inputs, weights, sums + one * rows);
        for (; block < starts[1]; block++, weights += VECTORS)
            add_block(rows, x + columns[block], inputs, weights, sums);
        for (int row = 0; row < rows; row++) {
            float *out = y + row * outputs + first;
            for (int one = 1; one < apart; one++)
                for (int part = 0; part < VECTORS; part++)
                    sums[row][part] += sums[one * rows + row][part];
            if (first + BLOCK <= outputs)
                for (int part = 0; part < VECTORS; part++)
                    ((vector *)out)[part] = sums[row][part] + ((const vector *)(bias + first))[part];
            else
                for (int n = 0; first + n < outputs; n++)
                    out[n] = sums[row][n / LANES][n % LANES] + bias[first + n];
        }
    }
}

#ifdef __cplusplus
extern "C"
#endif
void archfront_block_sparse_linear(
    const float *x, int64_t rows, int64_t inputs, const float *values, const int32_t *columns,
    const int32_t *starts, const float *bias, float *y, int64_t outputs)
{
#define MULTIPLY_BY(count)                                                                         \
    for (; rows >= count; rows -= count, x += count * inputs, y += count * outputs)                \
    multiply_rows(count, x, inputs, values, columns, starts, bias, y, outputs)
#if TILE == 8
    MULTIPLY_BY(8);
#endif
    MULTIPLY_BY(4);
    MULTIPLY_BY(2);
    MULTIPLY_BY(1);
}
