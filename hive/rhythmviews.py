"""Records of the rhythm: check-ins, in the shapes that docs/json.md promises. Pure like `views`."""

from __future__ import annotations

from collections.abc import Iterable

from hive.core.checkin import CheckIn
from hive.views import VERSION, Record, iso, short


def record(one: CheckIn) -> Record:
    """Build the record of a check-in."""
    known = one.evidence
    return {
        "agent": short(known.agent),
        "id": known.agent,
        "number": one.number or None,
        "time": iso(known.at),
        "verdict": one.verdict.value,
        "line": one.line,
        "changes": list(one.changes),
        "state": known.state,
        "sub": known.sub,
        "reason": known.reason,
        "paused": known.paused,
        "task": known.task or None,
        "title": known.about.strip().partition("\n")[0],
        "progress": known.progress,
        "progressed": _moment(known.progressed),
        "checked": known.checked,
        "waits": known.waits,
        "message": known.message,
        "reported": _moment(known.reported),
        "branch": known.branch or None,
        "files": list(known.files),
        "commits": list(known.commits),
        "trouble": known.trouble,
        "cores": round(known.cores, 3),
        "memory": known.bytes,
        "tokens": known.tokens,
        "cost": round(known.cost, 4),
        "asked": _moment(one.asked),
        "answer": one.answer,
    }


def listing(found: Iterable[CheckIn]) -> Record:
    """Build the answer to `checkins` and `checkin`, in the order given."""
    return {"version": VERSION, "checkins": [record(one) for one in found]}


def _moment(at: float) -> str | None:
    """Write a moment; 0 is how a check-in says that it has not come."""
    return iso(at) if at else None
