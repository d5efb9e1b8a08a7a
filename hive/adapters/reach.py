"""How an agent's tools reach the supervisor: over its socket, or by files out of a sandbox.

Where a sandbox hides the socket, a question is left as a file in the launch's folder, and the
answer appears beside it; `hive.adapters.spool` is the other side. What is only to be noted stays
there while no supervisor runs, and is done later.

This is on the way of every tool call of an agent, so it imports the least it can.
"""

from __future__ import annotations

import json
import os
import time

from hive.adapters.channel import ask as ask_socket
from hive.errors import KINDS, HiveError, NotRunning, TimedOut, WrongInput

TYPE_CHECKING = False  # what mypy takes for true; importing `typing` costs 6 ms
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from typing import Any

LONGEST = 1 << 20
"""The longest question that is taken as a file, in bytes."""

PATIENCE = 30.0
"""Seconds an answer may take."""

AWAY = 3.0
"""Seconds in which a supervisor that was killed is back."""

FIRST, LAST = 0.02, 0.5
"""Seconds between two looks for an answer: at the beginning, and when it takes long."""

NOTED = {"noted": True}
"""The answer where nobody answers yet: it is written down, and done as soon as hive runs."""

LATER = frozenset(
    {"report", "progress", "task_done", "task_fail", "split_task", "ask_human", "send", "hook"}
    | {"hand_off"}
)
"""The verbs that are as good later; what else is asked is taken back where nobody answers."""


DIRECT = frozenset({"progress", "task_done", "task_fail", "split_task", "show_task", "add_tasks"})
"""The verbs that need no supervisor where they are about a task: the queue takes them itself."""


def me(environ: Mapping[str, str]) -> dict[str, str]:
    """Say who asks: the agent, its launch and its seal. Raises WrongInput outside an agent."""
    found = {
        "agent": environ.get("HIVE_AGENT", ""),
        "launch": environ.get("HIVE_LAUNCH", ""),
        "seal": environ.get("HIVE_SEAL", ""),
    }
    if not all(found.values()):
        missing = next(f"HIVE_{key.upper()}" for key, value in found.items() if not value)
        what = f"this is for agents that hive started: `{missing}` is not set"
        raise WrongInput(what, fix="run it in an agent's own shell, with its environment")
    return found


def is_name(word: str) -> bool:
    """Whether it names a message, `m-31`, or a task, `t-12`, maybe with its fence, `t-12-3`."""
    kind, *numbers = word.split("-")
    most = {"m": 1, "t": 2}.get(kind, 0)
    return 1 <= len(numbers) <= most and all(number.isdecimal() for number in numbers)


def about(name: str, environ: Mapping[str, str]) -> dict[str, Any]:
    """Give a name, and the fence under which a task was given: as the name has it, or from hive.

    A program that was started for one task has both in its environment.
    """
    if not name:
        task, fence = environ.get("HIVE_TASK", ""), environ.get("HIVE_FENCE", "")
        name = f"{task}-{fence}" if is_name(f"{task}-{fence}") else task
    kind, _, numbers = name.partition("-")
    number, _, fence = numbers.partition("-")
    return {"name": f"{kind}-{number}", "fence": int(fence)} if fence else {"name": name}


def uid() -> str:
    """Give a new id for what is to be done once, however often it is asked."""
    return os.urandom(16).hex()


def ask(
    verb: str,
    args: dict[str, Any],
    *,
    environ: Mapping[str, str],
    timeout: float = PATIENCE,
    away: float = AWAY,
    direct: Callable[[], Any] | None = None,
) -> Any:
    """Have the supervisor do `verb` and give its result; `timeout` is in seconds, for all of it.

    `away` are those of it that are waited where no supervisor runs. `direct` does it without one
    where that can be: where none runs, and this is no sandbox; None from it: it can't. Gives
    `NOTED` where nobody answers in time and it is done later. Raises `TimedOut` where the
    supervisor is silent, `NotRunning` where none runs, and the supervisor's own errors.
    """
    last = time.monotonic() + timeout
    socket = _socket(environ)
    try:
        return ask_socket(socket, verb, args, timeout=timeout)
    except HiveError as error:
        folder = f"{environ.get('HIVE_FOLDER') or os.devnull}/spool"
        if not _walled(error):
            raise
        alone = isinstance(error, NotRunning) and _ours(socket)
        if alone and direct and _of_a_task(verb, args) and (answer := direct()) is not None:
            return answer
        if not os.access(folder, os.W_OK | os.X_OK):
            if isinstance(error, NotRunning) or not environ.get("HIVE_FOLDER"):
                raise
            raise _shut(error, folder) from error
        if isinstance(error, NotRunning) and os.access(socket.rpartition("/")[0], os.X_OK):
            last = min(last, time.monotonic() + away)
        return _left(folder, verb, args, last, error)


def _socket(environ: Mapping[str, str]) -> str:
    """Give the supervisor's socket, which is where `hive.adapters.state` has it."""
    if given := environ.get("HIVE_STATE"):
        return f"{os.path.abspath(given)}/hive.sock"  # noqa: PTH100 - pathlib costs 7 ms
    from hive.adapters.state import locate

    return str(locate(environ).socket)


def _of_a_task(verb: str, args: dict[str, Any]) -> bool:
    """Whether it may be about a task: a message's name says that it is not."""
    return verb in DIRECT and not str(args.get("name", "")).startswith("m")


def _ours(socket: str) -> bool:
    """Whether the state directory may be written: it is no sandbox that hides the supervisor."""
    return os.access(socket.rpartition("/")[0], os.W_OK | os.X_OK)


def _walled(error: HiveError) -> bool:
    """Whether it says that nobody was reached, rather than what somebody answered.

    Also one that ended before it answered: what was asked has an id, and is not done twice.
    """
    if isinstance(error, TimedOut):
        return False
    return isinstance(error, NotRunning) or isinstance(error.__cause__, OSError)


def _shut(error: HiveError, folder: str) -> HiveError:
    """Say that a sandbox lets nothing through, and what does reach hive."""
    what = f"this sandbox lets nothing reach hive: {error.what}"
    fix = f"use the tools of the MCP server `hive`, or let the sandbox write to {folder}"
    return HiveError(what, where=error.where, fix=fix)


def _left(folder: str, verb: str, args: dict[str, Any], last: float, unreached: HiveError) -> Any:
    """Leave the question in the folder until it is answered."""
    from pathlib import Path

    name = f"{time.time_ns():019d}-{os.urandom(8).hex()}"
    question, answer = Path(folder, f"{name}.q"), Path(folder, f"{name}.a")
    _write(question, {"verb": verb, "args": args}, unreached)
    pause = FIRST
    while True:
        late = time.monotonic() >= last
        if late and verb not in LATER:
            question.unlink(missing_ok=True)  # it may just have been answered
        if answer.exists():
            reply = json.loads(answer.read_bytes())
            answer.unlink()
            return _result(reply)
        if late:
            break
        time.sleep(min(pause, max(0.0, last - time.monotonic())))
        pause = min(pause * 1.3, LAST)
    if verb in LATER:
        return NOTED
    raise unreached


def _write(file: Path, asked: dict[str, Any], unreached: HiveError) -> None:
    """Write it whole or not at all; raises `unreached` where it can't be written."""
    data = json.dumps(asked).encode()
    if len(data) > LONGEST:
        what = f"from a sandbox no more than {LONGEST} bytes can be told: this is {len(data)}"
        raise WrongInput(what, fix="put it into a file, and tell its path")
    draft = file.with_suffix(".new")
    try:
        fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb") as out:
            out.write(data)
        draft.rename(file)
    except OSError:
        raise unreached from None


def _result(reply: Any) -> Any:
    try:
        error = reply.get("error")
        if error is None:
            return reply["result"]
        kind = KINDS.get(error["code"], HiveError)
        failure = kind(error["what"], where=error["where"], fix=error["fix"])
    except (KeyError, TypeError, AttributeError) as wrong:
        raise HiveError("what answers in the launch's folder is not hive") from wrong
    raise failure
