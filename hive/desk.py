"""The verbs by which people and agents talk: messages, requests, reports, hooks, locks.

An agent can only speak for itself: `me` says who asks, and its seal proves it. What an agent asks
for comes with an id of its own (`uid`): asked again, it is not done again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from hive import letters
from hive.adapters import seal
from hive.adapters.zones import zone
from hive.conversations import Conversations
from hive.core.delivery import clean
from hive.core.messages import PERSON, Message, Request, Stage, parsed
from hive.core.names import did_you_mean
from hive.core.signs import Sign, Source, Sub, Turn
from hive.core.spec import Agent
from hive.core.wirings import signs
from hive.core.world import Memory, Wanted
from hive.errors import HiveError, WrongInput

LONGEST = 1 << 20
"""The longest message, in characters."""

REPORTS = {"working": Turn.WORKING, "blocked": Turn.WAITING, "done": None}
"""What an agent may report of itself, and whose turn it then is (None: that does not change)."""

Me = Mapping[str, str]
Record = dict[str, Any]


class Team(Protocol):
    """What the desk must know of the agents."""

    @property
    def wanted(self) -> Mapping[str, Wanted]: ...  # noqa: D102
    @property
    def memory(self) -> Mapping[str, Memory]: ...  # noqa: D102


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Everything that is said to agents and by them.

    `chosen` gives the agents (ids) that names mean, `records` what is known of all agents and
    teams, `caller` the agent whose process asks ("" for a person's), `work` what of the work waits
    for a person.
    """

    root: Path
    team: Team
    talks: Conversations
    chosen: Callable[[Sequence[str]], list[str]]
    records: Callable[[], tuple[list[Record], list[Record]]]
    clock: Callable[[], float]
    caller: Callable[[], str] = lambda: ""
    work: Callable[[], list[Record]] = list

    def send(
        self,
        names: Sequence[str],
        text: str,
        uid: str = "",
        me: Me | None = None,
    ) -> Record:
        """Queue a message for each of these agents, and give their receipts."""
        sender = self.who(me).short if me else PERSON
        known = self.talks.post.answered(uid) if uid else None
        if known is None:
            return letters.sent(self.talks.send(self._messages(names, text, sender), uid))
        found = [self.talks.post.message(number) for number in known["messages"]]
        return letters.sent([one for one in found if one])

    def _messages(self, names: Sequence[str], text: str, sender: str) -> list[Message]:
        text, now = clean(text), self.clock()
        if not text.strip():
            raise WrongInput("the message is empty", fix='hive send AGENT "TEXT"')
        if len(text) > LONGEST:
            what = f"the message has {len(text)} characters, more than {LONGEST}"
            raise WrongInput(what, fix="put it into a file, and send its path")
        if not names:
            raise WrongInput("no agent is named", fix="`hive status` lists them")
        agents = self.chosen(names)
        for agent in agents:
            self._hears(self.team.wanted[agent].agent, alone=len(agents) == 1)
        able = [agent for agent in agents if self._takes(agent)]
        if not able:
            raise HiveError(
                f"none of {', '.join(names)} takes messages",
                fix='set `profile` of an agent ("generic" suits any program that reads lines)',
            )
        return [
            Message(number=0, agent=agent, sender=sender, text=text, created=now, since=now)
            for agent in able
        ]

    def _takes(self, agent: str) -> bool:
        wanted = self.team.wanted[agent]
        return wanted.agent.voice is not None and not wanted.removed

    def _hears(self, agent: Agent, *, alone: bool) -> None:
        """Refuse a message that one agent alone could never get."""
        if alone and self.team.wanted[agent.id].removed:
            what = f"`{agent.short}` is being removed: it is no longer in the file"
            raise HiveError(what, fix="put it back into the file, and `hive deploy`")
        if alone and not self._takes(agent.id):
            raise HiveError(
                f"`{agent.short}` is a plain program: hive types nothing into it",
                fix='set its `profile` ("generic" suits any program that reads lines)',
            )

    def message(self, name: str) -> Record:
        """Tell a message's whole story."""
        one = self._message(name)
        following = letters.outlook(one, self.talks.closed(one.agent), self.talks.patient(one))
        return letters.story(one, self.talks.post.story(one.number), following)

    def withdraw(self, name: str) -> Record:
        """Take back a message that was not typed yet."""
        return letters.sent([self.talks.outbox.withdraw(self._message(name), self.clock())])

    def inbox(self) -> Record:
        """Tell what waits for a person."""
        post = self.talks.post
        failed = post.messages(stages=[Stage.FAILED.value], limit=50)
        agents, teams = self.records()
        items = letters.items(post.requests(), failed, agents, teams)
        return letters.inbox([*items, *self.work()])

    def decide(self, name: str, allow: bool, text: str = "") -> Record:
        """Allow or deny exactly what an approval shows."""
        self.person()
        one = self._request(name, "approval")
        now = self.clock()
        return letters.decided(self.talks.decide(one, allow=allow, text=text, now=now))

    def answer(self, name: str, text: str) -> Record:
        """Answer an agent's question; the answer goes to it as a message."""
        self.person()
        one = self._request(name, "question")
        if not text.strip():
            raise WrongInput("the answer is empty", fix=f'hive answer {name} "TEXT"')
        after = self.talks.answer_to(one, clean(text), self.clock())
        begins = f"Answer to {one.name} ("  # as `answer_to` writes it
        said = [it for it in self.talks.outbox.of(one.agent) if it.text.startswith(begins)]
        return letters.decided(after, said)

    def person(self) -> None:
        """Refuse what an agent's process asks for: only a person may answer for a person."""
        agent = self.caller()
        if agent:
            short = agent.split("/", 1)[1]
            what = f"`{short}` is an agent: what is asked of a person is answered by a person"
            raise WrongInput(what, fix="end your turn: the answer comes as a message")

    def request(self, name: str) -> Record:
        """Tell all of a request."""
        return letters.decided(self._request(name, ""))

    def report(self, state: str, text: str, me: Me, uid: str = "") -> Record:  # noqa: ARG002 - a report twice is one
        """Hear how an agent says it is."""
        agent = self.who(me)
        if state not in REPORTS:
            near = did_you_mean(state, REPORTS)
            raise WrongInput(f"no state `{state}`{near}", fix=f"one of {', '.join(REPORTS)}")
        blocked = state == "blocked"
        self.talks.hear(
            agent.id,
            [
                Sign(
                    launch=me["launch"],
                    source=Source.REPORT,
                    at=self.clock(),
                    turn=REPORTS[state],
                    sub=Sub.BLOCKED if blocked else "",
                    text=f"it reports `{state}`{f': {text}' if text else ''}",
                    worked=not blocked,
                )
            ],
        )
        self.talks.say(agent.id, "report", f"{state}{f': {text}' if text else ''}", self.clock())
        return {}

    def hook(
        self,
        event: str,
        payload: Mapping[str, Any],
        me: Me,
        uid: str = "",  # noqa: ARG002 - a hook twice is one
        at: float = 0.0,
    ) -> Record:
        """Hear what a program's hook tells, and say what it is to print.

        `at` is when it was told, where that was not now.
        """
        agent = self.who(me)
        wiring = agent.voice.profile.wiring if agent.voice else ""
        where = zone(dict(agent.env))
        found = signs(wiring, event, payload, me["launch"], at or self.clock(), where)
        self.talks.hear(agent.id, found)
        return self.talks.hooked(agent.id, event, found, self.clock())

    def ask_human(self, text: str, options: Sequence[str], me: Me, uid: str = "") -> Record:
        """Put an agent's question to a person."""
        agent = self.who(me)
        if not text.strip():
            raise WrongInput("the question is empty", fix='hive ask "QUESTION"')
        asked = clean(text) + (f" [{' | '.join(options)}]" if options else "")
        new = Request(
            number=0, kind="question", agent=agent.id, launch=me["launch"], asked=asked,
            at=self.clock(),
        )  # fmt: skip
        known = self.talks.post.answered(uid) if uid else None
        return dict(known) if known else {"request": self.talks.requests.ask(new, uid).name}

    def reply(self, request: str, me: Me) -> Record:
        """Tell an agent what became of its question."""
        one = self._request(request, "question", open_only=False)
        if one.agent != self.who(me).id:
            raise WrongInput(f"{request} is not a question of yours")
        return {"state": one.state, "answer": one.answer}

    def who(self, me: Me) -> Agent:
        """Give the agent that speaks; raises WrongInput for one that can't prove it."""
        agent, launch = me.get("agent", ""), me.get("launch", "")
        if agent not in self.team.wanted or not seal.good(
            self.root, agent, launch, me.get("seal", "")
        ):
            raise WrongInput(
                f"`{agent}` can't prove who it is", fix="run this from inside the agent's window"
            )
        memory = self.team.memory.get(agent)
        if memory is None or memory.launch != launch:
            now = memory.launch if memory else "none"
            what = f"this launch of `{agent}` is over: {launch} (now: {now})"
            raise WrongInput(what, fix="end your turn: another launch has taken over")
        return self.team.wanted[agent].agent

    def _message(self, name: str) -> Message:
        found = parsed(name)
        one = self.talks.post.message(found[1]) if found and found[0] == "m" else None
        if one is None:
            raise WrongInput(f"there is no message `{name}`", fix="hive events")
        return one

    def _request(self, name: str, kind: str, *, open_only: bool = True) -> Request:
        found = parsed(name)
        one = self.talks.post.request(found[1]) if found and found[0] != "m" else None
        if (
            one is None
            or (found and not one.name.startswith(found[0]))
            or kind not in {"", one.kind}
        ):
            raise WrongInput(f"there is no {kind or 'request'} `{name}`", fix="hive inbox")
        if kind and open_only and one.state != "open":
            raise WrongInput(f"{name} is {one.state} already", fix="hive inbox")
        return one


VERBS = (
    "send",
    "message",
    "withdraw",
    "inbox",
    "decide",
    "answer",
    "request",
    "report",
    "hook",
    "ask_human",
    "reply",
)
"""What the desk answers."""
