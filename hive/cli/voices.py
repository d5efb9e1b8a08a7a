"""What agents say from inside their windows: reports, questions, messages, locks.

Short lines that a language model understands, each with what to do next. With the standard
library only: agents say these things all day. Only an agent that hive started can, and only for
itself.
"""

from __future__ import annotations

import os
import sys
import time

from hive.adapters import reach
from hive.cli import output
from hive.core.wording import clean
from hive.errors import HiveError, NotRunning, TimedOut, WrongInput

TYPE_CHECKING = False  # what mypy takes for true; importing `typing` costs 6 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    T = TypeVar("T")

HELP = {
    "report": """\
Usage: hive report working|blocked|done [TEXT]

  Say how you are. `blocked` shows TEXT to a person: say what keeps you.
  `done` ends no message: `hive task done` does.

Example:  hive report blocked "the staging database is down"
""",
    "ask": """\
Usage: hive ask QUESTION [--option TEXT]... [--wait]

  Ask a person. The answer comes as a message: end your turn.

  --option TEXT   an answer to choose from; repeatable
  --wait          stay until it is answered, and print the answer

Example:  hive ask "Which database?" --option staging --option production
""",
    "task": """\
Usage: hive task next                        your next message, if one waits
       hive task show [m-N]                  the whole message
       hive task progress [m-N] TEXT         how far you are
       hive task done [m-N] [--result TEXT | --result-file FILE] [--confidence 0.9]
       hive task fail [m-N] --why TEXT       it can't be done

  Without a number it is the one message that is open for you.

Example:  hive task done m-31 --result "rebased on main, tests pass"
""",
    "lock": """\
Usage: hive lock NAME [--wait]

  Take a lock that one agent at a time has; say who has it otherwise (exit code 1).
  It is let go by `hive unlock NAME`, and when you end.

  --wait   stay until it is yours

Example:  hive lock database --wait && make migrate; hive unlock database
""",
    "unlock": """\
Usage: hive unlock NAME

  Let go of a lock that you have.
""",
}
"""What `hive COMMAND --help` says."""

OPTIONS = {
    "report": {},
    "ask": {"--option": True, "--wait": False},
    "task": {
        "--result": True,
        "--result-file": True,
        "--confidence": True,
        "--why": True,
        "--reason": True,
    },
    "lock": {"--wait": False},
    "unlock": {},
    "send": {},
}
"""The options of each command besides `--json`, and whether one takes a value."""

STATES = {
    "working": "noted",
    "blocked": "noted: a person sees it; end your turn, an answer comes as a message",
    "done": "noted; end your turn, the next message comes by itself",
}
"""The states that may be reported, each with what is said then."""

NOTED = "noted in a file: hive does it as soon as it runs; go on"

PATIENCE = 20.0
"""Seconds an answer may take."""

FIRST, LAST = 0.3, 2.0
"""Seconds between two questions of one wait: at the beginning, and when it takes long."""

if TYPE_CHECKING:
    Given = dict[str, list[str]]
    Record = dict[str, Any]


def run(verb: str, words: list[str]) -> int:
    """Carry out one of the commands of `HELP`; raises HiveError."""
    plain, given = _split(verb, words)
    if "--help" in given:
        print(HELP[verb], end="")
        return 0
    return _DO[verb](plain, given)


def agent_send(words: list[str]) -> int | None:
    """Send an agent's message; None where the whole command line is needed.

    That is for a person, and for anything but one name and one text.
    """
    before = words[: words.index("--")] if "--" in words else words
    others = [word for word in before if word.startswith("-") and word != "--json"]
    if not os.environ.get("HIVE_AGENT") or others:
        return None
    plain, given = _split("send", words)
    if len(plain) != 2:
        return None
    record = _asked("send", names=plain[:1], text=plain[1], uid=reach.uid())
    sent = [f"sent to {one['agent']} as {one['message']}" for one in record.get("messages", ())]
    return _told(record, *sent, given=given)


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
    name = rest.pop(0) if rest and _is_message(rest[0]) else ""
    return _TASKS[what](name, " ".join(rest), given)


def _is_message(word: str) -> bool:
    return word.startswith("m-") and word[2:].isdecimal()


def _next(_name: str, text: str, given: Given) -> int:
    if text:
        raise WrongInput(f"`hive task next` takes no more words: `{text}`", fix="hive task --help")
    return _shown(_asked("next_task"), given)


def _show(name: str, text: str, given: Given) -> int:
    if text:
        raise WrongInput(f"`{text}` is no message", fix="hive task show m-31")
    return _shown(_asked("show_task", name=name), given)


def _shown(record: Record, given: Given) -> int:
    task = record["task"]
    if task is None:
        line = "no message waits for you: end your turn, the next one comes by itself"
        return _told(record, line, given=given)
    name, hive = task["name"], _hive()
    done = f'when it is done: {hive} task done {name} --result "WHAT YOU DID"'
    fail = f'if it can\'t be done: {hive} task fail {name} --why "WHY"'
    first = f"{name} from {task['from']}:"
    return _told(record, first, *_lines(task["text"]), "", done, fail, given=given)


def _progress(name: str, text: str, given: Given) -> int:
    if not text.strip():
        raise WrongInput("it is not said how far you are", fix='hive task progress "TEXT"')
    said = f"{name}: {text}" if name else text
    return _told(_asked("progress", text=said, uid=reach.uid()), "noted: go on", given=given)


def _done(name: str, text: str, given: Given) -> int:
    result = _result(text, given)
    confidence = _confidence(given)
    args = {"name": name, "result": result, "confidence": confidence, "uid": reach.uid()}
    return _ended(_asked("task_done", **args), name, "done", given)


def _fail(name: str, text: str, given: Given) -> int:
    why = _last(given, "--why") or _last(given, "--reason") or text
    if not why.strip():
        raise WrongInput("it is not said why", fix='hive task fail m-31 --why "WHY"')
    record = _asked("task_fail", name=name, why=why, uid=reach.uid())
    return _ended(record, name, "failed", given)


def _ended(record: Record, name: str, how: str, given: Given) -> int:
    called = record.get("task", name) or "it"
    line = f"{called} is noted as {how}: end your turn, the next message comes by itself"
    return _told(record, line, given=given)


def _lock(plain: list[str], given: Given) -> int:
    name = _one_lock(plain, "lock")

    def take() -> Record:
        return _asked("lock", name=name, uid=reach.uid())

    record = _until(take, lambda one: one["held"]) if "--wait" in given else take()
    if not record["held"]:
        what = f"`{name}` is held by {record['by']}"
        raise HiveError(what, fix=f"do something else first, or wait: hive lock {name} --wait")
    return _told(record, f"`{name}` is yours; let go of it: hive unlock {name}", given=given)


def _unlock(plain: list[str], given: Given) -> int:
    name = _one_lock(plain, "unlock")
    record = _asked("unlock", name=name, uid=reach.uid())
    return _told(record, f"`{name}` is no longer yours", given=given)


def _one_lock(plain: list[str], verb: str) -> str:
    if len(plain) != 1:
        what = "no lock is named" if not plain else f"one lock at a time: {' '.join(plain)}"
        raise WrongInput(what, fix=f"hive {verb} NAME")
    return plain[0]


_TASKS: dict[str, Callable[[str, str, Given], int]] = {
    "next": _next,
    "show": _show,
    "progress": _progress,
    "done": _done,
    "fail": _fail,
}
_DO: dict[str, Callable[[list[str], Given], int]] = {
    "report": _report,
    "ask": _ask,
    "task": _task,
    "lock": _lock,
    "unlock": _unlock,
}


def _asked(verb: str, **args: Any) -> Record:
    """Have the supervisor do it, in this agent's name."""
    args["me"] = reach.me(os.environ)
    answer: Record = reach.ask(verb, args, environ=os.environ, timeout=PATIENCE)
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
    file = _last(given, "--result-file")
    if not file:
        return _last(given, "--result") or text
    from pathlib import Path

    try:
        return sys.stdin.read() if file == "-" else Path(file).read_text("utf-8", "replace")
    except OSError as error:
        what = f"can't read it: {error.strerror}"
        raise WrongInput(what, where=file, fix="give the result with --result") from error


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


def _split(verb: str, words: list[str]) -> tuple[list[str], Given]:
    """Give the plain words, and the options with their values; raises WrongInput."""
    known = OPTIONS[verb] | {"--json": False, "--help": False, "-h": False}
    plain: list[str] = []
    given: Given = {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word == "--":
            return plain + rest, given
        option, equals, value = word.partition("=") if word.startswith("--") else (word, "", "")
        if not word.startswith("-") or word == "-":
            plain.append(word)
            continue
        if option not in known or (equals and not known[option]):
            raise WrongInput(f"no such option: `{option}`", fix=f"hive {verb} --help")
        if known[option] and not equals:
            if not rest:
                raise WrongInput(f"`{option}` needs a value", fix=f"hive {verb} --help")
            value = rest.pop(0)
        given.setdefault("--help" if option == "-h" else option, []).append(value)
    return plain, given
