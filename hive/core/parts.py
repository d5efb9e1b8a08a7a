"""Tasks that are made for another one: parts of one that was split, reviews, copies, ballots.

Their uids are made of its own and of its lease, so that whoever makes them twice makes them once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from hive.core.tasks import Job, New, State, Task
from hive.core.wording import clean
from hive.errors import WrongInput

PART, REVIEW, BALLOT = "part", "review", "ballot"
"""What a task is of the one that waits for it, as its uid says."""

MOST = 100
"""Into how many parts a task may be split at once."""

_HOW = (
    "Answer with `hive task done --result approve`, or with "
    '`hive task done --result "reject: what is to be changed"`.'
)
_VOTE = (
    "Decide by yourself: the votes are secret until enough have voted. Answer with "
    "`hive task done --result approve` or `hive task done --result reject`, "
    "or with the one word that you were asked for."
)


def child_uid(task: Task, what: str, place: object = 1) -> str:
    """Give the uid of a task that is made for this one under its last lease."""
    return f"{task.uid}:{what}:{task.fence}:{place}"


def opinion(task: Task) -> bool:
    """Whether what its agent says is a vote or a review, which nobody reviews in turn."""
    kind = task.uid.split(":")[-3:-2]
    return task.apart or (task.parent > 0 and kind in ([REVIEW], [BALLOT]))


def parts(task: Task, texts: Sequence[str]) -> list[New]:
    """Give the parts into which its agent splits a task.

    Raises WrongInput for a command, and where there is nothing to split it into.
    """
    if task.job.kind != "prompt":
        raise WrongInput(f"{task.name} is a command: only a prompt can be split")
    many = len(texts)
    if not 1 <= many <= MOST or not all(one.strip() for one in texts):
        what = "a part is empty" if 1 <= many <= MOST else f"{many} parts are none, or too many"
        raise WrongInput(what, where=task.name, fix=f"give 1 to {MOST} texts")
    return [
        _child(task, _like(task.job, text, f"part {place} of {many}"), PART, place)
        for place, text in enumerate(texts, 1)
    ]


def review(task: Task, why: str, role: str) -> New:
    """Give the review of what a task's agent says it has done."""
    said = task.report.text if task.report else ""
    text = "\n\n".join(
        (
            f"Review the work on {task.name}: {why}.",
            f"It was asked for:\n{task.words}",
            f"{_who(task.agent)} says that it is done:\n{said}",
            _HOW,
        )
    )
    job = _like(task.job, text, f"review of {task.name}")
    return _child(task, replace(job, team="", role=role, skills=()), REVIEW, 1)


def copies(needs: Iterable[Task]) -> list[Task]:
    """Give of what a group needs its copies: the rest are ballots on them."""
    return [one for one in needs if one.apart]


def ballots(each: Sequence[Task], needs: Iterable[Task]) -> list[Task]:
    """Give of what a group needs the ballots on its copies' last answers."""
    before = {one.number: child_uid(one, BALLOT, "") for one in each}
    mine = (one for one in needs if not one.apart and one.parent in before)
    return [one for one in mine if one.uid.startswith(before[one.parent])]


def wanted_ballots(group: Task, needs: Sequence[Task]) -> list[New]:
    """Give the ballots that are still to be asked for: one on each answer, of the jury's role."""
    job = group.job
    if job.judge != "vote" or not job.jury:
        return []
    known = {one.uid for one in needs}
    new = [_ballot(group, one) for one in copies(needs) if one.state is State.DONE]
    return [one for one in new if one.uid not in known]


def proposal(question: str, voters: Sequence[str], agree: int, uid: str, sender: str) -> list[New]:
    """Give a question to agents, of whom so many must agree: a vote of each, and the decision.

    Raises WrongInput where nobody is asked, or more must agree than are asked.
    """
    each = list(dict.fromkeys(voters))
    if not 1 <= agree <= len(each):
        what = f"{agree} of {len(each)} voters can't agree"
        raise WrongInput(what, fix="name more voters, or a smaller quorum")
    title = f"decide: {clean(question.strip().splitlines()[0])[:80]}"
    whole = Job(
        text=question,
        title=title,
        kind="group",
        replicas=len(each),
        agree=agree,
        judge="vote",
        sender=sender,
    )
    text = f"{question}\n\n{_VOTE}"
    votes = [
        New(
            uid=f"{uid}#{place}",
            job=Job(
                text=text,
                title=f"{title} ({place} of {len(each)})",
                project=voter.split("/")[0],
                agent=voter,
                on_failure="continue",
                sender=sender,
            ),
            apart=True,
        )
        for place, voter in enumerate(each, 1)
    ]
    return [*votes, New(uid=uid, job=whole, needs=tuple(one.uid for one in votes))]


def _ballot(group: Task, copy: Task) -> New:
    text = "\n\n".join(
        (
            "Judge an answer. It was asked for:",
            copy.words,
            f"The answer:\n{copy.result}",
            _HOW,
        )
    )
    job = _like(group.job, text, f"ballot on {copy.name}")
    job = replace(job, team="", role=group.job.jury, skills=())
    return replace(_child(copy, job, BALLOT, 1), blocks=(group.number,), run=group.run)


def _like(job: Job, text: str, title: str) -> Job:
    """Give a job for whoever may have the other one, and for nothing else of it."""
    return Job(
        text=text,
        title=title,
        project=job.project,
        team=job.team,
        role=job.role,
        skills=job.skills,
        priority=job.priority,
        retries=job.retries,
        backoff=job.backoff,
        longest=job.longest,
        delivery=job.delivery,
        progress=job.progress,
        timeout=job.timeout,
        sender=job.sender,
    )


def _child(task: Task, job: Job, what: str, place: int) -> New:
    return New(
        uid=child_uid(task, what, place),
        job=job,
        blocks=(task.number,),
        run=task.run,
        parent=task.number,
    )


def _who(agent: str) -> str:
    return agent.partition("/")[2] or agent or "its agent"
