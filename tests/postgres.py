"""A real PostgreSQL of the run's own, from the system's packages.

The worker that first asks for one has it made, in the run's folder and on a unix socket only; all
workers share it, and every test gets a fresh database. A process of its own keeps it (this file,
as a program): it ends and removes the server when no worker has its lock any more, however they
ended.
"""

from __future__ import annotations

import fcntl
import getpass
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

PLAIN = {
    "listen_addresses": "",
    "max_connections": "200",
    "max_wal_senders": "0",
    "wal_level": "minimal",
    "jit": "off",
    "logging_collector": "off",
}
QUICK = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "shared_buffers": "16MB",
    "max_wal_size": "256MB",
}
"""For tests: nothing of it outlives the run."""

DURABLE = {"shared_buffers": "128MB", "max_wal_size": "2GB"}
"""For benches: power-safe, as people have it."""

PATIENCE = 60.0
"""Seconds in which a server must be there."""

_numbers = itertools.count(1)


class Cluster:
    """A server that answers on the socket in `folder`, while the lock beside it is held."""

    def __init__(self, folder: Path, lock: int) -> None:
        import psycopg  # every worker imports this file, few of them use it

        self.folder = folder
        self._lock = lock
        self._admin = psycopg.connect(self.dsn("postgres"), autocommit=True)

    def dsn(self, database: str) -> str:
        """Give what psycopg itself takes."""
        return f"host={self.folder} dbname={database}"

    def url(self, database: str) -> str:
        """Give what hive takes."""
        return f"postgresql+psycopg:///{database}?host={self.folder}"

    def make(self, template: str = "template1") -> str:
        """Make a database that nobody else uses, and give its name."""
        name = f"test_{os.getpid()}_{next(_numbers)}"
        self._admin.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return name

    def drop(self, database: str) -> None:
        """Remove a database, whoever is still connected to it."""
        self._admin.execute(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')

    def close(self) -> None:
        """Let it go; the last one to do so ends it."""
        self._admin.close()
        os.close(self._lock)


PLACES = (
    "usr/lib/postgresql/*/bin",
    "usr/pgsql-*/bin",
    "opt/homebrew/opt/postgresql*/bin",
    "usr/local/opt/postgresql*/bin",
)
"""Where packages put PostgreSQL's own programs, under /."""


def programs() -> Path | None:
    """Find the folder with PostgreSQL's own programs; None where there is none."""
    places = [Path(found).resolve().parent] if (found := shutil.which("postgres")) else []
    if config := shutil.which("pg_config"):
        line = [config, "--bindir"]
        said = subprocess.run(line, capture_output=True, text=True, check=False).stdout
        places += [Path(said.strip())]
    for pattern in PLACES:
        places += sorted(Path("/").glob(pattern), reverse=True)
    return next((one for one in places if _whole(one)), None)


def _whole(place: Path) -> bool:
    return all((place / name).exists() for name in ("initdb", "postgres", "pg_isready"))


def opened(name: str = "pg", *, durable: bool = False) -> Cluster:
    """Give the run's server of this name, made where it is not there yet.

    Where there is no PostgreSQL the test is skipped; it fails where CI is "true".
    """
    if programs() is None:
        missing = "there is no PostgreSQL here: install your system's package `postgresql`"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(missing)
    folder = Path(os.environ["TEST_FOLDER"], name)
    lock = _joined(folder.with_suffix(".lock"))
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        pass  # another worker makes it
    else:
        command = [sys.executable, __file__, str(folder), "durable" if durable else "quick"]
        alone = ["sh", "-c", '"$@" </dev/null >/dev/null 2>&1 &', "sh", *command]
        subprocess.run(alone, start_new_session=True, check=True)  # it outlives this worker
    _wait(folder)
    return Cluster(folder, lock)


def _joined(path: Path) -> int:
    """Share the lock of those who use the server; one that was just removed is made anew."""
    while True:
        lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(lock, fcntl.LOCK_SH)
        if path.exists() and os.path.samestat(os.fstat(lock), path.stat()):
            return lock
        os.close(lock)


def _wait(folder: Path) -> None:
    last = time.monotonic() + PATIENCE
    while not (folder / "ready").exists():
        wrong = folder / "failed"
        if wrong.exists() or time.monotonic() > last:
            said = wrong.read_text() if wrong.exists() else "it takes too long"
            raise AssertionError(f"PostgreSQL can't be started: {said}")
        time.sleep(0.02)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Give the server that all tests share."""
    one = opened()
    yield one
    one.close()


@pytest.fixture
def postgres(cluster: Cluster) -> Iterator[str]:
    """Give the URL of an empty database of the test's own."""
    name = cluster.make()
    yield cluster.url(name)
    cluster.drop(name)


@pytest.fixture(scope="session")
def durable_cluster() -> Iterator[Cluster]:
    """Give a server that loses nothing when the power fails, for benches."""
    one = opened("pg-durable", durable=True)
    yield one
    one.close()


@pytest.fixture
def durable_postgres(durable_cluster: Cluster) -> Iterator[str]:
    """Give the URL of an empty database on the power-safe server."""
    name = durable_cluster.make()
    yield durable_cluster.url(name)
    durable_cluster.drop(name)


def keep(folder: Path, *, durable: bool) -> None:
    """Run the server until nobody holds the lock, then remove it whole."""
    lock = os.open(folder.with_suffix(".lock"), os.O_RDWR)
    server = None
    try:
        server = _started(folder, PLAIN | (DURABLE if durable else QUICK))
        (folder / "ready").touch()
    except (OSError, subprocess.SubprocessError) as error:
        log = folder / "log"
        text = f"{error}\n{log.read_text(errors='replace') if log.exists() else ''}"
        (folder / "failed.new").write_text(text)
        (folder / "failed.new").rename(folder / "failed")
    fcntl.flock(lock, fcntl.LOCK_EX)
    if server is not None:
        server.send_signal(signal.SIGQUIT)  # nothing of it is needed any more
        server.wait()
    shutil.rmtree(folder)
    folder.with_suffix(".lock").unlink()


def _started(folder: Path, settings: dict[str, str]) -> subprocess.Popen[bytes]:
    found = programs()
    if found is None:
        raise FileNotFoundError("PostgreSQL's programs")
    who: dict[str, Any] = {"stdin": subprocess.DEVNULL, "cwd": "/"}
    if os.geteuid() == 0:  # it refuses to run as root
        folder.parent.chmod(0o711)
        user = _user()
        os.chown(folder, user.pw_uid, user.pw_gid)
        who |= {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    with (folder / "log").open("wb") as log:
        who |= {"stdout": log, "stderr": log}
        place = ["-D", str(folder / "data")]
        new = ["-U", getpass.getuser(), "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        subprocess.run([found / "initdb", *place, *new], check=True, **who)
        words = [f"-c{key}={value}" for key, value in settings.items()]
        server = subprocess.Popen([found / "postgres", *place, "-k", folder, *words], **who)
    last = time.monotonic() + PATIENCE
    line = [found / "pg_isready", "-q", "-h", folder, "-d", "postgres"]
    while subprocess.run(line, check=False).returncode:
        if server.poll() is not None or time.monotonic() > last:
            raise OSError("it does not answer")
        time.sleep(0.02)
    return server


def _user() -> pwd.struct_passwd:
    """Give the user that packages make for it, or one that has nothing."""
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")


if __name__ == "__main__":
    keep(Path(sys.argv[1]), durable=sys.argv[2] == "durable")
