"""[escalation]: its keys and every mistake in them, ways, quiet hours, the way to the store."""

from __future__ import annotations

import ast
import json

import pytest

from hive.core import escalation
from hive.core.config import read
from hive.core.escalation import KINDS, Escalation, Way, from_dict, to_dict
from hive.core.shown import UNPROVEN
from hive.core.signs import Sub
from hive.errors import WrongInput
from tests.conftest import ROOT


def of(table: str) -> Escalation:
    return read(f'project = "T"\n[escalation]\n{table}').escalation.plain()


def test_a_file_that_says_nothing_rings_a_bell():
    assert read('project = "T"').escalation.plain() == Escalation()


def test_what_a_file_says_counts_and_comes_back_from_json():
    found = of(
        'notify = ["bell", "desktop", "command: say \\"$1\\"", "webhook: https://a.b/c?d=e"]\n'
        'quiet = "22:00-7:00"\nwait = 0\ngroup = "2m"\nremind = "never"\nurgent = "budget"'
    )

    assert found == Escalation(
        notify=("bell", "desktop", 'command: say "$1"', "webhook: https://a.b/c?d=e"),
        quiet=(1320, 420), wait=0.0, group=120.0, remind=0.0, urgent=("budget",),
    )  # fmt: skip
    assert from_dict(json.loads(json.dumps(to_dict(found)))) == found
    assert from_dict({**json.loads(json.dumps(to_dict(Escalation()))), "new": 1}) == Escalation()
    assert of("notify = []").notify == ()


@pytest.mark.parametrize(
    ("table", "message"),
    [
        pytest.param('notify = "bel"', "not 'bel'; did you mean `bell`?", id="unknown way"),
        pytest.param("notify = 3", "`notify` must be a text in quotes or a list", id="number"),
        pytest.param('notify = "bell: x"', '`notify` must say "bell" alone', id="bell with more"),
        pytest.param('notify = "command:"', "must say what, after a colon", id="no command"),
        pytest.param('notify = "https://a.b"', '`notify` must say "webhook: …"', id="bare URL"),
        pytest.param('notify = "webhook: ftp://a"', "`notify` must be a URL", id="another scheme"),
        pytest.param('notify = ["bell", "bell"]', "must not say the same twice", id="twice"),
        pytest.param('quiet = "22-7"', "`quiet` must be two times of the day", id="no times"),
        pytest.param('quiet = "24:00-07:00"', "`quiet` must be two times", id="no such hour"),
        pytest.param('quiet = "07:00-07:00"', "must begin and end at different times", id="empty"),
        pytest.param("quiet = 7", "`quiet` must be a text in quotes", id="no text"),
        pytest.param('wait = "soon"', "`wait` must be a duration", id="no duration"),
        pytest.param("remind = -1", "`remind` must be between 0 seconds", id="negative"),
        pytest.param('urgent = ["budgt"]', "did you mean `budget`?", id="near kind"),
        pytest.param('urgent = "x"', "not 'x'; known are approval,", id="unknown kind"),
        pytest.param("notfy = []", "unknown key `notfy`; did you mean `notify`?", id="unknown key"),
    ],
)  # fmt: skip
def test_one_mistake(table, message):
    with pytest.raises(WrongInput) as caught:
        of(table)

    assert "hive.toml:3: [escalation] " in str(caught.value)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "way", "shown"),
    [
        pytest.param("bell", Way(kind="bell"), "bell", id="bell"),
        pytest.param(
            "command: notify-send hive",
            Way(kind="command", target="notify-send hive"),
            "command: notify-send hive",
            id="command",
        ),
        pytest.param(
            "webhook: https://me:pw@a.b:1/key?token=2",
            Way(kind="webhook", target="https://me:pw@a.b:1/key?token=2"),
            "webhook: https://a.b",
            id="a URL is never shown whole",
        ),
    ],
)
def test_a_way(text, way, shown):
    assert escalation.way(text) == way
    assert way.shown == shown


@pytest.mark.parametrize(
    ("quiet", "minute", "rest"),
    [
        pytest.param(None, 0, 0, id="none"),
        pytest.param("22:00-07:00", 21 * 60 + 59.5, 0, id="just before"),
        pytest.param("22:00-07:00", 22 * 60, 9 * 3600, id="at the beginning"),
        pytest.param("22:00-07:00", 60, 6 * 3600, id="past midnight"),
        pytest.param("22:00-07:00", 6 * 60 + 59.5, 30, id="half a minute is left"),
        pytest.param("22:00-07:00", 7 * 60, 0, id="at the end"),
        pytest.param("12:00-13:00", 12 * 60 + 30, 1800, id="at noon"),
        pytest.param("12:00-13:00", 0, 0, id="at midnight"),
    ],
)
def test_quiet_hours(quiet, minute, rest):
    rules = Escalation(quiet=quiet and escalation.quiet(quiet))

    assert rules.rest(minute) == rest


def test_every_kind_of_thing_in_the_inbox_may_be_urgent():
    waits = set(Sub) - {Sub.USAGE, Sub.RETRYING, Sub.FAILED, Sub.INTERRUPTED}
    found = {str(one) for one in waits} | {UNPROVEN}
    for file in (ROOT / "hive").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Dict):
                found |= kinds(node)

    assert "held task" in found
    assert found - set(KINDS) == set()


def kinds(node: ast.Dict) -> set[str]:
    """Give the kind of a thing that waits for a person, where a dict is one that says it."""
    known = {
        key.value: value
        for key, value in zip(node.keys, node.values, strict=True)
        if isinstance(key, ast.Constant)
    }
    kind = known.get("kind") if "meanwhile" in known else None
    return {kind.value} if isinstance(kind, ast.Constant) else set()
