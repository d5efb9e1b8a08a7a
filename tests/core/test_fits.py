"""Whether limits fit the machine, and one another."""

from __future__ import annotations

import pytest

from hive.core import expand as expansion
from hive.core.config import parse
from hive.core.fits import Over, misfits, overridden, refusal
from hive.core.limits import Ceiling, Limits, Portion
from hive.core.spec import Agent
from hive.core.vitals import Vitals

GB = 1 << 30
MACHINE = Vitals(cores=4, memory=8 * GB)
PLACE = expansion.Place(folder="/place", home="/home/ann")


def told(text: str) -> list[str]:
    """Give the misfits of a file with these lines, and an agent `a` in [teams.t]."""
    parsed = parse(f'project = "Task"\n[teams.t.agents]\na.run = "x"\n{text}\n', "f")
    assert parsed.file is not None
    entries = expansion.expand(parsed.file, PLACE, {})
    found = misfits(parsed.file, entries, MACHINE, parsed.lost)
    return [f"{'.'.join(wrong.path)}: {wrong.what}" for wrong in dict.fromkeys(found)]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="no limits"),
        pytest.param('[limits]\ncpu = "100%"\nmemory = "100%"\nreserve = "2GB"', id="all of it"),
        pytest.param('[limits]\ncpu = 4\nmemory = "8GB"', id="all of it as amounts"),
        pytest.param('[limits]\ncpu = "50%"\n[defaults]\ncpu = 2', id="one has what all have"),
        pytest.param('[limits]\ncpu = "30%"\n[defaults]\ncpu = "120%"', id="a share is not exact"),
        pytest.param('[limits]\ncpu = "25%"\n[defaults]\ncpu = "150%"', id="they share it"),
        pytest.param('[limits]\nmemory = "50%"\n[defaults]\nmemory = "4GB"', id="the same memory"),
        pytest.param(
            "[limits]\nagents = 1\n[teams.u.agents]\nb = 'x'", id="more agents: they wait"
        ),
        pytest.param('[limits]\nmemory = "75%"\nreserve = "4GB"', id="the stricter one counts"),
        pytest.param('a.memory = "1GB"\na.memory_soft = "100%"', id="soft is hard"),
        pytest.param('a.memory = "1GB"\n[defaults]\nmemory_soft = "80%"', id="a share for some"),
        pytest.param(
            'b.run = "x"\na.memory = "1GB"\n[defaults]\nmemory_soft = "900MB"', id="and a size"
        ),
    ],
)
def test_limits_that_fit(text):
    assert told(text) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(
            "[limits]\ncpu = 16",
            "limits.cpu: `cpu` 16 cores is more than this machine has (4 cores)",
            id="more cores for all than there are",
        ),
        pytest.param(
            "[limits]\ncpu = 40",
            "limits.cpu: `cpu` 40 cores is more than this machine has (4 cores);"
            " for percent write `40%`",
            id="percent without their sign",
        ),
        pytest.param(
            '[limits]\nmemory = "64GB"',
            "limits.memory: `memory` 64GB is more than this machine has (8GB)",
            id="more memory for all than there is",
        ),
        pytest.param(
            '[limits]\nreserve = "8GB"',
            "limits.reserve: `reserve` leaves nothing of this machine's memory (8GB)",
            id="nothing left by a size",
        ),
        pytest.param(
            '[limits]\nreserve = "100%"',
            "limits.reserve: `reserve` leaves nothing of this machine's memory (8GB)",
            id="nothing left by a share",
        ),
        pytest.param(
            "a.cpu = 5",
            "teams.t.agents.a.cpu: `cpu` 5 cores is more than this machine has (4 cores)",
            id="more cores for one than there are",
        ),
        pytest.param(
            '[defaults]\nmemory = "64GB"',
            "defaults.memory: `memory` 64GB is more than this machine has (8GB)",
            id="more memory for each than there is",
        ),
        pytest.param(
            'a.memory = "5GB"\n[limits]\nmemory = "50%"',
            "teams.t.agents.a.memory: `memory` 5GB is more than all agents together get (4GB)",
            id="more memory for one than for all",
        ),
        pytest.param(
            'a.memory = "1GB"\na.memory_soft = "2GB"',
            "teams.t.agents.a.memory_soft: `memory_soft` (2GB) is more than `memory` (1GB)",
            id="soft above hard",
        ),
        pytest.param(
            'a.memory = "1GB"\na.memory_soft = "2GB"\n[defaults]\nmemory = 5\nmemory_soft = "x"',
            "teams.t.agents.a.memory_soft: `memory_soft` (2GB) is more than `memory` (1GB)",
            id="soft above hard, whatever the defaults are",
        ),
        pytest.param(
            'a.memory = "1GB"\n[defaults]\nmemory = "4GB"\nmemory_soft = "2GB"',
            "teams.t.agents.a.memory: `memory_soft` (2GB) is more than `memory` (1GB)",
            id="its own hard limit is below the soft one of all",
        ),
        pytest.param(
            '[defaults]\nmemory = "1GB"\nmemory_soft = "2GB"',
            "defaults.memory_soft: `memory_soft` (2GB) is more than `memory` (1GB)",
            id="soft above hard in the defaults",
        ),
        pytest.param(
            'a.memory_soft = "1GB"',
            "teams.t.agents.a.memory_soft: `memory_soft` needs `memory`:"
            " it is where hive warns before that",
            id="soft without hard",
        ),
        pytest.param(
            '[defaults]\nmemory_soft = "80%"',
            "defaults.memory_soft: `memory_soft` needs `memory`:"
            " it is where hive warns before that",
            id="soft without hard in the defaults",
        ),
    ],
)
def test_limits_that_do_not_fit(text, message):
    assert told(text) == [message]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('a.memory = "x"\na.memory_soft = "1GB"', id="its memory can't be read"),
        pytest.param(
            'a.memory = 1\na.memory_soft = "2GB"\n[defaults]\nmemory = "1GB"', id="another's can"
        ),
        pytest.param('a.ram = "1GB"\na.memory_soft = "1GB"', id="memory by another word"),
        pytest.param('[defaults]\nmemory = 5\nmemory_soft = "80%"', id="that of the defaults"),
        pytest.param('a.memory = 1\n[defaults]\nmemory_soft = "80%"', id="that of the only one"),
        pytest.param('a.cpu = 4\n[limits]\ncpu = "x"', id="what all get"),
    ],
)
def test_what_only_follows_from_what_could_not_be_read_is_not_told(text):
    assert told(text) == []


def agent(name: str = "a", **limits: float | None) -> Agent:
    return Agent(
        project="p",
        team="t",
        name=name,
        role=name,
        session="s",
        window=name,
        argv=("x",),
        directory="/",
        limits=Limits(**limits),
    )


@pytest.mark.parametrize(
    ("limits", "soft"),
    [
        pytest.param({}, 0.8, id="it had none"),
        pytest.param({"memory": GB, "soft": GB // 2}, 0.5, id="half stays half"),
        pytest.param({"memory": 8 * GB, "soft": 8 * GB}, 1, id="the same stays the same"),
    ],
)
def test_a_command_line_gives_each_agent_its_memory_and_soft_limits_keep_their_share(limits, soft):
    (found,) = overridden([agent(**limits, cpu=1.0)], Over(memory=2 * GB), MACHINE)

    assert found.limits == Limits(memory=2 * GB, soft=int(2 * GB * soft), cpu=1.0)


def test_a_command_line_that_says_no_memory_leaves_the_agents_alone():
    agents = (agent(memory=GB, soft=GB),)

    assert overridden(agents, Over(cpu=Portion(amount=1)), MACHINE) == agents


@pytest.mark.parametrize(
    ("over", "told"),
    [
        pytest.param(Over(), "", id="nothing said"),
        pytest.param(Over(cpu=Portion(amount=0.5, of_machine=True), memory=GB), "", id="it fits"),
        pytest.param(
            Over(memory=64 * GB),
            "`--memory` 64GB is more than this machine has (8GB)",
            id="more memory than there is",
        ),
        pytest.param(
            Over(memory=7 * GB),
            "`--memory` 7GB is more than all agents together get (6GB)",
            id="more memory than the file gives all",
        ),
        pytest.param(
            Over(cpu=Portion(amount=0.25, of_machine=True)),
            "",
            id="less of the processor for all than one may use",
        ),
    ],
)
def test_a_command_line_is_refused_by_the_name_of_its_option(over, told):
    ceiling = Ceiling(memory=Portion(amount=0.75, of_machine=True))

    assert refusal(ceiling, over, MACHINE) == told
