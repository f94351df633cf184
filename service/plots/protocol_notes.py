"""How the front's figures were measured, told once for all metrics taken alike."""

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from service.domain.front import Front

_MAX_NOTES = 40
_MAX_TEXT = 160


def protocol_table(front: Front) -> str:
    """A row per group of metrics with the same protocol; empty if nothing was noted.

    Notes that differ between the trials are given as `varies` with their number.
    """
    groups: dict[str, list[str]] = {}
    for metric in dict.fromkeys(name for point in front.front for name in point.measurements):
        measured = [p.measurements[metric] for p in front.front if metric in p.measurements]
        notes = _merge([_flatten(m.protocol) for m in measured])
        repeats = sorted({m.n for m in measured})
        many = f"{repeats[0]:,}" + (f" to {repeats[-1]:,}" if len(repeats) > 1 else "")
        unknown = any(m.sem is None for m in measured)
        noise = "unknown" if unknown else "known"
        row = (
            f'<td>{many}</td><td class="word">{noise}</td>'
            f'<td class="text">{escape("; ".join(notes)) or "not noted"}</td>'
        )
        groups.setdefault(row, []).append(metric)
    if not groups:
        return ""
    body = "".join(
        f'<tr><th scope="row">{"<br>".join(map(escape, metrics))}</th>{row}</tr>'
        for row, metrics in groups.items()
    )
    heads = "".join(
        f'<th scope="col"{text}>{name}</th>'
        for name, text in (
            ("metric", ""),
            ("repeats", ""),
            ("noise", ' class="text"'),
            ("protocol", ' class="text"'),
        )
    )
    return (
        '<div class="scroll" tabindex="0" role="region" aria-label="How it was measured">'
        f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _flatten(protocol: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, value in protocol.items():
        if isinstance(value, Mapping):
            flat |= _flatten(value, f"{prefix}{key}.")
        else:
            text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
            flat[f"{prefix}{key}"] = text if len(text) <= _MAX_TEXT else text[:_MAX_TEXT] + "…"
    return flat


def _merge(protocols: Iterable[Mapping[str, str]]) -> list[str]:
    values: dict[str, set[str]] = {}
    for protocol in protocols:
        for key, text in protocol.items():
            values.setdefault(key, set()).add(text)
    notes = [
        f"{key} {next(iter(texts))}" if len(texts) == 1 else f"{key} varies ({len(texts)} values)"
        for key, texts in values.items()
    ]
    return notes if len(notes) <= _MAX_NOTES else [*notes[:_MAX_NOTES], "…"]
