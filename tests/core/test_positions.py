"""On which line each key of a TOML text stands."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
import tomli_w
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from hive.core.positions import Path, find, nearest

CALM = settings(deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))

TEXT = '''\
# a comment with a = 1 and [a.table]
project = "Task"

[teams.frontend]
directory = "x # not a comment"
"quoted key" = 1
dotted.key."of three" = 2
inline = { a = 1, b.c = [1, 2], "}" = '}' }
list = [
  "one", # with ] in a comment
  { two = "]" },

  ["three"],
]
text = """
[not.a.table]
not_a_key = 1
""\\""""
next = \'\'\'
it's = 1
\'\'\'\'\'
last = 2020-01-01T00:00:00Z

[[things]]
name = "first"
[things.inner]
a = 1
[[things]]
name = "second"
[[things.inners]]
b = 2

[teams]
back.end = 1
"k\\u0041" = 1
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        pytest.param(("project",), 2, id="a key of the file"),
        pytest.param(("teams", "frontend"), 4, id="a table"),
        pytest.param(("teams", "frontend", "directory"), 5, id="a key of a table"),
        pytest.param(("teams", "frontend", "quoted key"), 6, id="a quoted key"),
        pytest.param(("teams", "frontend", "dotted", "key", "of three"), 7, id="a dotted key"),
        pytest.param(("teams", "frontend", "dotted"), 7, id="the table a dotted key makes"),
        pytest.param(("teams", "frontend", "inline", "b", "c"), 8, id="a key of an inline table"),
        pytest.param(("teams", "frontend", "inline", "}"), 8, id="a brace that is a key"),
        pytest.param(("teams", "frontend", "list", 0), 10, id="an element of an array"),
        pytest.param(("teams", "frontend", "list", 1, "two"), 11, id="a table in an array"),
        pytest.param(("teams", "frontend", "list", 2, 0), 13, id="an array in an array"),
        pytest.param(("teams", "frontend", "text"), 15, id="a text of several lines"),
        pytest.param(("teams", "frontend", "next"), 19, id="after a text that looks like a table"),
        pytest.param(("teams", "frontend", "last"), 22, id="after a text that ends in quotes"),
        pytest.param(("things", 0, "name"), 25, id="the first of an array of tables"),
        pytest.param(("things", 0, "inner", "a"), 27, id="a table below it"),
        pytest.param(("things", 1, "name"), 29, id="the second"),
        pytest.param(("things", 1, "inners", 0, "b"), 31, id="an array of tables in another"),
        pytest.param(("teams",), 33, id="a table opened after its children"),
        pytest.param(("teams", "kA"), 35, id="an escape in a key"),
    ],
)
def test_the_line_of(path, line):
    assert find(TEXT)[path] == line


def test_lines_are_the_same_with_windows_ends():
    assert find(TEXT.replace("\n", "\r\n")) == find(TEXT)


def test_what_is_not_there_has_the_line_of_the_table_around():
    lines = find(TEXT)

    assert nearest(lines, ("teams", "frontend", "absent", "key")) == 4
    assert nearest(lines, ("absent",)) == 0
    assert nearest(lines, ()) == 0


KEYS = some.text(min_size=1, max_size=8)
VALUES = some.recursive(
    some.one_of(some.integers(-9, 9), some.booleans(), some.text(max_size=12), some.dates()),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(KEYS, inner, max_size=3),
    max_leaves=12,
)


@CALM
@given(some.dictionaries(KEYS, VALUES, max_size=5), some.booleans())
def test_every_value_of_any_file_has_a_line(values, multiline):
    text = tomli_w.dumps(values, multiline_strings=multiline)
    read = tomllib.loads(text)

    lines = find(text)

    last = text.count("\n") + 1
    assert set(paths(read)) == set(lines)
    assert all(1 <= line <= last for line in lines.values())


@CALM
@given(some.lists(some.integers(0, 3), min_size=1, max_size=20))
def test_keys_far_apart_are_found_on_their_own_lines(gaps):
    text, wanted = "", {}
    for number, gap in enumerate(gaps):
        text += "\n" * gap + f'key{number} = "value"\n'
        wanted[f"key{number}",] = text.count("\n")

    assert find(text) == wanted


def paths(value: Any, path: Path = ()) -> Iterator[Path]:
    if path:
        yield path
    inner = value.items() if isinstance(value, dict) else ()
    inner = enumerate(value) if isinstance(value, list) else inner
    for key, one in inner:
        yield from paths(one, (*path, key))
