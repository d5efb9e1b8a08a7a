"""Profiles on this machine: those that hive brings along, the user's own, what is installed.

The user's are in `hive/profiles` of $XDG_CONFIG_HOME (`~/.config` without it), one file each.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from hive.core.profile import Profile
from hive.errors import WrongInput

if TYPE_CHECKING:
    from hive.core.profile_layers import Layer

UNKNOWN = "?"
"""The version of what is installed and does not tell its version."""

PATIENCE = 10.0
"""How long, in seconds, a program may take to tell its version."""

_SHIPPED = Path(__file__).resolve().parents[1] / "profiles"
_NUMBER = re.compile(r"\d+(?:\.\d+)+(?:[-+.]?[0-9A-Za-z]+)*")


def load(environ: Mapping[str, str]) -> dict[str, Profile]:
    """Give every profile by name, hive's own first.

    Raises WrongInput with every mistake in the files, each with its file and line.
    """
    from hive.core import profile_layers

    layers: dict[str, list[Layer]] = {}
    refused = []
    for name, paths in sources(environ).items():
        for path in paths:
            try:
                layer = profile_layers.read(name, _text(path), str(path))
            except WrongInput as error:
                refused.append(str(error))
            else:
                layers.setdefault(name, []).append(layer)
    if refused:
        raise WrongInput("\n".join(refused))
    return profile_layers.assemble(layers)


def sources(environ: Mapping[str, str]) -> dict[str, tuple[Path, ...]]:
    """Give the files that each profile comes from, the one that goes over the others last.

    Raises WrongInput where the user's folder can't be looked into.
    """
    found: dict[str, tuple[Path, ...]] = {}
    for folder in (_SHIPPED, own(environ)):
        for path in _files(folder):
            found[path.stem] = (*found.get(path.stem, ()), path)
    return found


def own(environ: Mapping[str, str]) -> Path:
    """Give the folder of the user's profiles, whether it is there or not."""
    config = Path(environ.get("XDG_CONFIG_HOME", ""))
    if not config.is_absolute():  # the standard has such a one left out
        home = environ.get("HOME") or os.path.expanduser("~")  # noqa: PTH111 - never fails
        config = Path(home, ".config")
    return config / "hive" / "profiles"


def shipped(path: Path) -> bool:
    """Whether hive brings this file along."""
    return path.parent == _SHIPPED


def installed(profile: Profile, environ: Mapping[str, str], patience: float = PATIENCE) -> str:
    """Give the version of a profile's program that is installed; it is asked, so it runs.

    "" where it is not or the profile can't ask; `UNKNOWN` where it does not tell, or not in time.
    """
    path = environ.get("PATH", os.defpath)
    if not profile.version or shutil.which(profile.version[0], path=path) is None:
        return ""
    try:
        process = subprocess.Popen(
            profile.version,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError:
        return UNKNOWN
    with process:
        try:
            told, _ = process.communicate(timeout=patience)
        except subprocess.TimeoutExpired:
            told = b""
        with suppress(ProcessLookupError):  # what it left behind, if anything
            os.killpg(process.pid, signal.SIGKILL)
    number = _NUMBER.search(told.decode(errors="replace")) if not process.returncode else None
    return number.group() if number else UNKNOWN


def versions(profiles: Mapping[str, Profile], environ: Mapping[str, str]) -> dict[str, str]:
    """Give the version of every profile's program that is installed, all asked at once."""
    with ThreadPoolExecutor(max_workers=8) as pool:
        told = pool.map(lambda one: installed(one, environ), profiles.values())
        return dict(zip(profiles, told, strict=True))


def _files(folder: Path) -> Iterator[Path]:
    try:
        names = sorted(os.listdir(folder))  # noqa: PTH208 - names are all that is wanted
    except FileNotFoundError:
        return
    except OSError as error:
        what = f"the folder can't be read: {(error.strerror or str(error)).lower()}"
        raise WrongInput(what, where=str(folder), fix="make it readable for you") from error
    yield from (folder / name for name in names if name.endswith(".toml") and name[0] != ".")


def _text(path: Path) -> str:
    try:
        if not path.is_file():
            raise WrongInput("this is no file", where=str(path), fix="move it away")
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        what = f"the file can't be read: {(error.strerror or str(error)).lower()}"
        raise WrongInput(what, where=str(path), fix="make it readable for you") from error
    except UnicodeDecodeError as error:
        what = f"the file is not UTF-8 text: see byte {error.start}"
        raise WrongInput(what, where=str(path)) from error
