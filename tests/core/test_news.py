"""What happens all the time is told now and then, with how often it happened."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hive.core.news import MOST, SPAN, News, Telling


def news(text: str = "again", agent: str = "p/t/a", kind: str = "memory") -> News:
    return News(agent=agent, kind=kind, text=text)


def test_what_is_rare_is_told_as_it_is() -> None:
    telling = Telling()
    for number in range(100):
        assert telling.fresh([news()], number * SPAN) == [news()]


def test_a_flood_is_cut_and_counted() -> None:
    telling = Telling()
    told = [one for second in range(300) for one in telling.fresh([news()], float(second))]
    assert told == [news()] * MOST
    later = telling.fresh([news("once more")], SPAN + 300)
    assert [one.text for one in later] == [f"once more (and {300 - MOST} more since the last one)"]
    assert telling.fresh([news()], SPAN + 301) == [news()]


def test_one_flood_hides_nothing_else() -> None:
    telling = Telling()
    telling.fresh([news()] * 100, 0.0)
    others = [news(agent="p/t/b"), news(kind="paused")]
    assert telling.fresh(others, 1.0) == others


def test_a_clock_set_back_hides_nothing() -> None:
    telling = Telling()
    telling.fresh([news()] * 100, 1e9)
    assert len(telling.fresh([news()], 5.0)) == 1


@given(st.lists(st.floats(min_value=0, max_value=100), max_size=300))
def test_never_more_than_so_many_in_a_span(gaps: list[float]) -> None:
    telling, now, told = Telling(), 1e9, []
    for gap in gaps:
        now += gap
        told += [now] * len(telling.fresh([news()], now))
    assert all(late - early >= SPAN for early, late in zip(told, told[MOST:], strict=False))
