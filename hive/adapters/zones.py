"""The time zone in which a program with this environment writes times of day."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_LOCAL = Path("/etc/localtime")


def zone(env: Mapping[str, str]) -> tzinfo:
    """Give the zone that `TZ` names, or the machine's; UTC where neither is known."""
    try:
        if env.get("TZ"):
            return ZoneInfo(env["TZ"])
        with _LOCAL.open("rb") as file:
            return ZoneInfo.from_file(file, key="local")
    except (OSError, ValueError, ZoneInfoNotFoundError):
        return UTC
