"""What is wrong with a file that reads well."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from hive.core import expand as expansion
from hive.core.checks import Facts, Program, check, circles, program
from hive.core.config import read
from hive.core.mistakes import placed, refusal
from hive.core.spec import Agent
from hive.core.vitals import Vitals

CALM = settings(deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
PLACE = expansion.Place(folder="/place", home="/home/ann")


def told(
    agents: str,
    *,
    folders: tuple[str, ...] = (),
    lacking: tuple[str, ...] = (),
    unread: dict[str, str] | None = None,
    untold: dict[str, str] | None = None,
) -> list[str]:
    """Give the mistakes of a file with these lines in [teams.web.agents], from line 3 on.

    Here are /place, `folders`, and all programs but `lacking`.
    """
    text = f'project = "Task"\n[teams.web.agents]\n{agents}\n'
    file = read(text)
    entries = expansion.expand(file, PLACE, {})
    wanted = [program(entry.agents[0]) for entry in entries]
    facts = Facts(
        directories=frozenset({"/place", *folders}),
        programs=frozenset(one for one in wanted if one and one.name not in lacking),
        unread=unread or {},
        untold=untold or {},
        machine=Vitals(cores=4, memory=8 << 30),
    )
    error = refusal(placed(check(file, PLACE, entries, facts), text), "f")
    return [line for line in str(error).splitlines() if not line.startswith("    ")]


def test_a_good_file_has_no_mistakes():
    assert told('a = "x"\nb = { run = "x", after = "a", count = 2, port = 80 }') == []


@pytest.mark.parametrize(
    ("agents", "message"),
    [
        pytest.param(
            'dev = { run = "x", count = 2 }\ndev-1 = "x"',
            "f:4: [teams.web.agents.dev-1] agent `web/dev-1` is taken by `web/dev`",
            id="an agent has the name of one of a pool",
        ),
        pytest.param(
            'a = { run = "x", window = "W" }\nb = { run = "x", window = "W" }',
            "f:4: [teams.web.agents.b] window `W` is taken by `web/a`",
            id="two windows of one name",
        ),
        pytest.param(
            'dev = "x"\nDev = "x"',
            "f:4: [teams.web.agents.Dev] window `Web-Dev` is taken by `web/dev`",
            id="two windows of one name by default",
        ),
        pytest.param(
            'a = { run = "x", port = 80 }\nb = { run = "x", port = 79, count = 2 }',
            "f:4: [teams.web.agents.b] port 80 is taken by `web/a`",
            id="a port taken by one of a pool",
        ),
        pytest.param(
            'a = { run = "x", port = 65535, count = 2 }',
            "f:3: [teams.web.agents.a] `port` 65535 and `count` 2 go beyond port 65535",
            id="a pool with more members than ports",
        ),
        pytest.param(
            'a = { run = "x", alive.tcp = "$PORT" }',
            "f:3: [teams.web.agents.a] `alive` asks `$PORT`, but `web/a` has no `port`",
            id="a probe of a port that isn't given",
        ),
        pytest.param(
            'dev = "x"\nb = { run = "x", after = ["dve"] }',
            "f:4: [teams.web.agents.b] `after` names `dve`, which is no agent; did you mean `dev`?",
            id="after nobody, with a near miss",
        ),
        pytest.param(
            'dev = "x"\nb = { run = "x", after = ["wbe/dev"] }',
            "f:4: [teams.web.agents.b] `after` names `wbe/dev`, which is no agent;"
            " did you mean `web/dev`?",
            id="after nobody of another team",
        ),
        pytest.param(
            'b = { run = "x", after = ["zzz"] }',
            "f:3: [teams.web.agents.b] `after` names `zzz`, which is no agent",
            id="after nobody at all",
        ),
        pytest.param(
            'a = { run = "x", after = "a" }',
            "f:3: [teams.web.agents.a] `after` goes in a circle: a → a",
            id="after itself",
        ),
        pytest.param(
            'z = { run = "x", after = "a" }\na = { run = "x", after = "b", count = 2 }\n'
            'b = { run = "x", after = "a-2" }',
            "f:4: [teams.web.agents.a] `after` goes in a circle: a → b → a",
            id="a circle through a pool",
        ),
        pytest.param(
            'a = { run = "x", after = "db/b" }\n[teams.db.agents]\nb = { run="x", after="web/a" }',
            "f:3: [teams.web.agents.a] `after` goes in a circle: web/a → db/b → web/a",
            id="a circle through two teams",
        ),
        pytest.param(
            'a = { run = "x", restart = { delay = "10m" } }',
            "f:3: [teams.web.agents.a] `longest` (5m) is less than `delay` (10m)",
            id="the longest wait is not the longest",
        ),
        pytest.param(
            'a = "x"\nb = "x"\n[defaults.restart]\nlongest = 0',
            "f:5: [defaults] `longest` (0s) is less than `delay` (1s)",
            id="the same in the defaults is told once",
        ),
        pytest.param(
            'a = "x"\n[limits]\ncpu = 16',
            "f:5: [limits] `cpu` 16 cores is more than this machine has (4 cores)",
            id="a limit beyond the machine",
        ),
        pytest.param(
            'a = "x"\nb = "x"\n[defaults]\nmemory = "1GB"\nmemory_soft = "2GB"',
            "f:7: [defaults] `memory_soft` (2GB) is more than `memory` (1GB)",
            id="limits that do not fit, in the defaults, are told once",
        ),
        pytest.param(
            f'a = "x"\n[teams.{"b" * 64}.agents]\na = "x"\n',
            f"f:4: [teams] session `Task-{'b' * 64}` has more than 64 characters; set `session`",
            id="a session's name becomes too long",
        ),
        pytest.param(
            f'{"a" * 64} = "x"\n',
            f"f:3: [teams.web.agents] window `Web-A{'a' * 63}` has more than 64 characters;"
            " set `window`",
            id="a window's name becomes too long",
        ),
    ],
)
def test_one_mistake(agents, message):
    assert message in told(agents)
    assert len(told(agents)) == (2 if "session `Task" in message else 1)


def test_windows_of_one_name_in_two_sessions_are_fine():
    agents = 'a = { run = "x", window = "W" }\n[teams.b.agents]\na = { run = "x", window = "W" }'

    assert told(agents) == []


@pytest.mark.parametrize(
    ("agents", "folders", "messages"),
    [
        pytest.param('a = { run = "x", directory = "b" }', ("/place/b",), [], id="it is there"),
        pytest.param(
            'a = { run = "x", directory = "b" }',
            (),
            ["f:3: [teams.web.agents.a] `directory` /place/b is not a folder"],
            id="it is missing",
        ),
        pytest.param(
            'a = { run = "./x", directory = "b" }\n[teams.web]\ndirectory = "w"',
            (),
            ["f:5: [teams.web] `directory` /place/w is not a folder"],
            id="what is inside a missing one is not told",
        ),
        pytest.param(
            'a = { run = ["./x"], directory = "b" }',
            (),
            ["f:3: [teams.web.agents.a] `directory` /place/b is not a folder"],
            id="nor the program in it",
        ),
    ],
)
def test_folders(agents, folders, messages):
    assert told(agents, folders=folders, lacking=("./x",)) == messages


def test_env_files():
    unread = {"/place/.env": "line 2 is not `NAME=value`", "/place/b/.env": "isn't there"}
    agents = """a = { run = "x", env_file = ".env" }
b = { run = "x", directory = "b", env_file = ".env" }"""

    assert told(agents, unread=unread) == [
        "f:3: [teams.web.agents.a] `env_file` /place/.env: line 2 is not `NAME=value`",
        "f:4: [teams.web.agents.b] `directory` /place/b is not a folder",
    ]


def test_a_program_that_is_not_there():
    assert told('a = { run = ["foo", "x"] }\nb = "foo x"', lacking=("foo",)) == [
        "f:3: [teams.web.agents.a] program `foo` not found",
        "f:4: [teams.web.agents.b] program `foo` not found",
    ]


@pytest.mark.parametrize(
    ("argv", "name"),
    [
        pytest.param(("foo", "x"), "foo", id="a list names its program"),
        pytest.param(("./foo",), "./foo", id="a list names a path"),
        pytest.param(("sh", "-c", "foo x"), "foo", id="a plain first word"),
        pytest.param(("sh", "-c", "  foo;x"), "foo", id="a word and a semicolon"),
        pytest.param(("sh", "-c", "foo|x"), "foo", id="a word and a pipe"),
        pytest.param(("sh", "-c", "python3.11"), "python3.11", id="a word with a dot"),
        pytest.param(("sh", "-c", "exec foo"), None, id="a builtin"),
        pytest.param(("sh", "-c", "while :; do x; done"), None, id="a keyword"),
        pytest.param(("sh", "-c", "A=1 foo"), None, id="a variable first"),
        pytest.param(("sh", "-c", "$SHELL"), None, id="a variable's program"),
        pytest.param(("sh", "-c", "./foo"), None, id="a path may be made later"),
        pytest.param(("sh", "-c", "foo() { x; }; foo"), None, id="a function"),
        pytest.param(("sh", "-c", "foo () { x; }; foo"), None, id="a function with a space"),
        pytest.param(("sh", "-c", "# why\nfoo"), None, id="a comment first"),
        pytest.param(("sh", "-c", "foo'bar' x"), None, id="quotes inside the word"),
        pytest.param(("sh", "-c", "(foo)"), None, id="brackets"),
        pytest.param(("sh", "-c", "foo", "x"), "sh", id="a shell with arguments of its own"),
    ],
)
def test_which_program_must_be_there(argv, name):
    agent = Agent(
        project="p",
        team="t",
        name="a",
        role="a",
        session="s",
        window="w",
        argv=argv,
        directory="/place",
        env=(("PATH", "/bin"),),
    )

    wanted = None if name is None else Program(name=name, directory="/place", path="/bin")
    assert program(agent) == wanted


GRAPHS = some.integers(1, 8).flatmap(
    lambda size: some.lists(
        some.lists(some.integers(0, size - 1), max_size=3), min_size=size, max_size=size
    )
)


@CALM
@given(GRAPHS)
def test_without_its_circles_a_graph_has_an_order(graph):
    waits = {str(name): [str(one) for one in others] for name, others in enumerate(graph)}
    found = list(circles(waits))
    names = [name for circle in found for name in circle]

    assert len(set(names)) == len(names)
    for circle in found:
        steps = zip(circle, [*circle[1:], circle[0]], strict=True)
        assert all(following in waits[name] for name, following in steps)
    left = {name: others for name, others in waits.items() if name not in names}
    assert list(circles({n: [o for o in others if o in left] for n, others in left.items()})) == []
    assert bool(found) == has_circle(waits)


def has_circle(waits: dict[str, list[str]]) -> bool:
    """Whether any name reaches itself: the plain way, for comparison."""
    reach = {name: set(others) for name, others in waits.items()}
    for _ in reach:
        for name, others in reach.items():
            reach[name] = others.union(*(reach[one] for one in others))
    return any(name in others for name, others in reach.items())


@pytest.mark.parametrize(
    ("agent", "message"),
    [
        pytest.param(
            "brief = 'b.md'",
            ["f:3: [teams.web.agents.a] `brief` /place/b.md: the file is empty"],
            id="a brief",
        ),
        pytest.param(
            "prelude = 'b.md'",
            ["f:3: [teams.web.agents.a] `prelude` /place/b.md: the file is empty"],
            id="a template",
        ),
        pytest.param("brief = 'Read b.md now'", [], id="a brief that is no file"),
        pytest.param(
            "directory = 'src', brief = 'b.md'",
            ["f:3: [teams.web.agents.a] `directory` /place/src is not a folder"],
            id="in a folder that is not there",
        ),
    ],
)
def test_a_text_that_can_not_be_used_is_told(agent, message):
    why = dict.fromkeys(["/place/b.md", "/place/src/b.md"], "the file is empty")

    assert told(f"a = {{ run = 'x', {agent} }}", untold=why) == message


@pytest.mark.parametrize(
    ("agents", "message"),
    [
        pytest.param(
            'a = { run = "x", env.DB = "1", worktree.names = ["DB"] }',
            "f:3: [teams.web.agents.a.worktree] `names` names `DB`, "
            "which has its value from `env` already in `web/a`",
            id="in env and leased",
        ),
        pytest.param(
            'a = { run = "x", port = 80, worktree.ports = "PORT" }',
            "f:3: [teams.web.agents.a.worktree] `ports` names `PORT`, "
            "which has its value from `port` already in `web/a`",
            id="the agent's own port is leased",
        ),
    ],
)
def test_a_variable_that_has_a_value_is_not_leased(agents, message):
    assert told(agents) == [message]


def test_a_variable_that_is_leased_for_all_is_told_where_that_is_said():
    text = (
        'project = "Task"\n[defaults.worktree]\nports = ["API"]\n'
        '[teams.web.agents]\na = { run = "x", env.API = "1" }\n'
        'b = { run = "x", env.API = "1", worktree = false }\n'
        'c = { run = "x", worktree.names = "DB" }\n'
    )
    file = read(text)
    entries = expansion.expand(file, PLACE, {})
    facts = Facts(
        directories=frozenset({"/place"}),
        programs=frozenset(one for entry in entries if (one := program(entry.agents[0]))),
        unread={},
        machine=None,
    )

    (wrong,) = check(file, PLACE, entries, facts)
    assert wrong.path == ("defaults", "worktree", "ports")
    assert not list(check(file, PLACE, entries, facts, frozenset({("defaults", "worktree")})))
