"""What agents ask of people: approvals and questions, from the asking to the answer.

An approval is answered through the agent's own channel, and only for exactly what was shown: what
is asked otherwise by now is refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from hive.adapters import opencode
from hive.adapters.post import Post
from hive.adapters.typist import Typist
from hive.core.messages import Request
from hive.core.signs import Ask, Sign, Sub, Turn, digest
from hive.core.wirings import reply
from hive.ears import Line
from hive.errors import HiveError

Lines = Mapping[str, Line]

GONE = "it was answered in its window, or is not asked any more"

QUESTIONS = frozenset({"AskUserQuestion", "question"})
"""The tools by which programs ask a person something, rather than for permission."""

HIDING = frozenset({"codex"})
"""The wirings of programs that show nothing to answer in the window while their hook waits."""

POSTED = "opencode"
"""The wiring of programs that take their answers over HTTP."""

GRACE = 3.0
"""Seconds for which a screen alone does not count that asks, where a hook should tell of it."""

SCREEN = "screen-"
"""How the key of an ask begins that only the screen tells of."""


class Requests:
    """Everything that waits for a person's word."""

    def __init__(self, post: Post, typist: Typist, folder: Callable[[str], Path]) -> None:
        self._post = post
        self._typist = typist
        self._folder = folder
        self._open: dict[int, Request] = {one.number: one for one in post.requests()}

    def of(self, agent: str, key: str) -> Request | None:
        """Give the open request with this key of this agent."""
        found = (one for one in self._open.values() if (one.agent, one.key) == (agent, key))
        return next(found, None)

    def asking(self) -> frozenset[str]:
        """Give the launches that wait for an answer."""
        return frozenset(one.launch for one in self._open.values() if one.launch)

    def keys(self) -> frozenset[str]:
        """Give the keys of all that is open."""
        return frozenset(one.key for one in self._open.values())

    def follow(self, lines: Lines, now: float, early: Collection[str] = ()) -> bool:
        """Have a request for all that is asked, and close what nobody asks any more.

        `early` are launches that ask and have no line yet. Gives whether anything changed.
        """
        changed = False
        asked = {(agent, ask.key): ask for agent, line in lines.items() for ask in asks(line)}
        for (agent, key), ask in asked.items():
            line = lines[agent]
            if self.of(agent, key) is None and not _is_premature(line, ask, now):
                self.ask(_request(agent, line.launch, _channel(line, ask), ask, now))
                changed = True
        for one in list(self._open.values()):
            if not one.launch or not one.key or one.launch in early:
                continue
            if (one.agent, one.key) not in asked:
                self._gone(one, now)
                changed = True
            elif one.channel == "hook" and _at_the_window(lines[one.agent], one):
                self._hand_over(one)
        return changed

    def heard(self, agent: str, sign: Sign) -> None:
        """Put what a hook asks to a person, of a launch that has no line yet."""
        if sign.ask and self.of(agent, sign.ask.key) is None:
            self.ask(_request(agent, sign.launch, "hook", sign.ask, sign.at))

    def drop(self, agent: str, why: str, now: float) -> None:
        """Close all that an agent asked who is gone for good."""
        for one in [one for one in self._open.values() if one.agent == agent and one.launch]:
            self._settle(replace(one, state="gone", answer=why, answered=now), why)

    def close(self, key: str, why: str, now: float) -> None:
        """Close what is asked under this key, if it is: nobody needs an answer any more."""
        for one in [one for one in self._open.values() if one.key == key]:
            self._settle(replace(one, state="gone", answer=why, answered=now), why)

    def _hand_over(self, one: Request) -> None:
        """Leave it to the window: a person is there, and its hook waits no longer."""
        self._verdict(one, "")
        kept = self._post.settle(replace(one, channel="window"), "left to its window")
        self._open[kept.number] = kept

    def ask(self, new: Request, uid: str = "") -> Request:
        """Put something to a person, once under this `uid`."""
        kept = self._post.ask(new, uid)
        self._open[kept.number] = kept
        return kept

    def asked(self, launch: str) -> dict[str, tuple[Ask, float]]:
        """Give what a launch had asked before hive was started again, and when, by key."""
        return {
            one.key: (Ask(key=one.key, tool=one.asked, detail="", digest=one.digest), one.at)
            for one in self._open.values()
            if one.launch == launch and one.key and one.channel != "keys"
        }

    def waited_for(self, agent: str, found: Sequence[Sign]) -> str | None:
        """Give the file for which a hook is to wait that told of an ask."""
        for sign in found:
            one = self.of(agent, sign.ask.key) if sign.ask else None
            if one:
                return _file(one)
        return None

    def decide(self, one: Request, lines: Lines, *, allow: bool, text: str, now: float) -> Request:
        """Carry out a person's decision.

        Raises HiveError where it is not asked any more, is asked otherwise by now, or can't be
        answered from here.
        """
        line = lines.get(one.agent)
        if line is None:  # it may not have been looked at yet: `follow` closes what is gone
            what = f"{one.name} can't be answered: `{one.agent}` does not run, or is just starting"
            raise HiveError(what, fix="hive inbox")
        ask = {ask.key: ask for ask in asks(line)}.get(one.key)
        if ask is None or line.launch != one.launch:
            self._gone(one, now)
            raise HiveError(f"{one.name} is not asked any more", fix="hive inbox")
        if ask.digest != one.digest:
            self._gone(one, now)
            what = f"what is asked is not what {one.name} shows any more"
            raise HiveError(what, fix="hive inbox")
        self._carry_out(one, line, allow=allow, text=text)
        question = "answered" if text else "denied"
        state = question if one.kind == "question" else "allowed" if allow else "denied"
        after = replace(one, state=state, answer=text, answered=now)
        return self._settle(after, f"by a person{f': {text}' if text else ''}")

    def answer(self, one: Request, text: str, now: float) -> Request:
        """Note a person's answer to a question."""
        return self._settle(
            replace(one, state="answered", answer=text, answered=now), "by a person"
        )

    def _carry_out(self, one: Request, line: Line, *, allow: bool, text: str) -> None:
        if one.channel == "hook":
            self._verdict(one, reply(line.profile.wiring, "PermissionRequest", allow, text))
        elif one.channel == "http":
            opencode.decide(opencode.door(line.folder), one.key, allow, text)
        elif one.channel == "keys":
            self._press(one, line, allow=allow)
        else:
            short = one.agent.split("/", 1)[1]
            what = f"{one.name} can only be answered in its window"
            raise HiveError(what, fix=f"hive attach {short}")

    def _press(self, one: Request, line: Line, *, allow: bool) -> None:
        """Type the answer, while the screen still shows what was asked."""
        keys = line.profile.keys.allow if allow else line.profile.keys.deny
        memory = line.memory
        why = self._typist.keys(memory.socket, memory.pane, line.launch, keys, shows=one.asked)
        if why:
            raise HiveError(f"{one.name} could not be answered: {why}", fix="hive inbox")

    def _gone(self, one: Request, now: float) -> None:
        self._settle(replace(one, state="gone", answer=GONE, answered=now), GONE)
        if one.channel == "hook":
            self._verdict(one, "")

    def _settle(self, after: Request, why: str) -> Request:
        kept = self._post.settle(after, why)
        self._open.pop(kept.number, None)
        return kept

    def _verdict(self, one: Request, printed: str) -> None:
        """Leave a hook that waits what it is to print; a launch that is gone needs nothing."""
        file = self._folder(one.launch) / _file(one)
        if not file.parent.is_dir():
            return
        draft = file.with_suffix(".new")
        try:
            draft.write_text(json.dumps({"print": printed}))
            draft.replace(file)
        except OSError as error:
            raise HiveError(f"can't write it: {error.strerror}", where=str(file)) from error


def asks(line: Line) -> list[Ask]:
    """Give what an agent wants to be allowed now: as it tells it, or else as its screen shows."""
    found = list(line.ear.asks.values())
    one = line.condition
    if found or one.turn is not Turn.WAITING or one.sub != Sub.APPROVAL or line.look is None:
        return found
    look = line.look
    known = digest("screen", f"{look.text}\n{look.detail}" if look.detail else look.text)
    return [Ask(key=f"{SCREEN}{known}", tool=look.text, detail=look.detail, digest=known)]


def _is_premature(line: Line, ask: Ask, now: float) -> bool:
    """Whether a hook may still tell of what the screen shows, or has just had its answer."""
    if not ask.key.startswith(SCREEN) or line.profile.wiring == "none":
        return False
    last = max(line.condition.since, *line.ear.over.values(), 0.0)
    return 0 <= now - last < GRACE


def _request(agent: str, launch: str, channel: str, ask: Ask, now: float) -> Request:
    return Request(
        number=0,
        kind="question" if ask.tool in QUESTIONS else "approval",
        agent=agent,
        launch=launch,
        asked=_text(ask),
        at=now,
        key=ask.key,
        digest=ask.digest,
        channel=channel,
    )


def _text(ask: Ask) -> str:
    """Say what is asked, exactly."""
    if ask.tool in QUESTIONS and ask.detail:
        return ask.detail
    if ask.key.startswith(SCREEN):  # in rows, as they stand there
        return f"{ask.tool}\n{ask.detail}".strip()
    return f"{ask.tool}: {ask.detail}" if ask.detail else ask.tool


def _at_the_window(line: Line, one: Request) -> bool:
    """Whether a person has come to answer in a window that shows nothing while a hook waits."""
    return line.profile.wiring in HIDING and line.glimpse.person > one.at


def _channel(line: Line, ask: Ask) -> str:
    """Say how an ask is answered."""
    if ask.key.startswith(SCREEN):
        return "keys" if line.profile.keys.allow else "window"
    return "http" if line.profile.wiring == POSTED else "hook"


def _file(one: Request) -> str:
    return f"verdict-{one.name}.json"
