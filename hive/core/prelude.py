"""What hive teaches an agent before it begins: a template, and what it is filled with.

Templates are Jinja2's, in its sandbox: a user may put one of their own in place of hive's. They
are looked through before they are filled, so that a name that nobody knows is told even where it
would not have been needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from hive.core import names
from hive.errors import WrongInput

if TYPE_CHECKING:  # it takes a twentieth of a second to import
    from types import TracebackType

    from jinja2 import Template
    from jinja2.sandbox import SandboxedEnvironment

NAME = "prelude.md"
"""How hive's own template is called."""

_INSIDE = "<template>"
_WRONG = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mate:
    """Another agent of the same team: its name as people say it, and its role."""

    name: str
    role: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that a template may name.

    `agent` is `team/name`. `mates` are the others of its team. `hive` is hive's command by its
    absolute path, as it stands in a shell's line.
    """

    agent: str
    role: str
    team: str
    project: str
    hive: str
    mates: tuple[Mate, ...] = ()


_FIX = f"a template may name {', '.join(Facts.__slots__)}"


def render(text: str, facts: Facts, name: str = NAME) -> str:
    """Fill the template called `name`; raises WrongInput with its line for a mistake in it."""
    from jinja2 import TemplateError

    try:
        template = _template(text, name)
        return template.render(_known(facts)).strip()
    except TemplateError as error:
        line = getattr(error, "lineno", None) or _line(error.__traceback__)
        raise _mistake(name, line, error.message or str(error)) from None
    except _WRONG as error:
        raise _mistake(name, _line(error.__traceback__), str(error)) from None


@lru_cache(maxsize=64)
def _template(text: str, name: str) -> Template:
    """Read a template once, however many agents have it."""
    environment = _environment()
    tree = environment.parse(text)
    for unknown, line in _unknown(tree):
        near = names.did_you_mean(unknown, Facts.__slots__)
        raise _mistake(name, line, f"`{unknown}` is nothing that a template knows{near}")
    return environment.from_string(tree)


def _unknown(tree: Any) -> Iterator[tuple[str, int]]:
    """Find the names that a template reads and nobody sets, with their lines."""
    from jinja2 import meta, nodes

    unknown = meta.find_undeclared_variables(tree) - set(Facts.__slots__)
    for node in tree.find_all(nodes.Name):
        if node.name in unknown:
            yield node.name, node.lineno


@lru_cache(maxsize=1)
def _environment() -> SandboxedEnvironment:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    return ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False
    )


def _known(facts: Facts) -> Mapping[str, Any]:
    return {name: getattr(facts, name) for name in Facts.__slots__}


def _line(trace: TracebackType | None) -> int:
    """Give the template's line at which filling it failed; 0 where that is not known."""
    line = 0
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == _INSIDE:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def _mistake(name: str, line: int, what: str) -> WrongInput:
    told = f"{what[:1].lower()}{what[1:]}".rstrip(".").replace("'", "`")
    return WrongInput(told, where=f"{name}:{line}" if line else name, fix=_FIX)
