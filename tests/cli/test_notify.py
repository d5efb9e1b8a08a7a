"""`hive notify`: what is printed of what people were told, and of a test."""

from __future__ import annotations

import json

import pytest
import typer

from hive.cli import notify
from hive.views import iso

WHEN = iso(1_700_000_000.0)


def ways(*told: bool | None) -> list[dict[str, object]]:
    names = ("bell", "webhook: https://a.b")
    how = {True: "HTTP 204", False: "it is shut\n  next: open it", None: ""}
    return [
        {"way": name, "told": bool(one), "how": how[one]}
        for name, one in zip(names, told, strict=False)
    ]


def tried(*told: bool | None) -> dict[str, object]:
    return {"version": 1, "number": 4, "over": None not in told, "ways": ways(*told)}


def test_a_test_is_waited_for_and_each_way_told(supervisor, monkeypatch, capsys):
    monkeypatch.setattr(notify, "POLL", 0.0)
    supervisor.answers["notify_test"] = [tried(None, None), tried(True, None), tried(True, True)]

    notify.notify_test(project="Task")

    assert capsys.readouterr().out.splitlines() == [
        "bell: told: HTTP 204",
        "webhook: https://a.b: told: HTTP 204",
    ]
    assert [args for _, args in supervisor.asked] == [{"project": "Task"}, *[{"number": 4}] * 2]


def test_a_way_that_fails_is_told_and_makes_the_exit_code(supervisor, capsys):
    supervisor.answers["notify_test"] = tried(True, False)

    with pytest.raises(typer.Exit) as caught:
        notify.notify_test()

    assert caught.value.exit_code == 1
    assert "webhook: https://a.b: failed: it is shut" in capsys.readouterr().out
    with pytest.raises(typer.Exit):
        notify.notify_test(json=True)
    assert json.loads(capsys.readouterr().out) == supervisor.answers["notify_test"]


def test_what_was_told_lately_is_listed(supervisor, capsys):
    told = {
        "time": WHEN, "project": "Task", "text": "2 things wait for you; hive inbox",
        "command": "hive inbox", "ways": ways(True, False),
    }  # fmt: skip
    bell = [{"way": "bell", "failing": "nobody is attached"}]
    supervisor.answers["notices"] = {
        "version": 1, "notices": [told], "projects": [{"project": "Task", "ways": bell}],
    }  # fmt: skip

    notify.notify_list()

    first, second = capsys.readouterr().out.splitlines()
    assert first.endswith("Task  2 things wait for you; hive inbox  (bell, webhook failed)")
    assert second == "Task: bell fails: nobody is attached"
    supervisor.answers["notices"] = {"version": 1, "notices": [], "projects": []}
    notify.notify_list()
    assert capsys.readouterr().out == "nobody was told anything yet\n"
    notify.notify_list(json=True)
    assert json.loads(capsys.readouterr().out) == supervisor.answers["notices"]
