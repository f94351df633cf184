import base64
import hashlib
import json
import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest

from search_spaces.arm import Arm
from service.plots.front_page import front_html, page_script, plotly_script
from tests.service.made_trials import make_front

ATTACK = "<img src=x onerror=alert(1)></script><script>alert(2)</script>\"'&\u2028"
SERVED = {"plotly_src": "/static/plotly.js", "script_src": "/static/front_page.js"}


class Elements(HTMLParser):
    """Every start tag with its attributes, and the text of the script elements."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.scripts, self._in_script = [], [], False
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._in_script = tag == "script"
        if self._in_script:
            self.scripts.append("")

    def handle_endtag(self, tag):
        self._in_script = False

    def handle_data(self, data):
        if self._in_script:
            self.scripts[-1] += data


def charts_of(html):
    text = re.search(r'id="charts">(.*?)</script>', html, re.DOTALL)[1]
    return json.loads(text)


def policy_of(html):
    return re.search(r'Content-Security-Policy" content="(.*?)"', html)[1]


def hostile(front):
    points = tuple(
        p.model_copy(
            update={
                "arm": Arm(parameters={"activation": ATTACK, "width": number}),
                "measurements": {
                    name: m.model_copy(update={"protocol": {ATTACK: ATTACK}})
                    for name, m in p.measurements.items()
                },
            }
        )
        for number, p in enumerate(front.front)
    )
    units = dict.fromkeys(front.units, ATTACK)
    return front.model_copy(
        update={"experiment_name": ATTACK, "experiment_id": ATTACK, "units": units, "front": points}
    )


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_every_chart_has_its_place_and_its_table(count):
    names = ("frame_error", "latency_ms", "file_size_bytes", "accuracy")
    objectives = [{"metric": name, "goal": "minimize"} for name in names[:count]]
    html = front_html(*make_front(objectives=objectives), **SERVED)
    places = [a["id"] for _, a in Elements(html).tags if a.get("class") == "chart"]
    assert [chart["id"] for chart in charts_of(html)] == places
    assert places[-1] == "hypervolume-chart"
    assert html.count("<table") == 4


def test_one_file_needs_nothing_else():
    html = front_html(*make_front())
    elements = Elements(html)
    assert not any(
        value and re.match(r"(https?:)?//", value)
        for _, attributes in elements.tags
        for name, value in attributes.items()
        if name in ("src", "href")
    )
    assert not any("src" in attributes for tag, attributes in elements.tags if tag == "script")
    assert 4e6 < len(html) < 6e6


def test_the_file_s_policy_names_exactly_its_scripts():
    html = front_html(*make_front())
    _, plotly, page = Elements(html).scripts
    digests = [
        base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        for script in (plotly, page)
    ]
    assert policy_of(html).endswith(f"script-src 'sha256-{digests[0]}' 'sha256-{digests[1]}'")


def test_a_served_page_has_no_script_of_its_own():
    html = front_html(*make_front(), **SERVED)
    assert policy_of(html).endswith("script-src 'self' 'self'")
    sources = [a.get("src") for tag, a in Elements(html).tags if tag == "script"]
    assert sources == [None, "/static/plotly.js", "/static/front_page.js"]
    assert len(html) < 100_000


def test_no_name_or_value_becomes_markup():
    front, trace = make_front()
    html = front_html(hostile(front), trace, **SERVED)
    elements = Elements(html)
    assert "img" not in {tag for tag, _ in elements.tags}
    assert sum(tag == "script" for tag, _ in elements.tags) == 3
    assert not any(name.startswith("on") for _, a in elements.tags for name in a)
    charts = charts_of(html)
    assert "<img" not in json.dumps(charts)  # plotly reads markup in texts, too
    assert "&lt;img" in json.dumps(charts)


def test_it_is_stamped_with_the_data_version():
    front, trace = make_front(data_version=41)
    assert "Data version 41 of experiment e1." in front_html(front, trace, **SERVED)


def test_the_same_data_give_the_same_page():
    assert front_html(*make_front(), **SERVED) == front_html(*make_front(), **SERVED)


def test_an_empty_front_says_so_and_draws_nothing():
    html = front_html(*make_front(0), **SERVED)
    assert "No completed trial yet." in html
    assert charts_of(html) == []
    assert "<table" not in html


def test_a_front_outside_the_constraints_shows_the_trials_without_a_table():
    html = front_html(*make_front(outcome_constraints=["latency_ms <= 0"]), **SERVED)
    assert "None of the 24 measured trials meets the constraints yet." in html
    assert len(charts_of(html)) == 2


def test_trials_left_out_are_told():
    html = front_html(*make_front(max_others=3), **SERVED)
    assert re.search(r"Of the \d+ trials behind it, 3 are drawn\.", html)


def test_the_scripts_are_those_served():
    assert "plotly.js" in plotly_script()[:200]
    assert page_script().startswith("// Draws the charts")


def test_the_page_needs_no_matplotlib():
    code = (
        "import sys, service.plots.front_page, service.plots.front_image;"
        "sys.exit('matplotlib' in sys.modules or 'torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_page_says_which_rule_ended_the_search():
    verdict = {"rule": "no_gain", "reason": "Nothing <b>more</b> came."}
    front, trace = make_front(stopped_by=verdict)
    html = front_html(front, trace, **SERVED)
    assert "by its stop rule no_gain. Nothing &lt;b&gt;more&lt;/b&gt; came." in html
    assert "stop rule" not in front_html(*make_front(), **SERVED)
