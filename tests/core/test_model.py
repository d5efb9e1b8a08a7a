"""The keys of the file: defaults, and what each refuses."""

from __future__ import annotations

from dataclasses import asdict

import pytest
from pydantic import BaseModel, ValidationError

from hive.core import limits, model, spec, values

MODELS = [
    model.Probe,
    model.Restart,
    model.Stop,
    model.Defaults,
    model.Agent,
    model.Team,
    model.Tmux,
    model.Limits,
    model.Server,
    model.File,
]


@pytest.mark.parametrize("cls", MODELS)
def test_every_key_has_one_sentence_that_says_what_it_means(cls: type[BaseModel]):
    for name, field in cls.model_fields.items():
        told = field.description or ""
        assert told.endswith("."), name
        assert len(told) < 100, name


@pytest.mark.parametrize(
    ("table", "rule"),
    [
        pytest.param(model.Restart(), spec.Restart(), id="restart"),
        pytest.param(model.Stop(), spec.Stop(), id="stop"),
    ],
)
def test_defaults_are_those_of_the_agent(table, rule):
    assert table.model_dump() == {name: getattr(rule, name) for name in type(rule).__slots__}


def test_limits_that_nobody_gives_are_those_of_the_agent_and_of_the_ceiling():
    assert model.Limits().model_dump() == asdict(limits.Ceiling())
    assert model.Defaults().processes == limits.Limits().processes


def test_the_schema_takes_amounts_as_they_are_written():
    schema = model.File.model_json_schema()["$defs"]

    shared = schema["Limits"]["properties"]
    assert [one["type"] for one in shared["cpu"]["anyOf"]] == ["string", "number", "null"]
    assert [one["type"] for one in shared["memory"]["anyOf"]] == ["string", "null"]
    own = schema["Agent"]["properties"]
    assert [one["type"] for one in own["memory_soft"]["anyOf"]] == ["string", "null"]
    assert own["priority"]["anyOf"][0]["enum"] == ["low", "normal", "high"]


def test_a_probe_asks_as_often_as_the_agents_default():
    probe, rule = model.Probe(tcp="a:1"), spec.Probe(kind="tcp", target="a:1")

    assert (probe.interval, probe.timeout, probe.threshold) == (
        rule.interval,
        rule.timeout,
        rule.threshold,
    )


@pytest.mark.parametrize(
    ("read", "given", "found"),
    [
        pytest.param(values.argv, "a b", ("sh", "-c", "a b"), id="a command is for the shell"),
        pytest.param(values.argv, ["a", "b c"], ("a", "b c"), id="a list is as it is"),
        pytest.param(values.argv, ["a", ""], ("a", ""), id="an argument may be empty"),
        pytest.param(values.texts, "a", ("a",), id="one text"),
        pytest.param(values.texts, ["a", "b"], ("a", "b"), id="several texts"),
        pytest.param(values.texts, [], (), id="no text"),
        pytest.param(values.address, 5173, "127.0.0.1:5173", id="a port alone"),
        pytest.param(values.address, "host:80", "host:80", id="host and port"),
        pytest.param(values.address, "[::1]:80", "[::1]:80", id="an IPv6 address"),
        pytest.param(values.address, "$PORT", "127.0.0.1:$PORT", id="the agent's port"),
        pytest.param(values.address, "h:$PORT", "h:$PORT", id="the agent's port elsewhere"),
        pytest.param(values.url, "https://a/b?c", "https://a/b?c", id="a URL"),
        pytest.param(values.url, "http://a:$PORT/", "http://a:$PORT/", id="a URL with the port"),
        pytest.param(values.signal, "TERM", "TERM", id="a signal"),
        pytest.param(values.signal, "SIGINT", "INT", id="a signal with SIG"),
        pytest.param(values.signal, "hup", "HUP", id="a signal in small letters"),
        pytest.param(values.socket, "", "", id="the user's own server"),
        pytest.param(values.socket, "work", "work", id="a server by name"),
        pytest.param(values.socket, "/run/a.sock", "/run/a.sock", id="a server by path"),
        pytest.param(values.socket, "~/a.sock", "~/a.sock", id="a server under home"),
        pytest.param(model.agent, "sh", {"run": "sh"}, id="an agent that is its command"),
    ],
)
def test_what_is_good_is_read(read, given, found):
    assert read(given) == found


@pytest.mark.parametrize(
    ("read", "given", "told"),
    [
        pytest.param(values.argv, "", "must not be empty", id="no command"),
        pytest.param(values.argv, " ", "must not be empty", id="a blank command"),
        pytest.param(values.argv, [], "must be a command", id="an empty list"),
        pytest.param(values.argv, [""], "must not be empty", id="an empty program"),
        pytest.param(values.argv, 1, "must be a command", id="a number for a command"),
        pytest.param(values.argv, ["a", 1], "a list of texts", id="a number for an argument"),
        pytest.param(values.argv, ["a", "\0"], "NUL", id="NUL in an argument"),
        pytest.param(values.text, "a\0", "NUL", id="NUL in a text"),
        pytest.param(values.texts, [1], "a text in quotes", id="a number in a list"),
        pytest.param(values.texts, {}, "or a list of them", id="a table for a list"),
        pytest.param(values.variable, "", "can't be a variable", id="no name"),
        pytest.param(values.variable, "a=b", "can't be a variable", id="= in a name"),
        pytest.param(values.variable, "a\n", "can't be a variable", id="a newline in a name"),
        pytest.param(values.variable, "a\0", "can't be a variable", id="NUL in a name"),
        pytest.param(values.content, "a\0", "NUL", id="NUL in a value"),
        pytest.param(values.address, 0, "from 1 to 65535", id="port 0"),
        pytest.param(values.address, 65536, "from 1 to 65535", id="a port too large"),
        pytest.param(values.address, True, "from 1 to 65535", id="a truth value for a port"),
        pytest.param(values.address, "5173", "`host:port`", id="a port in quotes"),
        pytest.param(values.address, "h:99999", "from 1 to 65535", id="a host's port too large"),
        pytest.param(values.address, "a b:1", "`host:port`", id="a space in a host"),
        pytest.param(values.url, "localhost:80", "must be a URL", id="a URL without http"),
        pytest.param(values.url, "ftp://a/", "must be a URL", id="a URL of another kind"),
        pytest.param(values.url, "http:///a", "must be a URL", id="a URL without a host"),
        pytest.param(values.url, "http://a:99999/", "must be a URL", id="a URL's port too large"),
        pytest.param(values.url, "http://[::1/", "must be a URL", id="a URL with half an address"),
        pytest.param(values.url, "http://a/ b", "must be a URL", id="a space in a URL"),
        pytest.param(values.pattern, "(", "regular expression", id="a pattern left open"),
        pytest.param(values.pattern, "", "must not be empty", id="a pattern that fits all"),
        pytest.param(values.signal, "TRM", "did you mean `TERM`", id="a signal misspelt"),
        pytest.param(values.signal, "STOP", "ends a program", id="a signal that ends nothing"),
        pytest.param(values.socket, "a/b", "begins with `/`", id="a path from somewhere"),
        pytest.param(values.socket, "a.b", "only letters", id="a name with a dot"),
        pytest.param(values.socket, "/" + "x" * 100, "at most 100 bytes", id="a path too long"),
    ],
)
def test_what_is_wrong_is_refused_with_what_would_be_right(read, given, told):
    with pytest.raises(ValueError, match=told):
        read(given)


@pytest.mark.parametrize(
    ("cls", "table", "told"),
    [
        pytest.param(model.Probe, {}, "exactly one", id="a probe that asks nothing"),
        pytest.param(model.Probe, {"tcp": 1, "exec": "a"}, "exactly one", id="two questions"),
        pytest.param(model.Stop, {"signal": "INT", "keys": "q"}, "keep one", id="two ways to stop"),
        pytest.param(model.Restart, {"factor": 0.5}, "greater than or equal", id="factor below 1"),
        pytest.param(model.Restart, {"attempts": 0}, "greater than or equal", id="no attempts"),
        pytest.param(model.Restart, {"window": 0}, "longer than 0", id="no window"),
        pytest.param(model.Agent, {"run": "a", "count": 0}, "greater than", id="an empty pool"),
        pytest.param(model.Agent, {"run": "a", "count": True}, "integer", id="a truth for a count"),
        pytest.param(model.Agent, {"run": "a", "cpu": 0}, "0.01 cores", id="no CPU"),
        pytest.param(model.Agent, {"run": "a", "memory": 512}, "needs a unit", id="no unit"),
        pytest.param(model.Agent, {"run": "a", "memory_soft": "0%"}, "above 0%", id="soft 0"),
        pytest.param(model.Agent, {"run": "a", "max_age": 0}, "longer than 0", id="no age"),
        pytest.param(model.Agent, {"run": "a", "processes": 0}, "greater than", id="no process"),
        pytest.param(model.Agent, {"run": "a", "priority": "top"}, "'low'", id="no priority"),
        pytest.param(model.Limits, {"agents": 0}, "greater than or equal", id="no agents"),
        pytest.param(model.Limits, {"cpu": "200%"}, "at most 100%", id="more than the machine"),
        pytest.param(model.Limits, {"memory": "0%"}, "above 0%", id="no memory for all"),
        pytest.param(model.Limits, {"reserve": 1}, "needs a unit", id="one of what is reserved"),
        pytest.param(model.Limits, {"admission": "no"}, "boolean", id="a word for a truth value"),
        pytest.param(model.Agent, {"run": "a", "port": 65536}, "less than", id="a port too large"),
    ],
)
def test_a_table_is_refused(cls, table, told):
    with pytest.raises(ValidationError, match=told):
        cls.model_validate(table)


@pytest.mark.parametrize(
    ("table", "told"),
    [
        pytest.param({}, "needs exactly one of `command` and `url`", id="neither"),
        pytest.param({"command": "x", "url": "http://a/"}, "needs exactly one of", id="both"),
        pytest.param({"url": "http://a/", "env": {"A": "1"}}, "only a `command` takes", id="env"),
        pytest.param({"url": "http://a/", "env_file": ".env"}, "only a `command`", id="env_file"),
        pytest.param({"command": "x", "headers": {"A": "1"}}, "only a `url` takes", id="headers"),
        pytest.param({"url": "http://a/", "headers": {"A b": "1"}}, "can't be a header", id="name"),
        pytest.param({"url": "http://a/", "headers": {"A": "1\r\n"}}, "control", id="a newline"),
    ],
)
def test_a_server_is_started_or_asked_and_has_what_that_takes(table, told):
    with pytest.raises(ValidationError, match=told):
        model.Server.model_validate(table)
