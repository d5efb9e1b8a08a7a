"""Where `hive` begins; the command line is read in `hive.cli.hot`."""

from __future__ import annotations

import gc
import sys

COLLECTED = 50_000
"""After how many new objects garbage is looked for: what is loaded at the start is none of it."""


def main() -> int:
    """Carry out the command line of this process and give its exit code."""
    gc.set_threshold(COLLECTED)
    from hive.cli.hot import run

    for stream in (sys.stdout, sys.stderr):
        if (adapt := getattr(stream, "reconfigure", None)) is not None:
            adapt(errors="replace")  # a terminal without UTF-8 must not end a command
    return run(sys.argv[1:])


if __name__ == "__main__":
    raise SystemExit(main())
