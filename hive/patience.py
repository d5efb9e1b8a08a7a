"""How long hive lets an agent be: stalls and their ladder, usage limits, budgets, unproven briefs.

All that is decided here is remembered, so that a restart of hive forgets no step that was taken.
Times are epoch seconds.
"""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from hive.adapters.itself import command
from hive.adapters.store import Event, Store
from hive.adapters.typist import Typist
from hive.core import budget, parking, stall
from hive.core.amounts import dollars
from hive.core.limits import Ceiling
from hive.core.messages import Request, Stage
from hive.core.parking import Parked
from hive.core.profile import Profile
from hive.core.signs import Sub, Turn
from hive.core.stall import Life, Step, Watch
from hive.core.talk import Talk
from hive.core.world import Use
from hive.ears import Line
from hive.errors import HiveError, WrongInput

PARKED = "parked:"
"""The fact under which an account's usage limit is kept."""

GRANTED = "granted:"
"""The fact under which is kept what a person allowed on top of a project's budget, in dollars."""

BUDGET = "budget:"
"""How the key of the request begins that asks for more budget."""

MEASURED = 5.0
"""Seconds in which it comes out how busy the agents are that ran before this hive."""

GO_ON = "Your usage limit is over. Go on where you were."

_BACK_ON = "it is let go on: its usage limit is over"
_WITH_PERSON = "waits for a person: `hive attach` shows it"
_NEXT = {
    Step.LOOK: "nudges it",
    Step.NUDGE: "interrupts it",
    Step.INTERRUPT: "restarts it with its conversation",
    Step.RESTART: "gives it to a person",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What is known beside the conversations themselves, for one moment.

    `briefs` is when each agent's brief was given that has no answer yet, `asking` are the launches
    that wait for a person's answer, `asked` the keys of all that is asked, `ceilings` what each
    project's agents may use together. `paused` is until when a person had each agent paused: now,
    where that still is so.
    """

    uses: Mapping[str, Use]
    talks: Mapping[str, Talk]
    briefs: Mapping[str, float]
    asking: frozenset[str]
    asked: frozenset[str]
    ceilings: Mapping[str, Ceiling]
    paused: Mapping[str, float] = field(default_factory=dict)


class Says(Protocol):
    """Has hive itself say something to an agent, or takes that back while it waits."""

    def note(self, agent: str, text: str, lines: Mapping[str, Line], now: float) -> None: ...  # noqa: D102
    def recall(  # noqa: D102
        self, agent: str, texts: Collection[str], why: str, now: float, stages: Collection[Stage]
    ) -> None: ...
    def interrupt(self, agent: str, line: Line) -> bool: ...  # noqa: D102


class Asks(Protocol):
    """Puts something to a person, or closes what nobody needs an answer to."""

    def ask(self, new: Request) -> Request: ...  # noqa: D102
    def close(self, key: str, why: str, now: float) -> None: ...  # noqa: D102


class Patience:
    """What hive holds against agents, and what it does about it.

    `missed` is why agents did not answer their latest check-in, and when that was: a nudge was in
    vain.
    """

    def __init__(
        self,
        store: Store,
        typist: Typist,
        outbox: Says,
        requests: Asks,
    ) -> None:
        self._store = store
        self._typist = typist
        self._outbox = outbox
        self._requests = requests
        facts = {account: json.loads(text) for account, text in store.facts(PARKED).items()}
        self._parked = {account: parking.from_dict(one) for account, one in facts.items()}
        self._cut = {account: set(one.get("cut", ())) for account, one in facts.items()}
        self._taken: list[tuple[str, Watch]] = []
        self._granted = {name: float(text) for name, text in store.facts(GRANTED).items()}
        self._doubts: dict[str, str] = {}
        self._next: dict[str, tuple[str, float | None]] = {}
        self._steps: dict[str, Step] = {}
        self._closed: dict[str, str] = {}
        self.ends: dict[str, str] = {}
        self.missed: Mapping[str, tuple[str, float]] = {}
        self.news: list[Event] = []

    def closed(self, agent: str) -> str:
        """Say why an agent is to be given nothing now; "" where it may."""
        return self._closed.get(agent, "")

    def doubt(self, agent: str) -> tuple[str, str, tuple[str, float | None] | None]:
        """Give why it is not to be taken for healthy, the latest step, and what is next."""
        step = self._steps.get(agent, Step.NONE)
        return self._doubts.get(agent, ""), step.value, self._next.get(agent)

    def watch(self, lines: Mapping[str, Line], around: Around, now: float) -> None:
        """Look at every conversation, and take the steps that are due."""
        self.ends = {}
        self._doubts, self._next, self._steps = {}, {}, {}
        for agent, line in lines.items():
            self._stalls(agent, line, around, now)
            self._unproven(agent, line, around, now)
        closed: dict[str, str] = {}
        self._park(lines, now)
        for account in list(self._parked):
            closed |= self._let_go(account, lines, around.paused, now)
        closed |= self._budgets(lines, around, now)
        self._closed = closed

    # stalls

    def _stalls(self, agent: str, line: Line, around: Around, now: float) -> None:
        life = _life(line, around.uses.get(agent), now)
        life = replace(life, began=max(life.began, around.paused.get(agent, 0.0)))
        before = line.watch
        asked = line.launch in around.asking
        line.watch = stall.decide(line.profile, before, line.condition, life, now, asked=asked)
        step = line.watch.step
        if step is Step.RESTART and line.memory.began < line.watch.at:  # until it has been done
            self.ends[agent] = f"no progress: {line.watch.why}"
        if step is not Step.NONE:
            self._doubts[agent] = f"no progress: {line.watch.why}"
            self._steps[agent] = step
            text = _NEXT.get(step, _WITH_PERSON)
            self._next[agent] = (text, stall.outlook(line.profile.stall, line.watch))
        elif self._missing(agent, line):
            self._doubts[agent] = self.missed[agent][0]
            self._steps[agent] = Step.PERSON  # to ask it in words was the nudge
            self._next[agent] = (_WITH_PERSON, None)
        if step is not before.step:
            self._taken.append((agent, before))

    def _missing(self, agent: str, line: Line) -> bool:
        """Whether it did not answer its latest check-in, and has not worked since."""
        _, at = self.missed.get(agent, ("", math.inf))
        one = line.condition
        return one.turn is Turn.READY and max(one.worked, line.ear.ended) <= at < math.inf

    def act(self, lines: Mapping[str, Line], now: float) -> None:
        """Take the steps against stalls that are due.

        That they are taken is written down before: what is lost then the next step makes good.
        """
        taken, self._taken = self._taken, []
        for agent, before in taken:
            if agent in lines:
                self._take(agent, lines[agent], before, lines, now)

    def _take(
        self, agent: str, line: Line, before: Watch, lines: Mapping[str, Line], now: float
    ) -> None:
        step, text = line.watch.step, nudge(line.profile)
        interrupted = step is Step.NONE and line.condition.sub == Sub.INTERRUPTED
        if step is not Step.NONE:
            self._tell(agent, "stall", f"{step.value}: {line.watch.why}", now)
        elif interrupted:
            self._tell(agent, "stall", "it was interrupted, and is asked to go on", now)
        else:
            self._tell(agent, "stall", f"it goes on ({before.step.value})", now)
        if step is Step.NUDGE or interrupted:
            self._outbox.note(agent, text, lines, now)
        else:
            self._outbox.recall(agent, [text], "it comes too late", now, [Stage.QUEUED])
        if step is Step.INTERRUPT:
            self.interrupt(agent, line, now)

    def interrupt(self, agent: str, line: Line, now: float) -> None:
        """Have an agent end what it is doing: as it is posted to, or by its keys."""
        if self._outbox.interrupt(agent, line):
            return
        memory, keys = line.memory, line.profile.stall.interrupt
        try:
            why = self._typist.keys(memory.socket, memory.pane, line.launch, keys)
        except HiveError as error:
            why = error.what
        if why:
            self._tell(agent, "stall", f"could not be interrupted: {why}", now)

    def _unproven(self, agent: str, line: Line, around: Around, now: float) -> None:
        """Doubt an agent that has a brief and shows no work."""
        paused, briefed = around.paused.get(agent, 0.0), around.briefs.get(agent, 0.0)
        if agent in self._doubts or line.condition.turn in {None, Turn.WAITING, Turn.LIMITED}:
            return
        worked = max(line.condition.worked, line.ear.ended)
        moved = 0.0 if line.profile.tells else line.moved
        doubt = stall.unproven(briefed, worked, now, moved=moved)
        if doubt and paused < now:  # time in which it was paused proves nothing
            self._doubts[agent] = stall.unproven(max(briefed, paused), worked, now, moved=moved)

    # usage limits

    def _park(self, lines: Mapping[str, Line], now: float) -> None:
        """Park the account of everyone who has met a usage limit."""
        for agent, line in lines.items():
            one, account = line.condition, _account(line)
            cut = self._cut.setdefault(account, set())
            if one.turn is not Turn.LIMITED or one.sub != Sub.USAGE:
                continue
            if agent in cut and one.until <= now:  # it is known, but for a reset told only now
                continue
            known = self._parked.get(account)
            after = parking.park(known, account, now, until=one.until, why=one.text)
            if after != known or agent not in cut:
                cut.add(agent)
                self._keep(account, after)
            if after != known:
                self._tell(agent, "limited", f"account `{account}` is parked: {after.why}", now)

    def _let_go(
        self, account: str, lines: Mapping[str, Line], paused: Mapping[str, float], now: float
    ) -> dict[str, str]:
        """Let agents of an account go on, one after the other; gives why the others wait.

        One that is paused keeps none of them waiting, and goes on when it is resumed.
        """
        all_ = {agent: line for agent, line in lines.items() if _account(line) == account}
        mine = {agent: line for agent, line in all_.items() if paused.get(agent, 0.0) < now}
        known, waiting = self._parked[account], self._cut.setdefault(account, set())
        cut = [agent for agent in mine if agent in waiting]
        worked = {agent for agent, line in mine.items() if line.condition.worked > known.last > 0}
        after, freed = parking.let_go(known, cut or list(mine)[:1], worked, now)
        if freed in waiting:
            waiting.discard(freed)
            self._tell(freed, "limited", _BACK_ON, now)
            self._outbox.note(freed, GO_ON, lines, now)
        if after is None:
            for agent in all_.keys() & waiting:
                self._outbox.note(agent, GO_ON, lines, now)
        if after != known:
            self._keep(account, after)
        if after is None:
            return {}
        held = {agent: parking.holds(after, agent) for agent in mine}
        return {agent: why for agent, why in held.items() if why}

    def _keep(self, account: str, parked: Parked | None) -> None:
        if parked is None:
            self._parked.pop(account, None)
            self._cut.pop(account, None)
            self._store.strike(PARKED + account)
        else:
            self._parked[account] = parked
            known = {**parking.to_dict(parked), "cut": sorted(self._cut[account])}
            self._store.note(PARKED + account, json.dumps(known))

    # budgets

    def _budgets(self, lines: Mapping[str, Line], around: Around, now: float) -> dict[str, str]:
        """Close agents of a project whose budget is used up, and ask for more once."""
        closed: dict[str, str] = {}
        for project, ceiling in around.ceilings.items():
            prefix = f"{project}/"
            costs = [one.spent for name, one in around.talks.items() if name.startswith(prefix)]
            granted = self._granted.get(project, 0.0)
            why = budget.used_up(budget.total(costs), ceiling.budget, granted)
            mine = [agent for agent in lines if agent.startswith(prefix)]
            closed |= dict.fromkeys(mine if why else (), why)
            key = f"{BUDGET}{project}"
            if why and mine and key not in around.asked:
                self._ask_for_more(key, mine[0], why, now)
            elif not why and key in around.asked:
                self._requests.close(key, "there is more budget by now", now)
        return closed

    def _ask_for_more(self, key: str, agent: str, why: str, now: float) -> None:
        asked = f"{why}. Answer with what they may cost on top, such as $10"
        self._requests.ask(
            Request(number=0, kind="question", agent=agent, launch="", asked=asked, at=now, key=key)
        )

    def grant(self, key: str, more: float, now: float) -> None:
        """Allow a project so many dollars more."""
        project = key.removeprefix(BUDGET)
        self._granted[project] = self._granted.get(project, 0.0) + more
        self._store.note(GRANTED + project, str(self._granted[project]))
        self._tell("", "budget", f"`{project}` may cost ${more:,.2f} on top", now)

    def _tell(self, agent: str, kind: str, text: str, now: float) -> None:
        self.news.append(Event(agent=agent, kind=kind, text=text, at=now))


def granted(text: str) -> float:
    """Read what a person grants, in dollars. Raises WrongInput for what is no amount."""
    try:
        return dollars(text.strip())
    except ValueError as error:
        raise WrongInput(f"the amount {error}", fix='hive answer Q… "$10"') from None


def nudge(profile: Profile) -> str:
    """Give what an agent of this profile is asked that seems to stand still."""
    return profile.stall.nudge.replace("{hive}", shlex.join(command()))


def _account(line: Line) -> str:
    return line.spec.voice.account if line.spec.voice else ""


def _life(line: Line, use: Use | None, now: float) -> Life:
    """Give when each signal of progress was last seen.

    Of what is quiet for as long as hive looks nobody knows when it was busy.
    """
    condition, ear = line.condition, line.ear
    quiet = use.quiet_since if use else line.begun
    busy = 0.0 if 0 < quiet <= line.begun + MEASURED else quiet or now
    return Life(
        began=max(condition.since, line.memory.began),
        worked=max(condition.worked, ear.worked),
        grown=ear.grown,
        moved=line.moved,
        wrote=line.wrote,
        ran=line.ran,
        busy=busy,
        calls=ear.calls,
    )
