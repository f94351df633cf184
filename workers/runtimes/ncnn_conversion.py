"""Turns a network into ncnn's files by pnnx, its converter.

pnnx reads a trace, in a process of its own, and leaves in the graph whatever ncnn lacks.
"""

import json
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pnnx
import torch
from torch.utils._pytree import tree_leaves

from service.domain.runtimes import Precision
from workers.runtimes.ncnn import GRAPH_FILE, LAYOUT_FILE, Layout
from workers.runtimes.ncnn_forms import forms_of, in_form, trace

_LIMIT_S = 600
_MESSAGE_LENGTH = 600

_FOREIGN_LAYER = re.compile(r"^\S*[.:]\S*(?=\s)", re.MULTILINE)  # ncnn's own have neither


def convert(
    network: torch.nn.Module, example: tuple[torch.Tensor, ...], folder: Path, precision: Precision
) -> None:
    """Writes graph, weights and layout into `folder`, the weights in fp16 if that is asked for.

    Raises: ValueError if pnnx fails, or leaves what ncnn has not.
    """
    trace(network, example).save(str(folder / "network.pt"))
    forms = [forms_of(one) for one in example]
    formed = [in_form(one, form) for one in example for form in forms_of(one)]
    told = _run_pnnx(folder, formed, precision)
    answers = [one for one in tree_leaves(network(*example)) if isinstance(one, torch.Tensor)]
    layout = _layout((folder / GRAPH_FILE).read_text(), told, forms, answers, precision)
    (folder / LAYOUT_FILE).write_text(json.dumps(layout))


def _run_pnnx(folder: Path, formed: "list[torch.Tensor]", precision: Precision) -> str:
    """Runs pnnx on `network.pt`; gives the example program that it writes, and tidies the rest.

    Raises: ValueError with what it said last.
    """
    shapes = ",".join(
        f"[{','.join(map(str, one.shape))}]{'f' if one.is_floating_point() else 'i'}32"
        for one in formed
    )
    command = [
        pnnx.EXEC_PATH,
        "network.pt",
        f"inputshape={shapes}",
        f"fp16={int(precision == 'fp16')}",
    ]
    done = subprocess.run(  # noqa: S603  (the converter of the package installed here)
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=_LIMIT_S,
        check=False,
    )
    example = folder / "network_ncnn.py"
    told = example.read_text() if example.exists() else ""
    left = {"network.pt", "network_ncnn.py", "network_pnnx.py"}
    left |= {f"network.pnnx.{kind}" for kind in ("param", "bin", "onnx")}
    for name in left:
        (folder / name).unlink(missing_ok=True)
    if done.returncode != 0 or not told:
        said = f"{done.stdout}{done.stderr}".strip()[-_MESSAGE_LENGTH:]
        raise ValueError(f"pnnx ended with exit code {done.returncode}: {said}")
    return told


def _layout(
    graph: str,
    told: str,
    forms: Sequence[Sequence[str]],
    answers: "list[torch.Tensor]",
    precision: Precision,
) -> Layout:
    """Raises: ValueError if the graph holds what ncnn has not."""
    if foreign := set(_FOREIGN_LAYER.findall(graph)):
        raise ValueError(f"ncnn has no {', '.join(sorted(foreign))}")
    batch = dict(re.findall(r"input\(\"(in\d+)\", .*batch_index=(\d+)\)", told))
    batch |= dict(re.findall(r"(out\d+)\.numpy\(batch_index=(\d+)\)", told))
    blobs = iter(range(sum(map(len, forms))))
    inputs = [
        [
            {"blob": blob, "form": form, "batch": int(batch[blob])}
            for form in each
            if (blob := f"in{next(blobs)}") in batch
        ]
        for each in forms
    ]
    outputs = [
        {
            "blob": f"out{place}",
            "batch": int(batch[f"out{place}"]),
            "shape": list(one.shape),
            "dtype": str(one.dtype).removeprefix("torch."),
        }
        for place, one in enumerate(answers)
    ]
    return {"inputs": inputs, "outputs": outputs, "precision": precision}
