"""What all agents of a machine may use: the strictest of all files' ceilings."""

from __future__ import annotations

import json

import pytest

from hive.core.limits import Ceiling, Portion, Total, from_dict, to_dict, together

GB = 1 << 30
LOOSE = Ceiling(cpu=Portion(amount=4), memory=Portion(amount=8 * GB), agents=9, budget=50.0)
STRICT = Ceiling(
    cpu=Portion(amount=0.5, of_machine=True),
    memory=Portion(amount=0.25, of_machine=True),
    agents=3,
    reserve=Portion(amount=GB),
    budget=20.0,
    admission=False,
)


@pytest.mark.parametrize("ceilings", [(LOOSE, STRICT), (STRICT, LOOSE), (STRICT,)])
def test_the_strictest_counts(ceilings):
    found = together(ceilings, cores=4, memory=16 * GB)

    assert found == Total(
        cpu=2.0, memory=4 * GB, agents=3, reserve=GB, budget=20.0, admission=False
    )


def test_without_any_nothing_but_the_reserve_is_kept():
    assert together([Ceiling()], cores=4, memory=10 * GB) == Total(reserve=GB // 2)


@pytest.mark.parametrize("ceiling", [LOOSE, STRICT, Ceiling()])
def test_a_ceiling_is_kept_as_it_is(ceiling):
    assert from_dict(json.loads(json.dumps(to_dict(ceiling)))) == ceiling


def test_a_ceiling_that_was_kept_before_there_were_budgets_is_read():
    kept = {key: one for key, one in to_dict(STRICT).items() if key != "budget"}

    assert from_dict(kept).budget is None
