"""From the file's model to the agents it stands for."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from hive.core import spec
from hive.core.config import read
from hive.core.expand import Place, ceiling, directories, env_files, expand, limited
from hive.core.limits import Ceiling, Limits, Portion

CALM = settings(deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
PLACE = Place(folder="/place", home="/home/ann")


def agents(text: str, **variables: tuple[tuple[str, str], ...]) -> dict[str, spec.Agent]:
    """Expand a file of project `Task`; `variables` are those of .env files in /place."""
    files = {f"/place/{name}": found for name, found in variables.items()}
    entries = expand(read(f'project = "Task"\n{text}'), PLACE, files)
    return {agent.short: agent for entry in entries for agent in entry.agents}


def test_an_agent_is_all_that_its_table_says():
    found = agents(
        """
        [tmux]
        socket = "work"
        [teams.frontend.agents.dev]
        run = ["a", "b"]
        role = "developer"
        directory = "src"
        env = { A = "1" }
        ready = { tcp = 80, interval = "1s", timeout = "3s", threshold = 4 }
        alive = { exec = "true" }
        restart = { policy = "never" }
        stop = { keys = ["q", "Enter"], grace = "1m" }
        port = 80
        window = "Mine"
        """
    )

    assert found == {
        "frontend/dev": spec.Agent(
            project="Task",
            team="frontend",
            name="dev",
            role="developer",
            session="Task-frontend",
            window="Mine",
            argv=("a", "b"),
            directory="/place/src",
            env=(("A", "1"), ("PORT", "80")),
            ready=spec.Probe(
                kind="tcp", target="127.0.0.1:80", interval=1.0, timeout=3.0, threshold=4
            ),
            alive=spec.Probe(kind="exec", target="true"),
            restart=spec.Restart(policy="never"),
            stop=spec.Stop(keys=("q", "Enter"), grace=60.0),
            port=80,
            socket="work",
        )
    }


def test_an_agent_of_a_text_alone_has_every_default():
    found = agents('teams.frontend.agents.dev2 = "top"')["frontend/dev2"]

    assert found == spec.Agent(
        project="Task",
        team="frontend",
        name="dev2",
        role="dev",
        session="Task-frontend",
        window="Frontend-Dev2",
        argv=("sh", "-c", "top"),
        directory="/place",
    )


def test_windows_stand_in_the_order_of_the_file():
    found = agents(
        """
        [teams.b.agents]
        z = "x"
        y = { run = "x", count = 2 }
        a = "x"
        [teams.a.agents]
        m = "x"
        """
    )

    assert [(name, agent.order) for name, agent in found.items()] == [
        ("b/z", 0),
        ("b/y-1", 1),
        ("b/y-2", 2),
        ("b/a", 3),
        ("a/m", 0),
    ]


def test_teams_in_one_session_have_their_windows_one_after_the_other():
    found = agents(
        """
        [teams.a]
        session = "All"
        agents.x = "x"
        [teams.b]
        session = "All"
        agents.x = "x"
        """
    )

    assert {agent.session for agent in found.values()} == {"All"}
    assert [agent.order for agent in found.values()] == [0, 1]


def test_a_pool_has_members_with_names_windows_and_ports_of_their_own():
    found = agents(
        """
        [teams.web.agents.dev]
        run = "x"
        count = 2
        port = 9000
        ready = { http = "http://127.0.0.1:$PORT/" }
        alive = { tcp = "$PORT" }
        """
    )

    assert list(found) == ["web/dev-1", "web/dev-2"]
    second = found["web/dev-2"]
    assert (second.role, second.window, second.port) == ("dev", "Web-Dev-2", 9001)
    assert second.env == (("PORT", "9001"),)
    assert second.ready
    assert second.ready.target == "http://127.0.0.1:9001/"
    assert second.alive
    assert second.alive.target == "127.0.0.1:9001"


def test_a_pool_of_one_is_a_pool():
    found = agents('[teams.web.agents]\ndev = { run = "x", count = 1, window = "W" }')

    assert [(name, agent.window) for name, agent in found.items()] == [("web/dev-1", "W-1")]


def test_the_command_of_a_probe_keeps_its_dollar():
    found = agents('teams.a.agents.b = { run = "x", port = 1, ready.exec = "nc $PORT" }')

    assert found["a/b"].ready == spec.Probe(kind="exec", target="nc $PORT")


@pytest.mark.parametrize(
    ("after", "ids"),
    [
        pytest.param("[]", (), id="nobody"),
        pytest.param("'pm'", ("Task/web/pm",), id="one, as a text"),
        pytest.param("['dev']", ("Task/web/dev-1", "Task/web/dev-2"), id="a pool is all of it"),
        pytest.param("['dev-2']", ("Task/web/dev-2",), id="one of a pool"),
        pytest.param("['db/pm']", ("Task/db/pm",), id="another team's"),
        pytest.param("['web/pm', 'pm']", ("Task/web/pm",), id="the same twice"),
        pytest.param("['nobody', 'pm']", ("Task/web/pm",), id="nobody is left out"),
    ],
)
def test_after_names_agents(after, ids):
    found = agents(
        f"""
        [teams.web.agents]
        pm = "x"
        dev = {{ run = "x", count = 2 }}
        last = {{ run = "x", after = {after} }}
        [teams.db.agents]
        pm = "x"
        """
    )

    assert found["web/last"].after == ids


@pytest.mark.parametrize(
    ("defaults", "team", "agent", "folder"),
    [
        pytest.param("", "", "", "/place", id="the file's folder"),
        pytest.param("", "web", "", "/place/web", id="the team's"),
        pytest.param("", "web", "src", "/place/web/src", id="the agent's, from the team's"),
        pytest.param("all", "", "src", "/place/all/src", id="from that of the defaults"),
        pytest.param("all", "web", "", "/place/web", id="the team's takes the defaults' place"),
        pytest.param("", "web", "..", "/place", id="up"),
        pytest.param("", "web", "./a//b/", "/place/web/a/b", id="tidied"),
        pytest.param("", "web", "/opt", "/opt", id="an absolute one"),
        pytest.param("", "~", "src", "/home/ann/src", id="home"),
        pytest.param("", "~/web", "", "/home/ann/web", id="under home"),
    ],
)
def test_folders_are_found_from_the_outside_in(defaults, team, agent, folder):
    def line(text: str) -> str:
        return f'directory = "{text}"' if text else ""

    found = agents(
        f"[defaults]\n{line(defaults)}\n[teams.a]\n{line(team)}\n"
        f'[teams.a.agents.b]\nrun = "x"\n{line(agent)}'
    )

    assert found["a/b"].directory == folder


def test_variables_of_what_is_nearer_go_over_those_of_what_is_further():
    found = agents(
        """
        [defaults]
        env_file = ["one", "two"]
        env = { C = "defaults", D = "defaults", E = "defaults", F = "defaults" }
        [teams.a]
        env_file = "three"
        env = { E = "team", F = "team" }
        [teams.a.agents.b]
        run = "x"
        env_file = "four"
        env = { G = "agent" }
        """,
        one=(("A", "one"), ("B", "one")),
        two=(("B", "two"), ("C", "two")),
        three=(("D", "three"), ("E", "three")),
        four=(("F", "four"), ("G", "four")),
    )

    assert dict(found["a/b"].env) == {
        "A": "one",
        "B": "two",
        "C": "defaults",
        "D": "three",
        "E": "team",
        "F": "four",
        "G": "agent",
    }


def test_a_port_is_given_as_a_variable_unless_there_is_one():
    found = agents('teams.a.agents.b = { run = "x", port = 80, env = { PORT = "no" } }')

    assert found["a/b"].env == (("PORT", "no"),)


def test_restart_goes_over_the_defaults_key_by_key():
    found = agents(
        """
        [defaults.restart]
        delay = "9s"
        attempts = 9
        [teams.a.agents.b]
        run = "x"
        restart = { delay = "3s", policy = "on-failure" }
        """
    )

    assert found["a/b"].restart == spec.Restart(policy="on-failure", delay=3.0, attempts=9)


@pytest.mark.parametrize(
    ("defaults", "agent", "stop"),
    [
        pytest.param("grace = 3", "signal = 'INT'", spec.Stop(signal="INT", grace=3), id="both"),
        pytest.param("keys = 'q'", "grace = 3", spec.Stop(keys=("q",), grace=3), id="keys stay"),
        pytest.param(
            "keys = 'q'", "signal = 'INT'", spec.Stop(signal="INT"), id="a signal ends default keys"
        ),
        pytest.param(
            "signal = 'INT'", "keys = 'q'", spec.Stop(signal="INT", keys=("q",)), id="keys"
        ),
    ],
)
def test_stop_goes_over_the_defaults(defaults, agent, stop):
    found = agents(
        f'[defaults]\nstop = {{ {defaults} }}\n[teams.a.agents.b]\nrun = "x"\nstop = {{ {agent} }}'
    )

    assert found["a/b"].stop == stop


def test_a_probe_takes_the_place_of_the_default_one_as_a_whole():
    found = agents(
        """
        [defaults]
        ready = { exec = "a", interval = "9s" }
        alive = { exec = "b", interval = "9s" }
        [teams.a.agents.b]
        run = "x"
        ready = { exec = "c" }
        """
    )

    assert found["a/b"].ready == spec.Probe(kind="exec", target="c")
    assert found["a/b"].alive == spec.Probe(kind="exec", target="b", interval=9.0)


@pytest.mark.parametrize(
    ("written", "meant"),
    [("", ""), ("work", "work"), ("/run/s", "/run/s"), ("~/s", "/home/ann/s")],
)
def test_the_tmux_server(written, meant):
    found = agents(f'[tmux]\nsocket = "{written}"\n[teams.a.agents]\nb = "x"')

    assert found["a/b"].socket == meant


def test_what_the_file_names_is_found_from_its_own_table():
    file = read(
        """
        project = "Task"
        [defaults]
        env_file = ".env"
        [teams.a]
        directory = "web"
        env_file = [".env", "~/.env"]
        agents.b = { run = "x", directory = "src", env_file = "../.env" }
        """
    )

    assert [(named.path, named.target) for named in directories(file, PLACE)] == [
        (("teams", "a", "directory"), "/place/web"),
        (("teams", "a", "agents", "b", "directory"), "/place/web/src"),
    ]
    assert [named.target for named in env_files(file, PLACE)] == [
        "/place/.env",
        "/place/web/.env",
        "/home/ann/.env",
        "/place/web/.env",
    ]


KEYS = some.from_regex(r"\A[a-z]{1,5}[0-9]?\Z")
POOLS = some.dictionaries(KEYS, some.integers(0, 5), max_size=5)


@CALM
@given(some.dictionaries(KEYS, POOLS, max_size=3), some.integers(1, 60000))
def test_every_agent_is_there_once_and_survives_a_trip_through_the_store(teams, port):
    lines = ['project = "Task"']
    for team, pools in teams.items():
        for key, count in pools.items():
            lines += [f"[teams.{team}.agents.{key}]", 'run = "x"', f"port = {port}"]
            lines += [f"count = {count}"] if count else []
    entries = expand(read("\n".join(lines)), PLACE, {})
    found = [agent for entry in entries for agent in entry.agents]

    assert len(found) == sum(max(count, 1) for pools in teams.values() for count in pools.values())
    assert len({agent.id for agent in found}) == len(found)
    for agent in found:
        assert spec.from_dict(json.loads(json.dumps(spec.to_dict(agent)))) == agent


MB = 1 << 20


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        pytest.param("", Limits(), id="none"),
        pytest.param('cpu = "150%"', Limits(cpu=1.5), id="cores by percent"),
        pytest.param("cpu = 2", Limits(cpu=2.0), id="cores"),
        pytest.param(
            'memory = "100MB"', Limits(memory=100 * MB, soft=80 * MB), id="soft is 80% by itself"
        ),
        pytest.param(
            'memory = "100MB"\nmemory_soft = "50%"',
            Limits(memory=100 * MB, soft=50 * MB),
            id="soft by share",
        ),
        pytest.param(
            'memory = "100MB"\nmemory_soft = "90MB"',
            Limits(memory=100 * MB, soft=90 * MB),
            id="soft by size",
        ),
        pytest.param(
            'max_age = "12h"\nprocesses = 50', Limits(max_age=43200.0, processes=50), id="others"
        ),
        pytest.param(
            'cpu = 1\n[defaults]\ncpu = 2\nmemory = "100MB"\nmemory_soft = "50%"\nprocesses = 9',
            Limits(cpu=1.0, memory=100 * MB, soft=50 * MB, processes=9),
            id="its own keys go over the defaults one by one",
        ),
        pytest.param(
            'memory = "200MB"\n[defaults]\nmemory = "100MB"\nmemory_soft = "50%"',
            Limits(memory=200 * MB, soft=100 * MB),
            id="a share of the defaults is of its own memory",
        ),
        pytest.param(
            "processes = 1000\n[defaults]\nprocesses = 5",
            Limits(processes=1000),
            id="what is as by default may be said over the defaults",
        ),
    ],
)
def test_limits_are_those_of_the_agent_over_the_defaults(text, limits):
    assert agents(f'[teams.a.agents.dev]\nrun = "x"\n{text}')["a/dev"].limits == limits


@pytest.mark.parametrize(
    ("text", "priority"),
    [
        pytest.param('[teams.a.agents]\nx = "x"', "normal", id="nobody says"),
        pytest.param('[teams.a.agents]\nx = { run = "x", role = "server" }', "high", id="a server"),
        pytest.param(
            '[teams.a.agents]\nx = { run = "x", role = "server", priority = "low" }',
            "low",
            id="a server that says otherwise",
        ),
        pytest.param(
            '[defaults]\npriority = "low"\n[teams.a.agents]\nx = { run = "x", role = "server" }',
            "low",
            id="the defaults say",
        ),
    ],
)
def test_a_server_is_given_up_last_where_nobody_says_otherwise(text, priority):
    assert agents(text)["a/x"].priority == priority


def test_a_server_is_one_by_its_name_too():
    found = agents('[teams.a.agents]\nserver = { run = "x", count = 2 }')

    assert {one.priority for one in found.values()} == {"high"}


def test_env_files_of_servers_are_looked_for_from_the_folder_of_the_file():
    text = 'project = "Task"\n[mcp.x]\ncommand = "x"\nenv_file = ["a", "/b"]'
    found = env_files(read(f'{text}\n[defaults]\ndirectory = "sub"'), PLACE)

    assert [(named.path, named.target) for named in found] == [
        (("mcp", "x", "env_file"), "/place/a"),
        (("mcp", "x", "env_file"), "/b"),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", Ceiling(), id="no table"),
        pytest.param("[limits]", Ceiling(), id="an empty table"),
        pytest.param(
            '[limits]\ncpu = "50%"\nmemory = "4GB"\nagents = 50\nreserve = "2GB"\n'
            'budget = "$7.50"\nadmission = false',
            Ceiling(
                cpu=Portion(amount=0.5, of_machine=True),
                memory=Portion(amount=4 << 30),
                agents=50,
                reserve=Portion(amount=2 << 30),
                budget=7.5,
                admission=False,
            ),
            id="all of it",
        ),
    ],
)
def test_the_ceiling_of_a_file(text, expected):
    assert ceiling(read(f'project = "Task"\n{text}')) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param('[teams.a.agents]\nx = "x"', False, id="nothing said"),
        pytest.param("[limits]\nagents = 3\n[defaults]\nprocesses = 9", False, id="mere numbers"),
        pytest.param('[limits]\nreserve = "1GB"', True, id="for all together"),
        pytest.param("[defaults]\ncpu = 1", True, id="in the defaults"),
        pytest.param('[teams.a.agents]\nx = { run = "x", memory = "1GB" }', True, id="for one"),
    ],
)
def test_whether_the_machine_matters_to_a_file(text, expected):
    assert limited(read(f'project = "Task"\n{text}')) is expected
