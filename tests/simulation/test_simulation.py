"""Whatever goes wrong, and whenever: hive's promises hold, in hours that take seconds."""

from __future__ import annotations

import pytest

from tests.simulation.life import Life
from tests.simulation.machine import Broken


@pytest.mark.timeout(0)
def test_promises_hold_whatever_goes_wrong(seed, hours):
    life = Life(seed)
    try:
        life.run(hours)
    except Broken as broken:
        story = "\n".join(life.log)
        pytest.fail(f"seed {seed}: {broken}\n{story}\nagain: pytest tests/simulation --seed {seed}")
