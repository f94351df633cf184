import pytest

from service.domain.measurement import Measurement
from service.domain.number_format import format_measurement, format_number, with_unit


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (0.18234, "0.1823"),
        (-3.10000, "-3.1"),
        (5, "5"),
        (12345.6, "12,350"),
        (4_123_456, "4,123,000"),
        (999.96, "1,000"),
        (2.5e-7, "2.5e-07"),
        (1e12, "1e+12"),
    ],
)
def test_numbers_keep_four_digits(value, text):
    assert format_number(value) == text


@pytest.mark.parametrize(
    ("mean", "sem", "text"),
    [
        (0.18234, 0.00912, "0.182 ± 0.009"),
        (0.18234, 0.0012, "0.1823 ± 0.0012"),
        (3.1, 0.0299, "3.10 ± 0.03"),
        (52_341.0, 250.0, "52,340 ± 250"),
        (0.0, 0.5, "0.0 ± 0.5"),
        (-7.0, 2.0, "-7.0 ± 2.0"),
        (5.0, None, "5"),
        (5.0, 0.0, "5"),
        (2.5e-7, 1e-9, "2.5e-07 ± 1e-09"),
        (1.0, 1e-15, "1 ± 1e-15"),
    ],
)
def test_a_mean_is_cut_where_its_noise_begins(mean, sem, text):
    assert format_measurement(Measurement(mean=mean, sem=sem)) == text


def test_units_are_left_out_where_there_is_none():
    assert with_unit("3", "ms") == "3 ms"
    assert with_unit("3", "") == "3"
