import io
import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from service.domain.errors import InvalidRequest
from service.plots.front_image import front_png, front_svg
from tests.service.made_insights import make_predicted_front
from tests.service.made_trials import make_front

PIL_Image = pytest.importorskip("PIL.Image")
NAMES = ("frame_error", "latency_ms", "file_size_bytes", "accuracy")


def front_of(count=24, objectives=2, **more):
    named = [{"metric": name, "goal": "minimize"} for name in NAMES[:objectives]]
    return make_front(count, objectives=named, **more)[0]


def pixels(png):
    return PIL_Image.open(io.BytesIO(png)).convert("RGB")


@pytest.mark.parametrize("objectives", [1, 2, 3, 4])
def test_every_number_of_objectives_is_drawn(objectives):
    image = pixels(front_png(front_of(objectives=objectives), 800))
    assert image.width == 800
    colours = {colour for _, colour in image.getcolors(maxcolors=1_000_000)}
    assert (0x00, 0x72, 0xB2) in colours


@pytest.mark.parametrize("width_px", [200, 1_234, 4_000])
def test_the_width_is_as_asked(width_px):
    assert pixels(front_png(front_of(), width_px)).width == width_px


@pytest.mark.parametrize("width_px", [0, -1, 199, 4_001])
def test_other_widths_are_refused(width_px):
    with pytest.raises(InvalidRequest, match="200 to 4000 pixels") as refused:
        front_png(front_of(), width_px)
    assert refused.value.field == "width"


def test_the_same_front_gives_the_same_bytes():
    assert front_svg(front_of()) == front_svg(front_of())
    assert front_png(front_of()) == front_png(front_of())
    assert b"<dc:date>" not in front_svg(front_of())


def test_svg_and_png_hold_no_script():
    svg = front_svg(front_of()).decode()
    assert svg.startswith("<?xml")
    assert not re.search(r"<script|href=\"http", svg)


def test_an_empty_front_says_so():
    empty, full = front_png(front_of(0), 600), front_png(front_of(), 600)
    ink = [
        sum(n for n, c in pixels(p).getcolors(1_000_000) if c != (255, 255, 255))
        for p in (empty, full)
    ]
    assert 0 < ink[0] < ink[1]
    assert front_svg(front_of(0)).startswith(b"<?xml")


@pytest.mark.parametrize("text", ["$x$", "$\\frac{", "a_b^c", "50 %", "µs"])
def test_names_and_units_are_never_read_as_formulas(text):
    front = front_of().model_copy(
        update={"experiment_name": text, "units": dict.fromkeys(NAMES, text)}
    )
    assert len(front_svg(front)) > 10_000


@pytest.mark.parametrize("scale", [1e-300, 1e-9, 1e9, 1e300])
def test_numbers_of_any_size_are_drawn(scale):
    front = front_of()
    scaled = front.model_copy(
        update={
            "front": tuple(rescaled(p, scale) for p in front.front),
            "others": tuple(rescaled(p, scale) for p in front.others),
            "reference_point": None,
        }
    )
    assert len(front_svg(scaled)) > 10_000


def rescaled(point, scale):
    return point.model_copy(
        update={
            "measurements": {
                name: m.model_copy(update={"mean": m.mean * scale, "sem": 0.01 * m.mean * scale})
                for name, m in point.measurements.items()
            }
        }
    )


def test_threads_may_draw_at_once():
    expected = front_svg(front_of())
    with ThreadPoolExecutor(4) as pool:
        drawn = list(pool.map(lambda _: front_svg(front_of()), range(8)))
    assert set(drawn) == {expected}


def test_the_model_s_front_is_drawn_too():
    front, _ = make_predicted_front()
    without = front.model_copy(update={"predicted": None})
    assert front_svg(front) == front_svg(front)
    assert front_svg(front).count(b"#008060") > 7
    assert b"#008060" not in front_svg(without)
