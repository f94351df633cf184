import os
import subprocess
import sys
from dataclasses import fields

import numpy as np
import pytest

from search_spaces.language.nlu_encoder import commands
from search_spaces.language.nlu_encoder.commands import cache_path, load_commands
from search_spaces.language.nlu_encoder.network import INTENT_COUNT, MAX_POSITIONS, TAG_COUNT
from search_spaces.language.nlu_encoder.split import MAX_WORDS
from search_spaces.language.nlu_encoder.words import NGRAMS_PER_WORD


@pytest.fixture(scope="module")
def data(cache_folder):
    return load_commands(cache_folder)


def test_the_network_is_made_for_these_labels(data):
    assert len(data.intents) == INTENT_COUNT
    assert len(data.tags) == TAG_COUNT
    assert data.tags[0] == "O"
    assert MAX_WORDS == MAX_POSITIONS


@pytest.mark.parametrize("name", ["training", "validation", "test"])
def test_arrays_agree_with_each_other(data, name):
    split = getattr(data, name)
    assert split.words.shape == split.tags.shape == (len(split), MAX_WORDS)
    is_word = np.arange(MAX_WORDS) < split.lengths[:, None]
    assert ((split.words > 0) == is_word).all()
    assert (split.tags[~is_word] == 0).all()
    assert split.words.max() < len(data.word_hashes)
    assert split.tags.min() >= 0
    assert split.tags.max() < len(data.tags)
    assert split.intents.min() >= 0
    assert split.intents.max() < len(data.intents)


def test_only_padding_has_no_hash(data):
    assert data.word_hashes.shape[1] == NGRAMS_PER_WORD
    assert not data.word_hashes[0].any()
    assert (data.word_hashes[1:, 0] != 0).all()


def test_there_is_enough_to_learn_and_to_tell_arms_apart(data):
    assert len(data.training) > 30_000
    assert len(data.test) > 1_500
    assert len(data.validation) > 600


def test_is_drawn_once_and_then_read(data, cache_folder, monkeypatch):
    def never():
        raise AssertionError("drawn again")

    monkeypatch.setattr(commands, "_draw", never)
    again = load_commands(cache_folder)
    for field in fields(data.test):
        assert np.array_equal(getattr(again.test, field.name), getattr(data.test, field.name))


def test_a_drawing_that_fails_leaves_no_file(tmp_path, monkeypatch):
    def broken(*_, **__):
        raise OSError("disk full")

    monkeypatch.setattr(commands, "_draw", lambda: ({}, {}))
    monkeypatch.setattr(commands.np, "savez_compressed", broken)
    with pytest.raises(OSError, match="disk full"):
        load_commands(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_cache_is_named_after_all_it_depends_on(tmp_path, monkeypatch):
    before = cache_path(tmp_path)
    monkeypatch.setattr(commands, "grammar_version", lambda: "another")
    assert cache_path(tmp_path) != before
    monkeypatch.undo()
    monkeypatch.setattr(commands, "DATA_SEED", 1)
    assert cache_path(tmp_path) != before


def test_is_the_same_in_another_process(data, tmp_path):
    """No set order or hash seed gets in."""
    code = (
        "import sys; from pathlib import Path; "
        "from search_spaces.language.nlu_encoder.commands import load_commands; "
        "load_commands(Path(sys.argv[1]))"
    )
    environment = os.environ | {"PYTHONHASHSEED": "12345"}
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, env=environment)
    other = load_commands(tmp_path)
    assert other.tags == data.tags
    assert np.array_equal(other.word_hashes, data.word_hashes)
    for name in ("training", "validation", "test"):
        for field in fields(data.test):
            one, same = (getattr(getattr(d, name), field.name) for d in (data, other))
            assert np.array_equal(one, same)
