"""The real agent programs: where they lie, how each reaches the fake model, what each can do."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import ROOT

PLACE = ROOT / ".agents"
"""Where `.ci/agents` installs them."""

KEY = "sk-ant-dummy-0000000000000000000000"

Settings = Callable[[Path, str], dict[str, str]]
"""Writes a program's own settings into a home, for the model at an address; gives variables."""


@dataclass(frozen=True, kw_only=True)
class Program:
    """One agent program.

    `asks` is what has the model call a tool that a person must allow; it makes the file `made`.
    `shell` has it run a command. `tool` is how hive's `task_done` is called, "" where it can't
    be. `permission` is the mode it is played in. `unasked` says
    that hive's own command needs no approval. `resumes` says that its conversation goes on
    after its death.
    """

    name: str
    path: Path
    settings: Settings
    run: str = ""
    asks: str = "FAKE:sh touch made"
    shell: str = "FAKE:sh {}"
    tool: str = ""
    permission: str = "ask"
    unasked: bool = True
    resumes: bool = True

    @property
    def folder(self) -> str:
        """Where its command lies."""
        return str(self.path.parent)


def npm(name: str) -> Path:
    """Give the command of an npm package that was installed alone."""
    return PLACE / "npm" / name / "node_modules" / ".bin" / name


def _claude(home: Path, url: str) -> dict[str, str]:
    approved = {"approved": [KEY[-20:]], "rejected": []}
    (home / ".claude.json").write_text(json.dumps({"customApiKeyResponses": approved}))
    return {
        "ANTHROPIC_BASE_URL": url, "ANTHROPIC_API_KEY": KEY, "DISABLE_AUTOUPDATER": "1",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    }  # fmt: skip


def _codex(home: Path, url: str) -> dict[str, str]:
    folder = home / ".codex"
    folder.mkdir()
    lines = [
        'model = "gpt-5"', 'model_provider = "fake"', "[model_providers.fake]", 'name = "fake"',
        f'base_url = "{url}/v1"', 'env_key = "FAKE_KEY"', 'wire_api = "responses"',
    ]  # fmt: skip
    (folder / "config.toml").write_text("\n".join(lines) + "\n")
    return {"FAKE_KEY": "dummy"}


def _opencode(home: Path, url: str) -> dict[str, str]:
    provider = {
        "npm": "@ai-sdk/openai-compatible", "name": "fake",
        "options": {"baseURL": f"{url}/v1", "apiKey": "dummy"},
        "models": {"fake-model": {"name": "fake-model"}},
    }  # fmt: skip
    config = {"provider": {"fake": provider}, "model": "fake/fake-model", "autoupdate": False}
    folder = home / ".config" / "opencode"
    folder.mkdir(parents=True)
    (folder / "opencode.json").write_text(json.dumps(config))
    return {"OPENCODE_DISABLE_MODELS_FETCH": "1", "OPENCODE_DISABLE_LSP_DOWNLOAD": "1"}


def _gemini(home: Path, url: str) -> dict[str, str]:
    folder = home / ".gemini"
    folder.mkdir()
    settings = {
        "security": {"auth": {"selectedType": "gemini-api-key"}},
        "privacy": {"usageStatisticsEnabled": False},
        "general": {"disableAutoUpdate": True, "disableUpdateNag": True},
    }
    (folder / "settings.json").write_text(json.dumps(settings))
    return {"GOOGLE_GEMINI_BASE_URL": url, "GEMINI_API_KEY": "dummy"}


def _aider(_home: Path, url: str) -> dict[str, str]:
    return {"OPENAI_API_BASE": f"{url}/v1", "OPENAI_API_KEY": "dummy"}


_ESCALATED = {"cmd": "touch made", "sandbox_permissions": "require_escalated",
              "justification": "to make it"}  # fmt: skip
_SUGGESTED = "FAKE:text ```bash\\n{}\\n```"

PROGRAMS = (
    Program(
        name="claude", path=npm("claude"), settings=_claude, tool="mcp__hive__task_done",
    ),
    Program(
        name="codex", path=npm("codex"), settings=_codex, tool="mcp__hive__task_done",
        asks=f"FAKE:tool exec_command {json.dumps(_ESCALATED)}", permission="edits",
    ),
    Program(
        name="aider", path=PLACE / "venv" / "aider" / "bin" / "aider", settings=_aider,
        run="aider --model openai/fake-model --edit-format diff", resumes=False, unasked=False,
        asks=_SUGGESTED.format("touch made"), shell=_SUGGESTED,
    ),
    Program(name="opencode", path=npm("opencode"), settings=_opencode, tool="hive_task_done"),
    Program(name="gemini", path=npm("gemini"), settings=_gemini),
)  # fmt: skip
