"""Great Expectations, loaded when a flow has `expect` and not before: its import takes a second and about 100 MB.

It is used below its contexts and data sources, which would profile, report and keep configuration: expectation
classes, execution engines and metrics alone. No telemetry, no progress bars, no log lines of its own.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from importlib import import_module
from importlib.machinery import ModuleSpec
from string import Template
from threading import Lock, Thread
from types import ModuleType
from typing import Any

from mappings.check.expectation_arguments import PARSER
from mappings.errors import ConfigurationError

_SELDOM_USED = ("altair", "scipy.stats")
"""What the library imports for a chart and for tests of distributions: half the time of its import."""

_EACH = "great_expectations.expectations.core."
"""The package with a module for each expectation, of the same name."""

_UNUSED = re.compile(
    r"great_expectations\.datasource\.fluent\.(?!invalid_|sql_)\w+_datasource"
    rf"|{re.escape(_EACH)}(expect|unexpected)_\w+"
)
"""Data sources and expectations: models of pydantic by the dozen, half the time of its import. It takes any class for
one; an expectation that is asked for is imported then."""

_LOADING = Lock()
"""Two threads at a time would take each other's stand-ins away."""

Expectation = Any
"""An expectation of the library; it has no type information that mypy could use without importing it."""


class _Deferred(ModuleType):
    """Stands in for a module until something of it is asked for.

    importlib's own LazyLoader would load it at the first look over all modules that asks each for its `__file__`.
    """

    def __getattr__(self, wanted: str) -> Any:
        if wanted.startswith("__"):
            raise AttributeError(wanted)
        return getattr(import_module(self.__name__), wanted)


class _Unused(ModuleType):
    """Stands in for a module whose classes are named in the library's annotations, and used by nobody here."""

    def __getattr__(self, wanted: str) -> Any:
        if wanted.startswith("__"):
            raise AttributeError(wanted)
        from pydantic.v1 import BaseModel

        made = type(wanted, (BaseModel,), {"__module__": self.__name__})
        setattr(self, wanted, made)
        return made


class _WithoutUnused:
    """Finds stand-ins where the library would import what nobody uses (a finder of sys.meta_path)."""

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: object = None) -> ModuleSpec | None:  # noqa: ARG002 - as the import system calls it
        return ModuleSpec(name, self) if _UNUSED.fullmatch(name) else None  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Unused(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """There is nothing in it."""


@contextmanager
def _stand_ins() -> Iterator[None]:
    """What the library seldom uses, or never, is not imported with it."""
    deferred = [name for name in _SELDOM_USED if name not in sys.modules]
    finder = _WithoutUnused()
    sys.modules |= {name: _Deferred(name) for name in deferred}
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in [*deferred, *(name for name in list(sys.modules) if name.startswith(_EACH))]:
            del sys.modules[name]  # others, and the stand-in itself, find the module


@cache
def load() -> Any:
    """The package; the first call imports it, and others wait for it."""
    with _LOADING:
        return _import()


def _import() -> Any:
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    with warnings.catch_warnings(), _stand_ins():
        warnings.simplefilter("ignore")
        package = import_module("great_expectations")
    # What a metric cannot do comes back as an error and is told by the caller, in words.
    logging.getLogger("great_expectations").setLevel(logging.CRITICAL)
    return package


@cache
def load_ahead() -> None:
    """Begins to import the package beside other work; who needs it sooner waits, and is told what failed."""

    def work() -> None:
        with suppress(Exception):
            load()

    Thread(target=work, name="navette-expectations", daemon=True).start()


def part(module: str) -> Any:
    """A module of the package, by its name inside it."""
    load()
    return import_module(f"great_expectations.{module}")


def expectation(name: str, arguments: Mapping[str, Any], *, batch: str, where: str) -> Expectation:
    """The expectation `name` on the batch with that id. Raises ConfigurationError when the library refuses it."""
    given = {word: value for word, value in arguments.items() if word != "condition_parser"}
    try:
        made = implemented(name)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if isinstance(given.get("row_condition"), str):
                # Text is on its way out of the library; what it becomes there is what is used from here on.
                read = made(batch_id=batch, condition_parser=PARSER, **given)
                given["row_condition"] = read.row_condition
            return made(batch_id=batch, **given)
    except Exception as refused:  # the library's own model may raise anything for arguments nobody planned for
        raise ConfigurationError(
            f"{name}: {_reason(refused)}", where=where, todo="correct this line of `expect`"
        ) from None


@cache
def implemented(name: str) -> Any:
    """The class of the expectation `name`, imported now."""
    registry = part("expectations.registry")
    with _LOADING:
        import_module(_EACH + name)
    return registry.get_expectation_impl(name)


def rule_of(judged: Expectation, said: Mapping[str, Any]) -> str:
    """What the expectation asks, in the library's own words: "values must belong to this set: a, b."."""
    try:
        judged.render()
        content = judged.rendered_content[0].to_json_dict()["value"]
        values = {word: _plain(param["value"]) for word, param in content["params"].items()}
        spaced = re.sub(r"(\$v__\d+) (?=\$v__)", r"\1, ", content["template"].removeprefix("$column "))
        sentence = Template(spaced).safe_substitute(values)
    except Exception:  # words for people; the arguments say it as well
        sentence = ""
    if sentence and judged.expectation_type not in sentence:
        return sentence
    return ", ".join(f"{word}: {value}" for word, value in said.items() if not word.startswith("column"))


def because(error: object) -> str:
    """The first line of what the library says, without the statement or the value lists that may follow."""
    text = str(error).strip()
    if text.startswith("(psycopg."):
        text = text.split(") ", 1)[-1]
    return (text.splitlines() or [""])[0][:300]


def _plain(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _reason(error: Exception) -> str:
    errors = getattr(error, "errors", None)
    if not callable(errors):
        return because(error)
    first = errors()[0]
    place = ".".join(str(part) for part in first["loc"] if part != "__root__")
    return f"{place}: {first['msg']}" if place else str(first["msg"])
