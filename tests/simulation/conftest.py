"""How much is simulated: `--hours N` in all, beginning with `--seed N`."""

from __future__ import annotations

import pytest

FIRST = 1000
"""Where `--hours` begins when no seed is given: the quick seeds are below it."""

HOURS_A_SEED = 20
QUICK = range(1, 5)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("simulation")
    group.addoption("--seed", type=int, default=None, help="the first seed to simulate")
    group.addoption("--hours", type=float, default=None, help="simulated hours, in all")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "seed" not in metafunc.fixturenames:
        return
    first = metafunc.config.getoption("--seed", default=None)
    hours = metafunc.config.getoption("--hours", default=None)
    runs = [(seed, 1.0) for seed in QUICK]
    if hours is not None:
        start = FIRST if first is None else first
        whole = range(max(1, round(hours / HOURS_A_SEED)))
        runs = [(start + number, min(hours, HOURS_A_SEED)) for number in whole]
    elif first is not None:
        runs = [(first, HOURS_A_SEED)]
    metafunc.parametrize(("seed", "hours"), runs, ids=[f"seed {seed}" for seed, _ in runs])
