from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from hive.adapters import procs, tmux
from hive.adapters.control import Silent
from hive.adapters.panes import Opened, Refused
from hive.adapters.tmux import Tmux
from hive.core.world import NoServer, Seen, Unseen
from tests.conftest import eventually

HOSTILE = """
set -g destroy-unattached on
set -g renumber-windows on
set -g base-index 1
setw -g pane-base-index 1
setw -g allow-rename on
setw -g automatic-rename on
set -g remain-on-exit off
set -g default-shell /bin/false
set -g default-command false
set -g visual-activity on
set-hook -g after-new-window 'rename-window hooked'
set-hook -g after-new-session 'rename-window hooked'
"""

NAMES = [
    pytest.param("a b", id="a space"),
    pytest.param("-t", id="a leading dash"),
    pytest.param("x;kill-server", id="a semicolon"),
    pytest.param("x;", id="a semicolon at the end"),
    pytest.param("'\"\\", id="quotes"),
    pytest.param("#{pid}#(touch ran)##[fg=red]###", id="formats"),
    pytest.param("$HOME ~", id="dollar and tilde"),
    pytest.param("ü🐝", id="beyond ASCII"),
]


def windows(bench) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in bench.run("list-windows", "-a", "-F", "#{session_name}|#{window_name}").split("\n"):
        session, name = line.split("|", 1)
        found.setdefault(session, []).append(name)
    return found


def gone(pid: int) -> bool:
    found = procs.process(pid)
    return found is None or found.dead


def test_a_look_starts_no_server(bench):
    assert bench.tmux.look() == NoServer()
    assert not Path(bench.socket).exists()


def test_an_opened_window_is_seen_as_it_was_opened(bench):
    opened = bench.open("dev")
    sight = bench.tmux.look()
    assert isinstance(sight, Seen)
    (seen,) = sight.panes
    assert sight.server.pid == int(bench.run("display-message", "-p", "#{pid}"))
    assert sight.server.started
    assert opened.started
    assert (seen.id, seen.window, seen.session, seen.pid) == (
        opened.id, opened.window, "Task-front", opened.pid,
    )  # fmt: skip
    assert (seen.agent, seen.launch, seen.dead, seen.code) == ("Task/front/dev", "dev", False, None)


def test_nothing_of_hives_own_stays_on_the_server(bench):
    bench.open("one")
    bench.open("two")
    assert windows(bench) == {"Task-front": ["Front-one", "Front-two"]}
    assert bench.run("list-clients") == ""


def test_answers_come_in_the_order_of_the_openings(bench):
    openings = [bench.opening(name, order=9 - n) for n, name in enumerate("abcd")]
    openings.append(bench.opening("e", session="Task-back"))
    answers = bench.tmux.open(openings)
    assert [one.pane.agent[-1] for one in answers if isinstance(one, Opened)] == list("abcde")


def test_windows_stand_in_their_order(bench):
    bench.tmux.open([bench.opening(name, order=n) for n, name in ((3, "d"), (1, "b"))])
    bench.run("new-window", "-d", "-n", "users", "-t", "=Task-front:", "cat -")
    bench.tmux.open([bench.opening(name, order=n) for n, name in ((4, "e"), (0, "a"), (2, "c"))])
    names = windows(bench)["Task-front"]
    assert [name for name in names if name != "users"] == [f"Front-{name}" for name in "abcde"]


def test_a_person_who_watches_a_session_keeps_the_window(bench):
    bench.open("one")
    before = bench.run("display-message", "-p", "-t", "=Task-front:", "#{window_id}")
    bench.open("two")
    bench.open("zero", order=-1)
    assert bench.run("display-message", "-p", "-t", "=Task-front:", "#{window_id}") == before


def test_sixty_windows_are_opened_and_read_at_once(bench):
    answers = bench.tmux.open(
        [
            bench.opening(f"dev-{n}", "sh", "-c", f"echo I am {n}; exec sleep 1000")
            for n in range(60)
        ]
    )
    panes = [one.pane for one in answers if isinstance(one, Opened)]
    assert len(panes) == 60
    assert len({pane.id for pane in panes}) == 60
    assert len(bench.seen()) == 60

    def told() -> bool:
        screens = bench.tmux.captures([pane.id for pane in panes])
        return [screens[pane.id] for pane in panes] == [[f"I am {n}"] for n in range(60)]

    eventually(told, timeout=60)


def test_a_hostile_configuration_changes_nothing(bench):
    bench.configure(HOSTILE)
    quick = bench.opening("quick", "sh", "-c", "exit 3")
    answers = bench.tmux.open([bench.opening("one"), bench.opening("two"), quick])
    assert all(isinstance(one, Opened) for one in answers)
    assert windows(bench) == {"Task-front": ["Front-one", "Front-two", "Front-quick"]}
    eventually(lambda: bench.seen()["quick"].dead)
    bench.open("other", session="Task-back")
    assert sorted(bench.seen()) == ["one", "other", "quick", "two"]


@pytest.mark.parametrize("first", [True, False], ids=["new session", "new window"])
def test_a_program_that_ends_at_once_keeps_its_pane(bench, first):
    bench.configure("set -g remain-on-exit off")
    if not first:
        bench.open("before")
    answers = bench.tmux.open([bench.opening(f"dev-{n}", "true", "now") for n in range(10)])
    assert all(isinstance(one, Opened) for one in answers)
    eventually(lambda: sum(pane.dead for pane in bench.seen().values()) == 10)


def test_the_exit_code_is_told_where_tmux_knows_it(bench):
    bench.open("three", "sh", "-c", "exit 3")
    killed = bench.open("killed", "sleep", "1000")
    os.kill(killed.pid, signal.SIGKILL)
    server = int(bench.run("display-message", "-p", "#{pid}"))

    said = subprocess.run(["tmux", "-V"], capture_output=True, text=True, timeout=60, check=True)
    by_signal = None if "3.2" in said.stdout else -9

    def codes() -> bool:
        os.kill(server, signal.SIGCHLD)  # tmux with utempter may have lost one
        seen = bench.seen()
        return seen["three"].code == 3 and seen["killed"].dead and seen["killed"].code == by_signal

    eventually(codes)


@pytest.mark.parametrize("name", NAMES)
def test_names_directories_and_words_may_be_anything(bench, name):
    place = bench.path / name
    place.mkdir()
    show = 'printf "<%s>" "$PWD" "$@"; exec sleep 1000'
    session = "S" + name.translate({ord(one): "_" for one in '"\\$'})
    for agent in ("one", "two"):
        pane = bench.open(
            agent,
            "sh",
            "-c",
            show,
            "sh",
            name,
            window=name,
            session=session,
            directory=str(place),
        )
        screen = "".join(bench.screen(pane.id, f"<{place}><{name}>"))
        assert screen == f"<{place}><{name}>"
        shown = bench.run("display-message", "-p", "-t", pane.id, "#{window_name}")
        assert shown.replace("\\", "") == name.replace("\\", ""), "tmux adds backslashes"
    assert [one.name for one in bench.tmux.sessions()] == [session]
    again = bench.opening("two", "sh", "-c", show, "sh", name, pane=pane.id, directory=str(place))
    assert isinstance(bench.tmux.open([again])[0], Opened)
    bench.screen(pane.id, f"<{place}><{name}>")
    assert not (place / "ran").exists()


@pytest.mark.parametrize(
    "name", ["", "a:b", "a.b", "$1", "a$b", "@1", "%1", "=a", "a\nb", "a\x1b", 'a"b', "a\\b"]
)
def test_a_session_that_tmux_would_name_otherwise_is_refused(bench, name):
    (answer,) = bench.tmux.open([bench.opening("dev", session=name)])
    assert isinstance(answer, Refused)
    assert repr(name) in answer.why
    assert bench.tmux.look() == NoServer()


def test_what_could_not_be_put_in_its_place_is_taken_off_again(bench):
    bench.open("dev")
    bench.run("new-session", "-d", "-s", "users", "cat", "-")
    bench.run("set-hook", "-g", "after-new-window", "kill-session -t =Task-front")
    (answer,) = bench.tmux.open([bench.opening("other")])
    assert isinstance(answer, Refused)
    assert "can't find" in answer.why
    assert list(windows(bench)) == ["users"]
    assert bench.seen() == {}


def test_a_newline_in_a_window_name_runs_nothing(bench):
    pane = bench.open("dev", window="a\nset -g @pwned 1\nb")
    bench.tmux.rename(pane.id, "c\nset -g @pwned 1\n")
    assert bench.run("show-options", "-gqv", "@pwned") == ""


def test_a_dead_pane_runs_again(bench):
    old = bench.open("dev", "sh", "-c", "echo first; read line; exit 3")
    bench.screen(old.id, "first")  # tmux may lose what is written in the moment of the end
    bench.tmux.press(old.id, ["Enter"])
    eventually(lambda: bench.seen()["dev"].dead)
    answer = bench.tmux.open([bench.opening("dev", "sh", "-c", "echo second; cat -", pane=old.id)])[
        0
    ]
    assert isinstance(answer, Opened)
    new = bench.seen()["dev"]
    assert (answer.pane.id, answer.pane.pid) == (old.id, new.pid)
    assert (new.id, new.launch, new.dead, new.code) == (old.id, "dev-2", False, None)
    assert new.pid != old.pid
    assert "first" not in "\n".join(bench.screen(old.id, "second"))


def test_a_pane_joined_to_a_persons_window_runs_again_and_leaves_the_window_its_name(bench):
    old = bench.open("dev", "true", "now")
    bench.run("new-session", "-d", "-s", "users", "-n", "mine", "cat", "-")
    bench.run("join-pane", "-d", "-s", old.id, "-t", "=users:")
    (answer,) = bench.tmux.open([bench.opening("dev", pane=old.id)])
    assert isinstance(answer, Opened)
    assert answer.pane.session == "users"
    assert windows(bench) == {"users": ["mine"]}


def test_a_pane_that_is_not_ours_is_not_run_again(bench):
    bench.open("dev")
    bench.run("new-session", "-d", "-s", "users", "cat", "-")
    theirs = bench.run("display-message", "-p", "-t", "=users:", "#{pane_id} #{pane_pid}")
    (answer,) = bench.tmux.open([bench.opening("dev", pane=theirs.split()[0])])
    assert isinstance(answer, Refused)
    assert "is not hive's any more" in answer.why
    assert bench.run("display-message", "-p", "-t", "=users:", "#{pane_id} #{pane_pid}") == theirs


def test_a_session_of_somebody_else_is_refused_and_named(bench):
    bench.run("new-session", "-d", "-s", "Task-front", "cat", "-")
    mine = bench.opening("back", session="Task-back")
    refused, opened = bench.tmux.open([bench.opening("dev"), mine])
    assert refused == Refused(why="session `Task-front` exists and is not hive's")
    assert isinstance(opened, Opened)
    assert bench.tmux.foreign(["Task-front", "Task-back", "nowhere"]) == ["Task-front"]
    assert len(windows(bench)["Task-front"]) == 1


def test_another_hives_panes_and_sessions_are_foreign(bench):
    pane = bench.open("dev")
    other = Tmux(bench.socket, "ffffffff", home=bench.path, timeout=20)
    assert other.look() == Seen(server=bench.tmux.look().server, panes=())
    assert other.foreign(["Task-front"]) == ["Task-front"]
    other.close([pane])
    other.press(pane.id, ["x", "Enter"])
    other.rename(pane.id, "theirs")
    assert isinstance(other.open([bench.opening("dev", pane=pane.id)])[0], Refused)
    assert bench.seen()["dev"].pid == pane.pid
    assert windows(bench) == {"Task-front": ["Front-dev"]}


def test_what_a_person_adds_to_our_session_is_left_alone(bench):
    dev = bench.open("dev")
    bench.run("split-window", "-d", "-t", dev.id, "cat", "-")
    bench.run("new-window", "-d", "-t", "=Task-front:", "-n", "users", "cat", "-")
    assert list(bench.seen()) == ["dev"]
    bench.tmux.close([bench.seen()["dev"]])
    assert bench.seen() == {}
    assert len(bench.run("list-panes", "-a").split("\n")) == 2


def test_a_moved_renamed_joined_or_broken_pane_is_found(bench):
    for name in ("moved", "renamed", "joined", "broken", "swapped"):
        bench.open(name)
    bench.run("new-session", "-d", "-s", "users", "cat", "-")
    before = {name: (pane.id, pane.pid) for name, pane in bench.seen().items()}
    ids = {name: pane for name, (pane, _) in before.items()}
    bench.run("move-window", "-d", "-s", ids["moved"], "-t", "=users:")
    bench.run("rename-window", "-t", ids["renamed"], "else")
    bench.run("rename-session", "-t", "=Task-front", "elsewhere")
    bench.run("join-pane", "-d", "-s", ids["joined"], "-t", ids["broken"])
    bench.run("break-pane", "-d", "-s", ids["broken"])
    bench.run("swap-pane", "-d", "-s", ids["swapped"], "-t", "=users:")
    seen = bench.seen()
    assert {name: (pane.id, pane.pid) for name, pane in seen.items()} == before
    assert (seen["moved"].session, seen["renamed"].session) == ("users", "elsewhere")


def test_a_window_linked_into_two_sessions_is_one_pane(bench):
    dev = bench.open("dev")
    bench.run("new-session", "-d", "-s", "users", "cat", "-")
    bench.run("link-window", "-d", "-s", dev.id, "-t", "=users:")
    sight = bench.tmux.look()
    assert [pane.id for pane in sight.panes] == [dev.id]


def test_a_closed_pane_is_gone_and_the_last_one_takes_the_server_along(bench):
    panes = [bench.open(name) for name in ("one", "two", "three")]
    server = bench.tmux.look().server
    bench.tmux.close(panes[:1])
    assert sorted(bench.seen()) == ["three", "two"]
    bench.tmux.close(panes[1:])
    eventually(lambda: gone(server.pid))
    assert bench.tmux.look() == NoServer()
    bench.tmux.close(panes)
    assert isinstance(bench.tmux.open([bench.opening("one")])[0], Opened)


def test_a_pane_in_which_something_newer_runs_is_not_closed(bench):
    old = bench.open("dev")
    bench.tmux.open([bench.opening("dev", pane=old.id)])
    bench.tmux.close([old])
    assert bench.seen()["dev"].launch == "dev-2"


def test_keys_are_pressed_and_words_are_typed(bench):
    pane = bench.open("dev", "sh", "-c", "echo on; exec cat -")
    bench.screen(pane.id, "on")
    bench.tmux.press(pane.id, ["/exit", "Enter"])
    bench.screen(pane.id, "/exit\n/exit")
    bench.tmux.press(pane.id, ["--help;", "Space", "'\"$#{pid}", "Enter"])
    bench.screen(pane.id, "--help; '\"$#{pid}\n--help; '\"$#{pid}")
    bench.tmux.press(pane.id, ["C-d"])
    eventually(lambda: bench.seen()["dev"].dead)


def test_keys_reach_the_program_while_a_person_reads_back(bench):
    pane = bench.open("dev", "sh", "-c", "echo on; exec cat -")
    bench.screen(pane.id, "on")
    bench.run("copy-mode", "-t", pane.id)
    bench.tmux.press(pane.id, ["hello", "Enter"])
    bench.screen(pane.id, "hello\nhello")


def test_a_screen_is_read_with_its_history_or_without(bench):
    pane = bench.open(
        "dev", "sh", "-c", "seq 1 300; printf 'x%.0s' $(seq 250); echo; echo end; cat -"
    )
    bench.screen(pane.id, "end")
    whole = bench.tmux.capture(pane.id, 1000)
    assert whole == [*map(str, range(1, 301)), "x" * 250, "end"]
    assert bench.tmux.capture(pane.id, 100) == whole[-100:]
    screen = bench.tmux.capture(pane.id, visible=True)
    assert len(screen) < 50
    assert screen == whole[-len(screen) :]
    assert bench.tmux.captures([pane.id, "%77"]) == {pane.id: screen}
    assert bench.tmux.capture("%77") == []


def test_a_screen_that_imitates_tmux_is_read_as_it_is(bench):
    imitation = ["%begin 1 2 1", "%end 1 2 1", "%error 1 2 1", "%exit", "display-message -p x", ""]
    text = "\n".join([*imitation, "a\x85b", "last"])
    (bench.path / "text").write_text(text)
    pane = bench.open("dev", "sh", "-c", "cat text; exec sleep 1000")
    shown = bench.screen(pane.id, "last")
    assert shown[:6] == imitation
    other = bench.open("other", "sh", "-c", "echo mine; exec sleep 1000")
    bench.screen(other.id, "mine")
    assert bench.tmux.captures([pane.id, other.id])[other.id] == ["mine"]


def test_a_window_gets_another_name(bench):
    pane = bench.open("dev")
    bench.tmux.rename(pane.id, "-n #{pid}")
    assert windows(bench) == {"Task-front": ["-n #{pid}"]}


def test_a_stopped_server_is_unseen_in_time_and_seen_again(bench):
    bench.open("dev")
    server = bench.tmux.look().server
    hasty = Tmux(bench.socket, "0123abcd", home=bench.path, timeout=0.5, known=server)
    os.kill(server.pid, signal.SIGSTOP)
    try:
        sight = hasty.look()
        assert isinstance(sight, Unseen)
        assert sight.why == "tmux did not answer within 0.5 s"
        (answer,) = hasty.open([bench.opening("late")])
        assert isinstance(answer, Refused)
        with pytest.raises(Silent):
            tmux.marks(bench.socket, 0.5)
    finally:
        os.kill(server.pid, signal.SIGCONT)
    assert list(bench.seen()) == ["dev"]


def test_a_killed_server_is_certainly_gone(bench):
    bench.open("dev")
    server = bench.tmux.look().server
    os.kill(server.pid, signal.SIGKILL)
    eventually(lambda: gone(server.pid))
    assert bench.tmux.look() == NoServer()
    assert bench.tmux.capture("%0") == []
    assert bench.tmux.foreign(["Task-front"]) == []
    assert tmux.marks(bench.socket, 20) == []


def test_a_new_server_after_a_killed_one_is_another(bench):
    bench.open("dev")
    old = bench.tmux.look().server
    bench.run("kill-server")
    (answer,) = bench.tmux.open([bench.opening("dev")])
    assert isinstance(answer, Opened), answer
    assert answer.server != old
    assert bench.tmux.look().server == answer.server


def test_a_server_whose_socket_was_deleted_is_found_again(bench):
    bench.open("dev")
    before = bench.tmux.look()
    Path(bench.socket).unlink()
    assert bench.tmux.look() == before
    Path(bench.socket).unlink()
    later = Tmux(bench.socket, "0123abcd", home=bench.path, timeout=20, known=before.server)
    assert later.look() == before


def test_a_server_that_lives_but_cannot_be_reached_is_unseen(bench):
    bench.open("dev")
    server = bench.tmux.look().server
    os.kill(server.pid, signal.SIGSTOP)
    try:
        Path(bench.socket).unlink()
        sight = Tmux(bench.socket, "0123abcd", home=bench.path, timeout=0.5, known=server).look()
    finally:
        os.kill(server.pid, signal.SIGCONT)
    assert isinstance(sight, Unseen)
    assert f"pid {server.pid}, lives" in sight.why
    assert list(bench.seen()) == ["dev"]


def test_a_directory_in_the_place_of_the_socket_is_unseen_not_gone(bench):
    (bench.path / "f").write_text("")
    blocked = Tmux(str(bench.path / "f" / "s"), "0123abcd", home=bench.path, timeout=20)
    assert isinstance(blocked.look(), Unseen)
    assert isinstance(blocked.open([bench.opening("dev")])[0], Refused)


def test_marks_are_read_for_every_hive_without_any_memory(bench):
    dev = bench.open("dev")
    other = Tmux(bench.socket, "ffffffff", home=bench.path, timeout=20)
    other.open([bench.opening("pm", session="Other")])
    bench.run("new-session", "-d", "-s", "users", "cat", "-")
    found = {(one.instance, one.agent, one.session) for one in tmux.marks(bench.socket, 20)}
    assert found == {
        ("0123abcd", "Task/front/dev", "Task-front"),
        ("ffffffff", "Task/front/pm", "Other"),
    }
    assert (dev.id, dev.pid) in {(one.pane, one.pid) for one in tmux.marks(bench.socket, 20)}


def test_what_a_killed_hive_left_half_open_is_taken_off(bench):
    bench.open("dev")
    hall = "_hive-0123abcd"
    bench.run("new-session", "-d", "-s", hall, "cat", "-")
    bench.run("set-option", "-t", f"={hall}:", "@hive_session", "0123abcd")
    bench.open("other")
    assert list(windows(bench)) == ["Task-front"]
    bench.run("new-session", "-d", "-s", hall, "cat", "-")
    bench.tmux.leave()
    assert list(windows(bench)) == ["Task-front", hall], "that one does not bear our mark"
    bench.run("set-option", "-t", f"={hall}:", "@hive_session", "0123abcd")
    bench.tmux.leave()
    assert list(windows(bench)) == ["Task-front"]


def test_leaving_a_server_that_is_gone_is_no_error(bench):
    bench.tmux.leave()
    assert bench.tmux.look() == NoServer()


def test_two_openers_at_once_start_one_server(bench):
    script = (
        "import sys; from pathlib import Path; from hive.adapters.tmux import Tmux\n"
        "from hive.adapters.panes import Opening; from hive.core.spec import Agent\n"
        "home, name = Path(sys.argv[1]), sys.argv[2]\n"
        "spec = Agent(project='T', team='t', name=name, role='r', session=name, window='w',\n"
        "             argv=('sleep', '1000'), directory='/', socket=str(home / 's'))\n"
        "one = Opening(spec=spec, launch=name, argv=spec.argv)\n"
        "print(Tmux(str(home / 's'), 'cafecafe', home=home, timeout=30).open([one]))\n"
    )
    command = [os.sys.executable, "-c", script, str(bench.path)]
    openers = [
        subprocess.Popen([*command, name], stdout=subprocess.PIPE, text=True) for name in "abcd"
    ]
    said = [opener.communicate(timeout=120)[0] for opener in openers]
    assert all("Opened" in text for text in said), said
    assert sorted(windows(bench)) == list("abcd")
