"""Finds the installed search spaces through their one door, an entry-point group."""

import difflib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points

from search_spaces.recipe import Recipe
from search_spaces.space import SearchSpace

ENTRY_POINT_GROUP = "archfront.search_spaces"
"""Each entry is a function without arguments that gives an iterable of `InstalledSpace`."""


class UnknownSearchSpace(LookupError):
    """No installed search space has this name and version."""


def nothing_missing() -> None:
    """The usual answer to what a space lacks on this machine."""


@dataclass(frozen=True)
class InstalledSpace:
    """A search space and the way to its recipe; loading the recipe may import torch.

    missing: why this machine cannot train it, though it is installed; None if it can. Asked when
        a worker starts, and imports no torch.
    """

    space: SearchSpace
    load_recipe: Callable[[], Recipe]
    missing: Callable[[], str | None] = nothing_missing


class Registry:
    """Search spaces by name."""

    def __init__(self, installed: Iterable[InstalledSpace]) -> None:
        self._installed: dict[str, InstalledSpace] = {}
        for entry in installed:
            if entry.space.name in self._installed:
                raise ValueError(
                    f"two installed packages both provide the search space {entry.space.name!r}; "
                    "uninstall one of them"
                )
            self._installed[entry.space.name] = entry

    def __iter__(self) -> Iterator[SearchSpace]:
        return iter(entry.space for entry in self._installed.values())

    def find(self, name: str, version: int | None = None) -> InstalledSpace:
        """The space called `name`, of this version if one is asked for.

        Raises: UnknownSearchSpace, with the nearest name.
        """
        entry = self._installed.get(name)
        if entry is None:
            near = difflib.get_close_matches(name, self._installed, n=1)
            hint = f"did you mean {near[0]!r}?" if near else "installed: "
            listed = "" if near else (", ".join(sorted(self._installed)) or "none")
            raise UnknownSearchSpace(f"no search space {name!r} is installed; {hint}{listed}")
        if version is not None and entry.space.version != version:
            raise UnknownSearchSpace(
                f"search space {name!r} is installed in version {entry.space.version}, "
                f"not {version}; install the archfront release that has version {version}"
            )
        return entry


@cache
def installed_registry() -> Registry:
    """The search spaces of all installed packages."""
    return Registry(
        installed
        for entry_point in sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda e: e.name)
        for installed in entry_point.load()()
    )
