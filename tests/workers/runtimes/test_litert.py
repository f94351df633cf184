"""What LiteRT has of its own beside the contract of all runtimes: files, types, its converter.

`small.tflite` is `export_small` of the network below: what loads and runs is tested with it where
the converter is not, and where it is, the file is made anew and compared.
"""

import json
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from service.domain.runtimes import Precision
from workers.measurement.agreement import check_agreement
from workers.runtimes.errors import ExportFailed, LoadFailed, RuntimeMissing
from workers.runtimes.litert_conversion import command
from workers.runtimes.registry import find_loader, find_runtime
from workers.runtimes.runtime import Loader, Runtime

SMALL = Path(__file__).with_name("small.tflite")

VOCABULARY = 12


class Small(nn.Module):
    """Ids (1 x 4, int64) and a scale to scores, the best of them (int64), and what is a word."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.tokens = nn.Embedding(VOCABULARY, 4)
        self.scores = nn.Linear(4, 3)

    def forward(self, ids: Tensor, scale: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        present = ids != 0
        scores = self.scores(self.tokens(ids)) * scale
        return scores, {"best": scores.argmax(-1), "present": present}


EXAMPLES = [
    (torch.tensor([[1, 5, 3, 0]]), torch.tensor([2.0])),
    (torch.tensor([[11, 0, 0, 0]]), torch.tensor([0.5])),
]


def export_small(litert: Runtime, folder: Path, precision: Precision = "fp32") -> Path:
    return litert.export(Small().eval(), EXAMPLES[0], folder, precision, EXAMPLES).path


@pytest.fixture
def loader() -> Loader:
    try:
        return find_loader("litert")
    except RuntimeMissing as missing:
        pytest.skip(str(missing))


@pytest.fixture
def litert() -> Runtime:
    try:
        return find_runtime("litert")
    except RuntimeMissing as missing:
        pytest.skip(str(missing))


def test_types_and_order_are_the_networks_own(loader: Loader) -> None:
    session = loader.load(SMALL)
    assert check_agreement(Small().eval(), session, EXAMPLES).worst_relative_error < 1e-6
    assert [answer.dtype for answer in session.answers()] == [np.float32, np.int64, np.bool_]


def test_sessions_keep_their_inputs(loader: Loader) -> None:
    session, other = loader.load(SMALL), loader.load(SMALL)
    ids, scale = (tensor.numpy().copy() for tensor in EXAMPLES[0])
    expected = [answer.copy() for answer in session.run(EXAMPLES[0])]
    other.run(EXAMPLES[1])
    session.prepare((ids, scale))
    ids[:], scale[:] = 0, np.nan
    for _ in range(3):
        session.invoke()
    for answer, once in zip(session.answers(), expected, strict=True):
        np.testing.assert_array_equal(answer, once)


def test_a_file_that_is_cut_off_is_refused(loader: Loader, tmp_path: Path) -> None:
    path = tmp_path / "cut.tflite"
    path.write_bytes(SMALL.read_bytes()[:40])
    with pytest.raises(LoadFailed, match=r"litert refuses cut\.tflite"):
        loader.load(path)


def test_the_file_is_what_the_converter_writes(litert: Runtime, tmp_path: Path) -> None:
    made = export_small(litert, tmp_path)
    assert abs(made.stat().st_size - SMALL.stat().st_size) < 0.1 * SMALL.stat().st_size
    for one in EXAMPLES:
        pairs = zip(litert.load(made).run(one), litert.load(SMALL).run(one), strict=True)
        for answer, kept in pairs:
            np.testing.assert_allclose(answer, kept, rtol=1e-5)


def test_half_the_precision_takes_half_the_space(litert: Runtime, tmp_path: Path) -> None:
    network = nn.Linear(64, 256).eval()
    one = (torch.randn(1, 64),)
    sizes = []
    for precision in ("fp32", "fp16"):
        folder = tmp_path / precision
        folder.mkdir()
        sizes.append(litert.export(network, one, folder, precision).size_bytes)  # type: ignore[arg-type]
    assert sizes[1] == pytest.approx(sizes[0] / 2, rel=0.1)


def test_a_layer_that_it_lacks_is_named(litert: Runtime, tmp_path: Path) -> None:
    class Sorted(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.linalg.svdvals(x)

    with pytest.raises(ExportFailed, match=r"svd"):
        litert.export(Sorted().eval(), (torch.randn(4, 4),), tmp_path)


StandIn = Callable[[str], Path]


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """Puts a Python in the converter's place that does `deed` with the order that it is given."""
    pytest.importorskip("ai_edge_litert", reason="pip install 'archfront[litert]'")

    def put(deed: str) -> Path:
        python = tmp_path / "python"
        python.write_text(
            f"#!{sys.executable}\n"
            "import json, os, pathlib, shutil, sys\n"
            "assert sys.argv[1] == '-I', sys.argv\n"
            "if sys.argv[2] == '-c':\n"
            "    sys.exit(print('0.10.0'))\n"
            "order = json.loads(sys.argv[3])\n"
            f"{deed}\n"
        )
        python.chmod(python.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("ARCHFRONT_WORKER_LITERT_PYTHON", str(python))
        return python

    return put


def test_the_converter_gets_a_program_and_writes_the_network(
    stand_in: StandIn, tmp_path: Path
) -> None:
    told = tmp_path / "told.json"
    folder = tmp_path / "work"
    folder.mkdir()
    stand_in(
        f"pathlib.Path({str(told)!r}).write_text(json.dumps(order))\n"
        f"shutil.copy({str(SMALL)!r}, order['network'])\n"
        f"shutil.copy(order['program'], {str(tmp_path / 'kept.pt2')!r})"
    )
    litert = find_runtime("litert")
    exported = litert.export(Small().eval(), EXAMPLES[0], folder)
    assert exported.path.read_bytes() == SMALL.read_bytes()
    assert exported.export_s > 0
    assert list(folder.iterdir()) == [exported.path]
    order = json.loads(told.read_text())
    assert (order["precision"], order["calibration"]) == ("fp32", None)
    program = torch.export.load(tmp_path / "kept.pt2")
    given, _ = program.example_inputs
    scores, _ = program.module()(*given)
    torch.testing.assert_close(scores, Small()(*EXAMPLES[0])[0])


def test_real_inputs_travel_for_static_ranges(stand_in: StandIn, tmp_path: Path) -> None:
    kept = tmp_path / "kept.npz"
    folder = tmp_path / "work"
    folder.mkdir()
    stand_in(
        f"shutil.copy(order['calibration'], {str(kept)!r})\n"
        f"shutil.copy({str(SMALL)!r}, order['network'])"
    )
    export_small(find_runtime("litert"), folder, "int8_static")
    with np.load(kept) as arrays:
        assert set(arrays) == {"0-0", "0-1", "1-0", "1-1"}
        np.testing.assert_array_equal(arrays["1-0"], EXAMPLES[1][0].numpy())


@pytest.mark.parametrize(
    ("deed", "error", "told"),
    [
        (
            "sys.exit('Traceback\\nRuntimeError: no lowering of aten.svd')",
            ExportFailed,
            "exported to litert.*exit code 1: Traceback RuntimeError: no lowering of aten",
        ),
        ("os.abort()", ExportFailed, "exit code -6"),
        ("os.kill(os.getpid(), 9)", MemoryError, "converter was killed"),
        (
            "sys.exit(\"Traceback\\nModuleNotFoundError: No module named 'jax'\")",
            RuntimeMissing,
            "not whole: ModuleNotFoundError.*'jax'; make its environment anew",
        ),
    ],
)
def test_it_is_told_whose_fault_a_failure_is(
    stand_in: StandIn, tmp_path: Path, deed: str, error: type[Exception], told: str
) -> None:
    stand_in(deed)
    with pytest.raises(error, match=told):
        export_small(find_runtime("litert"), tmp_path)


def test_a_converter_that_hangs_is_given_up(
    stand_in: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in("import time; time.sleep(60)")
    monkeypatch.setattr("workers.runtimes.litert_conversion._LIMIT_S", 1.0)
    with pytest.raises(ExportFailed, match="timed out after 1"):
        export_small(find_runtime("litert"), tmp_path)


def test_the_command_names_program_and_order() -> None:
    python, isolated, program, order = command(Path("/there/python"), {"precision": "fp16"})
    assert (python, isolated) == ("/there/python", "-I")
    assert Path(program).is_file()
    assert json.loads(order) == {"precision": "fp16", "calibration": None}


def test_nothing_of_the_workers_is_imported_there() -> None:
    program = Path(command(Path("python"), {})[2]).read_text()
    for ours in ("search_spaces", "service", "workers"):
        assert f"import {ours}" not in program
        assert f"from {ours}" not in program
