"""Trying a profile: what is said of each signal, and that nothing of a trial is left."""

from __future__ import annotations

from typing import Any

import pytest

from hive import trial
from hive.adapters import profiles
from hive.core.profile import Profile, Screen, Session, Title
from hive.errors import HiveError
from hive.trial import Finding, Trial
from tests.conftest import Corner, eventually

FULL = Profile(
    name="full",
    wiring="claude",
    records="claude",
    session=Session(how="discovered"),
    title=Title(ready=("^ready",)),
    screen=Screen(ready=("> ",)),
)
PLAIN = Profile(name="plain")
AFTER = {"ready": 1.5, "records": 0.5}


def why(*sources: str, **changes: Any) -> dict[str, Any]:
    agent = {
        "state": "ready", "sub": "", "reason": "at its composer", "pid": 42, "session_id": None,
    }  # fmt: skip
    evidence = [{"source": one, "text": f"{one} said so"} for one in ("process", *sources)]
    return {"agent": agent | changes, "evidence": evidence}


def heard(record: dict[str, Any], profile: Profile, *, prompted: bool) -> dict[str, Finding]:
    found = trial._heard(record, profile, AFTER.get, prompted=prompted)
    return {one.signal: one for one in found}


def test_what_works_is_told_with_how_soon_it_was_there():
    record = why("hook", "records", "title", "screen", session_id="c0ffee")

    found = heard(record, FULL, prompted=False)

    assert [one for one in found.values() if one.ok is not True] == []
    assert found["ready"].record() == {
        "signal": "ready", "ok": True, "text": "ready: at its composer", "after": 1.5,
    }  # fmt: skip
    assert (found["records"].text, found["records"].after) == ("records said so", 0.5)
    assert found["session"].text == "c0ffee, discovered"


@pytest.mark.parametrize(
    ("prompted", "ok"),
    [pytest.param(False, None, id="it may come yet"), pytest.param(True, False, id="it is due")],
)
def test_what_was_not_heard_counts_only_once_a_prompt_was_given(prompted, ok):
    found = heard(why(), FULL, prompted=prompted)

    assert {one: found[one].ok for one in ("hook", "records", "title", "screen", "session")} == (
        dict.fromkeys(("hook", "records", "title", "screen", "session"), ok)
    )


def test_what_a_profile_does_not_have_is_not_missed():
    assert heard(why(), PLAIN, prompted=True).keys() == {"process", "ready"}


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        pytest.param(
            {"state": "waiting", "sub": "dialog", "reason": "trust this folder?"},
            "waiting: trust this folder?; --trust has hive answer those that it knows",
            id="a dialog",
        ),
        pytest.param(
            {"state": "stopped", "reason": "exit code 1", "pid": None},
            "stopped: exit code 1",
            id="it ended",
        ),
    ],
)
def test_what_did_not_come_up_says_why(changes, text):
    found = heard(why(**changes), PLAIN, prompted=False)

    assert (found["ready"].ok, found["ready"].text) == (False, text)
    assert found["process"].ok is (changes.get("pid", 42) is not None)


def told(profile: Profile) -> tuple[str, Finding]:
    return Trial(profile=profile, environ={"PATH": "/usr/bin:/bin"}, tell=print)._version()


@pytest.mark.parametrize(
    ("version", "tested", "found"),
    [
        pytest.param((), (), ("", None), id="no way to ask"),
        pytest.param(("echo", "x 1.2.3 (y)"), ("1.2.3",), ("1.2.3", True), id="tested"),
        pytest.param(("echo", "1.2.4"), ("1.2.3",), ("1.2.4", None), id="another"),
        pytest.param(("echo", "hello"), ("1.2.3",), ("", None), id="it does not tell"),
        pytest.param(("no-such-program",), ("1.2.3",), ("", None), id="not installed"),
    ],
)
def test_an_unknown_version_is_said_and_not_guessed(version, tested, found):
    number, finding = told(Profile(name="x", version=version, tested=tested))

    assert (number, finding.ok) == found
    assert finding.text


@pytest.mark.parametrize(
    ("profile", "what"),
    [
        pytest.param(PLAIN, "names no program", id="none"),
        pytest.param(
            Profile(name="x", programs=("no-such-program",)), "is not on your PATH", id="not here"
        ),
    ],
)
def test_what_can_not_be_run_is_told_before_anything_is_made(profile, what):
    with pytest.raises(HiveError, match=what):
        Trial(profile=profile, environ={"PATH": "/usr/bin:/bin"}, tell=print).carry_out()


def test_a_trial_starts_a_real_program_and_leaves_nothing(corner: Corner):
    folder = profiles.own(corner.env)
    folder.mkdir(parents=True)
    (folder / "still.toml").write_text('programs = ["sleep"]\nversion = ["sleep", "--version"]\n')

    record = corner.json("profile", "test", "still", "--run", "sleep 600", "--timeout", "5s")

    found = {one["signal"]: one for one in record["signals"]}
    assert (record["profile"], record["program"]) == ("still", "sleep 600")
    assert found["version"]["ok"] is None and record["installed"] in found["version"]["text"]
    assert found["process"]["ok"] and found["exit"]["ok"] and found["left behind"]["ok"]
    assert record["left"] == {"processes": [], "panes": [], "sockets": [], "files": []}
    assert not corner.state.exists()
    eventually(lambda: not corner.processes())
