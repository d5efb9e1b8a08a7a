"""One task given to several agents, and the answer that enough of them agree on.

Of n = 3f + 1 copies, 2f + 1 must agree: then f agents that lie, collude or say nothing are
outvoted, and twice as many can have no wrong answer accepted. An agent has one vote, its first.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from hive.core import caching
from hive.core.tasks import OVER, Job, New, State, Task
from hive.core.wording import clean
from hive.errors import WrongInput

Stance = Literal["", "approve", "reject"]

_STANCES: dict[str, Stance] = {
    **dict.fromkeys(("approve", "approved", "approves", "accept", "accepted", "yes"), "approve"),
    **dict.fromkeys(("reject", "rejected", "rejects", "refuse", "refused", "no"), "reject"),
}
_QUORUM = re.compile(r"([0-9]{1,9})(?: ?/ ?([0-9]{1,9})| ?%)?")
_NONE, _FAILED, _PASSED = "", "\0failed", "\0passed"
"""The vote of who gave no answer, and of whose work did not pass or passed what judges it."""

_SIGNS = "*_`'\".,:;!"

_PLAIN_COPY: dict[str, Any] = {
    "replicas": 1,
    "agree": 0,
    "judge": "result",
    "jury": "",
    "on_failure": "continue",  # its group decides what a failure means
    "cache": 0.0,  # an earlier result would be no answer of its own
    "sticky": "",  # both would have all copies go to one agent
    "batch": "",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the copies' answers come to: nothing yet, an answer (`result`), or no quorum.

    Settled without a `result` is no quorum; an accepted answer that is empty is given as `done`.
    `why` gives no answer away before it is settled. `dissenters` are the agents (by id) that gave
    another answer than the accepted one, or failed what judges it.
    """

    settled: bool
    result: str
    why: str
    dissenters: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Vote:
    """The vote of one principal; equal answers are one and the same."""

    who: str
    answer: str
    text: str


def copies(new: New) -> list[New]:
    """Give the copies of a task and, last, their group, which needs them all.

    A task that is to have none is given as it is. Raises WrongInput where they could not agree.
    """
    job = new.job
    if job.replicas <= 1 or job.kind == "group":
        return [new]
    _check(job)
    many = range(1, job.replicas + 1)
    each = [_copy(new, place) for place in many]
    left: dict[str, Any] = {"kind": "group", "template": False, "when": "", "locks": ()}
    group = replace(
        new, job=replace(job, **left), needs=tuple(one.uid for one in each), held="", apart=False
    )
    return [*each, group]


def verdict(group: Task, copies: Sequence[Task], ballots: Iterable[Task] = ()) -> Verdict:
    """Say what the copies come to, as soon as no later answer can change it.

    By `result` equal answers agree; by `check` those that are done do; by `vote` the words do that
    they begin with (`word` reads them). Where a jury votes, `ballots` are its tasks, each with a
    copy as its `parent`, and the copies agree that more than half of their ballots approve.
    """
    need, total = needed(group.job), max(group.job.replicas, len(copies))
    votes, still = _votes(group.job, copies, list(ballots))
    counts: Counter[str] = Counter()
    for one in votes:  # in their order, so that what is settled stays so
        counts[one.answer] += one.answer not in {_NONE, _FAILED}
        if counts[one.answer] >= need:
            return _accepted(votes, one.answer, total)
    if max(counts.values(), default=0) + still < need:
        why = f"no quorum: {need} of {total} had to agree; {_spread(votes, group.job)}"
        return Verdict(settled=True, result="", why=why)
    answered = sum(one.answer != _NONE for one in votes)
    why = f"{answered} of {total} have answered, {need} must agree"
    return Verdict(settled=False, result="", why=why)


def needed(job: Job) -> int:
    """Give how many must agree: what the job says, or more than half of all and the faulty."""
    return job.agree or (job.replicas + faulty(job.replicas)) // 2 + 1


def faulty(voters: int) -> int:
    """Give how many of so many voters may be wrong without harm: f of 3f + 1."""
    return max(0, voters - 1) // 3


def fraction(text: str, voters: int) -> int:
    """Read how many of so many voters must agree: `3`, `2/3`, `60%`, `majority`, `all`.

    Raises WrongInput.
    """
    word = text.strip().lower()
    word = {"majority": str(voters // 2 + 1), "all": str(voters)}.get(word, word)
    found = _QUORUM.fullmatch(word)
    whole = 100 if word.endswith("%") else int(found[2] or 1) if found else 0
    if found is None or not whole:
        fix = "say `2/3`, `60%`, `majority`, `all`, or a number of voters"
        raise WrongInput(f"`{text}` is no quorum", fix=fix)
    many = int(found[1])
    need = -(-many * voters // whole) if word != found[1] else many  # rounded up
    if not 1 <= need <= voters:
        what = f"`{text}` of {voters} can't agree: that would be {need}"
        raise WrongInput(what, fix=f"ask for 1 to {voters}, or name more voters")
    return need


def digest(text: str) -> str:
    """Give what is equal for equal answers: the digest of their canonical form.

    The order of a JSON object's keys, white space, and the case of a single word do not count.
    """
    return caching.digest(_canonical(text))


def stance(text: str) -> Stance:
    """Read a vote: the first word of an answer; "" for any other word."""
    first = text.split(maxsplit=1)[:1]
    return _STANCES.get(first[0].strip(_SIGNS).lower(), "") if first else ""


def word(text: str) -> str:
    """Read a vote: a stance, or any other word that stands alone, or before a colon; else ""."""
    first, *more = text.split(maxsplit=1) or [""]
    alone = not more or first.rstrip(_SIGNS.replace(":", "")).endswith(":")
    return stance(text) or (first.strip(_SIGNS).casefold() if alone else "")


def _check(job: Job) -> None:
    """Refuse copies that can't agree."""
    where = f"task `{clean(job.name)}`"
    if job.agree > job.replicas or job.agree < 0:
        what = f"{job.agree} of {job.replicas} copies can't agree"
        raise WrongInput(what, where=where, fix=f"set `agree` to 1 to {job.replicas}")
    if job.agent:
        what = f"its {job.replicas} copies can't all be for `{job.agent}`: each has its own agent"
        raise WrongInput(what, where=where, fix="name a role or skills instead of `agent`")


def _copy(new: New, place: int) -> New:
    title = f"{new.job.name} ({place} of {new.job.replicas})"
    return replace(
        new,
        uid=f"{new.uid}#{place}",
        job=replace(new.job, title=title, **_PLAIN_COPY),
        blocks=(),
        idem="",
        key=f"{new.key}#{place}" if new.key else "",
        parent=0,
        apart=True,
    )


def _votes(job: Job, copies: Sequence[Task], ballots: list[Task]) -> tuple[list[_Vote], int]:
    """Give the votes in the order in which they were given, and how many may still come."""
    votes: list[_Vote] = []
    voted: set[str] = set()
    still = 0
    for one in sorted(copies, key=lambda one: (one.finished, one.number)):
        answer = _answer(job, one, [each for each in ballots if each.parent == one.number])
        who = one.agent or one.name  # nobody has it any more whom a person spoke for
        if answer is None:
            still += 1
        elif who not in voted:
            votes.append(_Vote(who=who, answer=answer, text=answer if _spoken(job) else one.result))
            if answer != _NONE:
                voted.add(who)
    return votes, still


def _answer(job: Job, copy: Task, ballots: list[Task]) -> str | None:
    """Give what a copy votes for; None while that is open."""
    if copy.state not in OVER:
        return None
    if copy.state is not State.DONE:
        return _FAILED if copy.outcome == "failed" and job.judge == "check" else _NONE
    if job.judge == "check":
        return _PASSED
    if job.judge == "vote":
        return _approved(copy, ballots) if job.jury else word(copy.result)
    empty = not copy.result.strip() and copy.job.kind != "run"  # a command may print nothing
    return _NONE if empty else digest(copy.result)


def _spoken(job: Job) -> bool:
    """Whether a vote is a word, which may be said."""
    return job.judge == "vote" and not job.jury


def _approved(copy: Task, ballots: list[Task]) -> str | None:
    """Say whether more than half of the jury approve; nobody is the jury of its own work."""
    jurors = {one.agent or one.name for one in ballots if _approves(one)} - {copy.agent}
    if len(jurors) * 2 > len(ballots):
        return _PASSED
    pending = not ballots or any(one.state not in OVER for one in ballots)
    return None if pending else _FAILED


def _approves(ballot: Task) -> bool:
    return ballot.state is State.DONE and stance(ballot.result) == "approve"


def _accepted(votes: Sequence[_Vote], answer: str, total: int) -> Verdict:
    agreed = [one for one in votes if one.answer == answer]
    others = [one.who for one in votes if one.answer not in {answer, _NONE}]
    result = agreed[0].text
    why = f"{len(agreed)} of {total} agree: {_names(one.who for one in agreed)}"
    if others:
        why += f"; not so {_names(others)}"
    return Verdict(settled=True, result=result or "done", why=why, dissenters=tuple(others))


def _spread(votes: Sequence[_Vote], job: Job) -> str:
    """Say who gave which answer: those that are texts are numbered."""
    known = {_NONE: "no answer", _FAILED: "failed", _PASSED: "passed"}
    said: dict[str, list[str]] = {}
    for one in votes:
        said.setdefault(one.answer, []).append(one.who)
    texts = [one for one in said if one not in known and not _spoken(job)]
    labels = {**known, **{one: f"answer {place}" for place, one in enumerate(texts, 1)}}
    return "; ".join(f"{labels.get(one, one)}: {_names(who)}" for one, who in said.items())


def _names(agents: Iterable[str]) -> str:
    """Name agents as people do: without their project."""
    return ", ".join(one.split("/", 1)[-1] for one in agents)


def _canonical(text: str) -> str:
    try:
        value = json.loads(text, parse_float=_number, parse_constant=_refused)
        if not isinstance(value, str):
            return json.dumps(value, sort_keys=True, separators=(",", ":"))
    except (ValueError, RecursionError):  # no JSON, or none that is meant
        value = text
    words = value.split()
    return words[0].casefold().rstrip(".!") if len(words) == 1 else " ".join(words)


def _number(text: str) -> float:
    """Read a number so that 1.0 is 1."""
    value = float(text)
    return int(value) if value.is_integer() else value


def _refused(text: str) -> object:
    raise ValueError(f"{text} is no JSON")
