"""Where `hive` begins; the command line is read in `hive.cli.hot`."""

from __future__ import annotations

import sys


def main() -> int:
    """Carry out the command line of this process and give its exit code."""
    from hive.cli.hot import run

    for stream in (sys.stdout, sys.stderr):
        if (adapt := getattr(stream, "reconfigure", None)) is not None:
            adapt(errors="replace")  # a terminal without UTF-8 must not end a command
    return run(sys.argv[1:])


if __name__ == "__main__":
    raise SystemExit(main())
