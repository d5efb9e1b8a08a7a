"""From the text of a file to its model, and every mistake on the way."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from hive.core.config import parse, read
from hive.errors import WrongInput

CALM = settings(deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
EXAMPLE = (Path(__file__).parents[2] / "hive.toml.example").read_text("utf-8")

START = """\
project = "Task"
[teams.frontend.agents.dev]
run = "sh"
"""


def told(text: str) -> str:
    with pytest.raises(WrongInput) as caught:
        read(text, "hive.toml")
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_a_small_file_is_read():
    file = read(START)

    assert file.project == "Task"
    assert file.teams["frontend"].agents["dev"].run == ("sh", "-c", "sh")


def test_every_mistake_is_told_at_once_with_its_line_and_its_text():
    text = """\
project = "Task"

[teams.frontend.agents.dev]
comand = "sleep 600"
count = "two"

[teams.frontend.agents.server]
run = "sh"
restart = { factor = 0.5, policy = "sometimes" }
port = 70000

[tems.backend]
"""

    assert told(text) == (
        "hive.toml:4: [teams.frontend.agents.dev] unknown key `comand`; did you mean `run`?\n"
        '    comand = "sleep 600"\n'
        "hive.toml:5: [teams.frontend.agents.dev] `count` must be a whole number, not 'two'\n"
        '    count = "two"\n'
        "hive.toml:9: [teams.frontend.agents.server.restart] `policy` must be one of `always`,"
        " `on-failure` and `never`, not 'sometimes'\n"
        '    restart = { factor = 0.5, policy = "sometimes" }\n'
        "hive.toml:9: [teams.frontend.agents.server.restart] `factor` must be 1 or more, not 0.5\n"
        '    restart = { factor = 0.5, policy = "sometimes" }\n'
        "hive.toml:10: [teams.frontend.agents.server] `port` must be 65535 or less, not 70000\n"
        "    port = 70000\n"
        "hive.toml:12: unknown key `tems`; did you mean `teams`?\n"
        "    [tems.backend]"
    )


@pytest.mark.parametrize(
    ("added", "message"),
    [
        pytest.param("rn = 1", "4: […dev] unknown key `rn`; did you mean `run`?", id="near miss"),
        pytest.param(
            "cwd = 'x'", "4: […dev] unknown key `cwd`; did you mean `directory`?", id="cwd"
        ),
        pytest.param(
            "depends_on = []",
            "4: […dev] unknown key `depends_on`; did you mean `after`?",
            id="another tool's word",
        ),
        pytest.param(
            "mem_limit = '1g'",
            "4: […dev] unknown key `mem_limit`; did you mean `memory`?",
            id="another tool's limit",
        ),
        pytest.param(
            "nice = 10", "4: […dev] unknown key `nice`; did you mean `priority`?", id="nice"
        ),
        pytest.param(
            "prio = 'low'", "4: […dev] unknown key `prio`; did you mean `priority`?", id="prio"
        ),
        pytest.param(
            "soft = '50%'", "4: […dev] unknown key `soft`; did you mean `memory_soft`?", id="soft"
        ),
        pytest.param(
            "[limits]\ncpus = 2", "5: [limits] unknown key `cpus`; did you mean `cpu`?", id="cpus"
        ),
        pytest.param(
            "[limits]\nmax_agents = 2",
            "5: [limits] unknown key `max_agents`; did you mean `agents`?",
            id="max_agents",
        ),
        pytest.param(
            "[limits]\nadmission = 'yes'",
            "5: [limits] `admission` must be true or false, not 'yes'",
            id="a word for a truth value",
        ),
        pytest.param(
            "[limits]\nmemory = 75",
            "5: [limits] `memory` needs a unit: a share such as `75%`, or a size such as `512MB`"
            " or `2GB`, not 75",
            id="75 of what",
        ),
        pytest.param(
            "memory = '512 mega'",
            "4: […dev] `memory` must be a size such as `512MB` or `2GB`, not '512 mega'",
            id="a size in words",
        ),
        pytest.param("'a b' = 1", '4: […dev] unknown key `"a b"`; known are', id="a quoted key"),
        pytest.param("env = 3", "4: […dev] `env` must be a table", id="no table of variables"),
        pytest.param(
            "env.A = 3", "4: [teams.frontend.agents.dev.env] `A` must be a text in quotes", id="env"
        ),
        pytest.param(
            "role = ['a']", "4: […dev] `role` must be a text in quotes, not a list", id="a list"
        ),
        pytest.param(
            "role = 2020-01-01",
            "4: […dev] `role` must be a text in quotes, not a date or time",
            id="a date",
        ),
        pytest.param(
            "count = 1.5", "4: […dev] `count` must be a whole number, not 1.5", id="float"
        ),
        pytest.param(
            "count = true", "4: […dev] `count` must be a whole number, not true", id="a truth value"
        ),
        pytest.param("count = 1001", "4: […dev] `count` must be 1000 or less, not 1001", id="many"),
        pytest.param(
            f"count = 0x{'f' * 5000}",
            "4: […dev] `count` must be 1000 or less, not so large a number",
            id="a number Python won't write",
        ),
        pytest.param(
            "ready = {}",
            "4: […dev] `ready` needs exactly one of `http`, `tcp`, `exec` and `screen`",
            id="a probe that asks nothing",
        ),
        pytest.param(
            "ready.exec = 'a'\nready.timeout = '15'",
            "5: [teams.frontend.agents.dev.ready] `timeout` must be a duration such as `90s`,"
            " `15m` or `1h30m`, not '15'; the units are d, h, m, s and ms",
            id="a duration without a unit",
        ),
        pytest.param(
            "restart.factor = nan",
            "4: [teams.frontend.agents.dev.restart] `factor` must be a number, not nan",
            id="not a number",
        ),
        pytest.param(
            "stop = { keys = 'q', signal = 'INT' }",
            "4: […dev] `stop` has both `signal` and `keys`; keep one",
            id="two ways to stop",
        ),
        pytest.param(
            "window = 'a.b'",
            "4: […dev] `window` may hold only letters, digits, `-` and `_`, and not begin with `-`",
            id="a window tmux would misread",
        ),
        pytest.param(
            "[teams.'a:b']",
            '4: [teams] `"a:b"` may hold only letters, digits, `-` and `_`, and not begin with `-`',
            id="a team tmux would misread",
        ),
        pytest.param("[teams.x.agents.y]", "4: [teams.x.agents.y] `run` is missing", id="no run"),
        pytest.param("[teams.x.agents]\ny = 5", "5: [teams.x.agents] `y` must be a table", id="5"),
        pytest.param("[teams.x]\nagents = []", "5: [teams.x] `agents` must be a table", id="list"),
        pytest.param(
            "[defaults]\nrun = 'x'", "5: [defaults] unknown key `run`; known are", id="no default"
        ),
        pytest.param(
            "[tmux]\nsocket = 'a/b'",
            "5: [tmux] `socket` must be a name, or a path that begins with `/` or `~/`",
            id="a socket from somewhere",
        ),
    ],
)
def test_one_mistake(added, message):
    found = told(START + added).splitlines()

    assert found[0].startswith("hive.toml:" + message.replace("…", "teams.frontend.agents."))
    assert len([line for line in found if line.startswith("hive.toml")]) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("", "hive.toml:1: `project` is missing", id="an empty file"),
        pytest.param("project = 'a", "hive.toml:1: this is not TOML: ", id="an open quote"),
        pytest.param("a = 1\nb = = 2", "hive.toml:2: this is not TOML: invalid value", id="line 2"),
        pytest.param("a = [\n1,\n", "hive.toml:2: this is not TOML: ", id="an open bracket"),
        pytest.param("a = " + "[" * 3000, "hive.toml:1: tables are nested too deeply", id="deep"),
        pytest.param(
            "a = " + "[" * 60 + "]" * 60, "hive.toml:1: tables are nested too deeply", id="deepish"
        ),
        pytest.param("a = " + "1" * 5000, "hive.toml:1: this is not TOML: exceeds", id="digits"),
    ],
)
def test_a_file_that_says_nothing(text, message):
    assert told(text).startswith(message)


def test_a_missing_key_is_not_told_where_a_near_miss_explains_it():
    assert "missing" not in told("projct = 'Task'")
    assert "missing" in told("something = 'Task'")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(START + 'env = { TOKEN = "secret", OTHER = 1 }', id="a wrong value beside it"),
        pytest.param(START + "env.TOKEN = ['secret']", id="a wrong value"),
        pytest.param(START + "[teams.frontend.agents.dev.env]\nA = ['secret']", id="in a table"),
        pytest.param(START + "[teams.frontend.agents.dev.env]\nA = 'secret", id="an open quote"),
        pytest.param(START + "env = { A = 'secret }", id="an open quote in a line"),
        pytest.param(
            'project = "T"\nteams.x.agents = { y = { env = { A = "secret" }, rn = "z" } }',
            id="another mistake on the line",
        ),
    ],
)
def test_a_line_that_holds_variables_is_not_shown(text):
    assert "secret" not in told(text)


def test_a_line_that_names_an_env_file_is_shown():
    assert told(START + 'env_file = [".env", 1]').endswith('env_file = [".env", 1]')


def test_a_long_line_is_cut():
    assert told(START + "xyz = '" + "y" * 500 + "'").endswith("y…")


def test_what_is_right_in_a_wrong_file_is_kept_for_the_checks_that_follow():
    parsed = parse(START + "count = 'two'\nport = 80\n[teams.x.agents.y]\nafter = 'z'\n", "f")

    assert parsed.file is not None
    assert parsed.file.teams["frontend"].agents["dev"].port == 80
    assert parsed.file.teams["frontend"].agents["dev"].count is None
    assert parsed.file.teams["x"].agents["y"].after == ("z",)
    assert len(parsed.wrongs) == 2


def test_a_team_or_an_agent_with_an_unsafe_name_is_left_out_alone():
    text = START + "[teams.'a b'.agents]\nx = 5\n[teams.frontend.agents.'c.d']\n"
    parsed = parse(text, "f")

    assert parsed.file is not None
    assert list(parsed.file.teams) == ["frontend"]
    assert list(parsed.file.teams["frontend"].agents) == ["dev"]
    assert {("teams", "a b"), ("teams", "frontend", "agents", "c.d")} <= parsed.lost
    assert [mistake.line for mistake in parsed.mistakes()] == [4, 5, 6, 6]


TWICE = """\
project = "Task"
[teams.web.agents.dev]
run = "first"
%s
[teams.web.agents.last]
run = "x"
rn = 1
"""
SCRIPT = 'run = """\n[x]\n"""\n'


@pytest.mark.parametrize(
    ("again", "told_on", "lost"),
    [
        pytest.param("[teams.web.agents.dev]\nrun = 'x'", [4], "dev", id="an agent"),
        pytest.param(
            f"[teams.web.agents.dev]\n{SCRIPT}[teams.web.agents.dev.restart]\ndelay = 1",
            [4],
            "dev",
            id="an agent with tables beneath it and a header in a text",
        ),
        pytest.param("[teams.web.agents]\ndev = 'x'", [5], "dev", id="an agent by its command"),
        pytest.param(
            f"[teams.web.agents]\na = '1'\na = '2'\ndev.{SCRIPT}", [6, 9], "a", id="two of them"
        ),
        pytest.param("run = 'x'", [4], "dev.run", id="a key"),
        pytest.param(SCRIPT, [6], "dev.run", id="a key with a value of many lines"),
        pytest.param("env = { A = 'secret', A = 'b' }", [4], "dev.env", id="in a line"),
        pytest.param('env.A = "1"\nenv.A = """\nsecret"""', [6], "dev.env.A", id="a variable"),
    ],
)
def test_what_is_there_twice_is_told_and_the_rest_is_read(again, told_on, lost):
    parsed = parse(TWICE % again, "f")
    mistakes = parsed.mistakes()

    assert parsed.file is not None
    assert parsed.file.teams["web"].agents["dev"].run == ("sh", "-c", "first")
    assert "last" in parsed.file.teams["web"].agents
    assert [mistake.line for mistake in mistakes[:-1]] == told_on
    assert all(one.what.startswith("this is not TOML: ") for one in mistakes[:-1])
    assert mistakes[-1].what == "unknown key `rn`; did you mean `run`?"
    assert ("teams", "web", "agents", *lost.split(".")) in parsed.lost
    assert "secret" not in str(mistakes)


def test_a_team_that_is_there_twice_goes_with_its_agents():
    team = "[teams.web]\n[teams.web.agents.dev]\nrun = 'x'\n"
    parsed = parse(f"project = 'T'\n{team}{team}[teams.api]\nx = 1\n", "f")

    assert [mistake.line for mistake in parsed.mistakes()] == [5, 9]


@pytest.mark.parametrize(
    "end",
    [
        pytest.param("b = = 2", id="what is not TOML"),
        pytest.param('[teams.x.agents.dev]\nrun = """', id="a text that is never closed"),
        pytest.param("x = { a = 1, a = 2, b = [\n1] }", id="a repeat that goes on"),
    ],
)
def test_where_it_is_not_certain_what_to_cut_only_what_is_there_twice_is_told(end):
    message = told(f"{START}rn = 1\nrun = 'x'\n{end}")

    assert message.startswith("hive.toml:5: this is not TOML: cannot overwrite a value")
    assert "unknown key" not in message


@pytest.mark.parametrize(
    ("text", "lost"),
    [
        pytest.param("count = 'two'", "count", id="a wrong value"),
        pytest.param("replicas = 2", "count", id="what an unknown key was meant to be"),
        pytest.param("workdir = 'src'", "directory", id="a folder by another word"),
    ],
)
def test_what_could_not_be_read_is_remembered(text, lost):
    assert ("teams", "frontend", "agents", "dev", lost) in parse(START + text, "f").lost


PIECES = some.sampled_from(
    [
        *"[]{}=\"'#.,\n\\ \t\0",
        *("-1", "0", "nan", "inf", "true", "'x'", '"""', "1979-05-27", "9" * 400, "[[a]]\n"),
        *("count = 3\n", "after = ['dev']\n", "[teams.x.agents]\n", "teams.y = 1\n", "\u2028é"),
    ]
)
LINES = EXAMPLE.splitlines(keepends=True)
EDIT = some.tuples(some.integers(0, len(LINES) - 1), some.integers(0, 60), PIECES, some.booleans())


@CALM
@given(some.lists(EDIT, min_size=1, max_size=4), some.booleans())
def test_any_change_of_the_example_is_read_or_refused(edits, bare):
    lines = [line.removeprefix("# ") if bare and " = " in line else line for line in LINES]
    for number, column, piece, over in edits:
        line = lines[number]
        lines[number] = line[:column] + piece + line[column + (len(piece) if over else 0) :]

    read_or_refused("".join(lines))


@CALM
@given(some.text() | some.lists(PIECES).map("".join))
def test_any_text_is_read_or_refused(text):
    read_or_refused(text)


def read_or_refused(text: str) -> None:
    try:
        read(text)
    except WrongInput as error:
        assert str(error).startswith("hive.toml:")  # noqa: PT017 - both ways are good


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(
            "[mcp.x]\ncommand = 'x'\nargs = ['y']",
            "hive.toml:6: [mcp.x] unknown key `args`; did you mean `command`?\n    args = ['y']",
            id="the arguments of a server",
        ),
        pytest.param(
            "[mcp.x]",
            "hive.toml:4: [mcp] `x` needs exactly one of `command` and `url`\n    [mcp.x]",
            id="no server",
        ),
        pytest.param(
            "[mcp.x]\nurl = 'http://a/'\nheaders = { Key = ['secret'] }",
            "hive.toml:6: [mcp.x.headers] `Key` must be a text in quotes",
            id="a header is not shown",
        ),
        pytest.param(
            "[mcp.x]\nurl = 'http://a/'\n[mcp.x.headers]\n'a b' = 'secret'",
            'hive.toml:7: [mcp.x.headers] `"a b"` can\'t be a header: letters, digits and `-` only',
            id="nor where its name is wrong",
        ),
        pytest.param(
            "prompt = 'x'",
            "hive.toml:4: [teams.frontend.agents.dev] unknown key `prompt`; did you mean `brief`?"
            "\n    prompt = 'x'",
            id="a brief by another word",
        ),
        pytest.param(
            "[limits]\nbudget = '20'",
            "hive.toml:5: [limits] `budget` must be an amount of money such as `$20`, not '20'"
            "\n    budget = '20'",
            id="a budget without its sign",
        ),
        pytest.param(
            "permission = 'all'",
            "hive.toml:4: [teams.frontend.agents.dev] `permission` must be one of `ask`, `edits`"
            " and `auto`, not 'all'\n    permission = 'all'",
            id="no permission",
        ),
    ],
)
def test_what_is_wrong_with_keys_of_agents_that_are_spoken_to_is_told(text, message):
    assert told(START + text) == message
