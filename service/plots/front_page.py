"""The front as one page: charts, the tables beside them, the arms and how they were measured."""

import base64
import hashlib
from collections.abc import Callable
from functools import cache
from html import escape
from importlib.resources import files

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from service.domain.front import Front, HypervolumeTrace
from service.plots.front_plot import front_figures
from service.plots.front_summary import (
    explain_front_chart,
    explain_hypervolume_chart,
    explain_predicted_front,
    explain_reference,
    explain_stop,
    summarize_front,
)
from service.plots.front_tables import (
    arms_table,
    front_table,
    hypervolume_table,
    parameter_text,
    split_parameters,
)
from service.plots.hypervolume_plot import hypervolume_figure
from service.plots.panels import panels_of
from service.plots.predicted_table import predicted_table
from service.plots.protocol_notes import protocol_table


def front_html(
    front: Front,
    trace: HypervolumeTrace,
    plotly_src: str | None = None,
    script_src: str | None = None,
) -> str:
    """The page as HTML.

    Left at None, both scripts are part of the page: one file of 5 MB that needs no network.
    plotly_src, script_src: addresses that serve `plotly_script()` and `page_script()`; given
        both, the page runs under a policy of `script-src 'self'`.
    A policy of its own lets only these scripts run, whatever a name contains.
    """
    charts = [(f"front-{n}", figure) for n, figure in enumerate(front_figures(front))]
    outside = [panel.outside for panel in panels_of(front)]
    growth = hypervolume_figure(trace)
    drawn = charts + ([("hypervolume", growth)] if growth is not None else [])
    name = escape(front.experiment_name)
    policy = (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data: blob:; "
        f"script-src {_source(plotly_src, plotly_script)} {_source(script_src, page_script)}"
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{name}: front</title>\n<style>{_asset('front_page.css')}</style>\n</head>\n"
        f"<body>\n<header><h1>{name}</h1><p>{escape(summarize_front(front))}</p>"
        f"{_stop_note(front)}"
        f'<p class="quiet">{escape(explain_reference(front))}</p></header>\n<main>\n'
        f"{_front_section(front, [(c, n) for (c, _), n in zip(charts, outside, strict=True)])}"
        f"{_predicted_section(front)}{_hypervolume_section(trace)}{_arms_section(front)}"
        f"{_protocol_section(front)}"
        f"</main>\n<footer><p>Data version {front.data_version} of experiment "
        f"{escape(front.experiment_id)}. Tables give mean ± one standard error.</p></footer>\n"
        f'<script type="application/json" id="charts">{_figures_json(drawn)}</script>\n'
        f"{_script(plotly_src, plotly_script)}\n{_script(script_src, page_script)}\n"
        "</body>\n</html>\n"
    )


@cache
def plotly_script() -> str:
    """The source of plotly.js (4.8 MB), as the installed package ships it."""
    return str(get_plotlyjs())


@cache
def page_script() -> str:
    """The source of the page's own script."""
    return _asset("front_page.js")


def _stop_note(front: Front) -> str:
    return f"<p>{escape(explain_stop(front))}</p>" if front.stopped_by is not None else ""


def _front_section(front: Front, charts: list[tuple[str, int]]) -> str:
    if not charts:
        return ""
    several = " several" if len(charts) > 1 else ""
    label = escape(f"Chart. {summarize_front(front)}", quote=True)
    places = "".join(_place(identity, label, outside) for identity, outside in charts)
    table = front_table(front) if front.front else ""
    return _section(
        "front",
        "Front",
        explain_front_chart(front) + _shown_of(front),
        f'<div class="beside{"" if several else " single"}">'
        f'<div class="charts{several}">{places}</div>{table}</div>',
    )


def _shown_of(front: Front) -> str:
    if len(front.others) == front.others_total:
        return ""
    return f" Of the {front.others_total:,} trials behind it, {len(front.others):,} are drawn."


def _predicted_section(front: Front) -> str:
    if front.predicted is None or not front.predicted.front:
        return ""
    return _section(
        "predicted",
        "The front as the model sees it",
        explain_predicted_front(front),
        predicted_table(front.predicted, front),
    )


def _hypervolume_section(trace: HypervolumeTrace) -> str:
    if not trace.points:
        return ""
    label = escape(f"Chart. {explain_hypervolume_chart(trace)}", quote=True)
    return _section(
        "growth",
        "Hypervolume",
        explain_hypervolume_chart(trace),
        f'<div class="beside single"><div class="charts">{_place("hypervolume", label)}</div>'
        f"{hypervolume_table(trace)}</div>",
    )


def _arms_section(front: Front) -> str:
    if not front.front:
        return ""
    _, same = split_parameters(front.front)
    listed = ", ".join(f"{name} = {parameter_text(value)}" for name, value in same.items())
    note = f'<p class="quiet">The same in all: {escape(listed)}.</p>' if same else ""
    return _section(
        "arms",
        "Arms on the front",
        "Read along a row to see what a parameter does as one objective is traded for another; "
        "darker is larger within its row.",
        arms_table(front) + note,
    )


def _protocol_section(front: Front) -> str:
    table = protocol_table(front)
    if not table:
        return ""
    return _section(
        "protocol",
        "How it was measured",
        "Figures compare only where the device profile and the protocol are the same.",
        table,
    )


def _section(identity: str, heading: str, help_text: str, content: str) -> str:
    return (
        f'<section aria-labelledby="{identity}"><h2 id="{identity}">{heading}</h2>'
        f'<p class="help">{escape(help_text)}</p>\n{content}</section>\n'
    )


def _place(identity: str, label: str, outside: int = 0) -> str:
    caption = (
        f"<figcaption>{outside} far-off trial{'s lie' if outside > 1 else ' lies'} outside the "
        "picture; zoom out to see all.</figcaption>"
        if outside
        else ""
    )
    return (
        f'<figure><div class="chart" id="{identity}-chart" role="img" aria-label="{label}">'
        f"The chart needs JavaScript; the table holds the same figures.</div>{caption}</figure>"
    )


def _figures_json(drawn: list[tuple[str, go.Figure]]) -> str:
    """A JSON list that is safe inside a script element, whatever strings it holds."""
    text = ",".join(
        f'{{"id":"{identity}-chart","name":"{identity}","figure":{figure.to_json()}}}'
        for identity, figure in drawn
    )
    return f"[{_safe_in_script(text)}]"


def _safe_in_script(json_text: str) -> str:
    for character in "<>&\u2028\u2029":
        json_text = json_text.replace(character, f"\\u{ord(character):04x}")
    return json_text


def _script(src: str | None, source: Callable[[], str]) -> str:
    if src is None:
        return f"<script>{source()}</script>"
    return f'<script src="{escape(src, quote=True)}"></script>'


def _source(src: str | None, source: Callable[[], str]) -> str:
    """What the page's policy says of a script: its own digest, or where it is served from."""
    return f"'sha256-{_digest(source)}'" if src is None else "'self'"


@cache
def _digest(source: Callable[[], str]) -> str:
    return base64.b64encode(hashlib.sha256(source().encode()).digest()).decode()


def _asset(name: str) -> str:
    return files("service.plots").joinpath(name).read_text(encoding="utf-8")
