"""Ten thousand messages to fake agents of all kinds while hive is killed; how long that takes."""

from __future__ import annotations

import os
import time

import pytest

from tests import torture
from tests.conftest import Corner

SENDS = int(os.environ.get("SENDS", "10000"))
AGENTS = 48

pytestmark = pytest.mark.bench


def test_none_of_ten_thousand_is_lost_or_comes_twice(corner: Corner) -> None:
    seed = int(os.environ.get("SEED", "0")) or int(time.time())
    began = time.monotonic()
    one = torture.run(corner, seed, SENDS, AGENTS, kill=0.3, answer=0.5)
    spent = time.monotonic() - began
    print(f"\n{SENDS} sends to {AGENTS} agents took {spent:.0f} s")
    torture.check(one)
    assert "processes left: none" in corner.hive("stop-all")
