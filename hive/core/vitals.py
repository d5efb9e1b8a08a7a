"""How the whole machine is, at one look: memory, load, and how long work has to wait for it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Vitals:
    """The machine as hive may use it: where a container or cgroup gives us less, that counts.

    `cores` may be a fraction. `memory` is all there is, `available` what programs could still
    get without swapping (bytes). `load` is the load average of one minute. `busy` is the share
    of all cores in use since the last look (None at the first). The stalls are the kernel's
    (PSI, `some avg10`, `full` for `memory_full`) in percent, None where it tells none.
    """

    cores: float = 1.0
    memory: int = 0
    available: int = 0
    load: float = 0.0
    busy: float | None = None
    cpu_stall: float | None = None
    memory_stall: float | None = None
    memory_full: float | None = None
    io_stall: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Glance:
    """The little that is read ten times a second: free memory (bytes), and how many tasks exist."""

    available: int
    tasks: int
