"""The user's files, read from real folders."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from hive.adapters import files
from hive.core.fits import Over
from hive.core.limits import Ceiling, Limits, Portion
from hive.errors import WrongInput

CALM = settings(
    deadline=None, derandomize=True, max_examples=50, suppress_health_check=list(HealthCheck)
)
START = 'project = "Task"\n[teams.web.agents.dev]\n'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give an empty folder that is the current one, with a home beside it."""
    here = tmp_path / "here"
    here.mkdir()
    (tmp_path / "home").mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return here


def write(folder: Path, text: str) -> Path:
    path = folder / "hive.toml"
    path.write_text(text, "utf-8")
    return path


def refused(path: Path | None = None) -> str:
    with pytest.raises(WrongInput) as caught:
        files.load(path)
    return str(caught.value)


def test_a_file_is_read_checked_and_expanded(folder):
    path = write(folder, START + 'run = "sh"\ncount = 2\n[teams.empty]\n')

    loaded = files.load(path)

    assert (loaded.project, loaded.path, loaded.teams) == ("Task", path, ("web", "empty"))
    assert [agent.id for agent in loaded.agents] == ["Task/web/dev-1", "Task/web/dev-2"]
    assert loaded.agents[0].directory == str(folder)


def test_the_nearest_file_above_is_found(folder, monkeypatch):
    path = write(folder, START + 'run = "sh"\n')
    (folder / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(folder / "a" / "b")

    assert files.load().path == path


def test_a_file_may_be_named_by_its_folder_or_from_the_current_one(folder, monkeypatch):
    path = write(folder, START + 'run = "sh"\n')
    monkeypatch.chdir(folder.parent)

    assert files.load(folder).path == path
    assert files.load(Path("here")).path == path
    assert files.load(Path("here/../here/hive.toml")).path == path


def test_without_a_file_the_next_step_is_told(folder):
    message = refused()

    assert message.startswith(f"{folder}: no `hive.toml` here or in a folder above")
    assert message.endswith("next: hive init")


def test_a_named_file_that_is_not_there_is_told_with_the_next_step(folder):
    assert refused(Path("other.toml")) == ("other.toml: the file isn't there\n  next: hive init")


def test_a_gone_folder_is_told(folder):
    gone = folder / "gone"
    gone.mkdir()
    os.chdir(gone)
    gone.rmdir()

    assert refused().startswith("the current folder is gone")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        pytest.param(b"\xff", "f: the file is not UTF-8 text: see byte 0", id="not utf-8"),
        pytest.param(b"project = ", "f:1: this is not TOML", id="not toml"),
        pytest.param(b"", "f:1: `project` is missing", id="empty"),
    ],
)
def test_a_file_that_can_not_be_read_is_told(folder, content, told):
    (folder / "f").write_bytes(content)

    assert refused(Path("f")).startswith(told)


def test_a_device_is_not_read(folder):
    assert refused(Path("/dev/zero")) == "/dev/zero: the file is a device, not a text"


@pytest.mark.parametrize("path", [None, Path(), Path("hive.toml")])
def test_a_folder_called_like_the_file_is_told_as_a_folder(folder, path):
    (folder / "hive.toml").mkdir()

    message = refused(path)

    assert message.startswith("hive.toml: this is a folder, not a file")
    assert "hive init" not in message


def test_a_folder_called_like_the_file_may_hold_one(folder, monkeypatch):
    inside = folder / "hive.toml"
    inside.mkdir()
    monkeypatch.chdir(inside)
    assert refused().endswith("next: hive init")

    path = write(inside, START + 'run = "sh"\n')
    assert files.load().path == path
    assert files.load(inside).path == path


def test_a_byte_order_mark_and_windows_ends_are_fine(folder):
    path = folder / "hive.toml"
    path.write_bytes(b"\xef\xbb\xbf" + START.replace("\n", "\r\n").encode() + b'run = "sh"\r\n')

    assert len(files.load().agents) == 1


def test_every_mistake_of_every_kind_is_told_at_once(folder):
    write(
        folder,
        START + 'comand = "sh"\ndirectory = "src"\n'
        "[teams.web.agents]\n"
        'a = { run = ["no-such-program"] }\n'
        'b = { run = "sh", after = "c" }\n'
        'c = { run = "sh", after = "b", count = 0 }\n'
        'd = { run = "sh", env_file = ".env" }\n',
    )
    agents = "[teams.web.agents"

    assert refused().splitlines() == [
        f"hive.toml:3: {agents}.dev] unknown key `comand`; did you mean `run`?",
        '    comand = "sh"',
        f"hive.toml:4: {agents}.dev] `directory` {folder}/src is not a folder",
        '    directory = "src"',
        f"hive.toml:6: {agents}.a] program `no-such-program` not found",
        '    a = { run = ["no-such-program"] }',
        f"hive.toml:7: {agents}.b] `after` goes in a circle: b → c → b",
        '    b = { run = "sh", after = "c" }',
        f"hive.toml:8: {agents}.c] `count` must be 1 or more, not 0",
        '    c = { run = "sh", after = "b", count = 0 }',
        f"hive.toml:9: {agents}.d] `env_file` {folder}/.env: the file isn't there",
        '    d = { run = "sh", env_file = ".env" }',
    ]


CHECKS = """
[teams.api.agents]
a = { run = ["no-such-program"], port = 80 }
b = { run = "sh", port = 80, after = "c" }
c = { run = "sh", after = "b" }
d = { run = "sh", directory = "gone" }
"""
CHECKED = [
    "program `no-such-program` not found",
    "port 80 is taken by `api/a`",
    "`after` goes in a circle: b → c → b",
    "is not a folder",
]
UNSAFE = "may hold only letters, digits, `-` and `_`"
TWICE = "this is not TOML: cannot "
WEB = START + 'run = "sh"\n'
AGAIN = START.partition("\n")[2]


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        pytest.param(WEB + "[teams.web.agents.'a b']\nrun = 'x'", UNSAFE, id="an unsafe agent"),
        pytest.param(WEB + "[teams.'a b'.agents]\nx = 'x'", UNSAFE, id="an unsafe team"),
        pytest.param(WEB + "[teams.'']", "must not be empty", id="a team without a name"),
        pytest.param(WEB + f"[teams.{'x' * 65}]", "at most 64", id="a long name"),
        pytest.param(WEB + AGAIN + "run = 'x'", TWICE, id="an agent twice"),
        pytest.param(WEB + "[teams.web.agents]\ndev = 'sh'", TWICE, id="its command too"),
        pytest.param(WEB + "[teams.web]\n[teams.web]\n", TWICE, id="a team twice"),
        pytest.param(WEB + "[teams.web.agents]\nx = 5", "must be a table", id="no table"),
        pytest.param(WEB + "[teams.x]\nagents = 5", "must be a table", id="no table of agents"),
        pytest.param(WEB + "[teams]\nx = 5", "must be a table", id="no team"),
        pytest.param(START, "`run` is missing", id="no command"),
    ],
)
def test_a_mistake_in_one_table_hides_none_in_the_others(folder, text, mistake):
    write(folder, text + CHECKS)

    told = [line for line in refused().splitlines() if line.startswith("hive.toml:")]

    assert len(told) == 1 + len(CHECKED)
    for line, part in zip(told, [mistake, *CHECKED], strict=True):
        assert part in line


AGENTS = "\n[teams.web.agents]\n"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(f"after = 'a b'{AGENTS}'a b' = 'sh'", id="an unsafe agent"),
        pytest.param(f"after = 'a/b'{AGENTS}'a/b' = 'sh'", id="one with a slash"),
        pytest.param(
            f"after = 'a b-1'{AGENTS}'a b' = {{ run = 'sh', count = 2 }}",
            id="one of an unsafe pool",
        ),
        pytest.param("after = 'a b/x'\n[teams.'a b'.agents]\nx = 'sh'", id="an unsafe team's"),
        pytest.param("after = 'a/b/x'\n[teams.'a/b'.agents]\nx = 'sh'", id="a slash in a team"),
        pytest.param("after = 'x/y'\n[teams.x]\nagent = { y = 'sh' }", id="agents by another word"),
        pytest.param("after = 'x/y'\n[teams.x]\nagents = ['y']", id="agents in a list"),
        pytest.param(f"after = 'b'{AGENTS}b = {{ run = 'sh', run = 'sh' }}", id="a key twice"),
        pytest.param(
            f"after = 'b'{AGENTS}c = 'sh'{AGENTS}b = 'sh'",
            id="an agent in a table opened twice",
        ),
        pytest.param(
            f"after = 'b-2'{AGENTS}b = {{ run = 'sh', count = 'two' }}",
            id="one of a pool of unknown size",
        ),
        pytest.param(
            f"cont = 2{AGENTS}b = {{ run = 'sh', after = 'dev-1' }}", id="a pool by another word"
        ),
        pytest.param("port = 'x'\nready.tcp = '$PORT'", id="an unknown port"),
        pytest.param("prot = 80\nready.tcp = '$PORT'", id="a port by another word"),
        pytest.param("directory = 5\nenv_file = '.env'", id="an unknown folder"),
        pytest.param("directory = 'src'\n[teams.web]\ndirectory = 5", id="one around it"),
        pytest.param("directory = 'src'\n[teams.web]\ndir = 'x'", id="a folder by another word"),
        pytest.param(
            f"{AGENTS}b = {{ run = ['no-such-program'], env = {{ PATH = 5 }} }}",
            id="an unknown path for programs",
        ),
        pytest.param("restart = { delay = 'x', longest = 0 }", id="an unknown delay"),
        pytest.param(
            f"window = 'a b'{AGENTS}b = {{ run = 'sh', window = 'Web-Dev' }}",
            id="an unknown window",
        ),
        pytest.param(
            f"[teams.{'x' * 62}]\nsession = 'a b'\nagents.y = {{ run = 'sh', window = 'y' }}",
            id="an unknown session",
        ),
    ],
)
def test_what_only_follows_from_a_mistake_is_not_told(folder, text):
    write(folder, WEB + text)

    told = [line for line in refused().splitlines() if line.startswith("hive.toml:")]

    assert len(told) == 1


def test_a_name_that_nobody_has_is_told_beside_one_that_was_left_out(folder):
    write(folder, f"{WEB}after = ['a b', 'zzz']{AGENTS}'a b' = 'sh'\n")

    message = refused()

    assert "`after` names `zzz`, which is no agent" in message
    assert "names `a b`" not in message


def test_variables_come_from_env_files(folder):
    (folder / "src").mkdir()
    (folder / ".env").write_text("A=1\nB=1\n")
    (folder / "src" / ".env").write_text("export B='2' # nearer\n")
    (folder.parent / "home" / "all.env").write_text("C=3\n")
    write(
        folder,
        """
        project = "Task"
        [defaults]
        env_file = [".env", "~/all.env"]
        [teams.web.agents.dev]
        run = "sh"
        directory = "src"
        env_file = ".env"
        """,
    )

    assert dict(files.load().agents[0].env) == {"A": "1", "B": "2", "C": "3"}


def test_a_wrong_env_file_is_told_without_its_values(folder):
    (folder / ".env").write_text("A=1\nTOKEN='secret\n")
    write(folder, START + 'run = "sh"\nenv_file = ".env"\n')

    message = refused()

    assert f"`env_file` {folder}/.env: line 2 opens a quote that is never closed" in message
    assert "secret" not in message


@pytest.mark.parametrize(
    ("run", "found"),
    [
        pytest.param("['sh']", True, id="on the path"),
        pytest.param("['no-such-program']", False, id="not on the path"),
        pytest.param("'no-such-program now'", False, id="a shell's first word"),
        pytest.param("'no_such() { :; }; no_such'", True, id="only a shell could tell"),
        pytest.param("['bin/tool']", True, id="in the agent's folder"),
        pytest.param("['bin/notes']", False, id="not to be executed"),
        pytest.param("['bin']", False, id="a folder"),
        pytest.param("['tool']\nenv = { PATH = 'bin' }", True, id="on the agent's own path"),
        pytest.param("['sh']\nenv = { PATH = 'bin' }", False, id="not on the agent's own path"),
        pytest.param(f"['{'x' * 5000}']", False, id="a name longer than any file's"),
    ],
)
def test_programs_are_looked_for_where_the_agent_will(folder, run, found):
    tools = folder / "bin"
    tools.mkdir()
    (tools / "tool").write_text("#!/bin/sh\n")
    (tools / "tool").chmod(0o755)
    (tools / "notes").write_text("")
    (tools / "notes").chmod(0o644)
    write(folder, f"{START}run = {run}\n")

    if found:
        assert len(files.load().agents) == 1
    else:
        assert "not found" in refused()


def test_a_folder_of_an_impossible_name_is_a_mistake(folder):
    write(folder, START + f'run = "sh"\ndirectory = "{"x" * 5000}"\nenv_file = "{"y" * 5000}"\n')

    assert "is not a folder" in refused()


def test_the_schema_describes_every_key():
    schema = files.schema()
    json.dumps(schema)

    assert schema["required"] == ["project"]
    for table in (schema, *schema["$defs"].values()):
        assert table["additionalProperties"] is False
        assert all("description" in field for field in table["properties"].values())
    (agents,) = schema["$defs"]["Team"]["properties"]["agents"]["patternProperties"].values()
    assert {"type": "string"} in agents["anyOf"]


@pytest.mark.skipif(
    not (shutil.which("python3") and shutil.which("sh")), reason="they need sh and python3"
)
@pytest.mark.parametrize("name", sorted(files.templates()))
def test_a_template_loads_in_an_empty_folder(folder, name):
    write(folder, files.template(name))

    loaded = files.load()

    assert loaded.agents
    assert all(agent.directory == str(folder) for agent in loaded.agents)


def test_templates_are_told_with_what_they_are_for():
    known = files.templates()

    assert list(known) == ["demo", "pipeline", "solo", "web"]
    assert all(told.endswith(".") and not told.startswith("#") for told in known.values())


def test_the_web_template_has_two_teams_of_three_windows(folder):
    write(folder, files.template("web"))

    assert [(agent.session, agent.window) for agent in files.load().agents] == [
        ("Task-frontend", "Frontend-PM"),
        ("Task-frontend", "Frontend-Dev"),
        ("Task-frontend", "Frontend-Server"),
        ("Task-backend", "Backend-PM"),
        ("Task-backend", "Backend-Dev"),
        ("Task-backend", "Backend-Server"),
    ]


def test_an_unknown_template_is_told_with_the_near_one():
    with pytest.raises(WrongInput, match="no template `wbe`; did you mean `web`") as caught:
        files.template("wbe")

    assert caught.value.fix == "choose of demo, pipeline, solo, web"


def test_importing_it_does_not_import_pydantic():
    code = "import sys, hive.adapters.files; print('pydantic' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        cwd=Path(files.__file__).parents[2],
    )

    assert done.stdout == "False\n"


def test_once_installed_the_example_and_templates_are_inside_the_package(tmp_path):
    checkout = Path(files.__file__).parents[2]
    inside = tmp_path / "hive" / "templates"
    shutil.copytree(
        checkout / "hive", tmp_path / "hive", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copytree(checkout / "templates", inside, dirs_exist_ok=True)
    shutil.copy(checkout / "hive.toml.example", inside)
    code = (
        "from hive.adapters import files as f; f.message('prelude');"
        " print(*f.templates(), len(f.example()), f.__file__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        cwd=tmp_path,
    )

    *names, length, file = done.stdout.split()
    assert names == list(files.templates())
    assert int(length) == len(files.example())
    assert Path(file).is_relative_to(tmp_path.resolve())


LINES = files.example().splitlines(keepends=True)


@CALM
@given(
    some.lists(
        some.tuples(
            some.integers(0, len(LINES) - 1),
            some.integers(0, 40),
            some.sampled_from([*"[]{}='\"\n/~.$", "/x", "..", "\\u0001", "[teams.y]\n"]),
        ),
        max_size=4,
    ),
    some.sampled_from(["", "# "]),
)
def test_any_change_of_the_example_loads_or_is_refused(tmp_path, edits, comment):
    lines = [line.removeprefix(comment) if " = " in line else line for line in LINES]
    for number, column, piece in edits:
        lines[number] = lines[number][:column] + piece + lines[number][column + 1 :]
    path = write(tmp_path, "".join(lines))

    try:
        assert files.load(path).agents is not None
    except WrongInput as error:
        assert str(error)  # noqa: PT017 - both ways are good


def test_what_all_agents_may_use_together_comes_along(folder):
    write(folder, START + 'run = "sh"\n[limits]\ncpu = "50%"\nagents = 3\n')

    half = Portion(amount=0.5, of_machine=True)
    assert files.load().ceiling == Ceiling(cpu=half, agents=3)


def test_limits_are_held_against_this_machine(folder):
    write(folder, START + 'run = "sh"\nmemory = "900TB"\n[limits]\ncpu = 90000\n')

    told = [line for line in refused().splitlines() if line.startswith("hive.toml:")]

    assert len(told) == 2
    assert "`memory` 900TB is more than this machine has (" in told[0]
    assert "`cpu` 90000 cores is more than this machine has (" in told[1]


def test_a_command_line_goes_over_the_file(folder):
    write(
        folder,
        START
        + 'run = "sh"\nmemory = "64MB"\nmemory_soft = "50%"\n[limits]\ncpu = "50%"\nagents = 2\n',
    )
    cpu = Portion(amount=0.75, of_machine=True)

    loaded = files.overridden(files.load(), Over(cpu=cpu, memory=32 << 20))

    assert loaded.ceiling == Ceiling(cpu=cpu, agents=2)
    assert loaded.agents[0].limits == Limits(memory=32 << 20, soft=16 << 20)


def test_a_command_line_that_says_nothing_changes_nothing(folder):
    write(folder, START + 'run = "sh"\nmemory = "64MB"\n')
    loaded = files.load()

    assert files.overridden(loaded, Over()) == loaded


def test_a_command_line_that_can_not_be_is_refused_by_its_option(folder):
    write(folder, START + 'run = "sh"\n')

    with pytest.raises(WrongInput, match="`--memory` 900TB is more than this machine has"):
        files.overridden(files.load(), Over(memory=900 << 40))


def test_an_agent_of_a_file_is_given_its_voice(folder):
    (folder / "briefs").mkdir()
    (folder / "briefs" / "dev.md").write_text("Do it.\n")
    write(
        folder,
        'project = "Task"\n[teams.web.agents.dev]\nrun = "exec sh -i"\n'
        'profile = "generic"\nbrief = "briefs/dev.md"\n[teams.web.agents]\npm = "exec top"\n',
    )

    dev, pm = files.load().agents

    assert pm.voice is None
    assert dev.argv == ("sh", "-i")
    assert dev.voice
    assert (dev.voice.profile.name, dev.voice.brief) == ("generic", "Do it.\n")
    assert "You are the agent `web/dev`" in dev.voice.prelude
    assert "`web/pm` (pm)" in dev.voice.prelude
    assert f"{sys.executable.rpartition('/')[0]}/" in dev.voice.prelude


def test_what_is_wrong_with_texts_for_agents_is_told_with_all_else(folder):
    (folder / "empty.md").write_text(" \n")
    (folder / "odd.md").write_bytes(b"a\0b")
    (folder / "p").write_text("\n{{ x }}\n")
    text = START + 'run = "sh -i"\nprofile = "generic"\n'
    write(
        folder,
        f"{text}brief = 'no.md'\nprelude = 'p'\n[teams.web.agents]\n"
        "a = { run = 'sh', profile = 'generic', brief = 'empty.md' }\n"
        "b = { run = 'sh', profile = 'generic', brief = 'odd.md' }\n"
        "c = { run = 'no-such-program' }\n",
    )

    told = [line for line in refused().splitlines() if not line.startswith("    ")]

    unknown = "`x` is nothing that a template knows; a template may name"
    unknown = f"{unknown} agent, role, team, project, hive, mates"
    odd = "the file holds a NUL character: it is no text"
    assert told == [
        f"hive.toml:5: [teams.web.agents.dev] `brief` {folder}/no.md: the file isn't there",
        f"hive.toml:6: [teams.web.agents.dev] `prelude` {folder}/p:2: {unknown}",
        f"hive.toml:8: [teams.web.agents.a] `brief` {folder}/empty.md: the file is empty",
        f"hive.toml:9: [teams.web.agents.b] `brief` {folder}/odd.md: {odd}",
        "hive.toml:10: [teams.web.agents.c] program `no-such-program` not found",
    ]


def test_a_profile_of_the_users_own_is_one_of_the_files(folder, monkeypatch):
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    own = folder.parent / "home" / ".config" / "hive" / "profiles"
    own.mkdir(parents=True)
    (own / "mine.toml").write_text('programs = ["cat"]\n')
    write(folder, START + 'run = "cat"\n')

    (dev,) = files.load().agents

    assert dev.voice
    assert dev.voice.profile.name == "mine"


def test_who_is_to_have_a_worktree_is_told_and_git_is_asked_only_when_it_is_placed(folder):
    path = write(folder, START + 'run = "sh"\ncount = 2\nworktree = { setup = "make" }\n')
    loaded = files.load(path)

    assert {name: wish.setup for name, wish in loaded.wishes.items()} == {
        "Task/web/dev-1": "make",
        "Task/web/dev-2": "make",
    }
    assert [agent.plot for agent in loaded.agents] == [None, None]
    placed, lacking = files.placed(loaded, folder / "state")
    assert placed == loaded
    assert set(lacking) == set(loaded.wishes)


def test_a_copy_of_the_file_in_a_worktree_that_hive_made_is_not_deployed(folder):
    state = folder / "state"
    inside = state / "worktrees" / "Task" / "web" / "dev"
    inside.mkdir(parents=True)

    files.refuse_ours(files.load(write(folder, START + 'run = "sh"\n')), state)
    with pytest.raises(WrongInput, match="a copy in an agent's worktree"):
        files.refuse_ours(files.load(write(inside, START + 'run = "sh"\n')), state)
