"""An agent without a mind: `hive worker` runs each message as a command, one by one.

The command has the pane's own terminal, so a person may attach and type into it. No command is
ever run twice: what was begun is written down first, and a command that was cut off is reported
so. `worker.json` in the launch's folder is that memory.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import termios
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from hive.adapters import reach
from hive.cli import output
from hive.core.wording import clean
from hive.errors import HiveError, NotRunning, TimedOut, WrongInput

HELP = """\
Usage: hive worker

  Run the messages of this agent as commands of `sh`, one by one, each on this terminal, and
  report how each ended. For a pane of an agent with `profile = "worker"`.
"""

POLL = 0.2
"""Seconds between two looks at the bell, which hive rings when a message has come."""

ANYWAY = 30.0
"""Seconds after which it is asked for a message although no bell was rung."""

PATIENCE = 10.0
"""Seconds an answer may take."""

AGAIN = 1.0
"""Seconds until it is asked again where nobody answered."""

LINES = 20
"""How many of the last lines that a command showed are reported."""

OF_TERMINAL = (signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP, signal.SIGTTOU, signal.SIGTTIN)
"""What the terminal sends is for the command."""

HELD = (signal.SIGTERM, signal.SIGCHLD)
"""What is waited for while a command runs."""

AWAY = (NotRunning, TimedOut)


def run(words: list[str]) -> int:
    """Work until TERM comes; raises HiveError outside an agent."""
    if words[:1] in (["--help"], ["-h"]):
        print(HELP, end="")
        return 0
    if words:
        raise WrongInput(f"`hive worker` takes no words: `{words[0]}`", fix="hive worker")
    me, folder = reach.me(os.environ), os.environ.get("HIVE_FOLDER")
    if not folder:
        raise WrongInput("this is for agents that hive started: `HIVE_FOLDER` is not set")
    worker = Worker(Path(folder), me)
    for number in OF_TERMINAL:
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, worker.ended)
    return worker.work()


class Worker:
    """Takes a message, runs it, reports it."""

    def __init__(self, folder: Path, me: dict[str, str]) -> None:
        self._me = me
        self._memory = folder / "worker.json"
        self._bell = folder / "bell"
        self._over = False
        self._idle = False
        self._begun = _read(self._memory)
        self._here = False

    def ended(self, _number: int, _frame: object) -> None:
        """End: at once while nothing is done, else after what is done."""
        self._over = True
        if self._idle:
            raise SystemExit(0)

    def work(self) -> int:
        """Work until the end, and give the exit code."""
        output.say("hive worker: waiting for commands")
        while not self._over:
            rung = _touched(self._bell)
            self._idle = True
            task, again = self._next()
            if task is None:
                self._rest(again, rung)
            self._idle = False
            if task is not None and not self._over:
                self._do(task["name"], task["text"])
        return 0

    def _next(self) -> tuple[dict[str, str] | None, float]:
        """Give the next message, or None and the seconds until it is asked again."""
        try:
            task = self._ask("next_task")["task"]
        except AWAY as error:
            self._complain(error)
            return None, AGAIN
        self._here = True
        return task, ANYWAY

    def _do(self, name: str, text: str) -> None:
        """Run a command, unless it was begun before; report how it ended, until that is heard."""
        if self._begun.get("task") != name:
            self._remember({"task": name, "uid": reach.uid()})
            code = self._run(text)
            lines = tail(self._shown(), headers(text))
            self._remember({**self._begun, **_outcome(code, lines, over=self._over)})
        elif "verb" not in self._begun:
            output.note(f"hive worker: {name} was cut off, and is not run again")
            self._remember({**self._begun, "verb": "task_fail", "args": {"why": CUT_OFF}})
        self._report(name)

    def _report(self, name: str) -> None:
        """Report how a command ended, until somebody hears it."""
        args = {**self._begun["args"], "name": name, "uid": self._begun["uid"]}
        while True:
            try:
                if self._ask(self._begun["verb"], **args) != reach.NOTED:
                    return
                break
            except AWAY as error:
                self._complain(error)
            except HiveError as error:  # it was answered meanwhile, or taken back
                output.note(f"hive worker: {name} is not reported: {error.what}")
                break
            if self._over:
                return
            self._rest(AGAIN, _touched(self._bell))
        self._rest(AGAIN, _touched(self._bell))  # else the same message might come at once

    def _ask(self, verb: str, **args: Any) -> Any:
        args["me"] = self._me
        return reach.ask(verb, args, environ=os.environ, timeout=PATIENCE)

    def _complain(self, error: HiveError) -> None:
        """Say once that nobody answers."""
        if self._here:
            output.note(f"hive worker: {error.what}: waiting for it")
        self._here = False

    def _rest(self, seconds: float, rung: int) -> None:
        """Wait so long, or until the bell is rung; `rung` is when it was, as it was asked."""
        last = time.monotonic() + seconds
        while not self._over and time.monotonic() < last and _touched(self._bell) == rung:
            time.sleep(POLL)

    def _remember(self, begun: dict[str, Any]) -> None:
        """Write down what was begun, so that also a machine that fails leaves it."""
        self._begun = begun
        draft = self._memory.with_name("worker.json.new")
        try:
            with draft.open("w") as file:
                json.dump(begun, file)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self._memory)
        except OSError as error:
            what = f"can't write down what is begun: {error.strerror}"
            raise HiveError(what, where=str(self._memory), fix="put that right") from error

    def _run(self, text: str) -> int:
        """Run it on this terminal, in the foreground; give its exit code, -N for signal N."""
        for line in headers(text):
            output.say(line)
        terminal = os.isatty(0)
        if terminal:
            before = termios.tcgetattr(0)
            termios.tcflush(0, termios.TCIFLUSH)  # what was typed before is not for this one
        signal.pthread_sigmask(signal.SIG_BLOCK, HELD)  # none is lost: `_wait` takes them
        code = self._wait(_start(text, terminal=terminal), terminal=terminal)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD)
        if terminal:
            with suppress(OSError, termios.error):  # the terminal has gone
                os.tcsetpgrp(0, os.getpgrp())
                termios.tcsetattr(0, termios.TCSADRAIN, before)
        return code

    def _wait(self, child: int, *, terminal: bool) -> int:
        """Wait for the command's end; pass TERM on. One that the terminal stopped goes on."""
        while True:
            pid, status = os.waitpid(child, os.WUNTRACED | os.WNOHANG)
            if not pid:
                if signal.sigwait(HELD) == signal.SIGTERM:
                    self._over = True
                    _signal(child, signal.SIGTERM)
            elif not os.WIFSTOPPED(status):
                return os.waitstatus_to_exitcode(status)
            elif os.WSTOPSIG(status) != signal.SIGSTOP and terminal:
                with suppress(OSError):  # the terminal has gone
                    os.tcsetpgrp(0, child)
                _signal(child, signal.SIGCONT)

    def _shown(self) -> list[str]:
        """Give the last lines that the command showed, as hive sees them in the window."""
        if not os.isatty(1):
            return []
        with suppress(OSError, termios.error):
            termios.tcdrain(1)
        try:
            args = {"name": self._me["agent"], "lines": 200}
            answer = reach.ask("logs", args, environ=os.environ, timeout=PATIENCE)
            lines: list[str] = answer["lines"]
        except HiveError:
            return []  # the exit code says the most
        return lines


CUT_OFF = "cut off: the worker was ended while the command ran; it is not run again"


def headers(text: str) -> list[str]:
    """Give the lines that show a command before it runs."""
    first, *more = text.splitlines() or [""]
    return [f"$ {clean(first)}", *(f"> {clean(line)}" for line in more)]


def tail(lines: list[str], shown: list[str]) -> list[str]:
    """Give the last lines of a window, from behind the command's own (`shown`) on."""
    starts = [number for number, line in enumerate(lines) if line == shown[0]]
    after = lines[starts[-1] :] if starts else lines
    while after and shown and after[0] == shown[0]:
        after, shown = after[1:], shown[1:]
    return after[-LINES:]


def _outcome(code: int, lines: list[str], *, over: bool) -> dict[str, Any]:
    """Give the report of an exit code: the verb and what it says."""
    said = f"exit code {code}" if code >= 0 else f"ended by {_name(-code)}"
    text = "\n".join([said, *lines]).strip()
    if code == 0:
        return {"verb": "task_done", "args": {"result": text, "confidence": None}}
    why = f"{text}\nthe worker was stopped" if over else text
    return {"verb": "task_fail", "args": {"why": why}}


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _start(text: str, *, terminal: bool) -> int:
    """Start the command as a group of its own that has the terminal; give its pid."""
    child = os.fork()
    if not child:
        _become(text, terminal=terminal)
    with suppress(PermissionError, ProcessLookupError):  # it is a program by now, or ended
        os.setpgid(child, child)
    return child


def _become(text: str, *, terminal: bool) -> NoReturn:
    """Run the command in this process."""
    try:
        os.setpgid(0, 0)
        if terminal:
            os.tcsetpgrp(0, os.getpgrp())
        for number in (*OF_TERMINAL, signal.SIGTERM, signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD)
        os.execvp("sh", ["sh", "-c", text])  # noqa: S606 - it is what was asked for
    except BaseException as error:  # noqa: BLE001 - nothing may go on as a second worker
        sys.stderr.write(f"hive worker: can't run it: {error}\n")
        sys.stderr.flush()
        os._exit(127)


def _signal(child: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):  # it has just ended
        os.killpg(child, number)
        os.killpg(child, signal.SIGCONT)


def _touched(file: Path) -> int:
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return 0


def _read(file: Path) -> dict[str, Any]:
    """Give what was written down, nothing where nothing was."""
    try:
        found = json.loads(file.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        fix = "look at what it says; delete it, and restart the agent"
        raise HiveError("the worker's memory is damaged", where=str(file), fix=fix) from error
    return dict(found)
