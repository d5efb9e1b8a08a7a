"""When an agent's work is saved by a commit, by whom, and what such a commit takes and says.

The agent is asked first, where it works; where it does not commit, or is idle, hive does. Nothing
is decided for a work tree that is not the agent's own, or whose git is in the middle of something.
Times are epoch seconds, 0 where something never happened.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from fnmatch import fnmatchcase

from hive.core.repository import Changed, Kind, Tree
from hive.core.rhythm import Plot, Rhythm
from hive.core.wording import clean, count, size, span

GRACE = 300.0
"""Seconds that an agent which was asked has until hive commits by itself."""

HUGE = 10_000_000
"""A file of more bytes is not committed by hive."""

SHOWN = 30
"""How many files a message names."""

WIDEST = 72
"""How many characters the first line of a message has at most."""

FETCHED = (
    "node_modules", "__pycache__", ".venv", "venv", ".tox", ".nox", ".mypy_cache", ".pytest_cache",
    ".ruff_cache", ".gradle", ".terraform", ".next", ".nuxt", ".parcel-cache", ".hypothesis",
)  # fmt: skip
"""Folders that a tool fetched or made: new files in them are no work of an agent."""

PEOPLE = frozenset({"main", "master", "trunk", "develop"})
"""Branches that are never an agent's own."""

_SECRET_NAMES = (
    ".env", ".env.*", ".envrc", "*.pem", "*.p12", "*.pfx", "*.jks", "*.keystore", "*.kdbx",
    "id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*", ".netrc", "_netrc", ".pgpass", ".htpasswd",
    ".git-credentials", "credentials", "credentials*.json", "credentials.y*ml", "credentials.toml",
    "credentials.ini", "credentials.cfg", "credentials.csv", "credentials.txt", "credentials.xml",
    "client_secret*.json", "service-account*.json", "service_account*.json",
)  # fmt: skip
_OPEN_NAMES = ("*.example", "*.sample", "*.template", "*.dist", "*.defaults", "*.pub")
"""What is made to be shown, whatever else its name says."""

_SECRETS = {
    "a private key": rb"-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----(?:\s|\\[nr]){1,8}"
    rb"(?:[A-Za-z-]{1,30}: [^\n]{1,200}\s{1,4}){0,4}[A-Za-z0-9+/=]{20}",
    "a key of AWS": rb"\b(?:AKIA|ASIA)(?![A-Z0-9]{9}EXAMPLE)[A-Z0-9]{16}\b",
    "a token of GitHub": rb"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{50})",
    "a token of GitLab": rb"\bglpat-[A-Za-z0-9_-]{20}",
    "a token of Slack": rb"\bxox[abprs]-[A-Za-z0-9]{8,}-[A-Za-z0-9-]{10}",
    "a key of Anthropic": rb"\bsk-ant-[A-Za-z0-9_-]{24}",
    "a key of OpenAI": rb"\bsk-(?:(?:proj|svcacct|admin)-[A-Za-z0-9_-]{40}|[A-Za-z0-9]{40})",
    "a key of Google": rb"\bAIza[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])",
    "a key of Stripe": rb"\b[rs]k_live_[A-Za-z0-9]{20}",
}
_PATTERNS = {what: re.compile(pattern) for what, pattern in _SECRETS.items()}

VARIED = 10
"""A key has at least so many different characters; `xxxx…` and `1234…` in a text are none."""


class Step(StrEnum):
    """What is to be done now about the changes of an agent."""

    NOTHING = "nothing"
    ASK = "ask"
    SAVE = "save"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What is to be done, why, and when to look again (0: nothing is awaited)."""

    step: Step
    why: str
    until: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What is remembered of one agent's changes.

    `since` is when they were first seen, `asked` when it was asked to commit them, `tried` when
    hive last tried in vain. `refused` are those that hive would not commit; one that has changed
    since in kind or size counts as another.
    """

    since: float = 0.0
    asked: float = 0.0
    tried: float = 0.0
    refused: tuple[Changed, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """What a commit by hive takes: the changes, their paths, and what it refuses with why."""

    files: tuple[Changed, ...] = ()
    refused: tuple[tuple[Changed, str], ...] = ()

    @property
    def paths(self) -> tuple[str, ...]:
        """All paths to stage, where renamed files were too."""
        both = (path for one in self.files for path in (one.path, one.before) if path)
        return tuple(dict.fromkeys(both))

    @property
    def warnings(self) -> tuple[str, ...]:
        """A sentence for each file that is refused."""
        return tuple(f"`{_shown(one.path)}` is not committed: {why}" for one, why in self.refused)


def allowed(tree: Tree | None, plot: Plot | None) -> str:
    """Say why hive leaves the commits of a work tree alone; "" where it may commit."""
    if tree is None:
        return "there is no git repository"
    if plot is None:
        return "it has no worktree of its own"
    if not tree.linked or tree.root != plot.path:
        return f"it works in `{tree.root}`, which is not its own worktree"
    if tree.operation:
        return f"{_article(tree.operation)} {tree.operation} is not ended"
    if not tree.branch:
        return "it is on no branch (its HEAD is detached)"
    if not _own(tree, plot):
        return f"`{tree.branch}` is not a branch of its own"
    torn = [one.path for one in tree.changed if one.kind is Kind.CONFLICTED]
    if torn:
        verb = "is" if len(torn) == 1 else "are"
        return f"{count(len(torn), 'file')} {verb} in conflict: {_listed(torn, 3)}"
    return ""


def follow(past: Past, tree: Tree | None, now: float) -> Past:
    """Give what is to be remembered after a look."""
    if tree is None:
        return past
    still = tuple(one for one in past.refused if one in tree.changed)
    if not _open(tree, past):
        return Past(refused=still)
    # Where the clock was set back, what lies ahead of it counts as now.
    since, asked, tried = min(past.since or now, now), min(past.asked, now), min(past.tried, now)
    return replace(past, since=since, asked=asked, tried=tried, refused=still)


def decide(
    tree: Tree | None, plot: Plot | None, rhythm: Rhythm, past: Past, *, busy: bool, now: float
) -> Decision:
    """Say what is to be done now about an agent's changes.

    They are due `rhythm.commit` after they were first seen, and after its own last commit. `busy`
    says that it has a task or a turn: only then is it asked, once, and hive commits GRACE later.
    After hive tried in vain, all begins anew.
    """
    if not rhythm.commit:
        return _nothing("commits are off")
    if tree is not None and not _open(tree, past):
        return _nothing("nothing is to be committed")
    if (reason := allowed(tree, plot)) or tree is None:
        return _nothing(reason)
    last = max((one.at for one in tree.commits[:1] if one.at <= now), default=0.0)
    start = min(now, max(past.since or now, last, past.tried))
    due = start + rhythm.commit
    if now < due:
        return _nothing(f"the next commit is due in {span(due - now)}", due)
    old = f"changes are {span(now - start)} old"
    if not busy:
        return Decision(step=Step.SAVE, why=f"{old} and it is idle")
    asked = min(past.asked, now)
    if asked < start or not asked:
        return Decision(step=Step.ASK, why=old, until=now + GRACE)
    if now < asked + GRACE:
        return _nothing(f"it was asked to commit {span(now - asked)} ago", asked + GRACE)
    return Decision(step=Step.SAVE, why=f"{old} and it was asked {span(now - asked)} ago")


def chosen(changed: Iterable[Changed], samples: Mapping[str, bytes | str]) -> Chosen:
    """Choose what hive commits. `samples` are the beginnings of files, by their paths.

    What has no sample is told by its name, kind and size alone.
    """
    files, refused = [], []
    for one in changed:
        if why := _unfit(one) or _secret(samples.get(one.path, b"")):
            refused.append((one, why))
        else:
            files.append(one)
    return Chosen(files=tuple(files), refused=tuple(refused))


def message(
    files: Sequence[Changed], *, agent: str, task: str = "", about: str = "", said: str = ""
) -> str:
    """Write the message of a commit that hive makes: task, files, by whom.

    `task` is the name of what the agent has (`t-12`), `about` that task's text, `said` what the
    agent last told of it.
    """
    body = [f"Changed by {agent}, saved by hive because nobody had committed it.", ""]
    body += [f"  {one.kind:<10}  {_path(one)}" for one in files[:SHOWN]]
    if len(files) > SHOWN:
        body.append(f"  and {count(len(files) - SHOWN, 'more file')}")
    if said := _line(said, 500):
        body += ["", f"It last said: {said}"]
    trailers = [f"Agent: {_line(agent, 200)}"]
    trailers += [f"Task: {_line(task, 100)}"] if task else []
    whole = [_subject(len(files), task, about), "", *body, "", *trailers, "Checkpoint-By: hive"]
    return "\n".join(whole) + "\n"


def request(files: Sequence[Changed], since: float, now: float) -> str:
    """Write the line that asks an agent to commit."""
    what = f"{count(len(files), 'changed file')} ({_listed([one.path for one in files], 3)})"
    return (
        f"Please commit your work when you are at a good point: {what} for {span(now - since)} "
        f"without a commit. In {span(GRACE)} hive saves it as a checkpoint on your branch."
    )


def unsaved(tree: Tree, past: Past) -> tuple[Changed, ...]:
    """Give the changes that a commit is to take, as far as their names, kinds and sizes tell."""
    return chosen((one for one in tree.changed if one not in past.refused), {}).files


def _open(tree: Tree, past: Past) -> bool:
    return bool(unsaved(tree, past)) or any(one.kind is Kind.CONFLICTED for one in tree.changed)


def _nothing(why: str, until: float = 0.0) -> Decision:
    return Decision(step=Step.NOTHING, why=why, until=until)


def _own(tree: Tree, plot: Plot) -> bool:
    if tree.branch == plot.branch:
        return True
    base = plot.base == tree.branch or plot.base.endswith(f"/{tree.branch}")
    return not (tree.upstream or base or tree.branch in PEOPLE)


def _article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"


def _unfit(one: Changed) -> str:
    if one.kind is Kind.CONFLICTED:
        return "it is in conflict"
    if one.kind is Kind.SUBMODULE:
        return "it is a repository of its own"
    if one.kind is Kind.DELETED:
        return ""
    *folders, name = one.path.rstrip("/").split("/")
    if one.path.endswith("/"):
        folders.append(name)
    if one.kind is Kind.UNTRACKED and any(folder in FETCHED for folder in folders):
        return "a tool fetched or made it; let `.gitignore` name it"
    if one.path.endswith("/"):
        return "it is a new folder with very many files; commit it, or let `.gitignore` name it"
    if one.bytes > HUGE:
        return f"it is huge ({size(one.bytes)})"
    return "its name is that of a secret" if _secret_name(name.casefold()) else ""


def _secret_name(name: str) -> bool:
    if any(fnmatchcase(name, pattern) for pattern in _OPEN_NAMES):
        return False
    return any(fnmatchcase(name, pattern) for pattern in _SECRET_NAMES)


def _secret(sample: bytes | str) -> str:
    text = sample.encode("utf-8", "surrogatepass") if isinstance(sample, str) else sample
    for what, pattern in _PATTERNS.items():
        if any(len(set(found[0])) >= VARIED for found in pattern.finditer(text)):
            return f"it holds what looks like {what}"
    return ""


def _subject(files: int, task: str, about: str) -> str:
    many = f" ({count(files, 'file')})"
    head = " ".join(filter(None, ("checkpoint:", _line(task, 30))))
    room = WIDEST - len(head) - len(many) - 1
    text = _line(about, room)
    if not task and not text:
        return f"checkpoint: {count(files, 'file')}"
    return f"{head} {text}{many}" if text else f"{head}{many}"


def _line(text: str, most: int) -> str:
    one = " ".join(_shown(text).split())
    return one if len(one) <= most else f"{one[: most - 1].rstrip()}…"


def _path(one: Changed) -> str:
    return f"{_shown(one.before)} -> {_shown(one.path)}" if one.before else _shown(one.path)


def _shown(text: str) -> str:
    """Give a text as one line that every terminal can show; bytes that are no text are `?`."""
    return clean(text.encode("utf-8", "replace").decode())


def _listed(paths: Sequence[str], most: int) -> str:
    more = f" and {len(paths) - most} more" if len(paths) > most else ""
    return ", ".join(_shown(path) for path in paths[:most]) + more
