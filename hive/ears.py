"""What is heard of every conversation: hooks and reports as they come, records, titles, screens.

A line belongs to one launch of one agent. Whatever says something about it is a sign; `judge`
says what all signs amount to. Times are epoch seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from hive.adapters.aider_records import AiderRecords
from hive.adapters.claude_records import ClaudeRecords
from hive.adapters.codex_records import CodexRecords
from hive.adapters.gemini_records import GeminiRecords
from hive.adapters.opencode import OpencodeRecords
from hive.adapters.spool import Spool
from hive.adapters.tail import stamp
from hive.adapters.typist import Typist
from hive.core import budget, judge, screens
from hive.core.profile import Profile
from hive.core.screens import Look
from hive.core.signs import Ask, Condition, Ear, Glimpse, Sign, Source, Turn
from hive.core.spec import Agent
from hive.core.stall import Step, Watch
from hive.core.talk import Talk
from hive.core.world import Memory, Tree, Verdict

AGAIN = 2.0
"""Seconds after which everything is read and judged again, though nothing seems to have changed."""

SETTLED = 1.0
"""Seconds after a change in which a reader is asked again: some wait for more before they tell."""

_NO_TREE = Tree()

SCREENS = 5.0
"""Seconds between two looks at the screen of an agent that works and tells so itself."""


class Records(Protocol):
    """What a program writes down of its conversation."""

    def read(self, now: float, *, pids: Collection[int], session: str) -> tuple[Sign, ...]: ...  # noqa: D102
    def files(self) -> tuple[str, ...]: ...  # noqa: D102
    def close(self) -> None: ...  # noqa: D102


READERS: dict[
    str, type[AiderRecords | ClaudeRecords | CodexRecords | GeminiRecords | OpencodeRecords]
] = {
    "aider": AiderRecords,
    "claude": ClaudeRecords,
    "codex": CodexRecords,
    "gemini": GeminiRecords,
    "opencode": OpencodeRecords,
}


@dataclass(slots=True, kw_only=True)
class Line:
    """One launch of a voice, and what was heard of it until now.

    `begun` is when this hive first looked at it. `moved` is when its screen last changed in more
    than its spinner, `masked` that screen. `used` is the processor time of what its program started
    itself, in seconds (None: not looked), `ran` when that last grew. `wrote` is when it last wrote
    to a disk. `stamp`, `changed` and `read`
    are of its records' files, `known` and `judged` of what it was judged by, and when.
    """

    spec: Agent
    profile: Profile
    memory: Memory
    folder: Path
    records: Records | None
    spool: Spool
    ear: Ear
    condition: Condition
    glimpse: Glimpse = field(default_factory=Glimpse)
    look: Look | None = None
    watch: Watch = field(default_factory=Watch)
    screened: float = 0.0
    masked: str = ""
    moved: float = 0.0
    pids: frozenset[int] = frozenset()
    stamp: tuple[object, ...] = ()
    changed: float = 0.0
    read: float = 0.0
    judged: float = 0.0
    known: tuple[object, ...] = ()
    begun: float = 0.0
    used: float | None = None
    ran: float = 0.0
    wrote: float = 0.0

    @property
    def launch(self) -> str:
        """The launch it is of."""
        return self.memory.launch


class Ears:
    """The lines of all voices that run."""

    def __init__(self, typist: Typist, folder: Callable[[str], Path]) -> None:
        self._typist = typist
        self._folder = folder
        self.lines: dict[str, Line] = {}

    def follow(
        self,
        running: Mapping[str, tuple[Agent, Memory]],
        talks: Mapping[str, Talk],
        environ: Callable[[Agent, str], Mapping[str, str]],
        asked: Callable[[str], Mapping[str, tuple[Ask, float]]],
    ) -> None:
        """Have a line to each of these agents' launches, and to nobody else.

        `asked` is what each launch waits for since before hive was started again, and since when.
        """
        for agent, line in list(self.lines.items()):
            if agent not in running or running[agent][1].launch != line.launch:
                if line.records:
                    line.records.close()
                del self.lines[agent]
        for agent, (spec, memory) in running.items():
            if spec.voice is None:
                continue
            known = self.lines.get(agent)
            line = known or self._begun(spec, memory, talks.get(agent), environ)
            if known is None:
                asks = asked(line.launch)
                line.ear = replace(
                    line.ear,
                    asks={key: ask for key, (ask, _) in asks.items()},
                    asked={key: at for key, (_, at) in asks.items()},
                )
            line.spec, line.memory, line.profile = spec, memory, spec.voice.profile
            self.lines[agent] = line

    def _begun(
        self,
        spec: Agent,
        memory: Memory,
        talk: Talk | None,
        environ: Callable[[Agent, str], Mapping[str, str]],
    ) -> Line:
        if spec.voice is None:
            raise ValueError(f"a plain program says nothing: {spec.id}")
        profile, launch = spec.voice.profile, memory.launch
        same = talk is not None and talk.launch == launch
        folder = self._folder(launch)
        kind = READERS.get(profile.records)
        env = {**environ(spec, launch), "HIVE_FOLDER": str(folder)}
        records = kind(launch, env, spec.directory, memory.began) if kind else None
        return Line(
            spec=spec,
            profile=profile,
            memory=memory,
            folder=folder,
            records=records,
            spool=Spool(folder / "spool"),
            ear=_known(talk) if talk and same else Ear(launch=launch),
            condition=talk.condition if talk and same else Condition(launch=launch),
            moved=memory.began,
            watch=remembered(talk) if talk else Watch(),
        )

    def look(self, trees: Mapping[str, Tree], now: float) -> None:
        """See every line's pane and processes, and the screens that may say something new."""
        for agent, line in self.lines.items():
            line.begun = line.begun or now
            _counted(line, trees.get(agent, _NO_TREE), now)
        for socket in {line.memory.socket for line in self.lines.values()}:
            glimpses = self._typist.glimpses(socket)
            lines = {
                line.memory.pane: line
                for line in self.lines.values()
                if line.memory.socket == socket
            }
            for pane, line in lines.items():
                glimpse = glimpses.get(pane)
                if glimpse and glimpse.launch == line.launch:
                    line.glimpse = glimpse
            wanted = [pane for pane, line in lines.items() if _is_due(line, now)]
            shown = self._typist.screens(socket, wanted) if wanted else {}
            for pane, rows in shown.items():
                self._screened(lines[pane], rows, now)

    def _screened(self, line: Line, rows: list[str], now: float) -> None:
        line.screened = now
        line.look = screens.read(rows, line.profile)
        masked = screens.masked(rows)
        if masked != line.masked:  # what was there at the first look has not moved
            line.moved = now if line.masked else line.moved
            line.masked = masked

    def take(self, agent: str, signs: Iterable[Sign]) -> bool:
        """Hear signs of an agent; gives whether there is a line to it."""
        line = self.lines.get(agent)
        for sign in signs if line else ():
            if line:
                line.ear = judge.hear(line.ear, sign)
        return line is not None

    def listen(self, now: float) -> None:
        """Read what the programs have written down since the last time."""
        for line in self.lines.values():
            if line.records and _has_news(line, line.records, now):
                for sign in line.records.read(now, pids=line.pids, session=line.ear.session):
                    line.ear = judge.hear(line.ear, sign)

    def judge(self, now: float) -> set[str]:
        """Say how every conversation stands; gives the agents for whom that has changed."""
        changed = set()
        for agent, line in self.lines.items():
            known = (line.ear, line.glimpse, line.look)
            same = all(one is other for one, other in zip(known, line.known, strict=False))
            if line.known and same and 0 <= now - line.judged < AGAIN:
                continue
            line.known, line.judged = known, now
            before = line.condition
            line.condition = judge.judge(
                line.ear,
                line.glimpse,
                line.look,
                line.profile,
                now,
                before,
                started=line.memory.began,
            )
            if _told(before) != _told(line.condition):
                changed.add(agent)
        return changed

    def close(self) -> None:
        """Give back every reader."""
        for line in self.lines.values():
            if line.records:
                line.records.close()


def _has_news(line: Line, records: Records, now: float) -> bool:
    """Whether its reader is to be asked: its files have changed, or not long ago."""
    found = stamp(records.files())
    if found != line.stamp:
        line.stamp, line.changed = found, now
    quiet = found and not 0 <= now - line.changed < SETTLED
    if quiet and 0 <= now - line.read < AGAIN:
        return False
    line.read = now
    return True


def _counted(line: Line, tree: Tree, now: float) -> None:
    """Take in its processes: what the program itself started, and whether that ran."""
    line.pids = frozenset(process.pid for process in tree.current)
    own = {line.memory.pid} | {one.pid for one in tree.current if one.parent == line.memory.pid}
    used = sum(one.cpu for one in tree.current if one.pid not in own)
    if line.used is not None and used > line.used:
        line.ran = now
    line.used = used


def _known(talk: Talk) -> Ear:
    """Give what was heard of a launch and can't be heard again: what it reported of itself."""
    one = talk.condition
    ear = Ear(launch=talk.launch, session=talk.session)
    if one.source is not Source.REPORT or one.turn is None:
        return ear
    sign = Sign(
        launch=talk.launch, source=one.source, at=one.since, turn=one.turn, sub=one.sub,
        text=one.text,
    )  # fmt: skip
    return judge.hear(ear, sign)


def remembered(talk: Talk) -> Watch:
    """Give how far hive had gone against a stall, as it was last written."""
    return Watch(step=Step(talk.step), at=talk.stepped, why=talk.why, restarted=talk.restarted)


def talked(before: Talk, line: Line) -> Talk:
    """Give what is to be remembered of a conversation."""
    one, ear = line.condition, line.ear
    session = ear.session or before.session
    watch = line.watch
    return replace(
        before,
        launch=line.launch,
        session=session,
        taken=before.taken or bool(ear.heard),
        turn=one.turn.value if one.turn else "",
        sub=one.sub,
        text=one.text,
        source=one.source.value,
        since=one.since,
        until=one.until,
        tokens=max(before.tokens, ear.tokens),
        spent=budget.counted(before.spent, session, ear.cost),
        step=watch.step.value,
        stepped=watch.at,
        why=watch.why,
        restarted=watch.restarted,
    )


def verdict(line: Line) -> Verdict:
    """Say whether a voice has come up; what waits for a person has not."""
    one = line.condition
    if one.launch != line.launch or one.turn is None:
        return Verdict(good=None, why=one.text)
    good = one.turn in {Turn.READY, Turn.WORKING}
    what = f"{one.sub}: {one.text}" if one.sub else one.text
    return Verdict(good=good, why=what, since=max(one.since, line.memory.began))


def _told(one: Condition) -> tuple[object, ...]:
    return (one.launch, one.turn, one.sub, one.text, one.source, one.until, one.closed)


def _is_due(line: Line, now: float) -> bool:
    """Whether its screen may show something that was not seen yet."""
    if line.glimpse.dead or not line.glimpse.pane:
        return False
    if line.glimpse.output + 1.0 < line.screened:  # tmux tells whole seconds
        return False
    busy = line.profile.tells and line.condition.turn is Turn.WORKING
    return not busy or now - line.screened >= SCREENS
