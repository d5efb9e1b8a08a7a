"""Messages to fake agents of all kinds while hive is killed: what must hold afterwards.

Nothing that was given is lost: it arrived, or it says why not. Nothing arrives twice. Nothing is
typed into what waits for an answer. What is sent, when who is killed and which turns go wrong
follow from a seed; the moments themselves are the machine's.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

from hive.adapters.store import Store
from hive.core.messages import Message, Stage
from hive.core.signs import mark
from tests import tally
from tests.conftest import ROOT, Corner, eventually

FAKES = ROOT / "tests" / "fakes"
PERSONAS = (
    "",
    "swallow-enter=50ms",
    "approval~20%",
    "draft=dear all@2",
    "queue",
    "retry=0.5~10%,wrap-paste",
    "slow-start=1",
    "lose-input=1",
    "hooks=late",
    "hooks=double",
    "crash=5%,no-title",
    "steer,suggest=write a test",
    "trust-dialog=always",
    "approval~10%,crash=3%,queue",
    "hooks=none",
    "no-records",
)
"""How the agents are, one after the other, and from the first again."""

STUCK = {"trust-dialog=always", "no-records"}
"""The personas that may never be ready: nobody answers its dialog, nothing tells how it stands."""

TEXTS = (
    "look at FAKE:work 0.05",
    "FAKE:tool Read",
    "FAKE:sh echo done",
    "please FAKE:work 0.3",
    "plain words, and ünïcödé",
    "a long one: " + "many words " * 60,
    "several\nlines\n!and not a command",
    "/not a command",
    "FAKE:approval make clean",
)
REFUSED = 20
"""So many commands more than messages may fail because hive was just killed."""

CALM = 8.0
"""Seconds without any news of a message after which nothing more is expected."""

KEYS = {"1", "\x1b"}
"""What hive types to answer an approval, where the agent's hook is gone."""

ENDS = {Stage.ANSWERED, Stage.SUBMITTED, Stage.FAILED, Stage.QUEUED}
ARRIVED = {Stage.ANSWERED, Stage.SUBMITTED}


class Torture:
    """A team of fake agents in a corner, and what it is put through."""

    def __init__(self, corner: Corner, seed: int, personas: tuple[str, ...] = PERSONAS) -> None:
        self._corner = corner
        self._lot = random.Random(seed)
        self._personas = {f"a{number}": words for number, words in enumerate(personas)}
        self._turn = 0
        self._seed = seed
        self.receipts: dict[str, str] = {}
        self.refused: list[str] = []
        self.kills = 0
        self.decided = 0
        print(f"seed {seed}")

    def begin(self) -> None:
        """Deploy the team; whoever can be ready is."""
        profiles = self._corner.home / ".config" / "hive" / "profiles"
        profiles.mkdir(parents=True)
        shutil.copy(FAKES / "profiles" / "fake.toml", profiles)
        restart = {"delay": "100ms", "longest": "500ms", "attempts": 1000, "window": "1m"}
        agents = {
            name: {
                "run": str(FAKES / "tui.py"),
                "trust": True,
                "account": name,
                "restart": restart,
                "env": {
                    "FAKE_PERSONA": words,
                    "FAKE_SEED": str(self._seed),
                    "FAKE_TRUTH": str(self._truth(name)),
                },
            }
            for name, words in self._personas.items()
        }
        self._corner.write({"team": agents})
        self._corner.hive("deploy", "--no-wait")

    def send(self, count: int, *, kill: float = 0.4, answer: float = 0.3) -> None:
        """Send about so many messages; before each command hive may be killed."""
        most = len(self.receipts) + count
        while len(self.receipts) < most:
            if self._lot.random() < kill:
                self.kill()
            if self._lot.random() < answer:
                self.decide()
            self._send(most - len(self.receipts))

    def _send(self, left: int) -> None:
        names = list(self._personas)
        many = min(left, self._lot.choice([1, len(names)]))
        chosen = ["--all"] if many == len(names) else [f"team/{self._lot.choice(names)}"]
        done = self._corner.run("send", *chosen, self._lot.choice(TEXTS), "--json")
        if done.returncode:  # nothing was promised
            self.refused.append(done.stderr)
            assert len(self.refused) < REFUSED + len(self.receipts), done.stderr
            return
        found = json.loads(done.stdout)["messages"]
        self.receipts |= {one["message"]: one["agent"] for one in found}

    def kill(self) -> None:
        """Kill the worker or the guard, by turns, at some moment."""
        time.sleep(self._lot.random() * 0.2)  # the moment is the point of it
        words = ("supervise --worker", "hive.adapters.guard")[self._turn % 2]
        self._turn += 1
        for pid, line in self._corner.processes():
            if words in line:
                with suppress(ProcessLookupError):  # it ended by itself meanwhile
                    os.kill(pid, signal.SIGKILL)
                    self.kills += 1

    def decide(self) -> None:
        """Answer the approvals that wait, as a person would."""
        done = self._corner.run("inbox", "--json")
        if done.returncode:
            return
        for one in json.loads(done.stdout)["items"]:
            if one["kind"] == "approval":
                verb = self._lot.choice(["approve", "approve", "deny"])
                self.decided += self._corner.run(verb, one["id"]).returncode == 0

    def _typed(self) -> list[str]:
        """Say of each message that is typed why it goes no further."""
        typed = [one for one in self.messages() if one.stage is Stage.TYPED]
        return [f"{one.name} {one.agent} {one.way} {one.kind}: {one.reason}" for one in typed]

    def settle(self, timeout: float = 120.0) -> None:
        """Wait until nothing more becomes of any message."""
        self._corner.hive("deploy", "--no-wait")
        known: list[tuple[int, str, str]] = []
        since, end = time.monotonic(), time.monotonic() + timeout
        while time.monotonic() - since < CALM:
            self.decide()
            found = [(one.number, one.stage.value, one.launch) for one in self.messages()]
            typed = any(stage == Stage.TYPED for _, stage, _ in found)
            if found != known or typed:
                known, since = found, time.monotonic()
            if not typed and not self._open():
                return
            assert time.monotonic() < end, f"still under way: {self._open()} {self._typed()}"
            time.sleep(0.2)

    def _open(self) -> list[Message]:
        """Give the messages that may still become something else, by whom they are for."""
        return [
            one
            for one in self.messages()
            if one.stage in {Stage.QUEUED, Stage.TYPED, Stage.SUBMITTED}
            and self._persona(one) not in STUCK
        ]

    def messages(self) -> list[Message]:
        """Give every message there ever was."""
        with Store.open(self._corner.state / "hive.db") as store:
            return store.post.messages(limit=1_000_000)

    def verdict(self) -> dict[str, Any]:
        """Say what should not be, by name: each of it must be empty."""
        messages = {one.name: one for one in self.messages()}
        truths = [self._truth(name) for name in self._personas]
        came = tally.counts(*truths)
        counts = {name: came[mark(one.number)] for name, one in messages.items()}
        lost = [
            f"{name}: {_told(messages.get(name))}, came {counts.get(name, 0)} times"
            for name in self.receipts
            if name not in messages or not _fits(messages[name], counts[name])
        ]
        nameless = [
            _told(one) for one in messages.values() if one.stage not in ENDS or not one.reason
        ]
        return {
            "lost": lost,
            "stuck": [_told(one) for one in self._open()],
            "doubled": {name: many for name, many in counts.items() if many > 1},
            "typed while blocked": [
                (state, text)
                for state, text in tally.given_while(*truths)
                if state != "approval" or text not in KEYS
            ],
            "answered unasked": self._unasked(truths),
            "nameless": nameless,
            "mangled": tally.mangled(*truths),
        }

    def _unasked(self, truths: list[Path]) -> list[tuple[str, str, str]]:
        """Give the answers to approvals, if there are more of them than a person gave."""
        found = [one for one in tally.answers(*truths) if one[0] != "trust-dialog"]
        return found if len(found) > self.decided else []

    def tell(self) -> str:
        """Say what happened, in a few words."""
        stages = Counter(one.stage.value for one in self.messages())
        ends = ", ".join(f"{many} {stage}" for stage, many in sorted(stages.items()))
        reasons = Counter(
            f"{one.stage} for `{self._persona(one)}`: {one.reason}"
            for one in self.messages()
            if one.stage is not Stage.ANSWERED
        )
        why = "".join(f"\n  {many:5} {reason}" for reason, many in reasons.most_common(12))
        return (
            f"seed {self._seed}: {len(self.receipts)} sends, {self.kills} kills, "
            f"{len(self.refused)} commands refused, {self.decided} approvals answered; {ends}{why}"
        )

    def _truth(self, name: str) -> Path:
        return self._corner.path / f"{name}.truth"

    def _persona(self, one: Message) -> str:
        return self._personas[one.agent.rpartition("/")[2]]


def _told(one: Message | None) -> str:
    return f"{one.name} to {one.agent} is {one.stage}: {one.reason}" if one else "unknown to hive"


def _fits(one: Message, count: int) -> bool:
    """Whether what hive says of a message is what came of it."""
    if one.stage in ARRIVED:
        return count == 1
    return count == 0 if one.stage is Stage.QUEUED else one.stage is Stage.FAILED


def run(corner: Corner, seed: int, sends: int, agents: int, **how: float) -> Torture:
    """Put so many agents through so many sends, and wait until all is over."""
    personas = tuple(PERSONAS[number % len(PERSONAS)] for number in range(agents))
    one = Torture(corner, seed, personas)
    one.begin()
    eventually(lambda: corner.state.joinpath("hive.db").exists())
    one.send(sends, **how)
    one.settle()
    return one


def check(one: Torture) -> None:
    """Fail with everything that does not hold."""
    print(one.tell())
    found = {name: what for name, what in one.verdict().items() if what}
    assert not found, json.dumps(found, indent=1, default=repr)
