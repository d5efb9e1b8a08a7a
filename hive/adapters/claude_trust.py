"""The questions of Claude Code's first start, answered beforehand in its own settings.

They are in `~/.claude.json`, or in `.claude.json` of $CLAUDE_CONFIG_DIR. Claude Code writes that
file itself, whole: so it is read again right before it is replaced.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hive.errors import HiveError

ONBOARDED = "hasCompletedOnboarding"
TRUSTED = {"hasTrustDialogAccepted": True, "hasCompletedProjectOnboarding": True}


def accept(directory: str, env: Mapping[str, str]) -> bool:
    """Have it trust a directory, and ask for no theme; gives whether anything was written.

    Everything else in the file, and its mode, stays as it is.
    Raises HiveError where the file can't be read or written.
    """
    file = _file(env)
    try:
        known = _read(file)
        found = _accepted(known, os.path.realpath(directory))
        if found == known:
            return False
        _write(file, found)
    except (OSError, ValueError) as error:
        what = f"can't note there that `{directory}` is trusted: {error}"
        raise HiveError(what, where=str(file), fix="start `claude` there once by hand") from error
    return True


def _file(env: Mapping[str, str]) -> Path:
    folder = env.get("CLAUDE_CONFIG_DIR") or env.get("HOME") or ""
    file = Path(folder) / ".claude.json"
    return file.resolve() if file.is_symlink() else file


def _read(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_bytes() or b"{}")
    except FileNotFoundError:
        return {}
    if not isinstance(found, dict):
        raise ValueError("it is no table")  # noqa: TRY004 - what is wrong is the file
    return found


def _accepted(known: Mapping[str, Any], directory: str) -> dict[str, Any]:
    projects = known.get("projects") or {}
    one = {**projects.get(directory, {}), **TRUSTED}
    return {**known, ONBOARDED: True, "projects": {**projects, directory: one}}


def _write(file: Path, found: Mapping[str, Any]) -> None:
    """Replace the file at once, or leave it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    mode = file.stat().st_mode & 0o777 if file.exists() else 0o600
    fd, draft = tempfile.mkstemp(dir=file.parent, prefix=".claude.json.")
    try:
        with os.fdopen(fd, "w") as out:
            json.dump(found, out, indent=2, ensure_ascii=False)
            os.fchmod(out.fileno(), mode)
            out.flush()
            os.fsync(out.fileno())
        Path(draft).replace(file)
    except BaseException:
        Path(draft).unlink()
        raise
