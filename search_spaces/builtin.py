"""The search spaces that archfront ships: one folder each, listed here."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from importlib import import_module
from typing import cast

from search_spaces.language.depth_pruned_pretrained.model_folder import missing_folder
from search_spaces.recipe import Recipe
from search_spaces.registry import InstalledSpace, nothing_missing

_FOLDERS = (
    "search_spaces.language.nlu_encoder",
    "search_spaces.compression.two_four_sparsity",
    "search_spaces.language.depth_pruned_llm",
    "search_spaces.language.depth_pruned_pretrained",
)
_MISSING: Mapping[str, Callable[[], str | None]] = {
    "search_spaces.language.depth_pruned_pretrained": missing_folder,
}
"""By folder, what says why it cannot be trained here, where that can be."""


def _load_recipe(folder: str) -> Recipe:
    return cast(Recipe, import_module(f"{folder}.training").recipe())


def builtin_spaces() -> Iterator[InstalledSpace]:
    """Every folder's `space.SEARCH_SPACE`, and its `training.recipe()` on demand."""
    for folder in _FOLDERS:
        space = import_module(f"{folder}.space").SEARCH_SPACE
        yield InstalledSpace(
            space, partial(_load_recipe, folder), _MISSING.get(folder, nothing_missing)
        )
