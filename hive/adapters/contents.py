"""One text that says what a directory holds: equal where the contents are equal.

In a git work tree it is what git would take: tracked files as they now are, and new ones that are
not ignored; committed or not is all one. Elsewhere it is every file, up to a bound. Nothing is
written, and no filter of git's is asked.
"""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

from hive.errors import HiveError, TimedOut

MOST = 20_000
"""How many files are read at most; those that git knows unchanged are not read."""

BYTES = 1 << 30
"""How many bytes are read at most."""

PATIENCE = 60.0
"""Seconds that git gets for one answer."""

_CHUNK = 1 << 20
_LINK, _MODULE = "120000", "160000"
_FIX = "leave the big files out (.gitignore), or don't ask for the files: `cache_files = false`"


def digest(directory: str | Path) -> str:
    """Give the digest of what a directory holds.

    Raises `HiveError` where it can't be read or holds too much, `TimedOut` where git is silent.
    """
    place = Path(directory)
    if not place.is_dir():
        raise HiveError("there is no such directory", where=str(place), fix="make it first")
    found = hashlib.sha256()
    try:
        for line in sorted(_entries(place, _Room())):
            found.update(f"{line}\0".encode(errors="surrogateescape"))
    except OSError as error:
        what = f"its contents can't be read: {error.strerror}"
        raise HiveError(what, where=error.filename or str(place), fix="make it readable") from error
    return found.hexdigest()


class _Room:
    """How much may still be read."""

    def __init__(self) -> None:
        self._files = 0
        self._bytes = 0

    def take(self, path: Path, size: int) -> None:
        self._files += 1
        self._bytes += size
        if self._files > MOST or self._bytes > BYTES:
            what = f"it holds more than {MOST} files or {BYTES >> 20} MiB to read"
            raise HiveError(what, where=str(path.parent), fix=_FIX)


def _entries(place: Path, room: _Room) -> Iterator[str]:
    """Give a line for each file: its mode, the id of its content, its path."""
    if _git(place, "rev-parse", "--is-inside-work-tree") != b"true\n":
        return _walked(place, room)
    if _git(place, "check-ignore", "-q", ".") is not None:
        return _walked(place, room)  # git knows nothing of what lies here
    return _tracked(place, room)


def _tracked(place: Path, room: _Room) -> Iterator[str]:
    """Ask git for what it has, and read what is not as git has it."""
    listed = _asked(place, "ls-files", "-s", "-z")
    differs = _asked(place, "ls-files", "-m", "-d", "-o", "--exclude-standard", "-z")
    read = set(differs)
    width = 40
    for entry in listed:
        about, _, name = entry.partition("\t")
        mode, known, stage = about.split()
        width = len(known)
        if stage != "0" or mode == _MODULE:
            read.add(name)  # what lies there counts: sides that are merged, another repository
        elif name not in read:
            yield f"{mode} {known} {name}"
    for name in sorted(read):
        yield from _file(place, name, "sha1" if width == 40 else "sha256", room)


def _walked(place: Path, room: _Room) -> Iterator[str]:
    for folder, folders, names in os.walk(place, onerror=_raised):
        folders[:] = sorted(one for one in folders if one != ".git")
        linked = [one for one in folders if Path(folder, one).is_symlink()]
        for name in (*names, *linked):
            relative = os.path.relpath(Path(folder, name), place)
            yield from _file(place, relative, "sha1", room)


def _raised(error: OSError) -> None:
    raise error


def _file(place: Path, name: str, kind: str, room: _Room) -> Iterator[str]:
    """Give the line of what lies there; none where nothing does, or no file."""
    path = place / name
    try:
        found = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return  # it was deleted
    if stat.S_ISLNK(found.st_mode):
        yield f"{_LINK} {_blob(kind, os.fsencode(path.readlink()))} {name}"
    elif stat.S_ISDIR(found.st_mode):  # another repository in this one
        inner = hashlib.sha256("\0".join(sorted(_entries(path, room))).encode(errors="replace"))
        yield f"{_MODULE} {inner.hexdigest()} {name.rstrip('/')}"
    elif stat.S_ISREG(found.st_mode):
        room.take(path, found.st_size)
        mode = "100755" if found.st_mode & stat.S_IXUSR else "100644"
        yield f"{mode} {_content(path, kind, found.st_size)} {name}"


def _content(path: Path, kind: str, size: int) -> str:
    """Give the id that git gives to a file's content, where no filter changes it."""
    found = hashlib.new(kind, b"blob %d\0" % size, usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            found.update(chunk)
    return found.hexdigest()


def _blob(kind: str, data: bytes) -> str:
    return hashlib.new(kind, b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def _asked(place: Path, *words: str) -> list[str]:
    said = _git(place, *words)
    if said is None:
        what = f"git can't tell what it holds (`git {' '.join(words)}`)"
        raise HiveError(what, where=str(place), fix="`git status` there says why")
    return [os.fsdecode(one) for one in said.split(b"\0") if one]


def _git(place: Path, *words: str) -> bytes | None:
    """Give what git prints; None where it fails, or where there is no git."""
    environ = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    environ |= {"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    command = ["git", "-c", "core.fsmonitor=false", "-C", str(place), *words]
    try:
        done = subprocess.run(
            command, env=environ, stdin=subprocess.DEVNULL, capture_output=True,
            timeout=PATIENCE, check=False,
        )  # fmt: skip
    except FileNotFoundError:
        return None
    except subprocess.TimeoutExpired as error:
        what = f"git did not say within {PATIENCE:g} s what it holds"
        raise TimedOut(what, where=str(place), fix=_FIX) from error
    return done.stdout if done.returncode == 0 else None
