"""Typing into panes: what is pasted, when Enter follows, and what tmux remembers of both.

Each paste and each key is one guarded step on the server: it looks once more whether the pane is
alive, ours, of this launch and takes keys, and whether this very thing was done before. What was
done is written on the pane in the same step. So neither a supervisor that was killed nor its
successor nor a client that was late can type anything twice. A pane in copy mode is left alone:
a person reads there.
"""

from __future__ import annotations

import math
import re
import secrets
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce

from hive.adapters import terminals
from hive.adapters.control import Gone, Reply, answers, line, run
from hive.adapters.panes import ours
from hive.core import gate
from hive.core.signs import Glimpse

SAID = "said already"
ENTERED = "entered already"
UNSAID = "the pane was told something else meanwhile"
GONE = "not a pane of this hive"
COPIED = "its window types into all its panes at once"
HIDDEN = "its screen does not show it any more"
LATE = "tmux came to it too late"

FULL = 50
"""How many lines of commands may take one timeout."""

_GLIMPSE = (
    "#{pane_id}|#{@hive_launch}|#{pane_dead}|#{pane_in_mode}|#{pane_input_off}|#{window_activity}"
    "|#{pane_tty}|#{pane_pid}|#{@hive_said}|#{@hive_entered}|#{pane_title}"
)
_PEOPLE = (
    "#{client_activity}|#{client_created}|#{client_readonly}|#{client_control_mode}|#{pane_id}"
)
_LIST_PEOPLE = line("list-clients", "-F", _PEOPLE)
_FACTS = (
    "#{pane_dead}|#{pane_in_mode}|#{pane_input_off}|#{pane_synchronized}"
    "|#{@hive}|#{@hive_launch}|#{@hive_said}|#{@hive_entered}"
)
_CLOCK = "#{T;l:%s}"
"""What tmux expands to the time, in whole seconds: the text `%s`, as a time."""

_DONE = "done"
_PLAIN = re.compile(r"[A-Za-z0-9]")
_SPECIAL = "#{},:"
_ROW = 60
"""Characters of a row that are looked for: a program may cut what is longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pasting:
    """`text` for one launch's pane; `mark` names it, and is pasted there once only."""

    pane: str
    launch: str
    mark: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entering:
    """Enter number `count` behind the text that `mark` names; the screen must show `shows`."""

    pane: str
    launch: str
    mark: str
    count: int
    shows: str = ""


class Typist:
    """Types into the panes of the hive named `instance`.

    `timeout` is in seconds, for one question. What tmux comes to later than that is not typed.
    """

    def __init__(self, instance: str, timeout: float = 2.0) -> None:
        self._instance = instance
        self._timeout = timeout

    def glimpses(self, socket: str) -> dict[str, Glimpse]:
        """Give what every pane of ours shows of itself, by its id; no server has none.

        Raises `HiveError` where tmux does not answer.
        """
        listed = line("list-panes", "-a", "-f", ours(self._instance), "-F", _GLIMPSE)
        replies = self._asked(socket, [_LIST_PEOPLE, listed])
        typed = _people(replies[0].lines) if replies else {}
        lines = dict.fromkeys(replies[1].lines) if replies else {}
        return {one.pane: one for one in (_glimpse(text, typed) for text in lines)}

    def look(self, socket: str, panes: Sequence[str]) -> dict[str, tuple[Glimpse, list[str]]]:
        """Give the same of these panes only, each with its screen; what is not ours is left out.

        Raises `HiveError` where tmux does not answer.
        """
        among = f"#{{m:* #{{pane_id}} *, {' '.join(panes)} }}"
        wanted = _both(ours(self._instance), among)
        listed = line("list-panes", "-a", "-f", wanted, "-F", _GLIMPSE)
        replies = self._asked(socket, [_LIST_PEOPLE, listed, *map(_capture, panes)])
        if not replies:
            return {}
        typed = _people(replies[0].lines)
        shown = dict(zip(panes, replies[2:], strict=True))
        seen = [_glimpse(text, typed) for text in dict.fromkeys(replies[1].lines)]
        return {one.pane: (one, shown[one.pane].lines) for one in seen}

    def screens(self, socket: str, panes: Sequence[str]) -> dict[str, list[str]]:
        """Give what these panes show, with its colours; a pane that is not there is left out.

        Raises `HiveError` where tmux does not answer.
        """
        replies = self._asked(socket, [_capture(pane) for pane in panes])
        return {p: one.lines for p, one in zip(panes, replies, strict=False) if one.ok}

    def paste(self, socket: str, jobs: Sequence[Pasting]) -> list[str]:
        """Paste each text into its pane, and give for each "" or why it was not.

        The text must be fit to be typed (`hive.core.delivery.clean`). Raises `HiveError` where
        tmux does not answer: then nobody knows what was pasted, but the next look.
        """
        until, name = self._deadline(), secrets.token_hex(4)
        asked = [self._paste(job, f"hive-{name}-{n}", until) for n, job in enumerate(jobs)]
        replies = self._asked(socket, asked) or [_NO_SERVER] * len(jobs)
        return [
            self._why(reply, job.launch, SAID if job.mark in _said(reply) else "")
            for job, reply in zip(jobs, replies, strict=True)
        ]

    def _paste(self, job: Pasting, buffer: str, until: int) -> str:
        """Make the buffer before the guard, where its text is quoted but once; drop it behind."""
        condition = self._open(job.launch, until, f"#{{!=:#{{@hive_said}},{job.mark}}}")
        steps = [
            line("paste-buffer", "-p", "-r", "-d", "-b", buffer, "-t", job.pane),
            line("set-option", "-p", "-t", job.pane, "@hive_said", job.mark),
        ]
        dropped = line("delete-buffer", "-b", buffer)
        made = line("set-buffer", "-b", buffer, "--", job.text)
        return f"{made} ; {_step(job.pane, condition, steps, dropped)}"

    def enter(self, socket: str, jobs: Sequence[Entering]) -> list[str]:
        """Press Enter behind each of these texts, and give for each "" or why it was not.

        Raises `HiveError` where tmux does not answer: then the next look tells.
        """
        until = self._deadline()
        asked = [self._enter(job, until) for job in jobs]
        replies = self._asked(socket, asked) or [_NO_SERVER] * len(jobs)
        return [
            self._why(reply, job.launch, _unentered(job, _said(reply)))
            for job, reply in zip(jobs, replies, strict=True)
        ]

    def _enter(self, job: Entering, until: int) -> str:
        before = f"#{{==:#{{@hive_entered}},{job.mark}:{job.count - 1}}}"
        never = f"#{{==:0,#{{m:{job.mark}:*,#{{@hive_entered}}}}}}"
        said = f"#{{==:#{{@hive_said}},{job.mark}}}"
        right = [said, before if job.count > 1 else never, *_shows(job.shows)]
        steps = [
            line("send-keys", "-t", job.pane, "Enter"),
            line("set-option", "-p", "-t", job.pane, "@hive_entered", f"{job.mark}:{job.count}"),
        ]
        return _step(job.pane, self._open(job.launch, until, *right), steps)

    def keys(
        self, socket: str, pane: str, launch: str, keys: Sequence[str], *, shows: str = ""
    ) -> str:
        """Press these tmux keys while the screen still shows `shows`; give "" or why not.

        `shows` may have several rows, each as it stands or begins there. Raises `HiveError` where
        tmux does not answer: then nobody knows whether they were pressed.
        """
        condition = self._open(launch, self._deadline(), *_shows(shows))
        pressed = line("send-keys", "-t", pane, "--", *keys)
        reply = (self._asked(socket, [_step(pane, condition, [pressed])]) or [_NO_SERVER])[0]
        return self._why(reply, launch, HIDDEN if shows else "")

    def _open(self, launch: str, until: int, *more: str) -> str:
        """Give the condition under which something may be typed."""
        facts = _FACTS.partition("|#{@hive_said}")[0]
        fit = f"#{{==:{facts},0|0|0|0|{self._instance}|{launch}}}"
        in_time = f"#{{e|<=|:{_CLOCK},{until}}}"
        return reduce(_both, more, _both(fit, in_time))

    def _deadline(self) -> int:
        return math.ceil(time.time() + self._timeout)

    def _why(self, reply: Reply, launch: str, otherwise: str) -> str:
        """Say why something was not typed; "" where it was."""
        if not reply.ok:
            return reply.why
        if reply.lines == [_DONE]:
            return ""
        dead, mode, shut, copied, instance, now, *_ = "".join(reply.lines).split("|")
        facts = (
            (instance != self._instance, GONE),
            (dead != "0", gate.DEAD),
            (now != launch, gate.OTHER),
            (mode != "0", gate.MODE),
            (shut != "0", gate.SHUT),
            (copied != "0", COPIED),
            (bool(otherwise), otherwise),
        )
        return next((why for holds, why in facts if holds), LATE)

    def _asked(self, socket: str, commands: Sequence[str]) -> list[Reply]:
        """Give the replies; none where there is no server."""
        if not commands:
            return []
        patience = self._timeout * (1 + len(commands) // FULL)
        try:
            return run(socket, commands, patience)
        except Gone:
            if answers(socket, self._timeout):
                raise
            return []


_NO_SERVER = Reply(ok=False, lines=[], why="there is no tmux server")


def _step(pane: str, condition: str, steps: Sequence[str], *otherwise: str) -> str:
    """Do this under the condition, or else tell the facts: one step of the server."""
    done = " ; ".join([*steps, line("display-message", "-p", _DONE)])
    facts = line("display-message", "-p", "-t", pane, _FACTS)
    return line("if-shell", "-F", "-t", pane, condition, done, " ; ".join([facts, *otherwise]))


def _both(one: str, other: str) -> str:
    return f"#{{&&:{one},{other}}}"


def _shows(text: str) -> list[str]:
    """Give the conditions that the screen holds each row of this text, as far as `_ROW` goes."""
    rows = (" ".join(row.split())[:_ROW] for row in text.split("\n"))
    return [f"#{{!=:0,#{{C:{''.join(map(_single, row))}}}}}" for row in rows if row]


def _single(char: str) -> str:
    """Match one character in a pattern. Some mean something in a format, and some are wide."""
    if _PLAIN.match(char):
        return char
    if char in _SPECIAL:
        return "?"
    return f"\\{char}" if char.isascii() and char != " " else "*"


def _said(reply: Reply) -> tuple[str, str]:
    """Read from the facts what was pasted last and what was entered last."""
    facts = "".join(reply.lines).split("|")
    return (facts[6], facts[7]) if len(facts) == 8 else ("", "")


def _unentered(job: Entering, known: tuple[str, str]) -> str:
    said, entered = known
    if said != job.mark:
        return UNSAID
    mark, _, count = entered.rpartition(":")
    if mark == job.mark and int(count) >= job.count:
        return ENTERED
    return HIDDEN if job.shows else ""


def _capture(pane: str) -> str:
    return line("capture-pane", "-p", "-e", "-J", "-t", pane)


def _people(lines: Iterable[str]) -> dict[str, float]:
    """Give when a person last typed into each pane. Whoever has only attached typed nothing."""
    found: dict[str, float] = {}
    for text in lines:
        active, created, readonly, control, pane = text.split("|", 4)
        if active != created and readonly != "1" and control != "1":
            found[pane] = max(found.get(pane, 0.0), float(active))
    return found


def _glimpse(text: str, typed: dict[str, float]) -> Glimpse:
    pane, launch, dead, mode, shut, output, tty, pid, said, entered, title = text.split("|", 10)
    lives = dead != "1"  # the terminal of a dead pane may be another pane's by now
    return Glimpse(
        launch=launch,
        pane=pane,
        dead=not lives,
        mode=mode not in {"", "0"},
        shut=shut == "1",
        title=title,
        output=float(output or 0),
        tty=tty,
        raw=terminals.raw(tty) if lives else None,
        foreground=terminals.foreground(int(pid)) if lives else True,
        said=said,
        entered=entered,
        person=typed.get(pane, 0.0),
    )
