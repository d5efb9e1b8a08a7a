"""How long a message of 1 kB takes until agents have it, beside libtmux' `send_keys`.

The agents are programs that read keys themselves and keep what they get: a message counts as
typed when the last byte of it has been read.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import libtmux
import pytest

from hive.adapters.panes import Opened
from hive.adapters.typist import Typist
from hive.core.messages import Message
from hive.core.moves import Seat
from hive.core.profile import Profile, Typing
from hive.core.signs import Condition, Ear, Turn
from hive.mouth import Mouth
from tests.adapters.conftest import INSTANCE, Bench
from tests.bench.measure import milliseconds, table
from tests.conftest import eventually

pytestmark = [pytest.mark.bench, pytest.mark.timeout(600)]

AGENTS, ROUNDS = 100, 15
TEXT = "All work and no play makes a dull agent. " * 24
PROFILE = Profile(name="keys", typing=Typing(longest=2000))


@dataclass
class Fleet:
    """Programs in panes, and how much each has got."""

    bench: Bench
    panes: list[str] = field(default_factory=list)
    store: dict[int, Message] = field(default_factory=dict)

    def got(self, number: int) -> Path:
        return self.bench.path / f"got-{number}"

    def start(self) -> None:
        reads = "stty raw -echo; printf '\\033[?2004h'; exec cat > "
        openings = [
            self.bench.opening(f"a{n}", "sh", "-c", f"{reads}{self.got(n)}") for n in range(AGENTS)
        ]
        for answer in self.bench.tmux.open(openings):
            assert isinstance(answer, Opened), answer
            self.panes.append(answer.pane.id)
        hands = Typist(INSTANCE, timeout=30)
        eventually(lambda: all(one.raw for one in hands.glimpses(self.bench.socket).values()))

    def until_typed(self, count: int, act: Callable[[], object]) -> float:
        """Give how many seconds it takes until so many agents have got `TEXT`."""
        files = [self.got(number) for number in range(count)]
        goals = [file.stat().st_size + len(TEXT) for file in files]
        began = time.perf_counter()
        act()
        while any(file.stat().st_size < goal for file, goal in zip(files, goals, strict=True)):
            time.sleep(0.0002)
        return time.perf_counter() - began

    def mark(self, _before: Message, after: Message, _why: str) -> Message:
        self.store[after.number] = after
        return after

    def step(self, mouth: Mouth, first: int, count: int) -> None:
        """Have the mouth say a new message to each of so many agents."""
        now = time.time()
        seen = Typist(INSTANCE, timeout=30).glimpses(self.bench.socket)
        seats = {}
        for number in range(count):
            seat = Seat(
                agent=f"a{number}",
                socket=self.bench.socket,
                pane=self.panes[number],
                launch=f"a{number}",
                profile=PROFILE,
                folder="/",
                condition=Condition(launch=f"a{number}", turn=Turn.READY, closed=""),
                glimpse=seen[self.panes[number]],
                ear=Ear(),
            )
            one = Message(
                number=first + number, agent=seat.agent, sender="bench", text=TEXT, created=now
            )
            seats[seat.agent] = (seat, (replace(one, since=now),))
        self.seats = seats
        self.now = now
        self.mouth = mouth

    def say(self) -> None:
        self.mouth.step(self.seats, self.now)


@pytest.fixture
def fleet(short_path) -> Iterator[Fleet]:
    bench = Bench(short_path)
    one = Fleet(bench)
    one.start()
    yield one
    bench.close()


@pytest.mark.parametrize("count", [1, AGENTS])
def test_delivery(fleet: Fleet, count: int) -> None:
    mouth = Mouth(Typist(INSTANCE, timeout=30), fleet.mark)
    server = libtmux.Server(socket_path=fleet.bench.socket)
    panes = [pane for pane in server.panes if pane.pane_id in fleet.panes[:count]]
    ours, theirs = [], []
    for number in range(ROUNDS):
        fleet.step(mouth, number * AGENTS + 1, count)
        ours.append(fleet.until_typed(count, fleet.say))
        send = lambda: [pane.send_keys(TEXT, enter=False, literal=True) for pane in panes]
        theirs.append(fleet.until_typed(count, send))
    rows = {
        "hive: look, paste, written down": milliseconds(ours),
        "libtmux: send_keys": milliseconds(theirs),
    }
    table(f"1 kB to {count} of {AGENTS} agents, until all of it is read", rows)
