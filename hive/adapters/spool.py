"""Answer what an agent asked by files, out of a sandbox that hides the supervisor's socket.

`FOLDER/NAME.q` is a question, `FOLDER/NAME.a` its answer; `hive.adapters.reach` is the other side.
The agent may write here whatever it likes: nothing but plain files of our own making is followed,
read at length or believed. What it may ask is what an agent says of itself.
"""

from __future__ import annotations

import errno
import json
import os
import re
import stat
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from hive.adapters.reach import LONGEST
from hive.errors import HiveError, WrongInput

VERBS = frozenset(
    {
        "report", "progress", "ask_human", "reply", "send", "status", "lock", "unlock", "hook",
        "next_task", "show_task", "task_done", "task_fail", "split_task", "hand_off",
    }
)  # fmt: skip
"""What may be asked so: what an agent says of itself, and how the others are."""

MOST = 100
"""How many questions are taken at one look."""

STALE = 600.0
"""Seconds after which an answer that nobody fetched is deleted, and what is no question."""

YOUNG = 1.0
"""Seconds in which a question may still be written."""

TICK = 0.1
"""Seconds in which a second change of the folder may bear the time of the first."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NAME = re.compile(r"(\d{19})-[0-9a-f]{16}")


class Spool:
    """The questions of one launch's folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = os.fspath(folder)
        self._seen = 0
        self._unread = False

    def changed(self) -> bool:
        """Say whether anything may have come since `questions` was asked; one `stat`."""
        try:
            return self._unread or os.lstat(self._path).st_mtime_ns != self._seen
        except OSError:
            return False  # the launch is over

    def questions(self) -> list[tuple[str, str, dict[str, Any]]]:
        """Give what is asked and not answered, oldest first: name, verb, arguments of each.

        What is no question is answered so, or deleted. A question is given until it is answered.
        """
        try:
            folder = os.open(self._folder, _FOLDER)
        except OSError:
            return []  # the launch is over
        try:
            changed = os.fstat(folder).st_mtime_ns
            names = sorted(os.listdir(folder))  # noqa: PTH208 - of this folder, whatever its path
            asked = [name[:-2] for name in names if _asked(folder, name)]
            self._unread = len(asked) > MOST or time.time_ns() - changed < TICK * 1e9
            self._seen = changed
            return [one for name in asked[:MOST] if (one := self._question(folder, name))]
        finally:
            os.close(folder)

    def answer(self, name: str, reply: Mapping[str, Any]) -> None:
        """Put the answer beside the question, and delete the question.

        `reply` has either a `result` or an `error`. Where the folder is gone, so is the asker;
        where it is full, the question stays and is given again.
        """
        with suppress(OSError):
            folder = os.open(self._folder, _FOLDER)
            try:
                _put(folder, name, reply)
            finally:
                os.close(folder)

    def _question(self, folder: int, name: str) -> tuple[str, str, dict[str, Any]] | None:
        """Read a question; None for what is none, or not yet."""
        file = f"{name}.q"
        try:
            if _there(folder, f"{name}.a"):  # answered by one that was ended before it tidied up
                os.unlink(file, dir_fd=folder)
                return None
            data, age = _read(folder, file)
            try:
                return (name, *_parsed(data))
            except WrongInput as error:
                if age < YOUNG:
                    self._unread = True  # somebody writes it without our care
                else:
                    _put(folder, name, refusal(error))
        except OSError:  # it was taken back; or it is no file, then it goes
            with suppress(OSError):
                os.unlink(file, dir_fd=folder)
        return None


def at(name: str) -> float:
    """Give when a question was asked, in epoch seconds: also of one that lay here for long."""
    return int(name.partition("-")[0]) / 1e9


def refusal(error: HiveError) -> dict[str, Any]:
    """Give the answer that is an error."""
    told = {"what": error.what, "where": error.where, "fix": error.fix, "code": error.exit_code}
    return {"error": told}


def _asked(folder: int, name: str) -> bool:
    """Whether it is a question's name; anything else that lay here too long is deleted."""
    if name.endswith(".q") and _NAME.fullmatch(name[:-2]):
        return True
    with suppress(OSError):  # a folder, or just fetched
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if time.time() - found.st_mtime > STALE:
            os.unlink(name, dir_fd=folder)
    return False


def _there(folder: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _read(folder: int, name: str) -> tuple[bytes, float]:
    """Give what a plain file holds, a byte too much where it is too long, and its age.

    Raises OSError for a symlink and for what is no file.
    """
    fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    with os.fdopen(fd, "rb") as file:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "no file", name)
        return file.read(LONGEST + 1), time.time() - found.st_mtime


def _parsed(data: bytes) -> tuple[str, dict[str, Any]]:
    if len(data) > LONGEST:
        raise WrongInput(f"a question is longer than {LONGEST} bytes", fix="put it into a file")
    try:
        asked = json.loads(data)
        verb, args = asked["verb"], asked["args"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise WrongInput("this is not a question", fix="ask through `hive`") from error
    if not isinstance(verb, str) or not isinstance(args, dict):
        raise WrongInput("this is not a question", fix="ask through `hive`")
    if verb not in VERBS or (verb != "status" and not isinstance(args.get("me"), dict)):
        raise WrongInput(f"`{verb}` can't be asked from here", fix="ask through `hive`")
    return verb, args


def _put(folder: int, name: str, reply: Mapping[str, Any]) -> None:
    """Write the answer whole or not at all, then delete the question."""
    draft = f"{name}.new"
    with suppress(FileNotFoundError):
        os.unlink(draft, dir_fd=folder)
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=folder)
    with os.fdopen(fd, "wb") as file:
        file.write(json.dumps(reply).encode())
    os.rename(draft, f"{name}.a", src_dir_fd=folder, dst_dir_fd=folder)
    with suppress(FileNotFoundError):  # the asker took it back
        os.unlink(f"{name}.q", dir_fd=folder)
