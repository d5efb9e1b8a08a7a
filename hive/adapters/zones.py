"""The time zone in which a program with this environment writes times of day."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_LOCAL = Path("/etc/localtime")


_FILE = Path("/etc/timezone")


def name(env: Mapping[str, str]) -> str:
    """Give the name of that zone, `Europe/Berlin`; "" where it has none."""
    said = env.get("TZ", "").removeprefix(":")
    try:
        found = said or (str(_LOCAL.readlink()) if _LOCAL.is_symlink() else _FILE.read_text())
        found = found.partition("zoneinfo/")[2] or found.strip()
        return ZoneInfo(found).key
    except (OSError, ValueError, ZoneInfoNotFoundError):
        return ""


def zone(env: Mapping[str, str]) -> tzinfo:
    """Give the zone that `TZ` names, or the machine's; UTC where neither is known."""
    try:
        if env.get("TZ"):
            return ZoneInfo(env["TZ"])
        with _LOCAL.open("rb") as file:
            return ZoneInfo.from_file(file, key="local")
    except (OSError, ValueError, ZoneInfoNotFoundError):
        return UTC
