"""A user's own model, pruned and recovered on the user's own data."""

import json
import shutil
from dataclasses import replace

import pytest
import torch

from search_spaces.language.depth_pruned_llm.world import choose_blocks, pruned_copy
from search_spaces.language.depth_pruned_pretrained import world as module
from search_spaces.language.depth_pruned_pretrained.model_folder import (
    VARIABLE,
    FolderUnusable,
    read_folder,
)
from search_spaces.language.depth_pruned_pretrained.network import pruned_shape
from search_spaces.language.depth_pruned_pretrained.space import SEARCH_SPACE
from search_spaces.language.depth_pruned_pretrained.training import recipe
from search_spaces.language.depth_pruned_pretrained.world import load_world
from search_spaces.recipe import ArmInfeasible
from tests.search_spaces.language.depth_pruned_llm.families import tiny, transformers  # noqa: F401
from tests.search_spaces.language.depth_pruned_pretrained.letter_folder import make_folder


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_folder(tmp_path_factory.mktemp("own"))


@pytest.fixture
def folder(made, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(made))
    load_world.cache_clear()
    yield made
    load_world.cache_clear()


def arm_with(**changes):
    given = {**SEARCH_SPACE.baseline.parameters, "removed_blocks": 1, **changes}
    return SEARCH_SPACE.space.canonical(given)


def test_an_unpruned_copy_is_as_the_unpruned_model(folder, cache_folder):
    world = load_world(cache_folder)
    metrics = world.metrics_of(pruned_copy(world, ()))
    assert metrics["agreement"].mean == 1.0
    assert metrics["forgetting"].mean == 0.0
    assert metrics["acceptance_rate"].mean == 1.0
    assert metrics["mean_accuracy"].mean == world.notes()["unpruned_accuracy"]
    assert metrics["perplexity"].mean == world.notes()["unpruned_perplexity"]
    pruned = world.metrics_of(pruned_copy(world, (1,)))
    assert pruned["agreement"].mean < 1.0
    assert pruned["flops_per_token"].mean < metrics["flops_per_token"].mean


def test_accuracy_is_of_all_tests_and_forgetting_of_tasks_in_no_set(folder, cache_folder):
    world = load_world(cache_folder)
    tuned = [one.task in {"reverse", "sort"} for one in world.folder.tests]
    # as if the unpruned model knew all: whoever is right in the tuned tasks alone forgot the rest
    known = [one.response for one in world.folder.tests]
    unpruned = replace(world.unpruned, responses=known)
    said = [one if is_tuned else "" for one, is_tuned in zip(known, tuned, strict=True)]
    answering = replace(world, unpruned=unpruned)
    object.__setattr__(answering, "_respond", lambda *_: said)
    metrics = answering.metrics_of(world.network)
    assert metrics["mean_accuracy"].mean == pytest.approx(sum(tuned) / len(tuned))
    assert metrics["forgetting"].mean == 1.0
    assert metrics["accuracy_recovery"].mean == pytest.approx(100 * sum(tuned) / len(tuned))


def test_what_the_unpruned_model_wrote_once_is_kept(folder, cache_folder, monkeypatch):
    world = load_world(cache_folder)
    exchanges = world.fine_tuning_set(6, of_the_merged=False)
    written = world.rewritten(exchanges[:4])
    asked = []

    def respond(network, tokenizer, prompts, *_):
        asked.extend(prompts)
        return ["" for _ in prompts]

    monkeypatch.setattr(module, "respond", respond)
    load_world.cache_clear()
    again = load_world(cache_folder)
    assert again.unpruned.responses == world.unpruned.responses
    assert again.rewritten(exchanges[:4]) == written
    assert asked == []
    again.rewritten(exchanges)
    assert len(asked) == 2


def test_halves_of_the_prose_share_no_text(folder, cache_folder):
    world = load_world(cache_folder)
    assert world.calibration.shape[1] == world.tested.shape[1] == module.CHUNK
    calibration = {tuple(one) for one in world.calibration.tolist()}
    assert not calibration & {tuple(one) for one in world.tested.tolist()}
    assert sum(map(len, world.calibration_texts(16))) == 16
    assert choose_blocks(world, arm_with(removed_blocks=2)) in {(0, 1), (1, 2), (2, 3)}


def test_an_arm_that_leaves_no_block_is_infeasible(folder, cache_folder, context):
    with pytest.raises(ArmInfeasible, match=r"removed_blocks is 4, and the model has 4 blocks"):
        recipe().build(arm_with(removed_blocks=4))
    with pytest.raises(ArmInfeasible, match=r"removed_blocks is 9, and the model has 4 blocks"):
        next(recipe().train(arm_with(removed_blocks=9), context))


def test_without_a_second_set_nothing_is_merged(folder, cache_folder, context, monkeypatch):
    world = load_world(cache_folder)
    alone = replace(world, folder=replace(world.folder, merged=()))
    with pytest.raises(ArmInfeasible, match=r"no merged\.jsonl beside the model"):
        alone.fine_tuning_set(4, of_the_merged=True)


@pytest.mark.parametrize("family", ["llama", "gpt2", "gpt_neox"])
def test_the_shape_is_that_of_the_pruned_model(family, made, tmp_path, monkeypatch):
    path = shutil.copytree(made, tmp_path / "own")
    tiny(family, 4).save_pretrained(path / "model")
    monkeypatch.setenv(VARIABLE, str(path))
    network = pruned_shape(read_folder(), 2)
    expected = {name: one.shape for name, one in tiny(family, 2).state_dict().items()}
    assert {name: one.shape for name, one in network.state_dict().items()} == expected


def test_blocks_of_several_kinds_are_refused(made, tmp_path, monkeypatch):
    path = shutil.copytree(made, tmp_path / "own")
    tiny("qwen2", 4).save_pretrained(path / "model")
    monkeypatch.setenv(VARIABLE, str(path))
    with pytest.raises(FolderUnusable, match=r"several kinds \(layer_types: full_attention, slid"):
        pruned_shape(read_folder(), 2)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda path: (path / "prose.txt").write_text("a b c"), r"half of prose\.txt is \d tokens"),
        (
            lambda path: forget_the_end(path / "model" / "tokenizer_config.json"),
            r"has no eos_token, so that no response would end",
        ),
    ],
)
def test_what_only_the_tokenizer_tells_is_named(change, told, made, tmp_path, monkeypatch):
    path = shutil.copytree(made, tmp_path / "own")
    change(path)
    monkeypatch.setenv(VARIABLE, str(path))
    with pytest.raises(FolderUnusable, match=told):
        module.prose_chunks(read_folder())


def forget_the_end(path):
    content = json.loads(path.read_text())
    content.pop("eos_token")
    path.write_text(json.dumps(content))


def test_tied_weights_are_kept_once_and_load_again(made, tmp_path, monkeypatch, context):
    from workers.training.weights import load_weights, save_weights  # noqa: PLC0415

    path = shutil.copytree(made, tmp_path / "own")
    network = tiny("llama", 3, vocab_size=64, tie_word_embeddings=True)
    network.save_pretrained(path / "model")
    monkeypatch.setenv(VARIABLE, str(path))
    one, other = (recipe().build(arm_with()) for _ in range(2))
    with torch.no_grad():
        for weight in one.parameters():
            weight.normal_()
    save_weights(one, tmp_path / "weights.safetensors")
    load_weights(other, tmp_path / "weights.safetensors")
    (inputs,) = recipe().example_inputs(arm_with(), 1, context)
    with torch.no_grad():
        assert torch.equal(one(*inputs)[0], other(*inputs)[0])
