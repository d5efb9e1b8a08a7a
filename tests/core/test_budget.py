from __future__ import annotations

from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive.core.budget import counted, nearly, total, used_up


@pytest.mark.parametrize(
    ("told", "spent"),
    [
        pytest.param([("s", 1.5)], 1.5, id="one"),
        pytest.param([("s", 1.5), ("s", 2.0)], 2.0, id="a total that grows"),
        pytest.param([("s", 2.0), ("s", 1.5)], 2.0, id="told late"),
        pytest.param([("s", 2.0), ("t", 0.5)], 2.5, id="a new conversation"),
        pytest.param([("s", 2.0), ("t", 0.5), ("s", 2.25)], 2.75, id="gone back to the first"),
        pytest.param([("", 3.0), ("s", 3.0)], 3.0, id="first without a name"),
        pytest.param([("s", nan), ("s", inf), ("s", -1.0), ("s", 0.0)], 0.0, id="nonsense"),
    ],
)
def test_what_conversations_have_cost(told, spent):
    known = {}
    for session, cost in told:
        known = counted(known, session, cost)
    assert total([known]) == spent


def test_all_agents_of_a_project_count():
    assert total([{"s": 1.0, "t": 0.5}, {}, {"u": 2.0}]) == 3.5
    assert total([]) == 0.0


@pytest.mark.parametrize(
    ("spent", "budget", "granted", "over", "near"),
    [
        pytest.param(99.0, None, 0.0, "", "", id="no budget"),
        pytest.param(7.99, 10.0, 0.0, "", "", id="there is some left"),
        pytest.param(
            8.0, 10.0, 0.0, "", "the budget is nearly used up: $8.00 of $10.00", id="nearly"
        ),
        pytest.param(10.0, 10.0, 0.0, "the budget is used up: $10.00 of $10.00", "", id="used up"),
        pytest.param(10.0, 10.0, 5.0, "", "", id="a person allowed more"),
        pytest.param(
            1234.5,
            1000.0,
            200.0,
            "the budget is used up: $1,234.50 of $1,000.00 and $200.00 on top",
            "",
            id="that is used up too",
        ),
        pytest.param(0.0, 0.0, 0.0, "the budget is used up: $0.00 of $0.00", "", id="nothing"),
    ],
)
def test_when_a_budget_is_used_up(spent, budget, granted, over, near):
    assert (used_up(spent, budget, granted), nearly(spent, budget, granted)) == (over, near)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 100)), max_size=30), st.randoms())
def test_costs_never_go_down_and_their_order_is_nothing(told, chance):
    known, spent = {}, 0.0
    for session, cost in told:
        known = counted(known, session, cost)
        assert total([known]) >= spent
        spent = total([known])
    other = {}
    for session, cost in chance.sample(told, len(told)):
        other = counted(other, session, cost)
    assert total([other]) == spent
