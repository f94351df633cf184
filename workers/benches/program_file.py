"""Packs the measuring program: one file that runs wherever there is Python, numpy and a runtime."""

import ast
import zipfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from workers.runtimes.registry import carried_modules

_OURS = ("search_spaces", "service", "workers")
_ROOTS = ("workers.measurement.program", "workers.measurement.peak_memory_process")
_MAIN = """\
import sys

if sys.version_info < (3, 11):
    sys.exit(f"this is Python {sys.version.split()[0]}; the measuring program needs 3.11 or newer")

from workers.measurement.program import main

sys.exit(main(sys.argv[1:]))
"""
_SAME_DATE = (1980, 1, 1, 0, 0, 0)  # the same sources give the same bytes


def write_program(path: Path) -> None:
    """Writes the program to `path`: its modules, and those of ours that they import at once."""
    sources = _closure((*_ROOTS, *carried_modules()))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("__main__.py", _SAME_DATE), _MAIN)
        for module, source in sorted(sources.items()):
            stem = module.replace(".", "/")
            name = f"{stem}/__init__.py" if source.name == "__init__.py" else f"{stem}.py"
            archive.writestr(zipfile.ZipInfo(name, _SAME_DATE), source.read_bytes())


def _closure(roots: tuple[str, ...]) -> dict[str, Path]:
    """The files of the modules, their packages, and all of ours that these import."""
    found: dict[str, Path] = {}
    waiting = list(roots)
    while waiting:
        module = waiting.pop()
        source = None if module in found else _source(module)
        if source is None:
            continue
        found[module] = source
        if package := module.rpartition(".")[0]:
            waiting.append(package)
        waiting += _imported(ast.parse(source.read_bytes()).body)
    return found


def _source(module: str) -> Path | None:
    """None if there is no such module: a name imported from one."""
    try:
        spec = find_spec(module)
    except ModuleNotFoundError:
        return None
    return Path(spec.origin) if spec is not None and spec.origin else None


def _imported(statements: list[ast.stmt]) -> Iterator[str]:
    """Names of ours that running these statements imports; what functions import is left out."""
    for statement in statements:
        match statement:
            case ast.ImportFrom(module=str(module), names=names) if _is_ours(module):
                yield module
                yield from (f"{module}.{one.name}" for one in names)
            case ast.Import(names=names):
                yield from (one.name for one in names if _is_ours(one.name))
            case ast.Try(body=body, handlers=handlers):
                yield from _imported(body)
                for handler in handlers:
                    yield from _imported(handler.body)


def _is_ours(module: str) -> bool:
    return module.partition(".")[0] in _OURS
