"""The pages behind `hive help TOPIC`: the Markdown files that come with hive."""

from __future__ import annotations

import os

import hive
from hive.errors import WrongInput

FOLDER = os.path.join(os.path.dirname(os.path.abspath(hive.__file__)), "docs")  # noqa: PTH100, PTH118, PTH120 - TAB waits for it


def topics() -> dict[str, str]:
    """Give each page's topic and the path of its file, by name."""
    files = sorted(os.listdir(FOLDER))  # noqa: PTH208
    return {
        file.removesuffix(".md"): os.path.join(FOLDER, file)  # noqa: PTH118
        for file in files
        if file.endswith(".md")
    }


def page(topic: str) -> str:
    """Give the text of a page; raises WrongInput, with the closest topic, where there is none."""
    known = topics()
    if topic not in known:
        from hive.core.names import did_you_mean

        near = did_you_mean(topic, known)
        raise WrongInput(f"no page about `{topic}`{near}", fix="hive help lists the topics")
    with open(known[topic], encoding="utf-8") as file:  # noqa: PTH123
        return file.read()


def title(text: str) -> str:
    """Give a page's first heading."""
    return text.partition("\n")[0].lstrip("# ")
