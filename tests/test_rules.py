"""The rules that keep the code small and the parts apart, each held against every file."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from tests.conftest import ROOT

HIVE = sorted((ROOT / "hive").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
CORE = [path for path in HIVE if path.parent.name == "core"]
FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef

BIG_NAMES = re.compile(
    r"(Manager|Orchestrator|Coordinator|Engine|Service|Handler|Helper|Util|Utils)s?$"
)
VAGUE_MODULES = {
    "base", "common", "helper", "helpers", "manager", "managers", "misc", "service", "services",
    "util", "utils",
}  # fmt: skip
IMPURE = {
    "alembic", "asyncio", "concurrent", "ctypes", "fcntl", "glob", "io", "libtmux", "logging",
    "multiprocessing", "os", "psutil", "random", "resource", "rich", "secrets", "select",
    "selectors", "shutil", "signal", "socket", "sqlalchemy", "sqlite3", "subprocess", "sys",
    "tempfile", "threading", "time", "typer", "urllib.request", "uuid",
}  # fmt: skip
HEAVY = {
    "alembic", "asyncio", "libtmux", "psutil", "pydantic", "rich", "sqlalchemy", "sqlite3",
    "tomli_w", "tomllib",
}  # fmt: skip
OWNERS = {
    "libtmux": {"hive/adapters/attach.py"},
    "psutil": {"hive/adapters/portable.py"},
    "alembic": {"hive/adapters/migrations.py"},
    "sqlalchemy": {
        "hive/adapters/store*.py",
        "hive/adapters/post.py",
        "hive/adapters/journal.py",
        "hive/adapters/queue*.py",
        "hive/adapters/schema.py",
        "hive/adapters/migrations.py",
    },
    "sqlite3": {"hive/adapters/store*.py"},
    "typer": {"hive/cli/*.py"},
    "rich": {"hive/screen*.py", "hive/cli/*.py"},
    "pydantic": {"hive/core/*.py", "hive/serve/*.py"},
    "tomllib": {"hive/core/*.py"},
    "tomli_w": {"hive/cli/profiles.py", "hive/trial.py"},
    "jinja2": {"hive/core/conditions.py", "hive/core/prelude.py"},
    "cronsim": {"hive/core/schedule.py"},
    "psycopg": {"hive/adapters/queue_postgres.py"},
    "mcp": {"hive/serve/*.py"},
}
EXCUSED = {
    "ping": "the supervisor's sign of life, asked by `hive doctor` and by whoever starts one",
    "names": "what the shell's completion asks for",
    "shut_down": "how `hive stop-all` and `hive emergency-cleanup` end the supervisor",
}
AT_THE_TOP = {
    "CHANGELOG.md", "LICENSE", "Makefile", "README.md", "hive", "hive.toml.example",
    "pyproject.toml", "templates", "tests",
}  # fmt: skip


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(ast.parse(path.read_text("utf-8"))))


@cache
def imports(path: Path) -> frozenset[str]:
    """Give the full name of every module this file imports, wherever it does."""
    found: set[str] = set()
    for node in nodes(path):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return frozenset(found)


def within(module: str, packages: set[str]) -> bool:
    return any(module == one or module.startswith(f"{one}.") for one in packages)


def offenders(paths: list[Path], offence: Callable[[Path], object]) -> dict[str, object]:
    """Give what is wrong with each file with which something is."""
    found = {name(path): offence(path) for path in paths}
    return {path: wrong for path, wrong in found.items() if wrong}


def lines(path: Path) -> int:
    return len(path.read_text("utf-8").splitlines())


def test_a_module_has_at_most_400_lines():
    assert offenders(HIVE, lambda path: max(0, lines(path) - 400)) == {}


def test_a_file_of_tests_has_at_most_800_lines():
    assert offenders(TESTS, lambda path: max(0, lines(path) - 800)) == {}


def test_a_function_has_at_most_40_lines():
    def long(path):
        functions = [one for one in nodes(path) if isinstance(one, FUNCTIONS)]
        sizes = {one.name: (one.end_lineno or 0) - one.lineno + 1 for one in functions}
        return {function: size for function, size in sizes.items() if size > 40}

    assert offenders(HIVE, long) == {}


def test_no_class_has_a_name_that_could_hold_anything():
    def vague(path):
        classes = [node.name for node in nodes(path) if isinstance(node, ast.ClassDef)]
        return [one for one in classes if BIG_NAMES.search(one)]

    assert offenders(HIVE + TESTS, vague) == {}


def test_no_module_has_a_name_that_could_hold_anything():
    assert [name(path) for path in HIVE if path.stem in VAGUE_MODULES] == []


def test_the_package_is_two_levels_deep():
    assert [name(path) for path in HIVE if len(path.relative_to(ROOT).parts) > 3] == []


def test_the_core_imports_nothing_that_touches_the_world():
    def impure(path):
        return [
            one
            for one in imports(path)
            if within(one, IMPURE) or one in {"pathlib.Path", "datetime.now"}
        ]

    assert CORE
    assert offenders(CORE, impure) == {}


def test_the_core_never_asks_what_time_it_is_nor_opens_a_file():
    def asked(path):
        calls = [node.func for node in nodes(path) if isinstance(node, ast.Call)]
        names = {call.id for call in calls if isinstance(call, ast.Name)}
        methods = {call.attr for call in calls if isinstance(call, ast.Attribute)}
        return names & {"open", "print", "input", "exec", "eval"} | methods & {
            "now", "utcnow", "today", "read_text", "write_text",
        }  # fmt: skip

    assert offenders(CORE, asked) == {}


@pytest.mark.parametrize("library", OWNERS)
def test_a_library_is_imported_only_where_it_belongs(library):
    def used(path):
        owned = any(path.relative_to(ROOT).match(owner) for owner in OWNERS[library])
        return not owned and any(within(module, {library}) for module in imports(path))

    assert offenders(HIVE, used) == {}


def test_nothing_is_mocked():
    def mocked(path):
        return [one for one in imports(path) if within(one, {"unittest.mock", "mock"})]

    assert offenders(HIVE + TESTS, mocked) == {}


def test_every_module_says_what_it_is_for():
    assert offenders(HIVE, lambda path: not ast.get_docstring(nodes(path)[0])) == {}


def test_help_imports_nothing_heavy():
    show = "import hive.__main__, sys, json, atexit\n"
    show += "atexit.register(lambda: print(json.dumps(sorted(sys.modules)), file=sys.stderr))\n"
    show += "sys.argv = ['hive', '--help']\n"
    show += "raise SystemExit(hive.__main__.main())"
    done = subprocess.run(
        [sys.executable, "-c", show], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "deploy" in done.stdout
    modules = json.loads(done.stderr.splitlines()[-1])
    assert "hive.__main__" in modules
    assert [one for one in modules if within(one, HEAVY)] == []


@pytest.fixture(scope="module")
def verbs() -> set[str]:
    from hive.desk import VERBS as SAID
    from hive.hive import VERBS

    return {*VERBS, *SAID}


def test_every_verb_is_offered_by_a_command_or_excused(verbs):
    surface = "\n".join(path.read_text("utf-8") for path in (ROOT / "hive" / "cli").glob("*.py"))
    offered = {verb for verb in verbs if re.search(rf"[\"']{verb}[\"']", surface)}
    assert verbs - offered - EXCUSED.keys() == set()


def test_no_excuse_outlives_its_verb(verbs):
    assert EXCUSED.keys() - verbs == set()


# Put together here so that the list itself is no finding.
STRANGE = (
    "/" + r"work/(main|shared)\b",
    r"\b" + "TO" + r"DO\b",
    "FIX" + "ME",
    "XX" + "X:",
    "NotImplemented" + "Error",
)
WORKPLACE = re.compile("|".join(STRANGE))


def listed() -> list[str]:
    """Name the files that belong to the project: git's word, or else those that are no caches."""
    done = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return done.stdout.splitlines() if done.returncode == 0 else []


def files() -> list[Path]:
    found = [ROOT / one for one in listed()] or [*HIVE, *TESTS, *ROOT.glob("*.*")]
    return [path for path in found if path.is_file()]


def test_no_file_speaks_of_the_place_it_was_written_in_or_of_work_left_over():
    found = [
        f"{name(path)}:{number}: {line.strip()}"
        for path in files()
        for number, line in enumerate(path.read_text("utf-8", "replace").splitlines(), 1)
        if WORKPLACE.search(line)
    ]
    assert found == []


def test_the_top_level_holds_only_what_belongs_there():
    tops = {one.split("/")[0] for one in listed()}
    assert {one for one in tops if not one.startswith(".")} - AT_THE_TOP == set()
    assert {one for one in tops if one.startswith(".")} <= {".ci", ".gitignore", ".github"}


def test_json_pages_mention_every_field_the_views_give():
    page = (ROOT / "hive" / "docs" / "json.md").read_text("utf-8")
    keys = {
        key.value
        for node in nodes(ROOT / "hive" / "views.py")
        if isinstance(node, ast.Dict)
        for key in node.keys
        if isinstance(key, ast.Constant) and isinstance(key.value, str)
    }
    assert keys, "the views are dictionaries with their fields' names"
    assert {key for key in keys if not re.search(rf"\b{re.escape(key)}\b", page)} == set()
