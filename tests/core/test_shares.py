from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive.core.shares import Wish, shares

CORES = st.floats(0.0, 64.0)
WISHES = st.dictionaries(
    st.text("abcdefgh", min_size=1, max_size=3),
    st.builds(
        Wish,
        use=CORES,
        limit=st.none() | st.floats(0.01, 64.0),
        held=st.booleans(),
        priority=st.sampled_from(["low", "normal", "high"]),
    ),
    max_size=12,
)


def wishes(**uses):
    return {name: Wish(use=use) for name, use in uses.items()}


@pytest.mark.parametrize(
    ("total", "wanted", "given"),
    [
        pytest.param(2.0, {}, {}, id="nobody"),
        pytest.param(2.0, wishes(a=1.0, b=1.0), {"a": None, "b": None}, id="just enough"),
        pytest.param(2.0, wishes(a=2.0, b=2.0), {"a": 1.0, "b": 1.0}, id="both greedy"),
        pytest.param(2.0, wishes(a=4.0, b=0.5), {"a": 1.5, "b": None}, id="one greedy"),
        pytest.param(
            3.0, wishes(a=4.0, b=2.0, c=0.2), {"a": 1.4, "b": 1.4, "c": None}, id="two greedy"
        ),
        pytest.param(0.0, wishes(a=1.0, b=0.0), {"a": 0.0, "b": None}, id="nothing to share"),
        pytest.param(
            2.0,
            {"a": Wish(use=0.5, held=True), "b": Wish(use=0.5)},
            {"a": 1.5, "b": None},
            id="one that was held wants more than it uses",
        ),
        pytest.param(
            2.0,
            {"a": Wish(use=0.5, limit=0.5, held=True), "b": Wish(use=1.0)},
            {"a": None, "b": None},
            id="its own limit is enough",
        ),
        pytest.param(
            3.5,
            {
                "low": Wish(use=4.0, priority="low"),
                "normal": Wish(use=4.0),
                "high": Wish(use=4.0, priority="high"),
            },
            {"low": 0.5, "normal": 1.0, "high": 2.0},
            id="priorities",
        ),
    ],
)
def test_who_may_use_how_much(total, wanted, given):
    assert shares(total, wanted) == {
        name: value if value is None else pytest.approx(value) for name, value in given.items()
    }


@given(total=CORES, wanted=WISHES)
def test_all_together_use_at_most_the_total(total, wanted):
    got = shares(total, wanted)
    used = sum(wanted[name].wants if one is None else one for name, one in got.items())
    assert got.keys() == wanted.keys()
    assert used <= total * (1 + 1e-9) + 1e-9


@given(total=CORES, wanted=WISHES)
def test_nothing_is_given_away_while_somebody_wants_more(total, wanted):
    got = shares(total, wanted)
    if any(one is not None for one in got.values()):
        used = sum(wanted[name].wants if one is None else one for name, one in got.items())
        assert used == pytest.approx(total, abs=1e-9)


@given(total=CORES, wanted=WISHES)
def test_who_wants_less_than_a_fair_share_is_never_slowed(total, wanted):
    parts = sum(one.weight for one in wanted.values())
    for name, given_ in shares(total, wanted).items():
        if wanted[name].wants <= total * wanted[name].weight / parts * (1 - 1e-9):
            assert given_ is None


@given(total=CORES, wanted=WISHES)
def test_nobody_who_is_slowed_gets_less_than_another_of_its_weight(total, wanted):
    got = shares(total, wanted)
    levels = [one / wanted[name].weight for name, one in got.items() if one is not None]
    for name, one in got.items():
        for level in levels:
            own = wanted[name].wants if one is None else one
            assert own / wanted[name].weight <= level * (1 + 1e-9) + 1e-9
