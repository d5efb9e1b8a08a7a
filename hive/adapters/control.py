"""How a tmux server is reached and told things: many commands at once, by one short-lived client.

No client stays attached. tmux 3.3a and older crash, with everything in them, when a session's
windows all end in one moment while a control-mode client is attached anywhere; and a client that
is gone needs no care. Text from outside only ever stands quoted; nothing waits without a limit.
"""

from __future__ import annotations

import os
import re
import secrets
import socket as sockets
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hive.errors import HiveError, NotRunning, TimedOut

_PLAIN = re.compile(r"[^\x00-\x1f\x7f\"\\$~]*")


class Silent(TimedOut):
    """The tmux server did not answer in time."""


class Gone(NotRunning):
    """There is no tmux server, or it ended before it answered."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What one line of commands answered: its lines, or else `why` it failed."""

    ok: bool
    lines: list[str]
    why: str = ""


def quote(text: str) -> str:
    """Give `text` as one argument of a tmux command line, whatever is in it.

    Raises `HiveError` for a NUL, which no argument can hold.
    """
    if "\0" in text:
        raise HiveError("a NUL character can't be given to tmux")
    if _PLAIN.fullmatch(text):
        return f'"{text}"'
    return '"' + "".join(c if _PLAIN.fullmatch(c) else f"\\{ord(c):03o}" for c in text) + '"'


def line(*words: str) -> str:
    """Give one tmux command, each of its arguments quoted."""
    return " ".join([words[0], *map(quote, words[1:])])


def argv(socket: str) -> list[str]:
    """Give the tmux command for a socket; always explicit, so that `$TMUX` is not followed."""
    where = ["-S", socket] if "/" in socket else ["-L", socket or "default"]
    return ["tmux", "-u", *where]


def path(socket: str) -> Path:
    """Give the socket's file."""
    if "/" in socket:
        return Path(socket)
    base = os.environ.get("TMUX_TMPDIR") or "/tmp"  # noqa: S108 - tmux's own choice
    return Path(base, f"tmux-{os.getuid()}", socket or "default")


def environment(home: Path | None = None) -> dict[str, str]:
    """Give the environment of a tmux client, and of the server it may start."""
    env = {
        key: value
        for key, value in os.environ.items()
        if key not in {"TMUX", "TMUX_PANE"} and not key.startswith("HIVE_")
    }
    return env | {"HOME": str(home)} if home else env


def answers(socket: str, timeout: float) -> bool:
    """Whether a server listens on the socket; one that hangs does, too.

    Raises `HiveError` where that can't be known.
    """
    with sockets.socket(sockets.AF_UNIX) as caller:
        caller.settimeout(timeout)
        try:
            caller.connect(str(path(socket)))
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        except (BlockingIOError, TimeoutError):
            return True
        except OSError as error:
            what = f"can't reach tmux: {error.strerror or error}"
            raise HiveError(what, where=str(path(socket))) from error
    return True


def run(
    socket: str,
    commands: Sequence[str],
    timeout: float,
    *,
    home: Path | None = None,
    start: bool = False,
) -> list[Reply]:
    """Run all these lines of commands, and give their replies in order.

    A line stops at its first failure; the others go on. `start` starts a server where there is
    none, with the configuration in `home`. Raises `Silent`, and `Gone` where there is no server.
    """
    nonce = secrets.token_hex(16)
    mark = f"display-message -p {nonce}"
    asked = "".join(f"{mark}\n{one} ; {mark}-ok\n" for one in commands) + f"{mark}\n"
    starting = ["start-server", ";"] if start else []
    try:
        done = subprocess.run(
            [*argv(socket), *starting, "source-file", "-"],
            env=environment(home),
            input=asked.encode(errors="surrogateescape"),
            capture_output=True,
            timeout=timeout,
            start_new_session=True,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise Silent(f"tmux did not answer within {timeout:g} s") from error
    except FileNotFoundError as error:
        raise HiveError("`tmux` is not installed", fix="install tmux 3.2a or newer") from error
    except OSError as error:  # no process or memory left for it: that says nothing of the server
        raise Silent(f"can't run tmux: {error.strerror}") from error
    parts = done.stdout.decode(errors="replace").split(f"{nonce}\n")
    said = done.stderr.decode(errors="replace").strip().split("\n")
    if len(parts) != len(commands) + 2:
        raise Gone(said[-1] or "the tmux server went away")
    return _replies(parts[1:-1], f"{nonce}-ok\n", said)


def _replies(parts: Sequence[str], success: str, said: Sequence[str]) -> list[Reply]:
    """Read what stands between the marks. Complaints come apart, one for each failure."""
    failures = [part for part in parts if not part.endswith(success)]
    whys = iter(said if len(said) == len(failures) else ["; ".join(said)] * len(failures))
    return [
        Reply(ok=True, lines=_lines(part.removesuffix(success)))
        if part.endswith(success)
        else Reply(ok=False, lines=_lines(part), why=next(whys))
        for part in parts
    ]


def _lines(text: str) -> list[str]:
    """Split at newlines only: a screen may hold what Python, too, calls the end of a line."""
    return text.removesuffix("\n").split("\n") if text else []
