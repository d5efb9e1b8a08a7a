"""From the keys of a file to how its agents are spoken to."""

from __future__ import annotations

import pytest

from hive.core import expand as expansion
from hive.core.checks import program
from hive.core.config import parse, read
from hive.core.mistakes import placed, refusal
from hive.core.profile import Brief, Consent, Profile, Task, Typing
from hive.core.spec import Agent
from hive.core.voice import Server, from_dict, to_dict
from hive.core.voicing import LONGEST_BRIEF, Known, is_path, texts, voiced

PLACE = expansion.Place(folder="/place", home="/home/ann")
PROFILES = {
    one.name: one
    for one in (
        Profile(
            name="claude",
            programs=("claude",),
            wiring="claude",
            permission={"ask": (), "edits": ("-e",)},
            brief=Brief(how="argv"),
            account="anthropic",
        ),
        Profile(
            name="shell", programs=("sh",), brief=Brief(how="none"), typing=Typing(form="{text}")
        ),
        Profile(name="generic"),
        Profile(
            name="once",
            programs=("once",),
            wiring="opencode",
            env=(("A", "1"),),
            permission={"ask": ("-a",), "edits": ("-e", "{folder}"), "auto": ("-y",)},
            task=Task(command=("do",), args=("--", "{text}")),
            consents=(
                Consent(name="x", about="x", by="args", args=("-t",), env=(("TRUST", "1"),)),
            ),
        ),
    )
}
START = 'project = "Task"\n[mcp.docs]\nurl = "http://127.0.0.1:1/"\n'


def known(**files: str) -> Known:
    return Known(
        profiles=PROFILES,
        template="{{ agent }} {{ role }} {{ mates | map(attribute='name') | join(' ') }}",
        hive="/opt/hive",
        texts={f"/place/{name.replace('_', '.')}": text for name, text in files.items()},
        variables={"/place/.env": (("A", "file"), ("B", "file"))},
    )


def voices(text: str, **files: str) -> dict[str, Agent]:
    """Give the agents of a file that has [mcp.docs] above this text; nothing may be wrong."""
    file = read(START + text)
    entries = expansion.expand(file, PLACE, {})
    found, wrongs = voiced(file, PLACE, entries, known(**files))
    assert wrongs == ()
    return {agent.short: agent for entry in found for agent in entry.agents}


def told(text: str, **files: str) -> list[str]:
    """Give what is wrong with such a file, whose text begins in line 4."""
    parsed = parse(START + text, "f")
    assert parsed.file
    entries = expansion.expand(parsed.file, PLACE, {})
    _, wrongs = voiced(parsed.file, PLACE, entries, known(**files), parsed.lost)
    error = refusal(placed(wrongs, START + text), "f")
    return [line for line in str(error).splitlines() if not line.startswith("    ")]


def test_an_agent_of_a_known_program_has_a_voice_with_every_default():
    dev = voices("[teams.web.agents]\ndev = 'A=1 exec claude --fast'")["web/dev"]

    assert dev.argv == ("env", "A=1", "claude", "--fast")
    assert dev.voice
    assert dev.voice.profile == PROFILES["claude"]
    assert (dev.voice.brief, dev.voice.prelude, dev.voice.servers) == ("", "web/dev dev", ())
    assert (dev.voice.permission, dev.voice.trust) == ("ask", False)
    assert (dev.voice.account, dict(dev.voice.found)) == ("anthropic", {})


@pytest.mark.parametrize(
    "run",
    ["top", "cd x && claude", "claude | tee log", "exec sleep 100", "bash x.sh", "sh -c 'sh'"],
)
def test_any_other_agent_has_none_and_runs_as_it_did(run):
    dev = voices(f'[teams.web.agents]\ndev = "{run}"')["web/dev"]

    assert dev.voice is None
    assert dev.argv == ("sh", "-c", run)


@pytest.mark.parametrize(
    ("text", "signal"),
    [
        ("[teams.web.agents]\ndev = 'sh'", "HUP"),
        ("[teams.web.agents]\ndev = 'claude'", "TERM"),
        ("[teams.web.agents]\ndev = { run = 'sh', stop = { signal = 'KILL' } }", "KILL"),
        ("[defaults]\nstop = { signal = 'INT' }\n[teams.web.agents]\ndev = 'sh'", "INT"),
    ],
)
def test_a_shell_is_asked_to_end_by_what_it_heeds(text, signal):
    assert voices(text)["web/dev"].stop.signal == signal


def test_a_profile_that_is_named_counts_whatever_runs():
    dev = voices("[teams.web.agents]\ndev = { run = ['claude'], profile = 'generic' }")["web/dev"]

    assert dev.voice
    assert (dev.voice.profile.name, dev.voice.account) == ("generic", "generic")


def test_an_agent_has_all_that_its_keys_say():
    dev = voices(
        """
        [mcp.files]
        command = "serve --all"
        env_file = ".env"
        env = { B = "here" }
        [mcp.unused]
        command = "x"
        [teams.web.agents.dev]
        run = ["claude"]
        brief = "dev.md"
        prelude = "p.j2"
        mcp = ["files", "docs"]
        permission = "edits"
        trust = true
        account = "work"
        """,
        dev_md="Do it.\n",
        p_j2="{{ hive }} for {{ role }}",
    )["web/dev"]

    assert dev.voice
    assert (dev.voice.brief, dev.voice.prelude) == ("Do it.\n", "/opt/hive for dev")
    assert (dev.voice.permission, dev.voice.trust, dev.voice.account) == ("edits", True, "work")
    assert dev.voice.servers == (
        Server(
            name="files", command=("sh", "-c", "serve --all"), env=(("A", "file"), ("B", "here"))
        ),
        Server(name="docs", url="http://127.0.0.1:1/"),
    )


def test_keys_of_defaults_are_for_those_that_can_use_them():
    found = voices(
        """
        [defaults]
        brief = "Read all."
        mcp = "docs"
        permission = "auto"
        trust = true
        [teams.web.agents]
        a = "claude"
        b = { run = "claude", brief = "Read less.", mcp = [], permission = "edits", trust = false }
        c = "sh"
        d = "top"
        """
    )
    a, b, c, d = (found[f"web/{name}"].voice for name in "abcd")

    assert a and b and c
    assert d is None
    assert (a.brief, a.permission, a.trust, len(a.servers)) == ("Read all.", "ask", True, 1)
    assert (b.brief, b.permission, b.trust, len(b.servers)) == ("Read less.", "edits", False, 0)
    assert (c.brief, c.prelude, len(c.servers)) == ("", "", 0)


def test_a_program_that_is_started_for_each_task_is_so_by_a_worker():
    dev = voices(
        """
        [defaults]
        mcp = "docs"
        [teams.web.agents.dev]
        run = "B=2 once --model x"
        mode = "task"
        brief = "Be brief."
        trust = true
        permission = "edits"
        """
    )["web/dev"]

    assert dev.argv == ("hive", "worker", "--prompts")
    assert dev.voice
    assert dev.voice.headless == (
        "env", "B=2", "once", "--model", "x", "do", "-t", "-e", "{folder}", "--", "{text}",
    )  # fmt: skip
    assert dev.voice.servers == ()
    assert (dev.voice.account, dev.voice.profile.wiring) == ("once", "none")
    env = dict(dev.voice.profile.env)
    assert (env["A"], env["TRUST"]) == ("1", "1")
    assert '"edit": "allow"' in env["OPENCODE_PERMISSION"], "its wiring is not there to hold it"


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        ("[teams.web.agents]\ndev = 'once'", "chat"),
        ("[defaults]\nmode = 'task'\n[teams.web.agents]\ndev = 'once'", "task"),
        ("[defaults]\nmode = 'task'\n[teams.web.agents]\ndev = 'claude'", "chat"),
        ("[defaults]\nmode = 'task'\n[teams.web.agents.dev]\nrun = 'once'\nmode = 'chat'", "chat"),
    ],
)
def test_a_mode_of_all_is_for_those_that_can(text, mode):
    dev = voices(text)["web/dev"]

    assert dev.voice
    assert bool(dev.voice.headless) is (mode == "task")
    assert (dev.argv[0] == "hive") is (mode == "task")


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        ("run = 'once'\nmode = 'task'", "once"),
        ("run = 'once'", "once"),
        ("run = 'hive worker'\nprofile = 'generic'", ""),
        ("run = 'hive status'", "hive"),
    ],
)
def test_the_program_that_must_be_there_is_the_one_that_does_the_work(agent, name):
    found = program(voices(f"[teams.web.agents.dev]\n{agent}")["web/dev"])

    assert (found.name if found else "") == name


def test_the_command_of_a_task_is_filled_once_and_has_the_brief_before_it():
    text = "[teams.web.agents.dev]\nrun = 'once'\nmode = 'task'\npermission = 'edits'\n"
    plain = voices(text)["web/dev"].voice
    briefed = voices(f"{text}brief = 'Be brief.'")["web/dev"].voice
    assert plain and briefed
    place = {"folder": "/f", "directory": "/d", "hive": "/opt/hive"}

    asked = "say {folder}\nand {text}"
    assert plain.command(asked, **place) == ("once", "do", "-e", "/f", "--", asked)
    given = briefed.command("do it", **place)
    assert given and given[-1] == "Be brief.\n\ndo it"
    assert from_dict(to_dict(briefed)) == briefed
    assert plain.at_launch == briefed.at_launch, "what comes with a task needs no restart"
    claude = voices("[teams.web.agents]\ndev = 'claude'")["web/dev"].voice
    assert claude
    assert claude.command("x", **place) is None


def test_files_are_looked_for_from_the_folder_of_the_table_that_names_them():
    text = """
    [defaults]
    directory = "a"
    brief = "b/all"
    prelude = "p"
    [teams.web]
    directory = "w"
    [teams.web.agents.dev]
    run = "claude"
    directory = "d"
    brief = "~/mine.txt"
    [teams.web.agents.other]
    run = "claude"
    brief = "Do it."
    """
    found = [(named.path[-1], named.target) for named in texts(read(START + text), PLACE)]

    assert found == [
        ("brief", "/place/a/b/all"),
        ("prelude", "/place/a/p"),
        ("brief", "/home/ann/mine.txt"),
    ]


@pytest.mark.parametrize(
    ("brief", "path"),
    [
        ("dev.md", True),
        ("my notes.txt", True),
        ("briefs/dev", True),
        ("dev", False),
        ("Fix src/app.py", False),
        ("Fix it.\nSee a.md", False),
    ],
)
def test_a_brief_is_a_file_where_it_looks_like_one(brief, path):
    assert is_path(brief) is path


def test_members_of_a_pool_know_their_teammates_and_only_those():
    found = voices(
        "[teams.web.agents]\npm = 'top'\ndev = { run = 'claude', count = 2 }\n"
        "[teams.db.agents]\npm = 'claude'"
    )
    taught = {name: agent.voice.prelude for name, agent in found.items() if agent.voice}

    assert taught == {
        "web/dev-1": "web/dev-1 dev web/pm web/dev-2",
        "web/dev-2": "web/dev-2 dev web/pm web/dev-1",
        "db/pm": "db/pm pm",
    }


@pytest.mark.parametrize(
    ("agent", "message"),
    [
        pytest.param("profile = 'claud'", "`profile` names `claud`, which is no profile;"
                     " did you mean `claude`?", id="an unknown profile"),
        pytest.param("profile = 'zzz'", "`profile` names `zzz`, which is no profile:"
                     " see `hive profile list`", id="nothing near it"),
        pytest.param("profile = 'claude'\nrun = 'cd x; claude'", "`run` must be a plain command, so"
                     " that hive can give it arguments: write `run` as a list of words, or move its"
                     " shell line into a script", id="a shell's line"),
        pytest.param("run = 'top'\nbrief = 'x'", "`brief` needs a profile, and `run` does not tell"
                     " which: set `profile` (see `hive profile list`)", id="no profile"),
        pytest.param("run = 'claude | x'\ntrust = true", "`trust` needs a profile, and `run` does"
                     " not tell which: write `run` as", id="none for a shell's line"),
        pytest.param("mcp = ['dcos']", "`mcp` names `dcos`, which is no server of this file;"
                     " did you mean `docs`?", id="an unknown server"),
        pytest.param("mcp = ['x y']", "`mcp` names `x y`, which is no server of this file;"
                     ' define it as [mcp."x y"]', id="one that is nowhere near"),
        pytest.param("mcp = ['hive']", "`mcp` names `hive`, which is no server of this file:"
                     " every agent has it anyway", id="hive's own"),
        pytest.param("permission = 'auto'", "`permission` `auto` is none of a `claude`; it has"
                     " `ask` and `edits`", id="a mode that it has not"),
        pytest.param("run = 'sh'\nbrief = 'x'", "`brief` can't be given to a `shell`:", id="brief"),
        pytest.param("run = 'sh'\nmcp = 'docs'", "`mcp` can't be given to a `shell`:", id="mcp"),
        pytest.param("mode = 'task'", "`mode` `task` is none of a `claude`: its profile has no"
                     " [task] (`hive help agents`)", id="no way to do one task"),
        pytest.param("run = 'top'\nmode = 'task'", "`mode` needs a profile, and `run` does",
                     id="no program for a task"),
        pytest.param("run = 'once'\nmode = 'task'\nmcp = 'docs'", "`mcp` can't be given to a"
                     " `once`: it is started for each task", id="servers for a task"),
        pytest.param("run = 'once'\nmode = 'task'\nprelude = 'p'", "`prelude` can't be given to a"
                     " `once`: it is started for each task, and told its", id="prelude for a task"),
        pytest.param(f"brief = '{'x' * (LONGEST_BRIEF + 1)}'", "`brief` has 100001 bytes, more than"
                     " a command line takes (100000): put", id="a long brief"),
        pytest.param("prelude = 'p'", "`prelude` /place/p:2: `agnt` is nothing that a template"
                     " knows; did you mean `agent`?; a template may name agent,", id="prelude"),
    ],
)  # fmt: skip
def test_what_can_not_be_is_told_with_its_line(agent, message):
    run = "" if "run =" in agent else "run = 'claude'\n"
    (only,) = told(f"[teams.web.agents.dev]\n{run}{agent}", p="\n{{ agnt }}")
    key = message.split("`")[1]
    line = 4 + f"[]\n{run}{agent}".split("\n").index(
        next(one for one in f"{run}{agent}".split("\n") if one.startswith(key))
    )

    assert only.startswith(f"f:{line}: [teams.web.agents.dev] {message}")


def test_no_server_may_have_the_name_of_hives_own():
    assert told("[mcp.hive]\ncommand = 'x'") == [
        "f:4: [mcp] `hive` is the name of hive's own server; choose another"
    ]


def test_what_is_wrong_with_a_template_of_all_is_told_once():
    text = "[defaults]\nprelude = 'p'\n[teams.w.agents]\na = { run = 'claude', count = 3 }"
    assert len(told(text, p="{{ x }}")) == 1


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("[mcp.x]\n[teams.w.agents]\na = { run = 'claude', mcp = 'x' }", id="a server"),
        pytest.param(
            "[teams.w.agents]\na = { profle = 'x', run = 'top', brief = 'b' }", id="profile"
        ),
        pytest.param("[teams.w.agents]\na = { run = 5, brief = 'b' }", id="a command"),
        pytest.param(
            "[defaults]\nprmission = 'x'\n[teams.w.agents]\na = 'claude'", id="permission"
        ),
    ],
)
def test_what_only_follows_from_another_mistake_is_not_told(text):
    assert told(text) == [""] or told(text) == []
