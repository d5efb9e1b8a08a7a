"""How hive is called, by absolute path: what agents and their programs are given to run."""

from __future__ import annotations

import sys
from pathlib import Path


def command() -> tuple[str, ...]:
    """Give hive's own command, as words."""
    beside = Path(sys.executable).with_name("hive")
    return (str(beside),) if beside.exists() else (sys.executable, "-m", "hive")
