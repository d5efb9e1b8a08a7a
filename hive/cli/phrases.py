"""The words that agents type: what `--help` says of them, and which options each command has.

With the standard library only, and without its heavier parts, as `hive.cli.voices`.
"""

from __future__ import annotations

from hive.errors import WrongInput

HELP = {
    "report": """\
Usage: hive report working|blocked|done [TEXT]

  Say how you are. `blocked` shows TEXT to a person: say what keeps you.
  `done` ends no message: `hive task done` does.

Example:  hive report blocked "the staging database is down"
""",
    "ask": """\
Usage: hive ask QUESTION [--option TEXT]... [--wait]

  Ask a person. The answer comes as a message: end your turn.

  --option TEXT   an answer to choose from; repeatable
  --wait          stay until it is answered, and print the answer

Example:  hive ask "Which database?" --option staging --option production
""",
    "task": """\
Usage: hive task next                         your next message or task, if one waits
       hive task show [NAME]                  the whole of it
       hive task progress [NAME] TEXT         how far you are
       hive task done [NAME] [--result TEXT] [--confidence 0.9]
       hive task fail [NAME] --why TEXT       it can't be done
       hive task split [NAME] FILE...         make parts of it: a prompt in each file

  NAME is a message (m-31) or a task (t-12); without one it is what you have.
  --result - reads it from stdin; a part may be --text TEXT instead of a FILE.

Example:  hive task done m-31 --result "rebased on main, tests pass"
""",
    "lock": """\
Usage: hive lock NAME [--shared] [--wait]

  Take a lock that one agent at a time has; say who has it otherwise (exit code 1).
  It is let go by `hive unlock NAME`, and when you end. With a path (path:src) all that
  lies in it is locked too.

  --shared   others may have it too, as long as they share it
  --wait     stay until it is yours

Example:  hive lock database --wait && make migrate; hive unlock database
""",
    "unlock": """\
Usage: hive unlock NAME

  Let go of a lock that you have.
""",
    "handoff": """\
Usage: hive handoff TO... [--note TEXT] [--task]

  Tell other agents, or teams, what you leave to them: TEXT, and what hive knows of your
  work: tasks, commits, files that are not committed, questions that are not answered.

  --note TEXT   what they must know, in words
  --task        the task that you have goes along, if TO may have it: then leave it

Example:  hive handoff frontend/dev --note "the API is at :4000"
""",
}
"""What `hive COMMAND --help` says."""

OPTIONS = {
    "report": {},
    "ask": {"--option": True, "--wait": False},
    "task": {
        "--result": True,
        "--result-file": True,
        "--confidence": True,
        "--why": True,
        "--reason": True,
        "--text": True,
    },
    "lock": {"--wait": False, "--shared": False},
    "unlock": {},
    "handoff": {"--note": True, "--task": False},
    "send": {},
}
"""The options of each command besides `--json`, and whether one takes a value."""

Given = dict[str, list[str]]
"""The options that were given, each with its values."""


def split(verb: str, words: list[str]) -> tuple[list[str], Given]:
    """Give the plain words, and the options with their values; raises WrongInput."""
    known = OPTIONS[verb] | {"--json": False, "--help": False, "-h": False}
    plain: list[str] = []
    given: Given = {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word == "--":
            return plain + rest, given
        option, equals, value = word.partition("=") if word.startswith("--") else (word, "", "")
        if not word.startswith("-") or word == "-":
            plain.append(word)
            continue
        if option not in known or (equals and not known[option]):
            raise WrongInput(f"no such option: `{option}`", fix=f"hive {verb} --help")
        if known[option] and not equals:
            if not rest:
                raise WrongInput(f"`{option}` needs a value", fix=f"hive {verb} --help")
            value = rest.pop(0)
        given.setdefault("--help" if option == "-h" else option, []).append(value)
    return plain, given
