"""What agents say from inside their windows: reports, questions, messages, tasks, locks.

Short lines that a language model understands, each with what to do next. With the standard
library only: agents say these things all day. Only an agent that hive started can, and only for
itself.
"""

from __future__ import annotations

import os
import sys
import time

from hive.adapters import reach
from hive.cli import output, phrases
from hive.cli.phrases import HELP, Given
from hive.core.wording import clean
from hive.errors import HiveError, NotRunning, TimedOut, WrongInput

TYPE_CHECKING = False  # what mypy takes for true; importing `typing` costs 6 ms
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, TypeVar

    T = TypeVar("T")

STATES = {
    "working": "noted",
    "blocked": "noted: a person sees it; end your turn, an answer comes as a message",
    "done": "noted; end your turn, the next message comes by itself",
}
"""The states that may be reported, each with what is said then."""

NOTED = "noted in a file: hive takes it as soon as it runs, so do not say it again"

PATIENCE = 20.0
"""Seconds an answer may take."""

FIRST, LAST = 0.3, 2.0
"""Seconds between two questions of one wait: at the beginning, and when it takes long."""

if TYPE_CHECKING:
    Record = dict[str, Any]


def run(verb: str, words: list[str]) -> int:
    """Carry out one of the commands of `HELP`; raises HiveError."""
    plain, given = phrases.split(verb, words)
    if "--help" in given:
        print(HELP[verb], end="")
        return 0
    return _DO[verb](plain, given)


def is_mine(words: list[str], environ: Mapping[str, str]) -> bool:
    """Whether `hive task WORDS` is what an agent says of its own, rather than a person of all."""
    word = next((one for one in words if not one.startswith("-")), "")
    return word in _TASKS and (word != "show" or bool(environ.get("HIVE_AGENT")))


def agent_send(words: list[str]) -> int | None:
    """Send an agent's message; None where the whole command line is needed.

    That is for a person, and for anything but one name and one text.
    """
    before = words[: words.index("--")] if "--" in words else words
    others = [word for word in before if word.startswith("-") and word != "--json"]
    if not os.environ.get("HIVE_AGENT") or others:
        return None
    plain, given = phrases.split("send", words)
    if len(plain) != 2:
        return None
    record = _asked("send", names=plain[:1], text=plain[1], uid=reach.uid())
    sent = [f"sent to {one['agent']} as {one['message']}" for one in record.get("messages", ())]
    return _told(record, *sent, given=given)


def agent_handoff(words: list[str]) -> int | None:
    """Hand over an agent's own work; None for a person, and for a list of what was."""
    listed = {"--list", "-l"} & set(words)
    return run("handoff", words) if os.environ.get("HIVE_AGENT") and not listed else None


def _report(plain: list[str], given: Given) -> int:
    state, text = plain[0] if plain else "", " ".join(plain[1:])
    if state not in STATES:
        what = f"`{state}` is no state to report" if state else "no state is named"
        raise WrongInput(what, fix=f"hive report {'|'.join(STATES)} TEXT")
    if state == "blocked" and not text.strip():
        raise WrongInput("it is not said what keeps you", fix='hive report blocked "WHY"')
    record = _asked("report", state=state, text=text, uid=reach.uid())
    return _told(record, STATES[state], given=given)


def _ask(plain: list[str], given: Given) -> int:
    text = " ".join(plain)
    if not text.strip():
        raise WrongInput("there is no question", fix='hive ask "QUESTION"')
    options = given.get("--option", [])
    record = _asked("ask_human", text=text, options=options, uid=reach.uid())
    name = record.get("request", "")
    if "--wait" not in given or not name:
        line = f"noted as {name}; the answer comes as a message: end your turn"
        return _told(record, line, given=given)
    if "--json" not in given:
        output.note(f"noted as {name}; waiting for a person")
    reply = _until(lambda: _asked("reply", request=name), lambda one: one["state"] != "open")
    if reply["state"] != "answered":
        what = f"{name} is {reply['state']}: nobody answers it any more"
        raise HiveError(what, fix="decide yourself, or ask again")
    return _told({"request": name, **reply}, *_lines(reply["answer"]), given=given)


def _task(plain: list[str], given: Given) -> int:
    what, rest = (plain[0], plain[1:]) if plain else ("", [])
    if what not in _TASKS:
        wrong = f"`{what}` can't be done with a task" if what else "it is not said what to do"
        raise WrongInput(wrong, fix=f"hive task {'|'.join(_TASKS)}")
    name = rest.pop(0) if rest and reach.is_name(rest[0]) else ""
    return _TASKS[what](name, rest, given)


def _next(_name: str, words: list[str], given: Given) -> int:
    if words:
        what = f"`hive task next` takes no more words: `{' '.join(words)}`"
        raise WrongInput(what, fix="hive task --help")
    return _shown(_asked("next_task"), given)


def _show(name: str, words: list[str], given: Given) -> int:
    if words:
        what = f"`{' '.join(words)}` is no message and no task"
        raise WrongInput(what, fix="hive task show m-31")
    return _shown(_asked("show_task", name=reach.about(name, os.environ)["name"]), given)


def _shown(record: Record, given: Given) -> int:
    task = record["task"]
    if task is None:
        line = "nothing waits for you: end your turn, the next message comes by itself"
        return _told(record, line, given=given)
    name, hive = task.get("lease") or task["name"], _hive()
    sure = " --confidence C   # how sure you are, 0 to 1" if task.get("lease") else ""
    done = f'when it is done: {hive} task done {name} --result "WHAT YOU DID"{sure}'
    fail = f'if it can\'t be done: {hive} task fail {name} --why "WHY"'
    check = [f"hive then checks it with: {clean(task['check'])}"] if task.get("check") else []
    before = [f"an earlier attempt failed: {clean(one)}" for one in task.get("failures", ())]
    text = [f"{task['name']} from {task['from']}:", *_lines(task["text"]), *before, ""]
    return _told(record, *text, done, *check, fail, given=given)


def _progress(name: str, words: list[str], given: Given) -> int:
    text = " ".join(words)
    if not text.strip():
        raise WrongInput("it is not said how far you are", fix='hive task progress "TEXT"')
    args = {"text": text, "name": reach.about(name, os.environ)["name"]}
    if not args["name"].startswith("t"):
        args = {"text": f"{name}: {text}" if name else text}
    return _told(_asked("progress", **args, uid=reach.uid()), "noted: go on", given=given)


def _done(name: str, words: list[str], given: Given) -> int:
    result, confidence = _result(" ".join(words), given), _confidence(given)
    about = reach.about(name, os.environ)
    record = _asked("task_done", **about, result=result, confidence=confidence, uid=reach.uid())
    return _ended(record, name, "done", given)


def _fail(name: str, words: list[str], given: Given) -> int:
    why = _last(given, "--why") or _last(given, "--reason") or " ".join(words)
    if not why.strip():
        raise WrongInput("it is not said why", fix='hive task fail m-31 --why "WHY"')
    record = _asked("task_fail", **reach.about(name, os.environ), why=why, uid=reach.uid())
    return _ended(record, name, "failed", given)


def _ended(record: Record, name: str, how: str, given: Given) -> int:
    called = record.get("task", name) or "it"
    line = f"{called} is noted as {how}: end your turn, the next message comes by itself"
    more = [clean(record["why"])] if record.get("state", "done") != "done" else []
    return _told(record, line, *more, given=given)


def _divide(name: str, words: list[str], given: Given) -> int:
    parts = [*map(_read, words), *given.get("--text", ())]
    if not parts or not all(part.strip() for part in parts):
        what = "there is nothing in a part" if parts else "no part is named"
        raise WrongInput(what, fix="hive task split api.md ui.md   # a prompt in each file")
    about = reach.about(name, os.environ)["name"]
    record = _asked("split_task", parts=parts, name=about, uid=reach.uid())
    called, made = record.get("task", name) or "it", ", ".join(record.get("parts", ()))
    line = f"{called} waits for its parts{f': {made}' if made else ''}; end your turn"
    return _told(record, line, given=given)


def _lock(plain: list[str], given: Given) -> int:
    name = _one_lock(plain, "lock")
    more = {"shared": True} if "--shared" in given else {}

    def take() -> Record:
        return _asked("lock", name=name, **more, uid=reach.uid())

    record = _until(take, lambda one: one["held"]) if "--wait" in given else take()
    if not record["held"]:
        what = f"`{name}` is held by {record['by']}"
        raise HiveError(what, fix=f"do something else first, or wait: hive lock {name} --wait")
    return _told(record, f"`{name}` is yours; let go of it: hive unlock {name}", given=given)


def _unlock(plain: list[str], given: Given) -> int:
    name = _one_lock(plain, "unlock")
    record = _asked("unlock", name=name, uid=reach.uid())
    return _told(record, f"`{name}` is no longer yours", given=given)


def _handoff(plain: list[str], given: Given) -> int:
    own = os.environ.get("HIVE_AGENT", "")
    to = plain[1:] if plain[:1] in ([own], [own.partition("/")[2]]) else plain
    if not to:
        raise WrongInput("it is not said to whom", fix='hive handoff TO --note "TEXT"')
    args = {"source": "", "targets": to, "note": _last(given, "--note")}
    record = _asked("hand_off", **args, task="--task" in given, uid=reach.uid())
    each = record.get("messages", ())
    lines = [f"handed over to {one['agent']} as {one['message']}" for one in each]
    lines += [f"{record['task']} goes along: leave it"] if record.get("task") else []
    lines += [clean(record["why"])] if record.get("why") else []
    return _told(record, *lines, given=given)


def _one_lock(plain: list[str], verb: str) -> str:
    if len(plain) != 1:
        what = "no lock is named" if not plain else f"one lock at a time: {' '.join(plain)}"
        raise WrongInput(what, fix=f"hive {verb} NAME")
    return plain[0]


_TASKS: dict[str, Callable[[str, list[str], Given], int]] = {
    "next": _next,
    "show": _show,
    "progress": _progress,
    "done": _done,
    "fail": _fail,
    "split": _divide,
}
_DO: dict[str, Callable[[list[str], Given], int]] = {
    "report": _report,
    "ask": _ask,
    "task": _task,
    "lock": _lock,
    "unlock": _unlock,
    "handoff": _handoff,
}


def _asked(verb: str, **args: Any) -> Record:
    """Have the supervisor do it, in this agent's name."""
    args["me"] = reach.me(os.environ)

    def direct() -> Record | None:
        import gc

        gc.disable()  # to look for garbage while it imports takes a fifth of its time
        try:
            from hive import offline_tasks
        finally:
            gc.enable()
        return offline_tasks.asked(verb, args, os.environ)

    answer: Record = reach.ask(verb, args, environ=os.environ, timeout=PATIENCE, direct=direct)
    return answer


def _until(act: Callable[[], T], enough: Callable[[T], object]) -> T:
    """Do it again and again until it is enough, also while the supervisor is started anew."""
    pause = FIRST
    while True:
        try:
            found = act()
        except (NotRunning, TimedOut) as error:
            output.note(f"{error.what}: waiting for it")
        else:
            if enough(found):
                return found
        time.sleep(pause)
        pause = min(pause * 1.3, LAST)


def _told(record: Record, *lines: str, given: Given) -> int:
    """Print the answer: for programs as it came, else these lines."""
    if "--json" in given:
        output.as_json({"version": 1, **record})
        return 0
    for line in lines if record != reach.NOTED else (NOTED,):
        output.say(line)
    return 0


def _lines(text: str) -> list[str]:
    return [clean(line) for line in text.splitlines()]


def _result(text: str, given: Given) -> str:
    """Give what was done: from an option, a file, or the words that are left."""
    said = _last(given, "--result")
    file = "-" if said == "-" else _last(given, "--result-file")
    return _read(file) if file else said or text


def _read(file: str) -> str:
    """Give what a file holds, or stdin; raises WrongInput."""
    try:
        if file == "-":
            return sys.stdin.read()
        with open(file, encoding="utf-8", errors="replace") as opened:  # noqa: PTH123 - pathlib costs 7 ms
            return opened.read()
    except OSError as error:
        what = f"can't read it: {error.strerror}"
        raise WrongInput(what, where=file, fix="name a file that is there") from error


def _confidence(given: Given) -> float | None:
    word = _last(given, "--confidence")
    if not word:
        return None
    try:
        found = float(word)
    except ValueError:
        found = -1.0
    if not 0 <= found <= 1:
        raise WrongInput(f"confidence must be from 0 to 1, not `{word}`", fix="--confidence 0.9")
    return found


def _last(given: Given, option: str) -> str:
    return given.get(option, [""])[-1]


def _hive() -> str:
    """Give the command by which this was run, as a sandbox's shell finds it too."""
    name = sys.argv[0]
    return name if name.startswith("/") and name.endswith("/hive") else "hive"
