"""What a user's folder must hold, and what is said of one that lacks it."""

import json

import pytest

from search_spaces.language.depth_pruned_pretrained.model_folder import (
    VARIABLE,
    FolderUnusable,
    missing_folder,
    read_folder,
)

MADE = {"task": "trivia", "instruction": "Who?", "response": "Ada"}
OTHER = MADE | {"task": "maths"}


def lines(*exchanges):
    return "".join(json.dumps(one) + "\n" for one in exchanges)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    (tmp_path / "tuning.jsonl").write_text(lines(MADE, MADE))
    (tmp_path / "tests.jsonl").write_text(lines(MADE, OTHER) + "\n")
    (tmp_path / "prose.txt").write_text("Once upon a time.")
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    return tmp_path


def test_all_is_read(folder):
    assert missing_folder() is None
    read = read_folder()
    assert [one.response for one in read.tuning] == ["Ada", "Ada"]
    assert [one.task for one in read.tests] == ["trivia", "maths"]
    assert read.merged == ()
    assert read.tuned_tasks == {"trivia"}
    assert read.settings.max_response_tokens == 64


def test_the_fingerprint_is_that_of_the_content(folder):
    before = read_folder().fingerprint
    assert read_folder().fingerprint == before
    (folder / "prose.txt").write_text("Once upon a tide.")
    assert read_folder().fingerprint != before


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("tuning.jsonl", None, r"tuning\.jsonl is missing; put the fine-tuning set there"),
        ("tests.jsonl", "", r"tests\.jsonl holds no exchange; add one a line"),
        ("prose.txt", None, r"prose\.txt is missing; put running text there"),
        ("model/config.json", None, r"holds no config\.json; save the model there"),
        ("tuning.jsonl", lines(MADE) + "{", r"tuning\.jsonl, line 2 is no JSON"),
        (
            "tuning.jsonl",
            lines(MADE | {"response": ""}),
            r"tuning\.jsonl, line 1: response: .* at least 1 character, got ''",
        ),
        (
            "tests.jsonl",
            lines(MADE, MADE | {"answer": "Ada"}),
            r"tests\.jsonl, line 2: answer: Extra inputs are not permitted",
        ),
        ("tests.jsonl", lines(MADE), r"no task beside those of the fine-tuning sets \(trivia\)"),
        ("world.json", '{"dtype": "int3"}', r"world\.json: dtype: .*, got 'int3'"),
        (
            "world.json",
            '{"answers": {"maths": "any"}}',
            r"the task 'maths', of which any response is right",
        ),
    ],
)
def test_what_is_amiss_is_named(folder, name, content, told):
    path = folder / name
    path.unlink() if content is None else path.write_text(content)
    with pytest.raises(FolderUnusable, match=told):
        read_folder()
    assert missing_folder() is not None


def test_without_a_folder_the_variable_is_named(monkeypatch, tmp_path):
    monkeypatch.delenv(VARIABLE, raising=False)
    assert missing_folder() == f"{VARIABLE} is not set; let it name a folder with a model and data"
    monkeypatch.setenv(VARIABLE, str(tmp_path / "none"))
    assert f"none, which {VARIABLE} names" in str(missing_folder())
