"""A training's state as a file: it comes back as it was, or not at all."""

import math

import pytest
import torch

from search_spaces.recipe import CurvePoint
from workers.errors import CheckpointUnusable
from workers.training.checkpoint_file import Checkpoint, read_checkpoint, write_checkpoint

TRAINING = "toy@1 f00d 7 None"
POINTS = (CurvePoint(5, {"loss": 0.1 + 0.2}), CurvePoint(10, {"loss": 1e-300, "error": 0.5}))


def state_of(network):
    optimizer = torch.optim.AdamW(network.parameters(), betas=(0.8, 0.95), fused=True)
    network(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    return {"network": network.state_dict(), "optimizer": optimizer.state_dict()}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "10.safetensors"


def kept(path, state):
    write_checkpoint(path, TRAINING, Checkpoint(10, state, POINTS, 12.5))
    return read_checkpoint(path, TRAINING)


def alike(one, other):
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict):
        return list(one) == list(other) and all(alike(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return type(one) is type(other) and len(one) == len(other) and all(map(alike, one, other))
    return type(one) is type(other) and one == other


def test_all_of_it_comes_back(path):
    state = {
        **state_of(torch.nn.Linear(3, 2)),
        "random": torch.get_rng_state(),
        "masks": [torch.eye(3, dtype=torch.bool), torch.zeros(0, 4), torch.tensor(3.0)],
        "shared": [torch.arange(4.0), torch.arange(4.0)[1:3], torch.ones(2, 3).T],
        "plain": {"losses": [0.1, math.pi, 1e-320], 3: (1, "two", None, True), "none": []},
    }
    found = kept(path, state)
    assert found.step == 10
    assert found.spent_s == 12.5
    assert found.points == POINTS
    assert alike(dict(found.state), state | {"network": dict(state["network"])})
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_it_is_a_copy(path):
    weight = torch.zeros(3)
    found = kept(path, {"weight": weight, "same": weight})
    weight.add_(1)
    assert torch.equal(found.state["weight"], torch.zeros(3))


@pytest.mark.parametrize("wrong", [{"x": object()}, {"x": {(1, 2): 3}}, {"x": {True: 1}}])
def test_what_could_only_be_pickled_is_refused(path, wrong):
    with pytest.raises(TypeError, match="training's state cannot"):
        kept(path, wrong)
    assert not path.exists()


@pytest.mark.parametrize("cut", [0, 4, 200, -1])
def test_a_damaged_file_is_refused(path, cut):
    kept(path, state_of(torch.nn.Linear(3, 2)))
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(CheckpointUnusable, match=r"damaged|format"):
        read_checkpoint(path, TRAINING)


def test_another_training_is_refused(path):
    kept(path, {"x": torch.ones(1)})
    with pytest.raises(CheckpointUnusable, match="of another training: toy@1 f00d 7 None"):
        read_checkpoint(path, "toy@2 f00d 7 None")


def test_weights_alone_are_no_checkpoint(path):
    from safetensors.torch import save_file  # noqa: PLC0415

    save_file({"weight": torch.ones(1)}, path)
    with pytest.raises(CheckpointUnusable, match="format None"):
        read_checkpoint(path, TRAINING)
