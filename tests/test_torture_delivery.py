"""Half a hundred messages to agents of all kinds while hive is killed: none lost, none twice.

A failing run prints its seed; the moments themselves are the machine's.
"""

from __future__ import annotations

from tests import torture
from tests.conftest import Corner

SEED = 1
SENDS = 48


def test_what_is_sent_comes_once_or_says_why_not_whoever_is_killed(corner: Corner) -> None:
    one = torture.run(corner, SEED, SENDS, agents=len(torture.PERSONAS))
    torture.check(one)
    assert one.kills
    assert "processes left: none" in corner.hive("stop-all")
