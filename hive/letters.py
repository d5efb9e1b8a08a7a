"""Records of what is said: messages with their stories, and what waits for a person.

Pure like `views`: values come in, the JSON-ready shapes that docs/json.md promises come out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hive.core import stall
from hive.core.messages import Message, Request, Stage, Step
from hive.core.shown import UNPROVEN
from hive.core.signs import Sub
from hive.core.wording import count
from hive.views import VERSION, Record, iso, short

Outlook = tuple[str, float | None]
"""What hive does next with a message, and the moment of it where time alone brings it."""

BUDGET = "the budget is used up"
"""How it begins what forbids typing where a project's agents may cost no more."""

LEFT = stall.Step.PERSON.value
"""The kind of stall (an agent's `sub`) that hive gave to a person."""

WINDOW = "window"
"""The channel of an approval that can only be given in the agent's window."""

ALL, TEAM, AGENT, LETTER = range(4)
"""What a thing in the inbox keeps from going on: the worst first."""

_RANKS = {
    "work rests": ALL,
    "held team": TEAM,
    "budget": TEAM,
    "dead letter": LETTER,
    "undelivered": LETTER,
    "unsaved work": LETTER,
}
"""What things of a kind keep from going on; those of other kinds an agent, or a task."""

_LAST = "~"
"""In the place of a moment that is not known: after every one that is."""

_HERE = "nothing is typed into it"

_WINDOW: dict[str, tuple[str, str, str]] = {
    Sub.APPROVAL: ("to allow a tool, or not, in its window", _HERE, "hive attach {}"),
    Sub.QUESTION: ("to answer its question in its window", _HERE, "hive attach {}"),
    Sub.DIALOG: ("to answer a dialog in its window", _HERE, "hive attach {}"),
    Sub.LOGIN: ("to log in, in its window", _HERE, "hive attach {}"),
    Sub.MODEL: ("to choose a model that there is, in its window", _HERE, "hive attach {}"),
    Sub.FULL: ("to make room in its conversation, or to start a new one", _HERE, "hive attach {}"),
    Sub.BLOCKED: ("to help it on: it says that it is blocked", "it waits", 'hive send {} "…"'),
    UNPROVEN: ("to look why it does nothing", "hive gives it its messages", "hive attach {}"),
    LEFT: ("to look why it does not go on", "hive leaves it alone", "hive attach {}"),
}
"""By an agent's `sub`: what is asked of a person, what happens meanwhile, the command for it."""


def message(one: Message) -> Record:
    """Build the record of a message."""
    return {
        "message": one.name,
        "agent": short(one.agent),
        "id": one.agent,
        "from": _sender(one),
        "kind": one.kind,
        "text": one.text,
        "stage": one.stage.value,
        "reason": one.reason,
        "since": _moment(one.since or one.created),
        "created": iso(one.created),
        "proof": one.proof,
        "typed": _moment(one.typed),
        "submitted": _moment(one.submitted),
        "answered": _moment(one.answered),
        "outcome": one.outcome,
        "result": one.result,
        "confidence": one.confidence,
    }


def sent(messages: Iterable[Message]) -> Record:
    """Build the answer to `send`: the receipt of each message."""
    return {"version": VERSION, "messages": [message(one) for one in messages]}


def task(one: Message) -> Record:
    """Build what an agent is told of a message that it fetches itself."""
    return {
        "name": one.name,
        "from": _sender(one),
        "kind": one.kind,
        "text": one.text,
        "stage": one.stage.value,
        "created": iso(one.created),
    }


def story(one: Message, steps: Iterable[Step], following: Outlook) -> Record:
    """Build the answer to `message`: how far it is, how it came there, what is next."""
    text, at = following
    return {
        "version": VERSION,
        "message": message(one),
        "story": [{"time": iso(step.at), "stage": step.stage, "why": step.why} for step in steps],
        "next": {"text": text, "time": None if at is None else iso(at)},
    }


def outlook(one: Message, closed: str, proof: float = 0.0) -> Outlook:
    """Say what hive does next with a message, and when (None: no time is set).

    `closed` is why nothing may be typed into its agent now, "" where it may; `proof` how long
    the agent's own evidence may take, in seconds (0: not told).
    """
    if one.stage is Stage.QUEUED:
        way = f"types it once nothing is in the way any more: {closed}" if closed else ""
        return way or "types it as soon as no earlier message waits", None
    if one.stage is Stage.TYPED:
        return _enter(one, closed, proof)
    if one.stage is Stage.SUBMITTED:
        return "waits until the agent's turn is over, and keeps what it says", None
    if one.stage is Stage.FAILED:
        return f"nothing by itself: {one.reason}; `hive withdraw {one.name}` puts it away", None
    return f"nothing: it was {one.stage.value}", None


def items(
    requests: Iterable[Request],
    messages: Iterable[Message],
    agents: Sequence[Record],
    teams: Iterable[Record] = (),
) -> list[Record]:
    """List what waits for a person, what blocks most first.

    `agents` and `teams` are records as in `hive status`. Of messages those count that failed;
    of requests, the open ones; an agent is not listed once more for waiting with its own.
    """
    known = {one["id"]: one for one in agents}
    asking = [one for one in requests if one.state == "open"]
    asked: set[tuple[str, str]] = {(one.agent, one.kind) for one in asking}
    own = {one.key.partition(":")[2]: one for one in asking if not one.launch}
    spent = _spent(agents, own)
    told = {record["id"] for record in spent}
    found = [
        *(_held(team, agents) for team in teams if team["held"]),
        *spent,
        *(
            _request(one, known.get(one.agent, {}), agents)
            for one in asking
            if one.name not in told
        ),
        *(_agent(one, agents) for one in agents if _stuck(one, asked)),
        *(_undelivered(one) for one in messages if one.stage is Stage.FAILED),
    ]
    return ordered(found)


def ordered(found: Iterable[Record]) -> list[Record]:
    """Give what waits for a person in the order of what it keeps from going on, the most first.

    What keeps as much comes in the order of its age.
    """
    return sorted(found, key=_place)


def _place(one: Record) -> tuple[int, int, str]:
    return _RANKS.get(one["kind"], AGENT), -one.get("blocks", 0), one["since"] or _LAST


def inbox(found: Iterable[Record]) -> Record:
    """Build the answer to `inbox`, what keeps most from going on first."""
    return {"version": VERSION, "items": ordered(found)}


def decided(one: Request, said: Iterable[Message] = ()) -> Record:
    """Build the answer to `decide`, `answer` and `request`.

    `said` are the messages by which the agent gets the answer.
    """
    return {
        "version": VERSION,
        "request": {
            "id": one.name,
            "kind": one.kind,
            "agent": short(one.agent),
            "asked": one.asked,
            "state": one.state,
            "answer": one.answer,
            "since": iso(one.at),
            "answered": _moment(one.answered),
            "next": _command(one) if one.state == "open" else "",
        },
        "messages": [message(letter) for letter in said],
    }


def _sender(one: Message) -> str:
    """Say who a message is from: an agent without its project, a person, hive."""
    return short(one.sender) if one.sender.count("/") > 1 else one.sender


def _enter(one: Message, closed: str, proof: float) -> Outlook:
    """Say what follows on the paste: Enter, the agent's evidence, one more Enter."""
    if not one.enters:
        way = f" once nothing is in the way any more: {closed}" if closed else ""
        return f"presses Enter{way or ' once it stands in the composer'}", None
    at = one.since + proof if proof and one.since else None
    if one.enters == 1:
        return "waits for its own evidence; if it still stands there, presses Enter once more", at
    return "waits for the agent's own evidence that it arrived; without any it has failed", at


def _request(one: Request, agent: Mapping[str, Any], agents: Sequence[Record]) -> Record:
    name = short(one.agent)
    if one.kind == "approval":
        why, meanwhile = f"{name} may do it only if it is allowed", f"it waits; {_HERE}"
    else:
        why, meanwhile = f"{name} asks a person", "it does what it can without an answer"
    return {
        "id": one.name,
        "kind": one.kind,
        "project": one.agent.partition("/")[0],
        "agent": name,
        "asked": one.asked,
        "why": why,
        "since": iso(one.at),
        "meanwhile": meanwhile + _queue(agent),
        "answer": _command(one),
        "blocks": _blocks(agent, agents),
    }


def _command(one: Request) -> str:
    """Give the command line that answers a request."""
    if one.kind == "question":
        return f'hive answer {one.name} "…"'
    if one.channel == WINDOW:
        return f"hive attach {short(one.agent)}   # it can only be answered there"
    return f'hive approve {one.name}   # or: hive deny {one.name} "why not"'


def _stuck(one: Record, asked: set[tuple[str, str]]) -> bool:
    """Whether an agent waits for a person and nothing else says so already."""
    sub = one.get("sub", "")
    waits = sub in _WINDOW and (one["id"], sub) not in asked
    return one["wanted"] == "up" and (one["state"] == "failed" or waits)


def _agent(one: Record, agents: Sequence[Record]) -> Record:
    name, sub = one["agent"], one.get("sub", "")
    asked, meanwhile, answer = _WINDOW.get(sub, ("", "", ""))
    if one["state"] == "failed":
        sub, asked = "failed", "to put right what ends it, and to start it again"
        meanwhile, answer = "hive gives it a trial start now and then", "hive start {}"
    return {
        "id": name,
        "kind": "stalled" if sub == LEFT else sub,
        "project": one["project"],
        "agent": name,
        "asked": asked,
        "why": one["reason"],
        "since": one["since"],
        "meanwhile": meanwhile + _queue(one),
        "answer": answer.format(name),
        "blocks": _blocks(one, agents),
    }


def _held(team: Record, agents: Sequence[Record]) -> Record:
    name = team["team"]
    members = [one for one in agents if (one["project"], one["team"]) == (team["project"], name)]
    return {
        "id": name,
        "kind": "held team",
        "project": team["project"],
        "agent": name,
        "asked": "to put right what ends its agents, and to let it go",
        "why": team["reason"],
        "since": team.get("since"),
        "meanwhile": "hive restarts none of its agents by itself",
        "answer": f"hive start {name}",
        "blocks": len(members),
    }


def _spent(agents: Iterable[Record], own: Mapping[str, Request]) -> list[Record]:
    """Give a thing for each project whose budget is used up.

    `own` is what hive itself asks a person for each project.
    """
    known: dict[str, list[Record]] = {}
    for one in agents:
        if (one.get("closed") or "").startswith(BUDGET):
            known.setdefault(one["project"], []).append(one)
    found = []
    for project, members in known.items():
        asked, answer = (
            "to raise its `budget` in hive.toml",
            "hive deploy   # once the file says more",
        )
        if project in own:
            asked = "what its agents may cost on top"
            answer = f'hive answer {own[project].name} "$10"   # or raise `budget` in hive.toml'
        record = {
            "id": own[project].name if project in own else project,
            "kind": "budget",
            "project": project,
            "agent": project,
            "asked": asked,
            "why": members[0]["closed"],
            "since": None,
            "meanwhile": f"no message is given to {count(len(members), 'agent')}",
            "answer": answer,
            "blocks": len(members),
        }
        found.append(record)
    return found


def _undelivered(one: Message) -> Record:
    return {
        "id": one.name,
        "kind": "undelivered",
        "project": one.agent.partition("/")[0],
        "agent": short(one.agent),
        "asked": "to send it again, or to put it away",
        "why": one.reason,
        "since": _moment(one.since or one.created),
        "meanwhile": "hive does nothing more with it",
        "answer": f"hive why {one.name}   # then: hive withdraw {one.name}",
        "blocks": 0,
    }


def _blocks(agent: Mapping[str, Any], agents: Sequence[Record]) -> int:
    """Count what waits for an agent: messages to it, and agents that start after it."""
    after = sum(agent.get("id") in one["after"] for one in agents)
    return int(agent.get("queue") or 0) + after


def _queue(agent: Mapping[str, Any]) -> str:
    many = int(agent.get("queue") or 0)
    return f"; {count(many, 'message')} wait{'s' * (many == 1)} with it" if many else ""


def _moment(at: float) -> str | None:
    """Write a moment; 0 is how a message says that it has not come."""
    return iso(at) if at else None
