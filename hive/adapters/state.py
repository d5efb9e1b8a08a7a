"""Where hive keeps what it knows on this machine, and the lock that lets one supervisor act.

The directory is private to one user (0700). The lock is the kernel's (`flock`): it ends with the
process that holds it, however that ends. What is written in the lock's file is only a note.
"""

from __future__ import annotations

import fcntl
import json
import os
import stat
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from hive.errors import HiveError, WrongInput

SOCKET_BYTES = 100
"""The longest path of a unix socket that every system takes (104 on macOS, 108 on Linux)."""

PATIENCE = 1.0
"""Seconds a taker waits for the lock: who asks `holder` also has it for a moment."""

ELSEWHERE = "set `HIVE_STATE` to a directory of your own"


class State:
    """The state directory and the files in it; nothing is made before `prepare`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.db = root / "hive.db"
        self.usage = root / "usage.db"
        self.work = root / "work.db"
        self.url = root / "store"
        self.lock = root / "supervisor.lock"
        self.socket = root / "hive.sock"
        self.log = root / "supervisor.log"
        self.launches = root / "launches"
        self.voices = root / "voices"

    def __repr__(self) -> str:
        """As it is written in code."""
        return f"State({str(self.root)!r})"

    @property
    def instance(self) -> str:
        """This hive's own name, 8 hex digits, made when first asked for and never changed.

        Raises `HiveError` where it can't be made or was damaged.
        """
        file = self.root / "instance"
        try:
            if not file.exists():
                _make_instance(file)
            name = file.read_text(errors="replace").strip()
        except OSError as error:
            raise _failed("read", file, error) from error
        if len(name) != 8 or set(name) - set("0123456789abcdef"):
            fix = "`hive emergency-cleanup`, delete it, `hive deploy`"
            raise HiveError("the file `instance` is damaged", where=str(file), fix=fix)
        return name

    def queue(self) -> str:
        """Give where the queue of work lies: a file's path, or the URL of a database.

        Raises `HiveError` where that can't be read.
        """
        try:
            return self.url.read_text().strip()
        except FileNotFoundError:
            return str(self.work)
        except OSError as error:
            raise _failed("read", self.url, error) from error

    def join(self, url: str) -> None:
        """Have the queue of work lie in the database of this URL from now on.

        Raises `WrongInput` where it lies elsewhere already, and `HiveError` where that can't be
        written down.
        """
        if self.queue() == url:
            return
        for file in (self.url, self.work):
            if file.exists():
                fix = f"unset `HIVE_STORE`; or to begin anew: hive stop-all; mv {file} {file}.old"
                what = "the work of this hive lies elsewhere already, and would not be found"
                raise WrongInput(what, where=str(file), fix=fix)
        try:
            fd = os.open(self.url, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(fd, "w") as out:
                out.write(f"{url}\n")
        except OSError as error:
            raise _failed("write", self.url, error) from error

    def prepare(self) -> None:
        """Make the directory, or make sure that it is ours alone.

        Raises `HiveError` for a directory that is another user's, a symlink or not writable, and
        for a path too long for a unix socket.
        """
        if len(os.fsencode(self.socket)) > SOCKET_BYTES:
            what = f"the path of the socket is longer than {SOCKET_BYTES} bytes"
            raise HiveError(what, where=str(self.socket), fix="set `HIVE_STATE` to a shorter path")
        try:
            self.root.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileExistsError):  # what it is instead is looked at next
                self.root.mkdir(mode=0o700)
            self._make_private()
            for folder in (self.launches, self.voices):
                folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise _failed("make", self.root, error) from error

    def _make_private(self) -> None:
        found = self.root.lstat()
        wrong = ""
        if stat.S_ISLNK(found.st_mode):
            wrong = "is a symlink"
        elif not stat.S_ISDIR(found.st_mode):
            wrong = "is not a directory"
        elif found.st_uid != os.geteuid():
            wrong = f"belongs to another user (uid {found.st_uid})"
        elif not os.access(self.root, os.W_OK | os.X_OK):
            wrong = "is not writable"
        if wrong:
            raise HiveError(f"the state directory {wrong}", where=str(self.root), fix=ELSEWHERE)
        if stat.S_IMODE(found.st_mode) & 0o077:
            self.root.chmod(0o700)


def locate(environ: Mapping[str, str]) -> State:
    """Give the state that this environment means, without touching it.

    Raises `WrongInput` where it names no home.
    """
    if given := environ.get("HIVE_STATE"):
        return State(Path(os.path.abspath(given)))  # noqa: PTH100 - absolute() keeps `..`
    base = environ.get("XDG_STATE_HOME", "")
    if base.startswith("/"):
        return State(Path(base, "hive"))
    home = environ.get("HOME", "")
    if not home.startswith("/"):
        raise WrongInput("`HOME` is not set to a directory", fix=ELSEWHERE)
    return State(Path(home, ".local", "state", "hive"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who holds the lock: its pid and kernel start time, its guard's pid (0: none), since when.

    The pid is 0 while the holder has not yet written its name.
    """

    pid: int = 0
    started: int = 0
    guard: int = 0
    since: float = 0.0


class Locked(HiveError):  # noqa: N818 - an error's name says what is wrong
    """Another supervisor holds the node's lock."""

    def __init__(self, state: State, by: Holder | None) -> None:
        who = f"pid {by.pid}" if by and by.pid else "pid unknown"
        super().__init__(
            f"another supervisor, {who}, holds this node's lock",
            where=str(state.lock),
            fix="`hive status` asks it; `hive stop-all` ends it",
        )


class NodeLock:
    """The right to act on this node, held by one process at a time and never by its children."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._fd: int | None = None

    def take(self) -> None:
        """Take the lock and write down who has it.

        Raises `Locked` where another has it, `HiveError` where the file can't be used.
        """
        if self._fd is not None:
            return
        last = time.monotonic() + PATIENCE
        try:
            while (fd := self._attempt()) is None:
                if time.monotonic() > last:
                    raise Locked(self._state, holder(self._state))
                time.sleep(0.01)
            self._fd = fd
            _write(fd, json.dumps(asdict(_myself())))
        except OSError as error:
            self.release()
            raise _failed("lock", self._state.lock, error) from error

    def _attempt(self) -> int | None:
        """Try once; a file that was deleted or replaced meanwhile is no lock."""
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        fd = os.open(self._state.lock, flags, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _same(fd, self._state.lock):
                return fd
        except BlockingIOError:
            os.close(fd)
            return None
        except OSError:
            os.close(fd)
            raise
        os.close(fd)
        return None

    @property
    def held(self) -> bool:
        """Whether it is ours and its file still in place: a deleted file excludes nobody."""
        return self._fd is not None and _same(self._fd, self._state.lock)

    def beat(self) -> None:
        """Show the guard a sign of life: the file's time of change."""
        if self._fd is not None:
            os.utime(self._fd)

    def release(self) -> None:
        """Let the lock go; the file stays."""
        if self._fd is None:
            return
        fd, self._fd = self._fd, None
        try:
            os.ftruncate(fd, 0)
        finally:
            os.close(fd)


def holder(state: State) -> Holder | None:
    """Say who holds the lock: None when nobody does, whatever its file says.

    Raises `HiveError` where the file can't be read.
    """
    try:
        fd = os.open(state.lock, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _failed("read", state.lock, error) from error
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _written(fd)
    finally:
        os.close(fd)
    return None


def _written(fd: int) -> Holder:
    """Read the holder's note, waiting a moment for one that is just being written."""
    for _ in range(20):
        try:
            values = json.loads(os.pread(fd, 4096, 0))
            return Holder(**{key: values[key] for key in Holder.__dataclass_fields__})
        except (ValueError, TypeError, KeyError):
            time.sleep(0.005)
    return Holder()


def _myself() -> Holder:
    from hive.adapters import guard, procs

    pid = os.getpid()
    return Holder(
        pid=pid,
        started=procs.started(pid) or 0,
        guard=guard.parent() if guard.parent_is_guard() else 0,
        since=time.time(),
    )


def _write(fd: int, text: str) -> None:
    data = text.encode()
    os.pwrite(fd, data, 0)
    os.ftruncate(fd, len(data))


def _same(fd: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), path.stat())
    except FileNotFoundError:
        return False


def _make_instance(file: Path) -> None:
    """Make the file whole or not at all; of two makers the first one's name stands."""
    draft = file.with_name(f"instance.{os.getpid()}")
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        _write(fd, os.urandom(4).hex())
        os.fsync(fd)
        with suppress(FileExistsError):  # another process was first
            os.link(draft, file)
    finally:
        os.close(fd)
        draft.unlink()


def _failed(verb: str, path: Path, error: OSError) -> HiveError:
    return HiveError(f"can't {verb} it: {error.strerror}", where=str(path), fix=ELSEWHERE)
