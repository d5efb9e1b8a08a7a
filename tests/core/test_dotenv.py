"""The .env format."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from hive.core.dotenv import parse

CALM = settings(deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param("", [], id="nothing"),
        pytest.param("A=1", [("A", "1")], id="one without a newline"),
        pytest.param("A=1\nB=2\n", [("A", "1"), ("B", "2")], id="two"),
        pytest.param("A=1\nA=2\n", [("A", "1"), ("A", "2")], id="the later comes later"),
        pytest.param("export A=1", [("A", "1")], id="export"),
        pytest.param("exportA=1", [("exportA", "1")], id="a name that begins like export"),
        pytest.param("  A = 1  ", [("A", "1")], id="spaces around"),
        pytest.param("A=", [("A", "")], id="an empty value"),
        pytest.param("A=\nB=1", [("A", ""), ("B", "1")], id="an empty value takes no next line"),
        pytest.param("A=a b", [("A", "a b")], id="a space inside"),
        pytest.param("A=a=b", [("A", "a=b")], id="an equals sign inside"),
        pytest.param("# A=1\n\n \t\nB=2", [("B", "2")], id="comments and empty lines"),
        pytest.param("A=1 # why", [("A", "1")], id="a comment after a value"),
        pytest.param("A= # why", [("A", "")], id="a comment after no value"),
        pytest.param("A=a#b", [("A", "a#b")], id="a hash inside a word"),
        pytest.param("A='a # b'", [("A", "a # b")], id="a hash in quotes"),
        pytest.param("A='\\n$B'", [("A", "\\n$B")], id="single quotes keep their text"),
        pytest.param('A="a\\nb\\"\\\\"', [("A", 'a\nb"\\')], id="escapes in double quotes"),
        pytest.param('A="\\d"', [("A", "\\d")], id="an unknown escape stays"),
        pytest.param('A="a\nb" # x\nC=1', [("A", "a\nb"), ("C", "1")], id="over two lines"),
        pytest.param("A=$B", [("A", "$B")], id="a dollar means nothing"),
        pytest.param("A=1\r\nB=2\r\n", [("A", "1"), ("B", "2")], id="windows ends"),
        pytest.param("\ufeffA=1", [("A", "1")], id="a byte order mark"),
    ],
)
def test_variables_are_read(text, found):
    assert parse(text) == tuple(found)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param("A=1\nB", "line 2 is not `NAME=value`", id="no equals sign"),
        pytest.param("=1", "line 1 is not `NAME=value`", id="no name"),
        pytest.param("A B=1", "line 1 is not `NAME=value`", id="a space in the name"),
        pytest.param('A="x\nB=2', "line 1 opens a quote that is never closed", id="open quote"),
        pytest.param("A='x' y", "line 1 has something after the closing quote", id="rest"),
        pytest.param("A=x\0", "line 1 holds a NUL character", id="nul"),
    ],
)
def test_a_mistake_is_told_with_its_line_and_without_the_value(text, told):
    with pytest.raises(ValueError, match=told) as caught:
        parse(text)

    assert str(caught.value) == told


@CALM
@given(some.text())
def test_any_text_is_read_or_refused(text):
    try:
        found = parse(text)
    except ValueError as error:
        assert str(error).startswith("line ")  # noqa: PT017 - both ways are good
    else:
        assert all(name and "=" not in name for name, _ in found)


@CALM
@given(some.text(some.characters(exclude_characters="\0\r", exclude_categories=["Cs"])))
def test_any_value_can_be_written_in_double_quotes(value):
    quoted = value.replace("\\", "\\\\").replace('"', '\\"')

    assert parse(f'A="{quoted}"\nB=1') == (("A", value), ("B", "1"))
