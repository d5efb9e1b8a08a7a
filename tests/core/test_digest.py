"""What a team's lead is told, and that an idle team costs nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hive.core.checkin import CheckIn, Evidence, Verdict, judge
from hive.core.digest import LETTERS, LINES, VERBS, changes, digest

NOON = 1_700_000_000.0
IDLE = Evidence(agent="Task/web/dev", at=NOON, state="ready", speaks=True, reason="at its composer")
BUSY = replace(IDLE, state="working", task="t-12", about="Fix the login bug")


def checked(one: Evidence, **changes: object) -> CheckIn:
    return judge(replace(one, **changes), None)


def then(before: CheckIn, **changes: object) -> CheckIn:
    at = before.evidence.at + 900
    return judge(replace(before.evidence, **{"at": at, "commits": (), **changes}), before)


def told(*found: CheckIn, before: tuple[CheckIn, ...] = (), **more: object) -> list[str]:
    last = {one.evidence.agent: one for one in before}
    return digest("web", found, last, **more).splitlines()


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({}, None),
        ({"tokens": 9000, "cost": 3.0, "cores": 1.0, "worked": NOON + 5}, None),
        ({"state": "ready", "turn_at": NOON + 5}, None),
        ({"progress": "half way", "progressed": NOON + 5}, "dev: says of t-12: half way"),
        ({"commits": ("Add a form",)}, "dev: committed 1 commit: Add a form"),
        (
            {"state": "waiting", "sub": "approval", "reason": "Bash: rm -r"},
            "dev: waiting: approval: Bash: rm -r",
        ),
        (
            {"state": "ready", "task": "", "about": "", "message": "done", "reported": NOON + 5},
            "dev: has t-12 no more; reports: done",
        ),
        (
            {"state": "failed", "reason": "exit code 1", "commits": ("a",)},
            "dev: failed: exit code 1; 1 commit in 15m; committed 1 commit: a",
        ),
    ],
)
def test_a_lead_is_told_only_what_changed(changes, line):
    before = checked(BUSY)

    lines = told(then(before, **changes), before=(before,))

    assert lines == ([] if line is None else ["Team web, what changed:", line, VERBS])


def test_an_idle_team_costs_nothing_not_even_at_first():
    first = [checked(replace(IDLE, agent=f"Task/web/d{n}")) for n in range(9)]

    assert not told(*first)
    assert not told(*[then(one) for one in first], before=tuple(first))


def test_what_is_quiet_is_told_once():
    first = checked(replace(BUSY, state="ready"))
    second = then(first)
    third = then(second)

    assert told(second, before=(first,))[1].startswith("dev: nothing new of t-12")
    assert not told(third, before=(second,))


def test_the_commits_of_every_check_in_since_are_told():
    first = checked(BUSY)
    second = then(first, commits=("a",))
    third = then(second, commits=("b",))

    assert told(second, third, before=(first,))[1] == "dev: committed 2 commits: a, b"


def test_trouble_comes_first_and_who_is_as_before_is_counted():
    works, fails, same = (checked(replace(BUSY, agent=f"Task/web/{one}")) for one in "abc")
    now = then(works, progress="x"), then(fails, state="failed", reason="gone"), then(same)

    lines = told(*now, before=(works, fails, same), conflicts={"a.py": ["Task/web/a", "Task/x/b"]})

    assert lines == [
        "Team web, what changed (1 agent as before):",
        "the same file changed in several worktrees: a.py (web/a, x/b)",
        "b: failed: gone",
        "a: says of t-12: x",
        VERBS,
    ]


def test_nobody_is_told_of_itself():
    before = checked(BUSY)

    assert not told(then(before, progress="x"), before=(before,), reader="Task/web/dev")


def test_a_digest_is_a_page_at_most_whatever_agents_say():
    wild = "\x1b[2J" + "word " * 300
    agents = [checked(replace(BUSY, agent=f"Task/web/d{n}", progress=wild)) for n in range(50)]

    text = digest("web", agents, {})

    assert len(text) <= LETTERS and len(text.splitlines()) <= LINES
    assert "more: `hive checkins web`" in text and "\x1b" not in text
    few = [checked(replace(BUSY, agent=f"Task/web/d{n}")) for n in range(50)]
    assert len(digest("web", few, {}).splitlines()) == LINES


def test_a_digest_ends_with_what_may_be_done():
    text = digest("web", [checked(BUSY)], {})

    assert all(f"`hive {verb}" in text.splitlines()[-1] for verb in ("task add", "send", "ask"))


def test_who_is_quiet_and_works_by_turns_is_told_of_once():
    still = replace(BUSY, state="ready", speaks=True)
    quiet = replace(checked(still), verdict=Verdict.QUIET)

    turn = then(quiet, turn_at=NOON + 5)

    assert turn.verdict is Verdict.WORKING
    assert changes([turn], {"Task/web/dev": quiet}) == {}
    more = then(quiet, progress="half", progressed=NOON + 5)
    assert changes([more], {"Task/web/dev": quiet}) != {}
