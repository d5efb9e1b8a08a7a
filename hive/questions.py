"""When each agent is asked how it is, and what its answers amount to.

A `ready` probe is asked often until its agent is ready, then at its interval; an `alive` probe
only from then on. There is never more than one open question of a probe. Answers and histories
belong to one launch: with the next launch they start afresh.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace

from hive.adapters.probes import Key, Probes
from hive.core.health import History
from hive.core.spec import Agent, Probe
from hive.core.trees import AGENT, LAUNCH
from hive.core.world import Verdict

FIRST = 0.2
GROWTH = 1.5
"""An agent that starts is asked after `FIRST` seconds, then after `GROWTH` times as many."""

READY = "ready"
ALIVE = "alive"

Screens = Callable[[Collection[str]], Mapping[str, list[str]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """One probe of one launch: when it was last asked, and after how many seconds it is again."""

    launch: str
    probe: Probe
    history: History
    asked: float = 0.0
    gap: float = 0.0
    pending: bool = False

    def due(self, now: float) -> bool:
        """Whether to ask now; also where the clock was set back to before the last question."""
        return not self.pending and not self.asked <= now < self.asked + self.gap


class Questions:
    """Asks running agents what their probes ask, and remembers what they said.

    `environ` gives a probe's command its whole environment, by agent and launch.
    """

    def __init__(self, probes: Probes) -> None:
        self._probes = probes
        self._lines: dict[Key, _Line] = {}
        self.environ: Callable[[Agent, str], Mapping[str, str]] = _own

    def due(
        self,
        agents: Mapping[str, Agent],
        launches: Mapping[str, str],
        now: float,
        screens: Screens,
        *,
        ready: Collection[str],
    ) -> None:
        """Ask what is due of these running agents, and forget all others.

        `ready` are the agents that were ready once in this launch. `screens` is asked at most
        once, and only for agents whose probe looks at the screen; one it cannot show is not
        asked, and tried again at the next time.
        """
        self._lines = {
            (agent, kind): self._line((agent, kind), probe, launches[agent])
            for agent, spec in agents.items()
            if agent in launches
            for kind, probe in _wanted(spec, agent in ready)
        }
        asking = [key for key, line in self._lines.items() if line.due(now)]
        looked = {key[0] for key in asking if self._lines[key].probe.kind == "screen"}
        shown = screens(looked) if looked else {}
        for key in asking:
            self._ask(key, agents[key[0]], now, shown, settled=key[0] in ready)

    def read(self, now: float) -> None:
        """Take in the answers that came; those to an earlier launch count for nothing."""
        for answer in self._probes.read():
            line = self._lines.get(answer.key)
            if line is not None and line.launch == answer.launch and line.pending:
                history = line.history.heard(answer.good, answer.why, now)
                self._lines[answer.key] = replace(line, history=history, pending=False)

    def verdicts(self) -> tuple[dict[str, Verdict], dict[str, Verdict]]:
        """Give what is known of each agent that is asked: whether ready, whether alive."""
        found: dict[str, dict[str, Verdict]] = {READY: {}, ALIVE: {}}
        for (agent, kind), line in self._lines.items():
            found[kind][agent] = line.history.verdict
        return found[READY], found[ALIVE]

    def next(self, now: float) -> float | None:
        """Give the moment the next question is due, now at the earliest; None without any.

        A question that is open is not counted: its answer wakes the supervisor.
        """
        moments = [
            now if line.due(now) else line.asked + line.gap
            for line in self._lines.values()
            if not line.pending
        ]
        return min(moments, default=None)

    def _line(self, key: Key, probe: Probe, launch: str) -> _Line:
        """Give the probe's line as it was, or a new one for a new launch or a changed probe.

        A changed probe waits until what the old one asked is answered.
        """
        line = self._lines.get(key)
        if line and line.launch == launch and (line.probe == probe or line.pending):
            return line
        history = History(threshold=probe.threshold)
        return _Line(launch=launch, probe=probe, history=history)

    def _ask(
        self,
        key: Key,
        spec: Agent,
        now: float,
        shown: Mapping[str, list[str]],
        *,
        settled: bool,
    ) -> None:
        line = self._lines[key]
        probe = line.probe
        hurry = key[1] == READY and not settled and line.history.verdict.good is not True
        gap = min(probe.interval, max(FIRST, line.gap * GROWTH)) if hurry else probe.interval
        screen = shown.get(key[0])
        unseen = probe.kind == "screen" and screen is None
        self._lines[key] = replace(line, asked=now, gap=gap, pending=not unseen)
        if not unseen:
            environment = self.environ(spec, line.launch)
            self._probes.ask(key, probe, spec, environment, screen, line.launch)


def _wanted(spec: Agent, settled: bool) -> Iterator[tuple[str, Probe]]:
    """Give the probes to ask: that a program works is only asked once it is ready."""
    if spec.ready:
        yield READY, spec.ready
    if spec.alive and (settled or not spec.ready):
        yield ALIVE, spec.alive


def _own(spec: Agent, _launch: str) -> Mapping[str, str]:
    """Give this process's environment, but for its tag, and the agent's own variables."""
    kept = {name: text for name, text in os.environ.items() if name not in {AGENT, LAUNCH}}
    return kept | dict(spec.env)
