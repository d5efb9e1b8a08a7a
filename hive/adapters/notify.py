"""The ways to tell a person something: a bell in tmux, the desktop, a command, a webhook.

Each says how it went, or raises `HiveError` with why nobody was reached. They may take a while, so
they are errands. No text is ever read as a command, a format or markup.
"""

from __future__ import annotations

import html
import http.client
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from hive.adapters import control
from hive.adapters.control import Gone, line
from hive.core.escalation import Way
from hive.core.wording import clean, count
from hive.errors import HiveError, TimedOut

TMUX, DESKTOP, COMMAND, WEBHOOK = 5.0, 10.0, 30.0, 10.0
"""Seconds that each may take."""

SHOWN = 5000
"""Milliseconds for which tmux shows a line; it draws nothing else meanwhile."""

KEPT = 500
"""Characters of what a command that failed has printed that are told."""

_CLIENTS = line("list-clients", "-F", "#{client_control_mode}|#{client_tty}|#{client_name}")
_BELL = b"\a"
_SCRIPT = (
    "on run argv",
    "display notification (item 2 of argv) with title (item 1 of argv)",
    "end run",
)
"""What makes a notification on macOS of two arguments."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """What is told: `record` is all of it, for programs."""

    title: str
    text: str
    record: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """Where people may be: the tmux servers' sockets, and the environment."""

    sockets: Collection[str] = ()
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)


def tell(way: Way, word: Word, around: Around) -> str:
    """Tell a person in one way, and say how it went. Raises HiveError where that failed."""
    match way.kind:
        case "bell":
            return bell(word, around.sockets)
        case "desktop":
            return desktop(word, around.environ)
        case "command":
            return command(way.target, word, around.environ)
        case "webhook":
            return webhook(way.target, word)


def bell(word: Word, sockets: Collection[str]) -> str:
    """Ring in each terminal that shows one of these tmux servers, and show the text there."""
    reached, wrong = 0, []
    for socket in sockets:
        try:
            reached += _ring(socket, word.text)
        except Gone:
            continue
        except HiveError as error:
            wrong.append(error.what)
    if reached:
        return f"rang in {count(reached, 'terminal')}"
    what = "; ".join(dict.fromkeys(wrong)) or "nobody is attached to the agents' tmux"
    raise HiveError(what, fix="hive attach TEAM, or another way in `notify` of [escalation]")


def _ring(socket: str, text: str) -> int:
    """Ring on one server; gives in how many terminals."""
    (listed,) = control.run(socket, [_CLIENTS], TMUX)
    clients = [one.split("|", 2) for one in listed.lines]
    people = {name: tty for controls, tty, name in clients if controls != "1" and tty}
    shown = _literal(text)
    commands = [line("display-message", "-d", str(SHOWN), "-c", name, shown) for name in people]
    if commands:
        control.run(socket, commands, TMUX)
    for tty in people.values():
        _beep(tty)
    return len(people)


def _beep(tty: str) -> None:
    """Ring a terminal's bell; only what is a terminal of ours is written to, and never waited for.

    A bell that fails is no failure: the text was shown.
    """
    flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        terminal = os.open(tty, flags)
    except OSError:
        return
    try:
        known = os.fstat(terminal)
        if stat.S_ISCHR(known.st_mode) and known.st_uid == os.getuid() and os.isatty(terminal):
            os.write(terminal, _BELL)
    except OSError:
        return  # it is full, or has just gone
    finally:
        os.close(terminal)


def _literal(text: str) -> str:
    """Keep tmux from reading formats, styles, times and commands in a text."""
    return clean(text).replace("#[", "# [").replace("#", "##").replace("%", "%%")


def desktop(word: Word, environ: Mapping[str, str], system: str = sys.platform) -> str:
    """Show a notification on this machine's desktop."""
    program = "osascript" if system == "darwin" else "notify-send"
    found = shutil.which(program, path=environ.get("PATH"))
    if found is None:
        raise HiveError(f"can't: `{program}` is not installed", fix="another way in `notify`")
    if system == "darwin":
        script = [word for part in _SCRIPT for word in ("-e", part)]
        argv = [found, *script, clean(word.title), clean(word.text)]
    else:
        if not (environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY")):
            what = "can't: there is no display (neither DISPLAY nor WAYLAND_DISPLAY is set)"
            raise HiveError(what, fix="another way in `notify`, or `hive deploy` from the desktop")
        body = html.escape(clean(word.text), quote=False)
        argv = [found, "--app-name=hive", "--", clean(word.title), body]
    _run(argv, _base(environ), DESKTOP)
    return "shown on the desktop"


def command(text: str, word: Word, environ: Mapping[str, str]) -> str:
    """Run a command with the text as $1, and as HIVE_NOTICE; HIVE_NOTICE_JSON has all of it."""
    told = clean(word.text)
    extra = {"HIVE_NOTICE": told, "HIVE_NOTICE_JSON": json.dumps(word.record)}
    _run(["sh", "-c", text, "hive", told], _base(environ) | extra, COMMAND)
    return "it ended with 0"


def _run(argv: list[str], environ: Mapping[str, str], timeout: float) -> None:
    """Run a program until it ends. Raises HiveError, with the end of what it said."""
    with tempfile.TemporaryFile() as output:  # a pipe could be held open by what it leaves behind
        try:
            process = subprocess.Popen(
                argv,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            raise HiveError(f"can't run it: {error}") from error
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired as error:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise TimedOut(f"did not end within {timeout:g} s{_said(output)}") from error

        if code:
            how = f"ended with {code}" if code > 0 else f"was ended by signal {-code}"
            raise HiveError(f"{how}{_said(output)}")


def _said(output: Any) -> str:
    """Give the end of what was printed."""
    size = output.seek(0, os.SEEK_END)
    output.seek(max(0, size - 4 * KEPT))
    text = " ".join(clean(output.read().decode(errors="replace")).split())
    return f": {text[-KEPT:]}" if text else ""


def _base(environ: Mapping[str, str]) -> dict[str, str]:
    """Give the environment without hive's and tmux's own."""
    return {
        name: text
        for name, text in environ.items()
        if not name.startswith("HIVE_") and name not in {"TMUX", "TMUX_PANE"}
    }


class _Straight(urllib.request.HTTPRedirectHandler):
    """Follows nobody elsewhere: what is told goes only where it was to go."""

    def redirect_request(self, *_args: Any, **_more: Any) -> None:
        """Give no other request."""


def webhook(url: str, word: Word) -> str:
    """Post the record as JSON; anything but 2xx is a failure."""
    if not url.startswith(("http://", "https://")):
        raise HiveError("a webhook's URL begins with http:// or https://")
    request = urllib.request.Request(  # noqa: S310 - checked above
        url,
        data=json.dumps(word.record).encode(),
        headers={"Content-Type": "application/json", "User-Agent": "hive"},
        method="POST",
    )
    try:
        with urllib.request.build_opener(_Straight).open(request, timeout=WEBHOOK) as answer:
            return f"HTTP {answer.status}"
    except urllib.error.HTTPError as error:
        error.close()
        raise HiveError(f"answered with HTTP {error.code} {error.reason}") from error
    except TimeoutError as error:
        raise TimedOut(f"no answer within {WEBHOOK:g} s") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        why = getattr(error, "reason", None) or error
        raise HiveError(f"can't reach it: {why}") from error
