"""Numbers as people read them: as many digits as the noise leaves meaning to."""

import math

from service.domain.measurement import Measurement

_PLAIN_BELOW = 1e9
_PLAIN_FROM = 1e-4


def format_number(value: float, digits: int = 4) -> str:
    """`value` to `digits` significant digits: `0.1823`, `4,123,000`, `2.5e-07`."""
    if value == 0:
        return "0"
    if not _PLAIN_FROM <= abs(value) < _PLAIN_BELOW:
        return f"{value:.{digits}g}"
    return _with_decimals(value, digits - 1 - _exponent(value), strip=True)


def format_measurement(measurement: Measurement) -> str:
    """`mean ± sem`, the mean cut where the standard error begins: `0.182 ± 0.009`.

    The standard error keeps two digits if it begins with 1 or 2, else one. Without one, or
    with one of 0, the mean stands alone.
    """
    mean, sem = measurement.mean, measurement.sem
    largest = max(abs(mean), sem or 0.0)
    if not sem or not _PLAIN_FROM <= largest < _PLAIN_BELOW or sem < largest * 1e-9:
        bare = format_number(mean)
        return bare if not sem else f"{bare} ± {sem:.2g}"
    kept = 1 if sem / 10 ** _exponent(sem) < 2.95 else 0
    decimals = kept - _exponent(sem)
    return f"{_with_decimals(mean, decimals)} ± {_with_decimals(sem, decimals)}"


def with_unit(text: str, unit: str) -> str:
    """`text` with its unit, where there is one."""
    return f"{text} {unit}" if unit else text


def _exponent(value: float) -> int:
    return math.floor(math.log10(abs(value)))


def _with_decimals(value: float, decimals: int, *, strip: bool = False) -> str:
    text = f"{round(value, decimals):,.{max(decimals, 0)}f}"
    return text.rstrip("0").rstrip(".") if strip and "." in text else text
