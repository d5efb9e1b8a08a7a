"""What people see of what is said, at the width of a plain terminal: nothing is cut that counts."""

from __future__ import annotations

from typing import Any

import pytest
from rich.console import Console, RenderableType

from hive import screen_letters
from hive.views import iso

NOON = 1_700_000_000.0
LONG = "a draft stands in the composer, and hive waits until it is sent or taken away " * 2


def drawn(renderable: RenderableType, width: int = 80, **options: Any) -> list[str]:
    console = Console(width=width, markup=False, highlight=False, **options)
    with console.capture() as captured:
        console.print(renderable)
    return [line.rstrip() for line in captured.get().splitlines()]


def message(**changes: Any) -> dict[str, Any]:
    record = {
        "message": "m-31", "agent": "backend/dev", "from": "a person", "kind": "task",
        "text": "Please rebase\nand say so", "stage": "queued", "reason": "working",
        "since": iso(NOON - 5), "proof": "", "outcome": "", "result": "", "confidence": None,
    }  # fmt: skip
    return record | changes


def step(stage: str, why: str, at: float = NOON) -> dict[str, Any]:
    return {"time": iso(at), "stage": stage, "why": why}


STEPS = [
    step("queued", "from a person"),
    step("queued", LONG),
    step("typed", "pasted"),
    step("submitted", "the hook says so"),
    step("answered", "its turn is over"),
]


def story(steps: list[dict[str, Any]] = STEPS, **changes: Any) -> dict[str, Any]:
    following = {"text": "types it once nothing is in the way any more: working", "time": None}
    return {"version": 1, "message": message(**changes), "story": steps, "next": following}


def item(**changes: Any) -> dict[str, Any]:
    record = {
        "id": "A7", "kind": "approval", "agent": "backend/dev",
        "asked": "Bash: rm -rf build\n  in /src", "why": "it may do it only if it is allowed",
        "since": iso(NOON - 180), "meanwhile": "it waits; 2 messages wait with it",
        "answer": 'hive approve A7   # or: hive deny A7 "why not"',
    }  # fmt: skip
    return record | changes


def request(**changes: Any) -> dict[str, Any]:
    record = {
        "id": "A7", "kind": "approval", "agent": "backend/dev", "asked": "Bash: make",
        "state": "open", "answer": "", "since": iso(NOON - 60), "answered": None,
        "next": "hive approve A7",
    }  # fmt: skip
    return {"version": 1, "request": record | changes}


@pytest.mark.parametrize("width", [80, 120])
def test_a_story_says_how_far_it_is_what_is_next_and_every_step(width):
    lines = drawn(screen_letters.story(story(), NOON), width)

    assert lines[0] == "m-31 to backend/dev, from a person: queued for 5s: working"
    assert lines[1] == "next: types it once nothing is in the way any more: working"
    assert lines[lines.index("text") + 1 :][:2] == ["  Please rebase", "  and say so"]
    stages = [line.split()[3] for line in lines if line.startswith("  Nov")]
    assert stages == ["queued", "queued", "typed", "submitted", "answered"]
    assert LONG.strip() in " ".join(" ".join(lines).split())
    assert all(len(line) <= width for line in lines)


def test_a_story_ends_with_the_proof_and_the_answer():
    done = {"proof": "hook: taken", "outcome": "done", "result": "Done.\nAll.", "confidence": 0.9}

    lines = drawn(screen_letters.story(story(**done), NOON))

    assert lines[-5:] == ["proof: hook: taken", "", "answer: done, 90% sure", "  Done.", "  All."]


def test_an_answer_that_was_not_reported_is_what_was_said_last():
    lines = drawn(screen_letters.story(story(result="Rebased."), NOON))

    assert lines[-2:] == ["answer: what it said last", "  Rebased."]


def test_a_kind_of_its_own_is_named():
    assert "(brief)" in drawn(screen_letters.story(story(kind="brief"), NOON))[0]


def test_of_a_long_text_the_first_lines_are_shown_and_what_shows_all():
    text = "\n".join(f"line {number}" for number in range(40))

    lines = drawn(screen_letters.story(story(text=text), NOON))

    assert "  line 10" in lines and "  line 11" not in lines
    assert "  … and 29 more lines: `hive why m-31 --json` shows all" in lines


def test_neither_a_text_nor_a_reason_can_steer_the_terminal():
    wild = "\x1b[2Jgone\r[red]x[/red]\u202e"
    record = story([step("queued", wild)], text=wild, reason=wild, result=wild, proof=wild)
    shown = [
        *drawn(screen_letters.story(record, NOON)),
        *drawn(screen_letters.inbox({"items": [item(asked=wild, why=wild, meanwhile=wild)]}, NOON)),
        *drawn(screen_letters.request(request(asked=wild, next=wild), NOON)),
    ]

    assert not {"\x1b", "\r", "\u202e"} & set("".join(shown))
    assert sum("[red]x[/red]" in line for line in shown) == 10


@pytest.mark.parametrize("width", [80, 120])
def test_the_inbox_says_what_why_since_when_meanwhile_and_the_answer(width):
    lines = drawn(screen_letters.inbox({"items": [item()]}, NOON), width)

    assert lines == [
        "A7  approval  backend/dev  3m ago",
        "  asked      Bash: rm -rf build",
        "               in /src",
        "  why        it may do it only if it is allowed",
        "  meanwhile  it waits; 2 messages wait with it",
        '  answer     hive approve A7   # or: hive deny A7 "why not"',
        "",
        "1 thing waits for a person",
    ]


def test_the_inbox_counts_what_waits():
    dialog = item(id="backend/qa", agent="backend/qa", kind="dialog", since=None)

    lines = drawn(screen_letters.inbox({"items": [item(), dialog]}, NOON))

    assert "backend/qa  dialog" in lines
    assert lines[-1] == "2 things wait for a person"


def test_an_empty_inbox_says_so():
    assert drawn(screen_letters.inbox({"items": []}, NOON)) == ["nothing waits for a person"]


def test_what_is_asked_is_never_cut_in_its_width():
    asked = "Bash: " + " ".join(f"word{number}" for number in range(60))
    record = {"items": [item(asked=asked)]}

    assert asked in " ".join(" ".join(drawn(screen_letters.inbox(record, NOON))).split())


def test_the_inbox_shows_the_first_lines_and_why_shows_all():
    asked = "\n".join(f"line {number}" for number in range(40))

    short = drawn(screen_letters.inbox({"items": [item(asked=asked)]}, NOON))
    whole = drawn(screen_letters.request(request(asked=asked), NOON))

    assert any(line.endswith("… and 29 more lines: `hive why A7` shows all") for line in short)
    assert [line.split()[-2:] for line in whole[1:41]] == [["line", str(n)] for n in range(40)]


@pytest.mark.parametrize(
    ("changes", "last"),
    [
        pytest.param({}, "  answer  hive approve A7", id="open"),
        pytest.param(
            {"state": "denied", "answer": "use staging", "answered": iso(NOON)},
            "denied: use staging",
            id="answered",
        ),
        pytest.param({"state": "allowed", "answered": iso(NOON)}, "  allowed", id="no words"),
    ],
)
def test_a_request_shows_how_it_is_answered_or_how_it_was(changes, last):
    lines = drawn(screen_letters.request(request(**changes), NOON))

    assert lines[0] == f"A7  approval  backend/dev  1m ago  {changes.get('state', 'open')}"
    assert lines[-1].endswith(last)


def test_colours_are_for_terminals_only():
    def coloured(renderable: RenderableType) -> str:
        return "".join(drawn(renderable, force_terminal=True, color_system="standard"))

    failed = screen_letters.story(story(stage="failed"), NOON)
    things = {"items": [item(), item(kind="failed")]}

    assert "\x1b[1;31mfailed" in coloured(failed)
    assert "\x1b[33mapproval" in coloured(screen_letters.inbox(things, NOON))
    assert "\x1b[1;31mfailed" in coloured(screen_letters.inbox(things, NOON))
    assert "\x1b" not in "".join(drawn(failed))
