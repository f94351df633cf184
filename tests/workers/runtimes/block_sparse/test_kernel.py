"""The kernel multiplies as a dense layer does, whatever the shapes, and reads nothing beyond."""

import ctypes
import shutil
import subprocess
from pathlib import Path

import numpy as np
import openvino  # noqa: F401  (the library needs OpenVINO's)
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.runtimes.block_sparse import operator_library as module
from workers.runtimes.block_sparse.operator_library import operator_library
from workers.runtimes.block_sparse.sparse_linears import BLOCK, pack


def multiply(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """The kernel's x W' + b, as it is compiled for OpenVINO."""
    kernel = ctypes.CDLL(str(operator_library())).archfront_block_sparse_linear
    kernel.restype = None
    packed = pack(weight)
    guard = np.float32(-7.25)
    y = np.full((len(x) + 1, len(weight)), guard)  # a row more, to see what is written beyond
    size, pointer = ctypes.c_int64, ctypes.c_void_p
    kernel(
        pointer(x.ctypes.data), size(len(x)), size(x.shape[1]), pointer(packed.values.ctypes.data),
        pointer(packed.columns.ctypes.data), pointer(packed.starts.ctypes.data),
        pointer(bias.ctypes.data), pointer(y.ctypes.data), size(len(weight)),
    )  # fmt: skip
    assert (y[-1] == guard).all()
    return y[:-1]


def block_sparse_weight(
    random: np.random.Generator, outputs: int, inputs: int, density: float
) -> np.ndarray:
    kept = random.random((-(-outputs // BLOCK), inputs)) < density
    weight = random.standard_normal((outputs, inputs), np.float32)
    return weight * kept.repeat(BLOCK, axis=0)[:outputs]


@settings(deadline=None, max_examples=300)
@given(
    st.integers(0, 2**31),
    st.integers(1, 100),
    st.integers(1, 100),
    st.integers(1, 70),
    st.sampled_from([0.0, 0.05, 0.3, 1.0]),
    st.sampled_from([1e-3, 1.0, 1e4]),
)
def test_it_answers_as_a_dense_layer(seed, rows, outputs, inputs, density, scale):
    random = np.random.default_rng(seed)
    weight = block_sparse_weight(random, outputs, inputs, density)
    x = np.float32(scale) * random.standard_normal((rows, inputs), np.float32)
    bias = random.standard_normal(outputs, np.float32)
    exact = x.astype(np.float64) @ weight.T.astype(np.float64) + bias
    # No sum of floats is more exact than the sum of the magnitudes allows.
    magnitude = np.abs(x) @ np.abs(weight.T) + np.abs(bias)
    assert (np.abs(multiply(x, weight, bias) - exact) <= 1e-5 * magnitude).all()


def test_the_smallest_numbers_are_not_flushed():
    weight = np.zeros((16, 3), np.float32)
    weight[:, 1] = 1.0
    x = np.array([[1.0, 1e-42, 1.0]], np.float32)
    assert (multiply(x, weight, np.zeros(16, np.float32)) == np.float32(1e-42)).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_passes_through_kept_blocks_alone(value):
    weight = np.zeros((32, 4), np.float32)
    weight[:16, 2] = 1.0  # input 2 counts in the first block row only
    weight[16:, 0] = 1.0
    x = np.ones((3, 4), np.float32)
    x[1, 2] = value
    y = multiply(x, weight, np.zeros(32, np.float32))
    np.testing.assert_array_equal(y[1, :16], np.full(16, value))
    # where a dense layer, which multiplies by zeros, gives NaN
    with np.errstate(invalid="ignore"):
        assert np.isnan(x @ weight.T)[1, 16:].all()
    assert np.isfinite(y[1, 16:]).all()
    assert np.isfinite(y[[0, 2]]).all()


DRIVER = """
#include <stdlib.h>
#include "block_sparse.h"
int main(void)
{
    for (int64_t outputs = 1; outputs <= 33; outputs += 8)
        for (int64_t rows = 0; rows <= 17; rows++) {
            const int64_t inputs = 5, block_rows = (outputs + BLOCK - 1) / BLOCK;
            /* each of the exact size, so that a sanitizer sees a byte more */
            int32_t *starts = malloc(sizeof(int32_t) * (block_rows + 1)), blocks = 0;
            for (int64_t row = 0; row < block_rows; row++, blocks += row % 3 * 2)
                starts[row] = blocks;
            starts[block_rows] = blocks;
            int32_t *columns = malloc(sizeof(int32_t) * blocks);
            for (int32_t block = 0; block < blocks; block++)
                columns[block] = block % inputs;
            float *values = calloc(blocks * BLOCK, sizeof(float));
            float *x = calloc(rows * inputs, sizeof(float));
            float *bias = calloc(outputs, sizeof(float));
            float *y = malloc(sizeof(float) * rows * outputs);
            archfront_block_sparse_linear(
                x, rows, inputs, values, columns, starts, bias, y, outputs);
            for (int64_t n = 0; n < rows * outputs; n++)
                if (y[n] != 0.0f)
                    return 1;
            free(starts), free(columns), free(values), free(x), free(bias), free(y);
        }
    return 0;
}
"""


@pytest.mark.parametrize("features", [["-march=native"], ["-mavx2", "-mfma"], []])
def test_sanitizers_find_nothing(tmp_path: Path, features: list[str]) -> None:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler")
    source = tmp_path / "driver.c"
    source.write_text(DRIVER)
    sources = Path(module.__file__).parent
    command = [compiler, "-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", *features]
    command += ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    command += [f"-I{sources}", str(source), "-o", str(tmp_path / "driver")]
    subprocess.run(command, check=True)
    subprocess.run([tmp_path / "driver"], check=True)
