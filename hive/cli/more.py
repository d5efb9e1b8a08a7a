"""Commands around the file and hive itself: init, check, schema, help, completion, version."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hive import __version__
from hive.cli import output
from hive.cli.hot import COMMANDS
from hive.cli.options import File, Json
from hive.core.wording import count
from hive.errors import HiveError, WrongInput

FILE = "hive.toml"

Template = Annotated[
    str,
    typer.Option("--template", "-t", metavar="NAME", help="web, solo, pipeline or demo."),
]
Force = Annotated[
    bool, typer.Option("--force", help=f"Replace a {FILE}; the old one is kept as {FILE}.bak.")
]
Topic = Annotated[str, typer.Argument(metavar="TOPIC", help="Without one, all are listed.")]
Shell = Annotated[str, typer.Argument(metavar="SHELL", help="bash, zsh or fish.")]


def init(template: Template = "web", force: Force = False, json: Json = False) -> None:
    """Write a hive.toml to start from."""
    from hive.adapters import files

    text = files.template(template)
    path = Path(FILE)
    try:
        if force and path.exists():
            path.replace(f"{FILE}.bak")
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        fix = "edit it, or replace it: hive init --force"
        raise WrongInput(f"`{FILE}` is already here", fix=fix) from None
    except OSError as error:
        raise HiveError(f"can't write it: {error.strerror}", where=str(path.absolute())) from error
    if json:
        output.as_json({"version": 1, "path": str(path.absolute()), "template": template})
        return
    output.say(f"wrote {FILE} from the template `{template}`")
    output.say("next: edit it, then `hive check` and `hive deploy`")


def check(file: File = None, json: Json = False) -> None:
    """Read hive.toml and tell every mistake in it."""
    from hive.adapters import files
    from hive.cli import remote
    from hive.core import plots

    loaded = files.load(file)
    _, lacking = files.placed(loaded, remote.state().root)
    notes = [*loaded.notes, *plots.told(lacking)]
    if json:
        record = {
            "version": 1,
            "path": str(loaded.path),
            "project": loaded.project,
            "agents": [agent.short for agent in loaded.agents],
            "teams": list(loaded.teams),
            "notes": notes,
        }
        output.as_json(record)
        return
    for text in notes:
        output.note(text)
    many = count(len(loaded.agents), "agent")
    output.say(f"{loaded.path.name}: {many} in {count(len(loaded.teams), 'team')}, no mistakes")


def schema(json: Json = False) -> None:
    """Print the JSON Schema of hive.toml, for editors."""
    from json import dumps

    from hive.adapters import files

    found = files.schema()
    if json:
        output.as_json(found)
    else:
        print(dumps(found, indent=2))


def help_page(topic: Topic = "", json: Json = False) -> None:
    """Read a page about a topic."""
    from hive.cli import pages

    if topic in COMMANDS and topic not in pages.topics():
        from hive.cli import app

        raise typer.Exit(app.run([topic, "--help"]))
    texts = {topic: pages.page(topic)} if topic else _all_pages()
    if json:
        found = [
            {"topic": name, "title": pages.title(text), **({"text": text} if topic else {})}
            for name, text in texts.items()
        ]
        output.as_json({"version": 1, "topics": found})
    elif topic:
        _print_page(texts[topic])
    else:
        for name, text in texts.items():
            output.say(f"{name:<14}{pages.title(text)}")
        output.say("hive help TOPIC shows a page; hive --help lists the commands")


def _all_pages() -> dict[str, str]:
    from hive.cli import pages

    return {name: pages.page(name) for name in pages.topics()}


def _print_page(text: str) -> None:
    """Print Markdown: drawn on a terminal, as it is into a pipe."""
    if not output.interactive():
        print(text, end="" if text.endswith("\n") else "\n")
        return
    from rich.markdown import Markdown

    output.show(Markdown(text))


def completion(shell: Shell = "bash") -> None:
    """Print the script that teaches a shell to complete hive's words."""
    from hive.cli.complete import INSTALL, SCRIPTS

    if shell not in SCRIPTS:
        raise WrongInput(f"no script for `{shell}`", fix=f"choose of {', '.join(SCRIPTS)}")
    print(SCRIPTS[shell], end="")
    if output.interactive():
        output.note(f"# {INSTALL[shell]}")


def version(json: Json = False) -> None:
    """Print hive's version."""
    if json:
        output.as_json({"version": 1, "hive": __version__})
    else:
        output.say(f"hive {__version__}")
