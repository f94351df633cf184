from pathlib import Path

import numpy as np
import pytest

from workers.measurement.array_file import read_arrays, write_arrays


def test_arrays_come_back_in_their_order_with_their_types(tmp_path: Path) -> None:
    inferences = [
        (np.arange(6).reshape(2, 3) + index, np.array([True, False]), np.float32([0.5]))
        for index in range(12)
    ]
    write_arrays(tmp_path / "kept.npz", inferences)
    back = read_arrays(tmp_path / "kept.npz")
    assert len(back) == 12
    for given, found in zip(inferences, back, strict=True):
        for one, other in zip(given, found, strict=True):
            np.testing.assert_array_equal(one, other)
            assert one.dtype == other.dtype


def test_objects_and_gaps_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "objects.npz", **{"0.0": np.array([object()])})
    with pytest.raises(ValueError, match="allow_pickle"):
        read_arrays(tmp_path / "objects.npz")
    np.savez(tmp_path / "gap.npz", **{"0.1": np.zeros(1)})
    with pytest.raises(ValueError, match=r"holds 0\.1 out of its order"):
        read_arrays(tmp_path / "gap.npz")
