"""The texts of messages that are too long to be typed: files that only their reader's user sees."""

from __future__ import annotations

import os
from pathlib import Path

from hive.errors import HiveError


def write(path: str, text: str) -> None:
    """Write a message's text, whole or not at all. Raises `HiveError` where that fails."""
    file = Path(path)
    draft = file.with_name(f"{file.name}.new")
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(fd, "w", encoding="utf-8", errors="replace") as out:
            out.write(text)
        draft.replace(file)
    except OSError as error:
        what = f"can't write the message: {error.strerror}"
        raise HiveError(what, where=path) from error
