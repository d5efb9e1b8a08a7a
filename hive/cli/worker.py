"""An agent without a mind: `hive worker` does each task and message as a command, one by one.

The command has the pane's own terminal, so a person may attach and type into it. Nothing is ever
run twice under one lease: what was begun is written down first, and a command that was cut off is
reported so. `worker.json` in the launch's folder is that memory.
"""

from __future__ import annotations

import json
import os
import signal
import termios
from contextlib import suppress
from pathlib import Path

from hive.adapters import reach
from hive.cli import output
from hive.cli.workplace import NOT_FOUND, NOT_RUN, Workplace
from hive.core.wording import clean
from hive.errors import HiveError, NotRunning, TimedOut, WrongInput

TYPE_CHECKING = False  # what mypy takes for true; importing `typing` costs 6 ms
if TYPE_CHECKING:
    from typing import Any

HELP = """\
Usage: hive worker [--prompts]

  Do the tasks and messages of this agent, one by one, each as a command on this terminal, and
  report how it ended: exit code 0 is done, any other failed. What the command writes into the
  file $HIVE_RESULT is the result, else the last lines that it showed. A task that failed is tried
  again as often as it may be, but not after 64 (it was called wrongly), 78 (its configuration is
  wrong), 126 or 127 (it can't be run). The command finds $HIVE_TASK, and for a task $HIVE_FENCE
  and $HIVE_LEASE. For a pane of an agent with `profile = "worker"`.

  --prompts   refuse what is neither a prompt nor a command: hive says so for an agent with
              `mode = "task"`, whose prompts its own program does
"""

ANYWAY = 10.0
"""Seconds after which it is asked for something to do although no bell was rung."""

PATIENCE = 10.0
"""Seconds an answer may take."""

GLANCE = 2.0
"""Seconds an answer may take while a command runs."""

AGAIN = 1.0
"""Seconds until it is asked again where nobody answered."""

LINES = {"prompt": 200}
"""How many of the last lines that it showed are reported, by kind; of any other:"""

FEW = 20

LONGEST = 200_000
"""How many characters of a result that was written into a file are reported."""

WHOLE = 400
"""How many of a window's lines are looked through for those of a command."""

PERMANENT = frozenset({64, 78, NOT_RUN, NOT_FOUND})
"""The exit codes after which another try would end the same: those of sysexits.h, and a shell's."""

AWAY = (NotRunning, TimedOut)

CUT_OFF = "cut off: the worker was ended while the command ran"
TAKEN = "it was taken back, or is over, while its command ran: that was ended"
NO_COMMAND = 'this worker has no command for it: it runs commands, and prompts where its agent \
has `mode = "task"`'

Task = dict[str, "Any"]


def run(words: list[str]) -> int:
    """Work until TERM comes; raises HiveError outside an agent."""
    if words[:1] in (["--help"], ["-h"]):
        print(HELP, end="")
        return 0
    if words not in ([], ["--prompts"]):
        raise WrongInput(f"`hive worker` does not know `{words[0]}`", fix="hive worker --help")
    me, folder = reach.me(os.environ), os.environ.get("HIVE_FOLDER")
    if not folder:
        raise WrongInput("this is for agents that hive started: `HIVE_FOLDER` is not set")
    return Worker(Path(folder), me, prompts=bool(words)).work()


class Worker:
    """Takes a task, runs its command, reports it."""

    def __init__(self, folder: Path, me: dict[str, str], *, prompts: bool = False) -> None:
        self._me = me
        self._prompts = prompts
        self._memory = folder / "worker.json"
        self._result = folder / "result"
        self._begun = _read(self._memory)
        self._place = Workplace(folder)
        self._here = False

    def work(self) -> int:
        """Work until the end, and give the exit code."""
        output.say("hive worker: waiting for commands")
        while not self._place.over:
            self._place.idle = True
            task, again = self._next()
            if task is None:
                self._place.rest(again)
            self._place.idle = False
            if task is not None and not self._place.over:
                self._do(task)
        return 0

    def _next(self) -> tuple[Task | None, float]:
        """Give what to do next, or None and the seconds until it is asked again."""
        try:
            task = self._ask("next_task")["task"]
        except WrongInput:  # this launch is over
            raise
        except HiveError as error:  # nobody answers, or the work rests
            self._complain(error)
            return None, AGAIN
        self._here = True
        return task, ANYWAY

    def _do(self, task: Task) -> None:
        """Run a command, unless it was begun before; report how it ended, until that is heard."""
        if self._begun.get("lease") != _lease(task):
            self._remember({"task": task["name"], "lease": _lease(task), "uid": reach.uid()})
            ended = self._ended(task)
            self._remember({**self._begun, **ended})
            if ended["why"] == TAKEN:
                self._give_back(task)
                return
        elif "verb" not in self._begun:
            output.note(f"hive worker: {task['name']} was cut off, and is not run again")
            self._remember({**self._begun, **_failed(CUT_OFF)})
        self._report(task)

    def _ended(self, task: Task) -> Task:
        """Run a command, and give how it ended: the verb and what it says."""
        argv = self._command(task)
        if not argv:
            return _failed(NO_COMMAND, permanent=True)
        shown = headers(task)
        for line in shown:
            output.say(line)
        with suppress(OSError):  # none is there, or what is no file, and is not read
            self._result.unlink()
        directory = task.get("directory") or ""
        code = self._place.run(argv, self._environ(task), directory, lambda: self._is_ours(task))
        if code is None:
            return _failed(TAKEN)
        answer = _text(self._result).strip()
        told = answer or "\n".join(self._shown(task, shown)).strip()
        alone = bool(answer) or task.get("kind") == "prompt"
        return _outcome(code, told, alone=alone, over=self._place.over)

    def _command(self, task: Task) -> list[str]:
        """Give the words that do it, none where there are none."""
        if task.get("argv"):
            return list(task["argv"])
        kind = task.get("kind")
        if kind == "prompt" or (self._prompts and kind != "run"):
            return []
        return ["sh", "-c", task["text"]]

    def _environ(self, task: Task) -> dict[str, str]:
        """Give a command's environment: which task it is, and where its result may be put."""
        own = {"HIVE_TASK": task["name"], "HIVE_RESULT": str(self._result)}
        if task.get("fence"):
            own |= {"HIVE_FENCE": str(task["fence"]), "HIVE_LEASE": task["lease"]}
        return {**os.environ, **own}

    def _is_ours(self, task: Task) -> bool:
        """Whether what runs is still to be done here; so it is where nobody answers."""
        try:
            now = self._ask("next_task", timeout=GLANCE, away=0.0)["task"]
        except WrongInput:
            return False  # this launch is over
        except HiveError:
            return True
        return now is not None and _lease(now) == _lease(task)

    def _give_back(self, task: Task) -> None:
        """Say once that nothing runs any more for what was taken back."""
        output.note(f"hive worker: {task['name']}: {TAKEN}")
        with suppress(HiveError):  # it is over, or another's by now; or nobody answers
            self._tell(task)

    def _tell(self, task: Task) -> Any:
        """Report once how a command ended."""
        args = {**self._begun["args"], "name": task["name"], "uid": self._begun["uid"]}
        if task.get("fence"):
            args["fence"] = task["fence"]
        else:
            args.pop("permanent", None)  # a message is never tried again
        return self._ask(self._begun["verb"], **args)

    def _report(self, task: Task) -> None:
        """Report how a command ended, until somebody hears it."""
        name = task["name"]
        while True:
            try:
                if self._tell(task) != reach.NOTED:
                    return
                break
            except AWAY as error:
                self._complain(error)
            except HiveError as error:  # it was answered meanwhile, or taken back
                output.note(f"hive worker: {name} is not reported: {error.what}")
                break
            if self._place.over:
                return
            self._place.rest(AGAIN)
        self._place.rest(AGAIN)  # else the same task might come at once

    def _ask(
        self, verb: str, *, timeout: float = PATIENCE, away: float = reach.AWAY, **args: Any
    ) -> Any:
        args["me"] = self._me
        return reach.ask(verb, args, environ=os.environ, timeout=timeout, away=away)

    def _complain(self, error: HiveError) -> None:
        """Say once that nobody answers."""
        if self._here:
            output.note(f"hive worker: {error.what}: waiting for it")
        self._here = False

    def _remember(self, begun: Task) -> None:
        """Write down what was begun: for a worker that is started in its place, in this launch."""
        self._begun = begun
        draft = self._memory.with_name("worker.json.new")
        try:
            draft.write_text(json.dumps(begun))
            draft.replace(self._memory)
        except OSError as error:
            what = f"can't write down what is begun: {error.strerror}"
            raise HiveError(what, where=str(self._memory), fix="put that right") from error

    def _shown(self, task: Task, shown: list[str]) -> list[str]:
        """Give the last lines that the command showed, as hive sees them in the window."""
        if not os.isatty(1):
            return []
        with suppress(OSError, termios.error):
            termios.tcdrain(1)
        try:
            args = {"name": self._me["agent"], "lines": WHOLE}
            answer = reach.ask("logs", args, environ=os.environ, timeout=PATIENCE)
        except HiveError:
            return []  # the exit code says the most
        return tail(answer["lines"], shown, LINES.get(task.get("kind", ""), FEW))


def headers(task: Task) -> list[str]:
    """Give the lines that show what is done before it is."""
    first, *more = task["text"].splitlines() or [""]
    sign = f"{task['name']}:" if task.get("argv") else "$"
    return [f"{sign} {clean(first)}", *(f"> {clean(line)}" for line in more)]


def tail(lines: list[str], shown: list[str], most: int = FEW) -> list[str]:
    """Give the last lines of a window, from behind the command's own (`shown`) on."""
    starts = [number for number, line in enumerate(lines) if line == shown[0]]
    after = lines[starts[-1] :] if starts else lines
    while after and shown and after[0] == shown[0]:
        after, shown = after[1:], shown[1:]
    return after[-most:]


def _lease(task: Task) -> str:
    """Give what a task is known by: it may come again under another lease, and is done again."""
    return task.get("lease") or str(task["name"])


def _outcome(code: int, told: str, *, alone: bool, over: bool) -> Task:
    """Give the report of an exit code: the verb and what it says.

    What was `told` is the result `alone`, or stands behind the exit code.
    """
    said = f"exit code {code}" if code >= 0 else f"ended by {_name(-code)}"
    text = f"{said}\n{told}".strip()
    if code == 0:
        result = told if told and alone else text
        return {"verb": "task_done", "args": {"result": result, "confidence": None}, "why": ""}
    why = f"{text}\nthe worker was stopped" if over else text
    return _failed(why, permanent=code in PERMANENT)


def _failed(why: str, *, permanent: bool = False) -> Task:
    """Give the report of a failure; a permanent one is not worth another try."""
    args = {"why": why, "permanent": True} if permanent else {"why": why}
    return {"verb": "task_fail", "args": args, "why": why}


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _text(file: Path) -> str:
    """Give what a command wrote as its result, "" where it wrote none."""
    if not file.is_file():
        return ""
    try:
        with file.open(errors="replace") as written:
            return written.read(LONGEST)
    except OSError:
        return ""  # it can't be read: what was shown counts


def _read(file: Path) -> Task:
    """Give what was written down, nothing where nothing was."""
    try:
        found = json.loads(file.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        fix = "look at what it says; delete it, and restart the agent"
        raise HiveError("the worker's memory is damaged", where=str(file), fix=fix) from error
    return dict(found)
