"""What people see of limits: what agents use of what they may, and what limits would suit them.

Pure functions of the records in docs/json.md, as in `screen`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from hive.core.advice import ENOUGH
from hive.core.amounts import as_cores
from hive.core.units import as_text
from hive.core.wording import age, clean, count, size, span
from hive.screen import folded, grid, moment, percent, state

Record = Mapping[str, Any]

NONE = "none"
"""Stands where there is no limit."""

FITS = "fits"
"""The verdict of a limit of which nothing more is to be said."""

UNKNOWN = "too little seen yet"
"""The verdict where nothing can be said yet; a table has room for two words of it."""


def limits(record: Record) -> RenderableType:
    """Draw every agent's use beside what it gets, all together below, and the machine above."""
    agents = record["agents"]
    if not agents:
        return Text("no agents: `hive deploy` starts some")
    parts: list[RenderableType] = [*_means(record["means"])]
    if record["machine"]:
        parts += [_machine(record["machine"]), _strain(record["strain"])]
    parts += [Text(), _table(record), Text(), _together(record)]
    if len(agents) == 1:
        parts += [Text(), *_details(agents[0])]
    return Group(*parts)


def limits_set(record: Record, keep: list[str]) -> RenderableType:
    """Draw the limits that hold now, how long they do, and the lines that would keep them."""
    table = grid("agent", "cpu", "memory", "soft", "max age", "processes", right=range(1, 6))
    table.expand = False
    for one in record["agents"]:
        amounts = (percent(one["cpu"]), _bytes(one["memory"]), _bytes(one["soft"]))
        others = (_span(one["max_age"]), str(one["processes"]))
        table.add_row(one["agent"], *(amount or NONE for amount in (*amounts, *others)))
    now = [table] if record["agents"] else [_rules(record["total"])]
    until = Text(f"so it is until {record['until']}; to keep it, write into hive.toml:")
    return Group(*now, Text(), until, Text(), *map(Text, keep))


def advice(record: Record) -> RenderableType:
    """Draw what agents were seen to use beside their limits, and the limits that would do."""
    agents = record["agents"]
    if not agents:
        return Text("no agents: `hive deploy` starts some")
    names = ("agent", "", "typical", "peak", "limit", "advised", "verdict")
    table = grid(*names, right=range(2, 6))
    for one in agents:
        seen = f"  seen for {age(one['seen_for'])}" if one["seen_for"] else "  never seen"
        table.add_row(Text(one["agent"]), "memory", *_advised(one["memory"], _bytes))
        table.add_row(Text(seen, style="dim"), "cpu", *_advised(one["cpu"], percent))
    parts: list[RenderableType] = [folded(table), Text()]
    parts += [
        _said(names[0] if len(names) == 1 else f"{len(names)} agents", text)
        for text, names in _reasons(agents).items()
    ]
    parts += [_said(one["agent"], one["leak"], "red") for one in agents if one["leak"]]
    if record["keep"]:
        parts += [Text(), Text("to follow it, write into hive.toml:"), Text()]
        parts += map(Text, record["keep"])
    return Group(*parts)


def _reasons(agents: Iterable[Record]) -> dict[str, list[str]]:
    """Give every sentence about a limit that does not fit, with the agents it is said of."""
    found: dict[str, list[str]] = {}
    for one in agents:
        both = [one["memory"], one["cpu"]]
        early = f"too little was seen of it: advice needs {span(ENOUGH)}"
        wrong = [
            early if each["verdict"] == UNKNOWN else each["text"]
            for each in both
            if each["verdict"] != FITS
        ]
        for text in dict.fromkeys(wrong):
            found.setdefault(text, []).append(one["agent"])
    return found


def _advised(one: Record, write: Callable[[Any], str]) -> tuple[str, ...]:
    used = (write(one["typical"]), write(one["peak"])) if one["peak"] else ("", "")
    verdict = "not yet" if one["verdict"] == UNKNOWN else one["verdict"]
    return (*used, write(one["limit"]) or NONE, write(one["recommended"]), verdict)


def _said(agent: str, text: str, style: str = "") -> Text:
    return Text.assemble((f"{agent}: ", "bold"), (clean(text), style))


def _table(record: Record) -> RenderableType:
    agents, total = record["agents"], record["total"]
    several = {one["means"] for one in agents} - {record["means"]["name"], ""}
    names = ["agent", "cpu", "of", "memory", "of", *(["means"] if several else []), "doing"]
    table = grid(*names, right=range(1, 5))
    for one in agents:
        row = [one["agent"], *_amounts(one["cpu"], one["memory"], one["memory"]["limit"])]
        means = [one["means"]] if several else []
        table.add_row(*map(Text, row), *map(Text, means), _doing(one))
    used = _amounts(total["cpu"], total["memory"], total["memory"]["allowed"])
    table.add_row(*(Text(one, style="bold") for one in ("all agents", *used)))
    return folded(table)


def _doing(one: Record) -> Text:
    """Draw what hive does about an agent's limits; of one that does not run, what it is."""
    if one["doing"] or one["memory"]["used"] is not None or one["state"] == "ready":
        return Text(clean(one["doing"]))
    return Text(one["state"], style="dim")


def _amounts(cpu: Record, memory: Record, most: int | None) -> tuple[str, str, str, str]:
    return (percent(cpu["used"]), percent(cpu["allowed"]), _bytes(memory["used"]), _bytes(most))


def _means(means: Record) -> list[Text]:
    if not means["name"]:
        return [Text("no supervisor runs: these limits hold once `hive deploy` has started one")]
    lines = {"limits are held by: ": means["name"], "for a better means: ": means["better"]}
    return [Text.assemble((head, "bold"), said) for head, said in lines.items() if said]


def _machine(machine: Record) -> Text:
    """Draw how the whole machine is; what the kernel does not tell is left out."""
    busy = "" if machine["busy"] is None else f", {machine['busy'] * 100:.0f}% busy"
    free = f"{size(machine['available'])} of {size(machine['memory'])} free"
    known = {name: part for name, part in machine["stalls"].items() if part and part >= 0.5}
    stalls = ", ".join(f"{name.replace('_', ' ')} {part:.0f}%" for name, part in known.items())
    said = [f"{machine['cores']:g} cores{busy}", free, f"load {machine['load']:g}"]
    said += [f"work waits for {stalls}"] if stalls else []
    return Text.assemble(("machine: ", "bold"), "; ".join(said))


def _strain(strain: Record) -> Text:
    if not strain["level"]:
        return Text.assemble(("pressure: ", "bold"), NONE)
    since = f", since {moment(strain['since'])}" if strain["since"] else ""
    said = f"hive {strain['doing']}{since}: {clean(strain['why'])}"
    return Text.assemble(("pressure: ", "bold"), (said, "yellow"))


def _together(record: Record) -> Text:
    """Draw what all may use of the machine, how many run and may, and what stays free."""
    total, machine = record["total"], record["machine"]
    agents, cpu = total["agents"], total["cpu"]["allowed"]
    may = _most(agents["allowed"])
    runs = f"{may} may run"
    if agents["used"] is not None:
        runs = f"{count(agents['used'], 'agent')} run{'s' * (agents['used'] == 1)}, {may} may"
    said = [runs, f"{size(total['reserve'])} of memory stays free"]
    said += [] if total["admission"] else ["nobody waits for room"]
    unit = "cpu: 100% is one core"
    if cpu is not None:
        unit += f"; all agents together get {as_cores(cpu)}"
        unit += f", {cpu / machine['cores']:.0%} of the machine" if machine else ""
    return Text(f"{unit}\n{'; '.join(said)}")


def _most(agents: int | None) -> str:
    return "any number" if agents is None else str(agents)


def _rules(total: Record) -> Text:
    """Draw what all agents together may use."""
    cpu = NONE if total["cpu"] is None else as_cores(total["cpu"])
    memory, agents, reserve = (
        _bytes(total["memory"]),
        _most(total["agents"]),
        size(total["reserve"]),
    )
    said = f"cpu {cpu}, memory {memory or NONE}, agents {agents}, reserve {reserve}"
    return Text.assemble(("all agents together: ", "bold"), said)


def _details(one: Record) -> list[RenderableType]:
    """Draw all that is known of one agent's limits, a line each."""
    cpu, memory, processes = one["cpu"], one["memory"], one["processes"]
    soft = f", warned from {size(memory['soft'])} on" if memory["soft"] else ""
    peak = f", at most {size(memory['peak'])} so far" if memory["peak"] else ""
    held = f", kept waiting {one['held']:.0%} of the time" if one["held"] else ""
    known = cpu["allowed"] not in {None, cpu["limit"]}
    share = f", gets {percent(cpu['allowed'])} now" if known else ""
    lines = {
        "cpu": f"{_of(percent(cpu['used']), percent(cpu['limit']))}{share}{held}",
        "memory": f"{_of(_bytes(memory['used']), _bytes(memory['limit']))}{soft}{peak}",
        "processes": _of(_count(processes["used"]), _count(processes["limit"])),
        "max age": _span(one["max_age"]) or NONE,
        "disk": _rates(one["disk"]),
        "network": _rates(one["network"]),
        "priority": one["priority"],
    }
    table = grid("", "", headed=False)
    for name, text in lines.items():
        if text:
            table.add_row(Text(f"  {name}"), Text(text))
    head = Text.assemble((one["agent"], "bold"), "  ", state(one))
    return [head, folded(table)]


def _of(used: str, limit: str) -> str:
    """Say how much is used, and how much there may be."""
    now = used or "not seen"
    return f"{now}, limit {limit}" if limit else f"{now}, no limit"


def _rates(rates: Record | None) -> str:
    return ", ".join(f"{name} {size(rate)}/s" for name, rate in (rates or {}).items())


def _bytes(number: int | None) -> str:
    return "" if number is None else size(number)


def _count(number: int | None) -> str:
    return "" if number is None else str(number)


def _span(seconds: float | None) -> str:
    return "" if seconds is None else as_text(seconds)
