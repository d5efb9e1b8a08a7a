"""Tells people what waits for them: each project by its own rules, seldom, and never twice.

What was told is kept before it is told, so that a hive that is started again tells nothing twice.
What reached nobody is told again a little later; a way that failed says so once, as an event, and
in its next notice how many it has missed.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from hive.adapters import notify
from hive.adapters.errands import Done, Errands
from hive.adapters.notify import Around, Word
from hive.adapters.store import Event, Store
from hive.core import escalation, notices
from hive.core.escalation import Escalation, Way
from hive.core.names import did_you_mean
from hive.core.notices import Memory, Notice
from hive.core.wording import count
from hive.errors import HiveError, WrongInput
from hive.views import VERSION, iso

VERBS = ("bind_escalation", "notices", "notify_test")

RULES = "escalation:"
"""The fact under which a project's rules are kept, as its latest deploy had them."""

TOLD = "told:"
"""The fact under which is kept what a project's people were told."""

LATELY = "notices"
"""The fact under which the latest notices are kept."""

KEPT = 50
"""How many of them."""

LOOK = 10.0
"""Seconds between two looks at what waits."""

AGAIN = 300.0
"""Seconds until it is tried again to tell what reached nobody."""

TEST = "this is a test: so you are told what waits for you"

Record = dict[str, Any]
_Pair = tuple[str, str]

_log = logging.getLogger("hive")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """One notice on its way: what came of each way ("" while that is not known)."""

    project: str
    notice: Notice
    at: float
    before: Memory | None = None
    ways: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def over(self) -> bool:
        return all(self.ways.values())

    def record(self) -> Record:
        """Give it as JSON-ready values."""
        return {
            "time": iso(self.at),
            "project": self.project,
            "text": self.notice.text,
            "command": self.notice.command,
            "ways": [
                {"way": way, "told": bool(how) and way not in self.failed, "how": how}
                for way, how in self.ways.items()
            ],
        }


def minute_of_day(now: float) -> float:
    """Give the local time of day in minutes."""
    local = time.localtime(now)
    return local.tm_hour * 60 + local.tm_min + local.tm_sec / 60


class Herald:
    """All that is told to people outside of hive's commands.

    `items` gives what waits (the inbox's records), `projects` the projects by their agents'
    `team/name`, `sockets` those of the tmux servers in which agents are.
    """

    def __init__(
        self,
        store: Store,
        items: Callable[[], list[Record]],
        *,
        projects: Callable[[], Mapping[str, str]],
        sockets: Callable[[], Collection[str]],
        clock: Callable[[], float] = time.time,
        minute: Callable[[float], float] = minute_of_day,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._store = store
        self._items = items
        self._projects = projects
        self._sockets = sockets
        self._clock = clock
        self._minute = minute
        self._environ = environ
        self._errands = Errands()
        self._rules = {one: _rules(text) for one, text in store.facts(RULES).items()}
        self._memories = {
            one: notices.from_dict(json.loads(text)) for one, text in store.facts(TOLD).items()
        }
        self._lately: list[Record] = json.loads(store.fact(LATELY) or "[]")
        self._under_way: dict[int, _Told] = {}
        self._tests: dict[int, _Told] = {}
        self._number = 0
        self._failing: dict[_Pair, str] = {}
        self._missed: dict[_Pair, int] = {}
        self._rest: dict[str, float] = {}
        self.news: list[Event] = []

    def bind_escalation(self, project: str, rules: Mapping[str, Any]) -> Record:
        """Tell a project's people by these rules from now on: what a deploy asks for."""
        self.bind(project, rules)
        return {"version": VERSION}

    def bind(self, project: str, rules: Mapping[str, Any]) -> None:
        """Tell a project's people by these rules from now on.

        Raises WrongInput for a way that this hive does not know.
        """
        known = escalation.from_dict(rules)
        try:
            named(known.notify)
        except ValueError as error:
            raise WrongInput(f"`notify` {error}", fix="hive deploy") from error
        self._store.note(RULES + project, json.dumps(escalation.to_dict(known)))
        self._rules[project] = known
        self._rest.pop(project, None)

    def step(self, now: float) -> float:
        """Tell what is due; gives the moment of the next step (epoch seconds). Raises HiveError."""
        self.read()
        grouped = self._grouped()
        due = now + LOOK
        for project in sorted({*grouped, *self._memories}):
            if any(one.project == project for one in self._under_way.values()):
                continue  # what came of it decides what is still to be told
            if now < self._rest.get(project, 0.0) <= now + AGAIN:
                continue
            due = min(due, self._decide(project, grouped.get(project, []), now))
        return due

    def fileno(self) -> int:
        """Give the descriptor that is readable while there is something to read."""
        return self._errands.fileno()

    def read(self) -> None:
        """Hear what came of what was told. Raises HiveError where it can't be kept."""
        for done in self._errands.read():
            self._heard(done)
        for number, told in list(self._under_way.items()):
            if told.over:
                self._settle(told)
                del self._under_way[number]

    def close(self) -> None:
        """Give back everything; what is just being told is left alone."""
        self._errands.close()

    def notices(self) -> Record:
        """List what was told lately, the newest first, and how each project's people are told."""
        under_way = [one.record() for one in self._under_way.values()]
        return listed([*self._lately, *under_way], self._rules, self._failing)

    def notify_test(self, project: str = "", number: int = 0) -> Record:
        """Try every way of a project, or of all; with the `number` given, say how far that is."""
        if not number:
            number = self._try(project)
        one = self._tests.get(number)
        if one is None:
            raise WrongInput(f"there is no test {number}", fix="hive notify test")
        return {
            "version": VERSION,
            "number": number,
            "over": one.over,
            "ways": one.record()["ways"],
        }

    def _try(self, project: str) -> int:
        known = sorted({*self._rules, *self._projects().values()})
        if project and project not in known:
            near = did_you_mean(project, known)
            raise WrongInput(f"no project `{project}`{near}", fix="hive notify test")
        rules = [self._rules.get(one, Escalation()) for one in ([project] if project else known)]
        ways = dict.fromkeys(way for one in rules or [Escalation()] for way in one.notify)
        if not ways:
            raise HiveError("nobody is to be told", fix="set `notify` of [escalation] in hive.toml")
        notice = Notice(text=f"{TEST}; {notices.INBOX}", command=notices.INBOX)
        told = _Told(project=project, notice=notice, at=self._clock())
        self._tests = {}  # whoever asked for an earlier one has its answer, or has gone
        return self._send(told, tuple(ways), self._tests)

    def _decide(self, project: str, items: list[Record], now: float) -> float:
        """Tell a project's people what is due; gives when to decide anew."""
        rules = self._rules.get(project, Escalation())
        if not rules.notify:
            return now + LOOK
        before = self._memories.get(project, Memory())
        found = notices.decide(items, before, rules, now, self._minute(now))
        after = found.memory
        if after != before:
            self._remember(project, after)
        if found.notice:
            told = _Told(project=project, notice=found.notice, at=now, before=before)
            self._send(told, rules.notify, self._under_way)
        return now + LOOK if found.due is None else found.due

    def _send(self, told: _Told, ways: Collection[str], among: dict[int, _Told]) -> int:
        """Have it told in each of these ways, in the background; gives its number."""
        self._number += 1
        number = self._number
        among[number] = told
        around = Around(sockets=sorted(self._sockets()), environ=self._environ)
        found = named(ways)
        told.ways.update(dict.fromkeys(found, ""))
        for name, way in found.items():
            word = self._word(told, name)
            self._errands.do((number, name), partial(notify.tell, way, word, around))
        return number

    def _word(self, told: _Told, way: str) -> Word:
        """Put it as this way is to tell it: what failed before it is counted."""
        text, missed = told.notice.text, self._missed.get((told.project, way), 0)
        if missed and told.before is not None:
            text += f" ({count(missed, 'notice')} before did not come through here)"
        record = {
            "version": VERSION,
            "project": told.project,
            "time": iso(told.at),
            "text": text,
            "command": told.notice.command,
            "items": list(told.notice.items),
        }
        title = f"hive: {told.project}" if told.project else "hive"
        return Word(title=title, text=text, record=record)

    def _heard(self, done: Done) -> None:
        """Note what came of one way."""
        if not isinstance(done.key, tuple):
            return
        number, way = done.key
        told = self._under_way.get(number) or self._tests.get(number)
        if told is None:
            return
        told.ways[way] = str(done.value)
        if done.error is not None:
            error = done.error
            told.failed[way] = error.what if isinstance(error, HiveError) else repr(error)
            told.ways[way] = str(error) if isinstance(error, HiveError) else repr(error)
            _log.warning("could not tell by %s: %s", way, told.failed[way])

    def _settle(self, told: _Told) -> None:
        """Write down what came of a notice; what reached nobody is to be told again."""
        project, good = told.project, [way for way in told.ways if way not in told.failed]
        if good:
            lately = [*self._lately, told.record()][-KEPT:]
            self._store.note(LATELY, json.dumps(lately))
            self._lately = lately
            text = f"{project}: by {', '.join(good)}: {told.notice.text}"
            self.news.append(Event(agent="", kind="notice", text=text, at=told.at))
        elif told.before is not None:
            known = self._memories.get(project, Memory())
            self._remember(project, notices.untold(known, told.before, told.notice, told.at))
            self._rest[project] = self._clock() + AGAIN
        for way in told.ways:
            self._judge((project, way), told.failed.get(way, ""), lost=bool(good))

    def _judge(self, key: _Pair, why: str, *, lost: bool) -> None:
        """Say once for each reason that a way failed, and count what was told in others only."""
        if not why:
            self._failing.pop(key, None)
            self._missed.pop(key, None)
            return
        self._missed[key] = self._missed.get(key, 0) + lost
        if self._failing.get(key) != why:
            self._failing[key] = why
            text = f"{key[0]}: could not tell by {key[1]}: {why}"
            self.news.append(Event(agent="", kind="notice", text=text, at=self._clock()))

    def _remember(self, project: str, memory: Memory) -> None:
        self._store.note(TOLD + project, json.dumps(notices.to_dict(memory)))
        self._memories[project] = memory

    def _grouped(self) -> dict[str, list[Record]]:
        """Give what waits by its project; what is of none goes to the first that is told."""
        found: dict[str, list[Record]] = {}
        projects = self._projects()
        known = sorted(set(projects.values()))
        told = [one for one in known if self._rules.get(one, Escalation()).notify]
        for item in self._items():
            project = item.get("project") or projects.get(item["agent"], "")
            project = project or next(iter([*told, *known]), "")
            found.setdefault(project, []).append(item)
        return found


def named(ways: Iterable[str]) -> dict[str, Way]:
    """Give ways by what they are called, each another name."""
    found: dict[str, Way] = {}
    for way in map(escalation.way, ways):
        again = sum(one.shown == way.shown for one in found.values())
        found[f"{way.shown} ({again + 1})" if again else way.shown] = way
    return found


def listed(
    lately: list[Record],
    rules: Mapping[str, Escalation],
    failing: Mapping[_Pair, str] | None = None,
) -> Record:
    """Build the answer to `notices`; `failing` is why, by project and way."""
    why = failing or {}
    return {
        "version": VERSION,
        "notices": lately[::-1],
        "projects": [
            {
                "project": project,
                "ways": [
                    {"way": way, "failing": why.get((project, way), "")}
                    for way in named(known.notify)
                ],
            }
            for project, known in sorted(rules.items())
        ],
    }


def kept(store: Store) -> Record:
    """Give the answer to `notices` from the store alone. Raises HiveError."""
    rules = {one: _rules(text) for one, text in store.facts(RULES).items()}
    return listed(json.loads(store.fact(LATELY) or "[]"), rules)


def _rules(text: str) -> Escalation:
    return escalation.from_dict(json.loads(text))
