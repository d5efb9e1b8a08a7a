"""Durations as people write them."""

from __future__ import annotations

import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from hive.core.units import LONGEST, above_zero, as_text, seconds

CALM = settings(deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        pytest.param("90s", 90, id="seconds"),
        pytest.param("15m", 900, id="minutes"),
        pytest.param("1h30m", 5400, id="two units"),
        pytest.param("2d", 172_800, id="days"),
        pytest.param("500ms", 0.5, id="milliseconds"),
        pytest.param("1d2h3m4s5ms", 93_784.005, id="every unit"),
        pytest.param("1.5h", 5400, id="a fraction"),
        pytest.param(" 3s ", 3, id="spaces around"),
        pytest.param("0s", 0, id="zero with a unit"),
        pytest.param(15, 15, id="a whole number is seconds"),
        pytest.param(0.25, 0.25, id="a number is seconds"),
    ],
)
def test_a_duration_is_read(written, meant):
    assert seconds(written) == pytest.approx(meant)


@pytest.mark.parametrize(
    ("written", "told"),
    [
        pytest.param("15", "the units are d, h, m, s and ms", id="no unit"),
        pytest.param("", "the units are", id="nothing"),
        pytest.param("5min", "not '5min'", id="a unit we don't have"),
        pytest.param("1m1h", "not '1m1h'", id="units in the wrong order"),
        pytest.param("1h 30m", "not", id="a space inside"),
        pytest.param("-5s", "not '-5s'", id="a negative text"),
        pytest.param("٣s", "not", id="digits of another script"),
        pytest.param(-1, "between 0 seconds and ten years", id="a negative number"),
        pytest.param("4000d", "between 0 seconds and ten years", id="more than ten years"),
        pytest.param(10**400, "between 0 seconds and ten years", id="no float is so large"),
        pytest.param(math.inf, "not inf", id="infinity"),
        pytest.param(math.nan, "not nan", id="not a number"),
        pytest.param(True, "or a number of seconds", id="a truth value"),
        pytest.param(["5s"], "or a number of seconds", id="a list"),
    ],
)
def test_what_is_no_duration_is_refused_with_what_would_be(written, told):
    with pytest.raises(ValueError, match=told):
        seconds(written)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0s"),
        (5400, "1h30m"),
        (90, "1m30s"),
        (0.5, "500ms"),
        (86_400, "1d"),
        (1.25, "1s250ms"),
        (0.0001, "0s"),
        (-90, "-1m30s"),
    ],
)
def test_a_duration_is_written_briefly(value, text):
    assert as_text(value) == text


@CALM
@given(some.integers(0, int(LONGEST * 1000)))
def test_what_is_written_reads_back_to_the_millisecond(milliseconds):
    assert round(seconds(as_text(milliseconds / 1000)) * 1000) == milliseconds


@CALM
@given(some.text())
def test_any_text_is_a_duration_or_refused(text):
    try:
        assert 0 <= seconds(text) <= LONGEST
    except ValueError as error:
        assert str(error).startswith("must be")  # noqa: PT017 - both ways are good


def test_zero_is_not_above_zero():
    assert above_zero(0.001) == 0.001
    with pytest.raises(ValueError, match="longer than 0"):
        above_zero(0)
