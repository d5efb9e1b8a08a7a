"""The hashes by which Codex trusts hive's hooks, asked of a program that talks like Codex."""

from __future__ import annotations

import sys

import pytest

from hive.adapters import codex_trust
from hive.core.codex import HOOKS
from hive.errors import HiveError

HIVE = ("/opt/my hive/hive",)

SERVER = """
import json, sys, tomllib

args = sys.argv[1:]
assert args[-1] == "app-server", args
listed = [{"key": "u:stop:0:0", "source": "user", "command": "x", "currentHash": "sha256:u"}]
for word, value in zip(args, args[1:]):
    if word == "-c":
        key, _, text = value.partition("=")
        hook = tomllib.loads("x=" + text)["x"][0]["hooks"][0]
        name = key.removeprefix("hooks.")
        listed.append({"key": f"s:{name}:0:0", "source": "sessionFlags",
                       "command": hook["command"], "currentHash": f"sha256:{hook['timeout']}"})
for line in sys.stdin:
    asked = json.loads(line)
    if asked["method"] == "initialize":
        print("a warning")
        print(json.dumps({"method": "notice"}))
        print(json.dumps({"id": asked["id"], "result": {}}), flush=True)
    elif asked["method"] == "hooks/list":
        data = [{"cwd": asked["params"]["cwds"][0], "hooks": listed}]
        print(json.dumps({"id": asked["id"], "result": {"data": data}}), flush=True)
"""


def asked(tmp_path, source, **more):
    (tmp_path / "codex.py").write_text(source)
    codex = (sys.executable, str(tmp_path / "codex.py"))
    return codex_trust.hashes(codex, HIVE, str(tmp_path), {"PATH": "/usr/bin:/bin"}, **more)


def test_the_hash_of_each_of_hives_hooks(tmp_path):
    found = asked(tmp_path, SERVER)
    assert found == {f"s:{name}:0:0": f"sha256:{timeout}" for name, timeout in HOOKS.items()}


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("raise SystemExit(1)", "does not tell"),
        ("import time; time.sleep(60)", "does not tell"),
        (SERVER.replace('"sessionFlags"', '"project"'), "knows 0 of hive's 6 hooks"),
    ],
)
def test_what_tells_too_little_is_an_error_that_says_so(tmp_path, source, what):
    with pytest.raises(HiveError, match=what) as told:
        asked(tmp_path, source, patience=0.5 if "sleep" in source else 20.0)
    assert told.value.fix


def test_a_program_that_is_not_there(tmp_path):
    with pytest.raises(HiveError, match="can't be started"):
        codex_trust.hashes(("/nowhere/codex",), HIVE, str(tmp_path), {})
