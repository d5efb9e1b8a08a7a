from __future__ import annotations

import json
import selectors
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hive.adapters import reach
from hive.adapters.channel import Unreachable
from hive.adapters.listener import Listener
from hive.adapters.spool import VERBS, Spool, refusal
from hive.errors import HiveError, NotRunning, TimedOut, WrongInput
from tests.conftest import eventually

NOW = {"timeout": 0.3, "away": 0.1}
ME = {"agent": "Task/a/dev", "launch": "l1", "seal": "s"}


@pytest.fixture
def environ(short_path):
    for folder in ("state", "folder", "folder/spool"):
        (short_path / folder).mkdir(mode=0o700)
    return {
        "HIVE_STATE": str(short_path / "state"),
        "HIVE_AGENT": ME["agent"],
        "HIVE_LAUNCH": ME["launch"],
        "HIVE_SEAL": ME["seal"],
        "HIVE_FOLDER": str(short_path / "folder"),
    }


@pytest.fixture
def hidden(environ):
    """Give an environment in which the socket can't be seen, as in a sandbox."""
    return environ | {"HIVE_STATE": environ["HIVE_STATE"] + "/none"}


@pytest.fixture
def spool(environ):
    return Spool(Path(environ["HIVE_FOLDER"], "spool"))


def files(environ):
    return list(Path(environ["HIVE_FOLDER"], "spool").iterdir())


def serve(environ, answer, verb="report", args=None):
    """Ask one question of a supervisor's socket that answers so; give what it heard too."""
    heard = []
    selector = selectors.DefaultSelector()

    def reply(verb, args):
        heard.append((verb, args))
        return answer(verb, args)

    listener = Listener(Path(environ["HIVE_STATE"], "hive.sock"), reply)
    listener.register(selector)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(reach.ask, verb, args or {"me": ME}, environ=environ)
        while not asked.done():
            for key, events in selector.select(0.01):
                key.data.handle(key, events)
    listener.close()
    selector.close()
    return asked, heard


def test_an_agent_says_who_it_is(environ):
    assert reach.me(environ) == ME


@pytest.mark.parametrize("name", ["HIVE_AGENT", "HIVE_LAUNCH", "HIVE_SEAL"])
def test_outside_an_agent_it_says_what_is_missing(environ, name):
    del environ[name]

    with pytest.raises(WrongInput, match=f"`{name}` is not set"):
        reach.me(environ)


def test_the_socket_is_asked_first(environ):
    asked, heard = serve(environ, lambda verb, args: {"ok": [verb, args]})

    assert asked.result() == {"ok": ["report", {"me": ME}]}
    assert heard == [("report", {"me": ME})]
    assert files(environ) == []


def test_what_the_supervisor_refuses_is_not_asked_again_by_file(environ):
    def refuse(_verb, _args):
        raise WrongInput("no", fix="do that")

    asked, heard = serve(environ, refuse)

    with pytest.raises(WrongInput, match="no"):
        asked.result()
    assert len(heard) == 1
    assert files(environ) == []


@pytest.mark.parametrize("state", ["none", "x" * 200], ids=["hidden", "refused by the system"])
def test_from_a_sandbox_it_is_asked_by_file(environ, spool, state):
    environ["HIVE_STATE"] += f"/{state}"
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(reach.ask, "lock", {"name": "db", "me": ME}, environ=environ)
        ((name, verb, args),) = eventually(spool.questions, pause=0.01)
        spool.answer(name, {"result": {"held": True}})

        assert asked.result() == {"held": True}
    assert (verb, args) == ("lock", {"name": "db", "me": ME})
    assert files(environ) == []


def test_an_error_comes_by_file_as_it_was(hidden, spool):
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(reach.ask, "report", {"me": ME}, environ=hidden)
        ((name, _, _),) = eventually(spool.questions, pause=0.01)
        spool.answer(name, refusal(NotRunning("no", where="here", fix="do that")))

        with pytest.raises(NotRunning) as caught:
            asked.result()
    assert (caught.value.what, caught.value.where, caught.value.fix) == ("no", "here", "do that")
    assert files(hidden) == []


def test_an_answer_that_is_none_is_told(hidden, spool):
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(reach.ask, "report", {"me": ME}, environ=hidden)
        ((name, _, _),) = eventually(spool.questions, pause=0.01)
        spool.answer(name, {})

        with pytest.raises(HiveError, match="is not hive"):
            asked.result()


@pytest.mark.parametrize("verb", sorted(reach.LATER))
def test_what_is_as_good_later_stays_while_nobody_answers(environ, spool, verb):
    assert reach.ask(verb, {"me": ME}, environ=environ, **NOW) == reach.NOTED

    ((_, asked, args),) = spool.questions()
    assert (asked, args) == (verb, {"me": ME})


@pytest.mark.parametrize("verb", sorted(VERBS - reach.LATER))
def test_what_is_for_now_is_taken_back_where_nobody_answers(environ, verb):
    with pytest.raises(Unreachable):
        reach.ask(verb, {"me": ME}, environ=environ, **NOW)

    assert files(environ) == []


def test_a_supervisor_that_does_not_run_is_waited_for_only_a_moment(environ):
    with pytest.raises(Unreachable):
        reach.ask("lock", {"me": ME}, environ=environ, timeout=60, away=0.1)


def test_one_that_is_killed_before_it_answers_is_asked_again_by_file(environ, spool):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{environ['HIVE_STATE']}/hive.sock")
        server.listen()

        def die():
            link, _ = server.accept()
            link.recv(1 << 16)
            link.close()

        thread = threading.Thread(target=die)
        thread.start()
        answer = reach.ask("report", {"me": ME, "uid": "u1"}, environ=environ, **NOW)
        thread.join()

    assert answer == reach.NOTED
    ((_, _, args),) = spool.questions()
    assert args["uid"] == "u1", "so it is not done twice"


def test_a_silent_supervisor_is_not_asked_twice(environ):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{environ['HIVE_STATE']}/hive.sock")
        server.listen()

        with pytest.raises(TimedOut):
            reach.ask("report", {"me": ME}, environ=environ, **NOW)

    assert files(environ) == []


@pytest.mark.parametrize("folder", [None, "", "/nonexistent"])
def test_without_a_folder_nobody_is_reached(environ, folder):
    environ.pop("HIVE_FOLDER")
    if folder is not None:
        environ["HIVE_FOLDER"] = folder

    with pytest.raises(Unreachable):
        reach.ask("report", {"me": ME}, environ=environ, **NOW)


def test_a_sandbox_that_lets_nothing_through_says_what_does(environ):
    environ |= {"HIVE_STATE": environ["HIVE_STATE"] + "x" * 200, "HIVE_FOLDER": "/nonexistent"}

    with pytest.raises(HiveError) as caught:
        reach.ask("report", {"me": ME}, environ=environ, **NOW)

    assert caught.value.what.startswith("this sandbox lets nothing reach hive: ")
    assert "MCP server `hive`" in caught.value.fix


def test_what_is_too_long_for_a_file_is_told(hidden):
    with pytest.raises(WrongInput, match="from a sandbox"):
        reach.ask("report", {"text": "x" * reach.LONGEST}, environ=hidden, **NOW)

    assert files(hidden) == []


def test_the_longest_question_is_still_taken(hidden, spool):
    around = len(json.dumps({"verb": "report", "args": {"me": ME, "text": ""}}))
    text = "x" * (reach.LONGEST - around)

    assert reach.ask("report", {"me": ME, "text": text}, environ=hidden, **NOW) == reach.NOTED

    ((_, _, args),) = spool.questions()
    assert args["text"] == text


def test_ids_differ():
    assert len({reach.uid() for _ in range(100)}) == 100
