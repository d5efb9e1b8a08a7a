"""The proof that who speaks for an agent's launch is that launch.

The state directory holds one secret. A launch gets the keyed digest of its own name with it, so
that it can speak for itself and for nobody else.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from contextlib import suppress
from pathlib import Path

from hive.errors import HiveError

NAME = "seal"
"""The file in the state directory that holds the secret."""

LENGTH = 32
"""The secret's bytes."""


def seal(root: Path, agent: str, launch: str) -> str:
    """Give a launch its seal; `root` is the state directory, where the secret is made once.

    Raises HiveError where the secret can't be made or read, or was damaged.
    """
    said = f"{agent}\0{launch}".encode(errors="surrogateescape")
    return hmac.new(_secret(root / NAME), said, hashlib.sha256).hexdigest()


def good(root: Path, agent: str, launch: str, shown: str) -> bool:
    """Say whether `shown` is the seal of that launch, in a time that tells nothing of it.

    Raises what `seal` raises.
    """
    right = seal(root, agent, launch)
    return hmac.compare_digest(right.encode(), shown.encode(errors="replace"))


def _secret(file: Path) -> bytes:
    try:
        if not file.exists():
            _make(file)
        fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        with os.fdopen(fd, "rb") as opened:
            secret = opened.read(LENGTH + 1)
    except OSError as error:
        what = f"can't read the secret of the agents' seals: {error.strerror}"
        raise HiveError(what, where=str(file), fix="put that right and ask again") from error
    if len(secret) != LENGTH:
        fix = "delete it and restart the agents: each gets a new seal"
        raise HiveError("the secret of the agents' seals is damaged", where=str(file), fix=fix)
    return secret


def _make(file: Path) -> None:
    """Make the file whole or not at all; of two makers the first one's secret stands."""
    draft = file.with_name(f"{file.name}.{os.getpid()}.{os.urandom(4).hex()}")
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, os.urandom(LENGTH))
        os.fsync(fd)
        with suppress(FileExistsError):  # another maker was first
            os.link(draft, file)
    finally:
        os.close(fd)
        draft.unlink()
