"""What an agent's program runs when something happens in it: `hive hook EVENT [JSON]`.

The agent comes first. Whatever goes wrong here ends with exit code 0 and nothing on stdout, and is
one line in `hook-errors.log` of the launch's folder.
"""

from __future__ import annotations

import json
import os
import select
import time

from hive.adapters import reach
from hive.errors import WrongInput

TYPE_CHECKING = False  # what mypy takes for true; importing `typing` costs 6 ms
if TYPE_CHECKING:
    from typing import Any

HELP = """\
Usage: hive hook EVENT [JSON]

  For the hooks of agents' programs: hive sets them up by itself. Tells hive what happened; what
  is known of it comes from stdin, or as the last argument. It never fails and never disturbs:
  what went wrong is in `hook-errors.log` in the launch's folder.
"""

LOG = "hook-errors.log"

LOG_BYTES = 1 << 16
"""What the log may have before it is begun anew."""

SPEECH = 2.0
"""Seconds in which the program must have told what happened."""

ANSWER = 5.0
"""Seconds hive has for an answer; while no supervisor runs, `AWAY`."""

AWAY = 0.5
"""Seconds a program is held up by each thing that happens while no supervisor runs."""

POLL = 200
"""Milliseconds between two looks for a person's verdict."""

LONGEST = 16 << 20
"""Bytes of what happened that are read."""

HEAD, TAIL = 16_000, 4_000
"""Characters of a long text that are passed on, of its beginning and of its end."""


def run(words: list[str]) -> int:
    """Tell hive what happened, and print what it answers; always gives 0."""
    if words[:1] in (["--help"], ["-h"]):
        print(HELP, end="")
        return 0
    try:
        _say(_told(words))
    except BaseException as error:  # noqa: BLE001 - nothing may disturb the agent, not even Ctrl-C
        _note(words, error)
    return 0


def _told(words: list[str]) -> str:
    """Give what the hook is to print."""
    if not words:
        raise WrongInput("no event is named", fix="hive hook EVENT")
    if not os.environ.get("HIVE_AGENT"):
        return ""  # a program that a person started, with the settings of an agent
    args = {
        "event": words[0],
        "payload": _payload(words),
        "me": reach.me(os.environ),
        "uid": reach.uid(),
    }
    # While an approval is asked for, the agent waits anyway.
    away = reach.AWAY if "permission" in words[0].lower() else AWAY
    answer = reach.ask("hook", args, environ=os.environ, timeout=ANSWER, away=away)
    if answer.get("wait"):
        return _verdict(os.environ["HIVE_FOLDER"], answer["wait"])
    return str(answer.get("print", ""))


def _payload(words: list[str]) -> dict[str, Any]:
    """Give what happened; what can't be read is noted, and the event told without it."""
    try:
        data = words[-1].encode() if len(words) > 1 else _stdin()
        told = json.loads(data) if data.strip() else {}
        found: dict[str, Any] = _shorter(told if isinstance(told, dict) else {"value": told})
    except (OSError, ValueError, RecursionError) as error:
        _note(words, error)
        return {}
    if len(json.dumps(found)) > reach.LONGEST // 2:  # room for the rest of the question
        return {key: value for key, value in found.items() if not isinstance(value, dict | list)}
    return found


def _stdin() -> bytes:
    """Read what the program tells, for as long as it has to."""
    data, last = bytearray(), time.monotonic() + SPEECH
    while not os.isatty(0) and len(data) < LONGEST:
        ready, _, _ = select.select([0], [], [], max(0.0, last - time.monotonic()))
        chunk = os.read(0, 1 << 16) if ready else b""
        if not chunk:
            break
        data += chunk
    return bytes(data)


def _shorter(value: Any) -> Any:
    """Cut what is too long out of texts; what is left still tells one text from another."""
    if isinstance(value, dict):
        return {key: _shorter(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_shorter(one) for one in value]
    if not isinstance(value, str) or len(value) <= HEAD + TAIL:
        return value
    from hashlib import sha256

    digest = sha256(value.encode(errors="surrogatepass")).hexdigest()
    return f"{value[:HEAD]}\n[{len(value)} characters, sha256 {digest}]\n{value[-TAIL:]}"


def _verdict(folder: str, name: str) -> str:
    """Wait until a person has decided, and give what is to be printed.

    "" where nobody waits for it any more: the program ended, or does not read, or the launch is
    over.
    """
    if "/" in name or name.startswith("."):
        raise WrongInput(f"`{name}` is no verdict's file")
    parent, gone = os.getppid(), select.poll()
    gone.register(1, 0)  # tells only that nobody reads any more
    while os.getppid() == parent and os.access(folder, os.F_OK):
        try:
            with open(f"{folder}/{name}", "rb") as file:  # noqa: PTH123 - pathlib costs 7 ms
                return str(json.loads(file.read()).get("print", ""))
        except (FileNotFoundError, ValueError):  # not there, or not whole
            if gone.poll(POLL):
                break
    return ""


def _say(text: str) -> None:
    """Print it as it is, at once."""
    data = text.encode(errors="replace")
    while data:
        data = data[os.write(1, data) :]


def _note(words: list[str], error: BaseException) -> None:
    """Write down what went wrong, where there is a place for it."""
    folder = os.environ.get("HIVE_FOLDER")
    if not folder:
        return
    what = " ".join(f"{type(error).__name__}: {error}".split())[:500]
    line = f"{time.strftime('%Y-%m-%d %H:%M:%S')} {' '.join(words[:1])[:50]}: {what}\n"
    try:
        fd = os.open(f"{folder}/{LOG}", os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        if os.fstat(fd).st_size > LOG_BYTES:
            os.ftruncate(fd, 0)
        os.write(fd, line.encode(errors="replace"))
        os.close(fd)
    except OSError:
        pass  # the launch is over, or the disk is full: the agent must not notice
