"""`hive.toml.example` shows every key of the file, with the default that the models have."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest
from pydantic import BaseModel

from hive.adapters import files
from hive.core import model, rhythm_model, workflow_model

TEXT = files.example()
BARE = tomllib.loads(TEXT)
SHOWN = re.compile(r"^(?:# )?([a-z_]+) = ", re.MULTILINE)
COMMENTED = re.compile(r"^# (?=[a-z_]+ = )", re.MULTILINE)

TABLES: list[tuple[str, type[BaseModel]]] = [
    ("tmux", model.Tmux),
    ("limits", model.Limits),
    ("defaults", model.Defaults),
    ("defaults.restart", model.Restart),
    ("defaults.stop", model.Stop),
    ("teams.frontend.agents.dev.worktree", rhythm_model.Worktree),
    ("mcp.notes", model.Server),
    ("teams.frontend", model.Team),
    ("teams.frontend.agents.server.ready", model.Probe),
    ("work", model.Work),
    ("escalation", model.Escalation),
    ("workflows.release", model.Workflow),
    ("workflows.release.params.version", workflow_model.Parameter),
    ("[workflows.release.phases]", workflow_model.Phase),
    ("[workflows.release.phases.tasks]", workflow_model.Task),
]
NO_DEFAULT = {
    "restart", "stop", "agents", "http", "command", "params", "phases", "about", "prompt", "team",
}  # fmt: skip
"""Shown by example, or in tables of their own."""
ELSEWHERE = {
    "defaults": {"restart", "stop"},  # tables of their own
    "teams.frontend": {"agents"},
    "workflows.release": {"params", "phases", "tasks"},
    "[workflows.release.phases]": {"tasks"},
}


def section(table: str) -> str:
    """Give the lines of one table of the example."""
    return TEXT.partition(f"\n[{table}]\n")[2].partition("\n[")[0]


@pytest.mark.parametrize(("table", "cls"), TABLES)
def test_a_table_shows_every_key_of_its_model(table, cls):
    shown = SHOWN.findall(section(table))

    assert sorted(shown) == sorted(keys_of(cls).keys() - ELSEWHERE.get(table, set()))


def test_the_agents_show_every_key_between_them():
    agents = "teams.frontend.agents"
    shown = set(SHOWN.findall(section(f"{agents}.dev") + section(f"{agents}.server")))

    assert shown | {"ready", "alive", "worktree"} == set(model.Agent.model_fields)
    assert set(BARE["teams"]["frontend"]["agents"]["server"]) >= {"ready", "alive"}


def test_the_file_shows_every_table():
    assert set(BARE) == set(model.File.model_fields)


@pytest.mark.parametrize(("table", "cls"), TABLES)
def test_a_value_shown_is_the_default(table, cls):
    given: Any = BARE
    for part in table.strip("[]").split("."):
        given = given[part][0] if isinstance(given[part], list) else given[part]
    read, fresh = cls.model_validate(given), defaults_of(cls)

    for name in given.keys() & fresh.keys() - NO_DEFAULT:
        assert getattr(read, keys_of(cls)[name]) == fresh[name], name


@pytest.mark.parametrize(("table", "cls"), TABLES)
def test_a_key_with_a_default_that_can_be_written_is_not_commented_out(table, cls):
    hidden = set(re.findall(r"^# ([a-z_]+) = ", section(table), re.MULTILINE))
    writable = {name for name, value in defaults_of(cls).items() if value is not None}

    assert hidden & writable <= {"keys"}  # with `keys` there is no `signal`


def test_a_key_is_explained_in_the_line_above_it_when_it_is_first_shown():
    lines = TEXT.splitlines()
    explained = {"pm", "run", "restart", "stop"}  # a name, and what is explained with others
    for number, line in enumerate(lines):
        found = SHOWN.match(line)
        if found and found[1] not in explained:
            explained.add(found[1])
            above = lines[number - 1]
            assert above.startswith("# "), line
            assert not SHOWN.match(above), line


def test_the_example_loads_as_it_is(tmp_path):
    path = tmp_path / "hive.toml"
    path.write_text(TEXT)

    assert [agent.name for agent in files.load(path).agents] == ["pm", "dev", "server"]


def test_the_example_loads_with_every_key_that_can_be_there_at_once(tmp_path):
    text = COMMENTED.sub("", TEXT)
    for other in (
        "keys",
        "tcp",
        "exec",
        "screen",
        "url",
    ):  # one of these and what is shown excludes
        text = re.sub(rf"^{other} = .*\n", "", text, flags=re.MULTILINE)
    text = text.replace('run = "make release"\n', "").replace('agent = "pm"\n', "")
    text = text.replace("replicas = 1", "replicas = 2")
    path = tmp_path / "hive.toml"
    path.write_text(text)
    (tmp_path / "prelude.md").write_text("You are {{ agent }}.")

    agents = {agent.name: agent for agent in files.load(path).agents}

    assert list(agents) == ["pm", "dev-1", "dev-2", "server"]
    assert (agents["pm"].voice, agents["server"].voice) == (None, None)
    voice = agents["dev-2"].voice
    assert voice
    assert voice.brief.startswith("Read README.md")
    assert voice.prelude == "You are frontend/dev-2."
    assert [server.name for server in voice.servers] == ["notes"]
    assert (voice.permission, voice.trust, voice.account) == ("edits", True, "work")


def keys_of(cls: type[BaseModel]) -> dict[str, str]:
    """Give each key as it is written, and what it is called in the model."""
    return {field.alias or name: name for name, field in cls.model_fields.items()}


def defaults_of(cls: type[BaseModel]) -> dict[str, Any]:
    """Give the default of each key that has one."""
    return {
        field.alias or name: field.get_default(call_default_factory=True)
        for name, field in cls.model_fields.items()
        if not field.is_required()
    }
