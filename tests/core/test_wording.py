"""Numbers as people say them, and text that can't steer a terminal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive.core import wording


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        pytest.param(-3, "0s", id="nothing is less than nothing"),
        pytest.param(0.4, "0s", id="less than half a second"),
        pytest.param(4.2, "4s", id="seconds"),
        pytest.param(65, "1m 5s", id="two units"),
        pytest.param(10_800, "3h", id="a whole unit stands alone"),
        pytest.param(10_805, "3h", id="a gap ends it"),
        pytest.param(90_061, "1d 1h", id="never more than two units"),
    ],
)
def test_a_span_has_its_two_largest_units(seconds, text):
    assert wording.span(seconds) == text


def test_an_age_has_one_unit():
    assert wording.age(3_700) == "1h"


@pytest.mark.parametrize(
    ("number", "text"),
    [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (12, "12th"), (21, "21st")],
)
def test_ordinals(number, text):
    assert wording.ordinal(number) == text


@pytest.mark.parametrize(("number", "text"), [(0, "0 agents"), (1, "1 agent"), (2, "2 agents")])
def test_things_agree_with_their_number(number, text):
    assert wording.count(number, "agent") == text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0K"),
        (4096, "4K"),
        (40_000_000, "38.1M"),
        (400_000_000, "381M"),
        (1_500_000_000, "1.4G"),
        (5 * 1024**5, "5120T"),
    ],
)
def test_sizes(number, text):
    assert wording.size(number) == text


@given(st.text())
def test_what_is_cleaned_has_no_control_characters(text):
    assert wording.clean(text).isprintable()


@given(st.text().filter(str.isprintable))
def test_what_is_clean_stays_as_it_is(text):
    assert wording.clean(text) == text


def test_a_tab_becomes_room():
    assert wording.clean("a\tb\x1b[31m") == "a    b [31m"
