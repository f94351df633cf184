"""The page of the front as a reader meets it: charts drawn, tables tied to them, no error."""

import pytest

from search_spaces.arm import Arm
from service.plots.front_page import front_html, page_script, plotly_script
from tests.service.made_insights import make_predicted_front
from tests.service.made_trials import make_front

STRICT_POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; object-src 'none'; base-uri 'none'"
)
ATTACK = "</script><img src=x onerror=\"document.title='broken into'\">"
DRAWN = "html[data-charts=drawn]"
MARKS = "path.point"


@pytest.fixture
def open_page(chromium, tmp_path):
    """Opens HTML from a file, or served under a strict policy; every complaint is collected."""
    contexts = []

    def open_(html, *, served=False, width=1280, scheme="light", javascript=True):
        context = chromium.new_context(
            viewport={"width": width, "height": 900},
            color_scheme=scheme,
            java_script_enabled=javascript,
        )
        contexts.append(context)
        page = context.new_page()
        page.complaints = []
        page.on("console", lambda message: page.complaints.append(message.text))
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        if served:
            serve(page, html)
            page.goto("http://archfront.test/front")
        else:
            path = tmp_path / "front.html"
            path.write_text(html, encoding="utf-8")
            page.goto(path.as_uri())
        if javascript:
            page.wait_for_selector(DRAWN, timeout=60_000)
        return page

    yield open_
    for context in contexts:
        context.close()


def serve(page, html):
    bodies = {
        "/front": (html, "text/html; charset=utf-8"),
        "/static/plotly.js": (plotly_script(), "text/javascript"),
        "/static/front_page.js": (page_script(), "text/javascript"),
    }

    def answer(route):
        path = route.request.url.removeprefix("http://archfront.test")
        if path not in bodies:
            route.fulfill(status=404, body="")
            return
        body, content_type = bodies[path]
        headers = {"Content-Security-Policy": STRICT_POLICY, "Content-Type": content_type}
        route.fulfill(status=200, body=body, headers=headers)

    page.route("**/*", answer)


def until(page, condition):
    """Waits up to 10 s; playwright's own wait needs the eval that the page's policy forbids."""
    for _ in range(100):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"never came true: {condition}")


def served_html(front, trace):
    return front_html(
        front, trace, plotly_src="/static/plotly.js", script_src="/static/front_page.js"
    )


def test_every_trial_is_drawn_and_nothing_complains(open_page):
    front, trace = make_front(outcome_constraints=["file_size_bytes <= 5e5"])
    page = open_page(front_html(front, trace))
    drawn = page.locator(f"#front-0-chart {MARKS}").count()
    in_legend = page.locator("#front-0-chart .legendpoints path.scatterpts").count()
    assert drawn == len(front.front) + front.others_total
    assert in_legend == 3  # on the front, dominated, outside the constraints
    assert page.locator("#front-0-chart .yerror").count() == len(front.front)
    assert page.locator("#hypervolume-chart .lines path.js-line").count() == 1
    assert page.complaints == []


def test_the_table_holds_the_front(open_page):
    front, trace = make_front()
    page = open_page(front_html(front, trace))
    rows = page.locator("tr[data-trial]")
    assert rows.count() == len(front.front)
    assert rows.first.locator("td").first.inner_text().endswith("± 0.010")


def test_a_served_page_runs_under_a_strict_policy(open_page):
    front, trace = make_front()
    page = open_page(served_html(front, trace), served=True)
    assert page.locator(f"#front-0-chart {MARKS}").count() == len(front.front) + front.others_total
    assert page.complaints == []


@pytest.mark.parametrize(("objectives", "charts"), [(1, 1), (4, 6)])
def test_every_number_of_objectives_is_drawn(open_page, objectives, charts):
    names = ("frame_error", "latency_ms", "file_size_bytes", "accuracy")[:objectives]
    front, trace = make_front(
        objectives=[
            {"metric": n, "goal": "maximize" if n == "accuracy" else "minimize"} for n in names
        ]
    )
    page = open_page(served_html(front, trace), served=True)
    marks = page.locator(f"[id^=front-] {MARKS}").count()
    assert marks == charts * (len(front.front) + front.others_total)
    assert page.complaints == []


def test_names_and_values_run_no_script(open_page):
    front, trace = make_front()
    points = tuple(
        p.model_copy(update={"arm": Arm(parameters={"a": ATTACK, "b": n})})
        for n, p in enumerate(front.front)
    )
    units = dict.fromkeys(front.units, ATTACK)
    front = front.model_copy(update={"experiment_name": ATTACK, "front": points, "units": units})
    page = open_page(front_html(front, trace))
    page.locator("tr[data-trial] a").first.focus()  # shows the hover text of the mark
    page.wait_for_selector("#front-0-chart .hovertext")
    assert page.title() == f"{ATTACK}: front"
    assert page.locator("h1").inner_text() == ATTACK
    assert page.locator("img").count() == 0
    assert page.complaints == []


def test_rows_reached_by_keyboard_point_at_their_marks(open_page):
    front, trace = make_front()
    page = open_page(front_html(front, trace))
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('tr[data-trial] a')"):
            break
    row = page.locator("tr[data-trial]").first
    assert "here" in row.get_attribute("class")
    hover = page.locator("#front-0-chart .hovertext")
    hover.wait_for()
    assert f"Trial {front.front[0].trial_number}" in hover.text_content()
    page.keyboard.press("Enter")
    assert page.url.endswith(f"#arm-{front.front[0].trial_number}")


def test_at_any_width_the_page_fits_and_never_scrolls_sideways(open_page):
    page = open_page(served_html(*make_front()), served=True)
    chart = "document.querySelector('#front-0-chart .main-svg').getBoundingClientRect().width"
    for width in (320, 390, 768, 1920):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        until(page, f"{chart} <= {width} && {chart} > {width} / 3")


def test_dark_and_light_follow_the_reader(open_page):
    page = open_page(front_html(*make_front()), scheme="dark")
    ink = "getComputedStyle(document.querySelector('#front-0-chart .xtick text')).fill"
    paper = "getComputedStyle(document.body).backgroundColor"
    assert (page.evaluate(ink), page.evaluate(paper)) == ("rgb(230, 232, 235)", "rgb(20, 23, 28)")
    page.emulate_media(color_scheme="light")
    until(page, f"{ink} === 'rgb(31, 35, 40)'")
    assert page.evaluate(paper) == "rgb(255, 255, 255)"


def test_on_paper_everything_is_light_and_whole(open_page):
    page = open_page(front_html(*make_front()), scheme="dark")
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert (
        page.evaluate("getComputedStyle(document.querySelector('.scroll')).overflow") == "visible"
    )
    assert page.pdf().startswith(b"%PDF")


def test_without_javascript_the_tables_tell_all(open_page):
    front, trace = make_front()
    page = open_page(front_html(front, trace), javascript=False)
    assert "the table holds the same figures" in page.locator("#front-0-chart").inner_text()
    assert page.locator("tr[data-trial]").count() == len(front.front)


def test_an_empty_front_says_so(open_page):
    page = open_page(front_html(*make_front(0)))
    assert "No completed trial yet." in page.locator("header").inner_text()
    assert page.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_model_s_front_is_drawn_in_the_theme_and_tied_to_the_trials(open_page, scheme):
    page = open_page(front_html(*make_predicted_front()), scheme=scheme)
    colour = {"light": "rgb(0, 128, 96)", "dark": "rgb(53, 196, 154)"}[scheme]
    hollow = page.locator(f'#front-0-chart {MARKS}[style*="stroke: {colour}"]')
    assert hollow.count() == 7
    page.get_by_role("heading", name="The front as the model sees it").wait_for()
    page.locator('section[aria-labelledby=predicted] tr[data-trial="6"]').hover()
    page.locator("#front-0-chart g.hovertext").wait_for()
    assert page.complaints == []
