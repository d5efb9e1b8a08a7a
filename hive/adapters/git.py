"""Git, through its own command: asked in words that are made for programs, never for a password.

Raises `GitError` for what git refuses, with what git itself said.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence

from hive.errors import HiveError

PATIENCE = 60.0
"""How many seconds one command of git may take where nobody says how long."""

_PLAIN = {
    "LC_ALL": "C.UTF-8",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_EDITOR": "true",
    "GIT_PAGER": "cat",
}
"""What keeps git from asking, paging, translating, and from being in an agent's way."""


class GitError(HiveError):
    """Git refused, is missing, or took too long. `code` is its exit code, `said` what it said."""

    def __init__(self, what: str, *, said: str = "", code: int = 0, fix: str = "") -> None:
        """Say what failed; `fix` is what a person can do."""
        super().__init__(what, fix=fix or "see what git says, and put it right by hand")
        self.said = said
        self.code = code


def git(
    words: Sequence[str],
    where: str,
    *,
    env: Mapping[str, str] | None = None,
    patience: float = PATIENCE,
    codes: Sequence[int] = (0,),
    given: str | None = None,
) -> str:
    """Run `git WORDS` in a folder and give what it prints. Raises GitError.

    `env` goes over this process's own environment. Exit codes other than `codes` are refusals.
    `given` is what it reads.
    """
    kept = {key: text for key, text in os.environ.items() if not key.startswith("GIT_")}
    shown = f"git {' '.join(words[:3])}"
    try:
        done = subprocess.run(
            ["git", *words],
            cwd=where,
            env={**kept, **_PLAIN, **(env or {})},
            input=given if given is not None else "",
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="surrogateescape",
            timeout=patience,
            check=False,
        )
    except FileNotFoundError as error:
        if not os.path.isdir(where):  # noqa: PTH112 - a text is what is at hand
            raise GitError(f"`{where}` is no folder") from error
        raise GitError("git is not installed", fix="install git") from error
    except subprocess.TimeoutExpired as error:
        raise GitError(f"`{shown}` took longer than {patience:.0f}s in `{where}`") from error
    if done.returncode not in codes:
        said = done.stderr.strip() or done.stdout.strip()
        raise GitError(
            f"`{shown}` failed in `{where}`: {said.splitlines()[0] if said else 'it said nothing'}",
            said=said,
            code=done.returncode,
        )
    return done.stdout
