"""Messages on their way into real programs in real panes: once each, and written down."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from hive.adapters.typist import Typist
from hive.core import delivery, gate
from hive.core.messages import OVER, Message, Stage
from hive.core.moves import Seat
from hive.core.profile import Profile, Screen, Typing
from hive.core.signs import Condition, Ear, Glimpse, Source, Turn, marks
from hive.mouth import Mouth
from tests.adapters.conftest import INSTANCE, Bench
from tests.conftest import eventually

PROGRAM = r"""
import json, os, re, sys, tty
log, swallows, asks = sys.argv[1], int(sys.argv[2]), sys.argv[3]
tty.setraw(0)
draft, pasting = "", False

def tell(**what):
    with open(log, "a") as out:
        out.write(json.dumps(what) + "\n")

def draw():
    row = asks if asks else f"> {draft}"
    os.write(1, f"\x1b[2J\x1b[Hwelcome\r\n\x1b[2mfaint > not this\x1b[m\r\n{row}".encode())

os.write(1, b"\x1b[?2004h")
draw()
tell(up=True)
while data := os.read(0, 65536).decode():
    for part in re.split(r"(\x1b\[20[01]~|\r)", data):
        if part in ("\x1b[200~", "\x1b[201~"):
            pasting = part == "\x1b[200~"
        elif part == "\r" and not pasting:
            if asks:
                tell(answered=True)
            elif swallows:
                swallows -= 1
                tell(swallowed=True)
            else:
                tell(prompt=draft)
                draft = ""
        elif part:
            tell(bytes=part)
            draft += part
    draw()
"""

PROFILE = Profile(
    name="small",
    wiring="claude",
    screen=Screen(composer=r"^>(?: (?P<draft>.*))?\Z", dialog=(r"^Really\?",)),
    typing=Typing(delay=0.02, proof=0.5),
)


class Agents:
    """Small programs with a composer, and what is written down of the messages to them."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.hands = Typist(INSTANCE, timeout=20)
        self.panes: dict[str, str] = {}
        self.store: dict[int, Message] = {}
        self.story: list[str] = []
        self.fail = ""
        self.profile = PROFILE

    def start(self, name: str, swallows: int = 0, asks: str = "") -> None:
        command = [sys.executable, "-ISEc", PROGRAM, str(self._log(name)), str(swallows), asks]
        self.panes[name] = self.bench.open(name, *command).id

    def up(self) -> None:
        eventually(lambda: all(self.told(name, "up") for name in self.panes), pause=0.01)

    def _log(self, name: str) -> Path:
        return self.bench.path / f"{name}.log"

    def told(self, name: str, what: str) -> list[object]:
        """Give what an agent has told of one kind."""
        log = self._log(name)
        lines = log.read_text().splitlines() if log.exists() else []
        return [one[what] for one in map(json.loads, lines) if what in one]

    def send(self, name: str, text: str) -> int:
        number, now = len(self.store) + 1, time.time()
        self.store[number] = Message(
            number=number, agent=name, sender="a person", text=text, created=now, since=now
        )
        return number

    def mark(self, before: Message, after: Message, why: str) -> Message:
        if self.fail and self.fail == after.reason:
            raise KeyboardInterrupt  # as if hive was killed here
        assert before.version == after.version == self.store[after.number].version
        self.story.append(f"{after.name} {after.stage}: {why}")
        kept = replace(after, version=after.version + 1)
        self.store[kept.number] = kept
        return kept

    def seat(self, name: str, glimpse: Glimpse) -> Seat:
        heard = {
            number: (Source.HOOK, time.time())
            for prompt in self.told(name, "prompt")
            for number in marks(str(prompt))
        }
        return Seat(
            agent=name,
            socket=self.bench.socket,
            pane=self.panes[name],
            launch=name,
            profile=self.profile,
            folder=str(self.bench.path / "letters"),
            condition=Condition(launch=name, turn=Turn.READY, closed="", since=1.0),
            glimpse=glimpse,
            ear=Ear(launch=name, heard=heard),
        )

    def step(self, mouth: Mouth) -> float | None:
        seen = self.hands.glimpses(self.bench.socket)
        open_ = [one for one in self.store.values() if one.stage not in OVER]
        seats = {
            name: (
                self.seat(name, seen.get(pane, Glimpse())),
                tuple(one for one in open_ if one.agent == name),
            )
            for name, pane in self.panes.items()
        }
        return mouth.step(seats, time.time())

    def until(self, mouth: Mouth, stage: Stage) -> None:
        """Go on until all messages are so far."""

        def there() -> bool:
            self.step(mouth)
            return all(one.stage is stage for one in self.store.values())

        eventually(there, timeout=20, pause=0.01)

    def mouth(self) -> Mouth:
        return Mouth(self.hands, self.mark)


@pytest.fixture
def bench(short_path) -> Iterator[Bench]:
    one = Bench(short_path)
    yield one
    one.close()


@pytest.fixture
def agents(bench) -> Agents:
    return Agents(bench)


def test_each_agent_gets_its_message_once_and_one_that_is_dead_keeps_nobody_back(agents, bench):
    names = [f"a{number}" for number in range(5)]
    for name in names:
        agents.start(name)
    agents.up()
    agents.panes["gone"] = bench.open("gone", "true").id
    mouth = agents.mouth()
    for name in names:
        agents.send(name, f"für {name}")
    agents.until(mouth, Stage.SUBMITTED)
    number = agents.send("gone", "anybody?")
    eventually(lambda: agents.hands.glimpses(bench.socket)[agents.panes["gone"]].dead)
    agents.step(mouth)
    for name in names:
        (prompt,) = agents.told(name, "prompt")
        assert prompt == f"[hive m-{names.index(name) + 1}] für {name}"
    assert agents.store[number].reason == gate.DEAD
    assert agents.story[:5] == [f"m-{n} typed: {delivery.TYPED}" for n in range(1, 6)]
    assert set(bench.seen()) == {*names, "gone"}


def test_a_hive_that_is_killed_before_it_wrote_down_what_it_did_does_not_do_it_again(agents):
    agents.start("a")
    agents.up()
    agents.send("a", "only once")
    for done in (delivery.TYPED, delivery.ENTERED):
        agents.fail = done
        mouth = agents.mouth()
        with pytest.raises(KeyboardInterrupt):
            eventually(lambda mouth=mouth: agents.step(mouth) is agents, timeout=20, pause=0.01)
    agents.fail = ""
    agents.until(agents.mouth(), Stage.SUBMITTED)
    assert agents.told("a", "prompt") == ["[hive m-1] only once"]
    assert "".join(map(str, agents.told("a", "bytes"))) == "[hive m-1] only once"
    assert delivery.AGAIN in agents.story[0]


def test_an_enter_that_was_swallowed_is_repeated_once(agents):
    agents.start("a", swallows=1)
    agents.start("deaf", swallows=9)
    agents.up()
    agents.send("a", "x")
    agents.until(agents.mouth(), Stage.SUBMITTED)
    assert agents.store[1].enters == 2
    assert agents.told("a", "prompt") == ["[hive m-1] x"]
    deaf, mouth = agents.send("deaf", "y"), agents.mouth()

    def pressed() -> bool:
        agents.step(mouth)
        return len(agents.told("deaf", "swallowed")) == 2

    eventually(pressed, timeout=20, pause=0.02)
    for _ in range(3):  # a third is never due
        agents.step(mouth)
    assert agents.store[deaf].enters == len(agents.told("deaf", "swallowed")) == 2


def test_nothing_is_typed_into_a_dialog_or_behind_a_draft(agents, bench):
    agents.start("asks", asks="Really? Enter for yes")
    agents.start("busy")
    agents.up()
    bench.run("send-keys", "-t", agents.panes["busy"], "half a sent")
    bench.screen(agents.panes["busy"], "half a sent")
    agents.send("asks", "x")
    agents.send("busy", "x")
    due = agents.step(agents.mouth())
    assert [one.reason for one in agents.store.values()] == ["dialog", gate.DRAFT]
    assert due
    assert due > time.time()
    assert agents.told("asks", "answered") == agents.told("asks", "bytes") == []
    assert "".join(map(str, agents.told("busy", "bytes"))) == "half a sent"


def test_a_long_text_lies_in_a_file_of_our_own(agents):
    agents.start("a")
    agents.up()
    agents.send("a", "one\ntwo\n" + "x" * 10_000)
    agents.until(agents.mouth(), Stage.SUBMITTED)
    file = agents.bench.path / "letters" / "m-1.md"
    assert agents.told("a", "prompt") == [f"[hive m-1] Read {file} and do what it says."]
    assert file.read_text() == f"Message m-1 from a person:\n\none\ntwo\n{'x' * 10_000}\n"
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_text_that_can_not_be_kept_is_not_typed(agents):
    agents.start("a")
    agents.up()
    (agents.bench.path / "letters").write_text("no folder")
    agents.send("a", "one\ntwo")
    agents.step(agents.mouth())
    assert agents.store[1].stage is Stage.QUEUED
    assert agents.store[1].reason.startswith("can't write the message: ")
    assert agents.told("a", "bytes") == []


def test_without_a_tmux_server_a_message_waits_and_says_why(agents):
    agents.panes["a"] = "%0"
    agents.send("a", "x")
    mouth = agents.mouth()
    agents.step(mouth)
    story = len(agents.story)
    agents.step(mouth)
    assert agents.store[1].reason == "its pane was not seen"
    assert len(agents.story) == story, "it is said once"
