"""docs/json.md tells what commands answer with `--json`: every key that comes out, and none that never does."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
import typer

from pipelines.cli.app import whole
from tests.both_ways_desk import ERP_TABLES, outside
from tests.http_desk import ENV
from tests.json_desk import Asked, make_script

pytestmark = pytest.mark.slow  # it asks every command

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "json.md").read_text("utf-8")
Path_ = tuple[str, ...]
"""Steps into an answer: a key, or [] for the items of a list."""
KINDS = {"text": str, "boolean": bool, "object": dict, "list": list}


@dataclass(frozen=True)
class Told:
    """What the document says of one key: its types, and the heading under which its own keys are."""

    types: tuple[str, ...]
    link: str | None

    def fits(self, value: Any) -> bool:
        return any(_is(value, name) for name in self.types)


@dataclass
class Document:
    """The document, read. `seen`: what came out, by heading and first key."""

    keys: dict[str, dict[Path_, Told]]
    seen: set[tuple[str, str]] = field(default_factory=set)

    def find(self, heading: str, path: Path_) -> Told | None:
        """What is told of the key; names in capitals stand for any."""
        known = self.keys[heading]
        if path in known:
            return known[path]
        if (*path, "[]") in known:
            return Told(("list",), None)
        fitting = (told for shown, told in known.items() if len(shown) == len(path) and all(
            one == other or one.isupper() for one, other in zip(shown, path, strict=True)))
        return next(fitting, None)

    def faults(self, heading: str, value: Any, path: Path_ = ()) -> Iterator[str]:
        """Keys of the answer that are not told under the heading, or otherwise."""
        told = self.find(heading, path) if path else Told(("object",), None)
        where = f"{heading}: {'.'.join(path)}"
        if told is None or not told.fits(value):
            yield f"{where} is not told" if told is None else f"{where} is {value!r}"
            return
        if len(path) == 1:
            self.seen.add((heading, path[0]))
        if "any" in told.types:
            return
        for step, each in _steps(value):
            own = told.link is None or self.find(heading, (*path, step)) is not None
            yield from self.faults(heading if own else str(told.link), each, (*path, step) if own else (step,))


def _steps(value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return list(value.items())
    return [("[]", each) for each in value] if isinstance(value, list) else []


def _is(value: Any, name: str) -> bool:
    if name == "any":
        return True
    if value is None or name == "null":
        return value is None and name == "null"
    if name == "number":
        return isinstance(value, int | float) and not isinstance(value, bool)
    if name == "time":
        return isinstance(value, str) and datetime.fromisoformat(value).tzinfo is not None
    return isinstance(value, KINDS[name])


def read_document() -> Document:
    headings = {anchor(part.split("\n", 1)[0]): part for part in re.split(r"^## ", TEXT, flags=re.MULTILINE)[1:]}
    keys = {heading: dict(_rows(part)) for heading, part in headings.items()}
    for heading, part in headings.items():
        for other in re.findall(r"^All keys of \[[^]]+\]\(#([a-z-]+)\)", part, re.MULTILINE):
            keys[heading] = keys[other] | keys[heading]
    return Document(keys)


def _rows(part: str) -> Iterator[tuple[Path_, Told]]:
    for path, types in re.findall(r"^\| `([^`]+)` \| ([^|]+) \| [^|]+ \|$", part, re.MULTILINE):
        link = re.search(r"\(#([a-z-]+)\)", types)
        names = re.sub(r"\[[^]]+\]\([^)]+\)", "object", types).split(" or ")
        yield tuple(re.sub(r"\[\]", ".[]", path).split(".")), Told(tuple(names), link[1] if link else None)


def anchor(heading: str) -> str:
    return heading.strip().lower().replace("'", "").replace(" ", "-")


@pytest.fixture(scope="module")
def asked(server: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Asked]]:
    stores = []

    def new_store(project: Any) -> Any:
        stores.append(server.new_store(project))
        return stores[-1]

    script = make_script(tmp_path_factory.mktemp("json"), outside(server, "out_erp", ERP_TABLES, "customer"), new_store)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("pipelines.hub.open_hub", lambda *_: script.road.hub)
        patched.setattr("crm_store.store.Store.open", lambda *_: script.road.store)
        for name, value in ENV.items():
            patched.setenv(name, value)
        yield script.everything()
    server.drop(stores[0])


def test_every_key_that_comes_out_is_told_and_every_one_that_is_told_comes_out(asked: list[Asked]) -> None:
    document = read_document()
    faults = {fault for one in asked for fault in document.faults(anchor(one.shape), one.answer)}
    assert faults == set()
    told = {(heading, path[0]) for heading, keys in document.keys.items() for path in keys if not path[0].isupper()}
    assert told - document.seen == set()


def test_every_command_that_has_json_is_in_the_document_and_was_asked(asked: list[Asked]) -> None:
    having = set(_commands(typer.main.get_command(whole())))
    table = re.findall(r"^\| (`.*?) \| \[", TEXT.split("\n## ", 1)[0], re.MULTILINE)
    named = {name for cell in table for name in re.findall(r"`([^`]+)`", cell) if not name.startswith("--")}
    assert named == having
    assert {name for name in having if not any(one.words[: len(name.split())] == tuple(name.split()) for one in asked)
            } == set()


def _commands(command: Any, before: str = "") -> Iterator[str]:
    if hasattr(command, "commands"):
        for name, each in command.commands.items():
            yield from _commands(each, f"{before} {name}".strip())
    elif any("--json" in option.opts for option in command.params):
        yield before


def test_examples_are_what_the_document_tells() -> None:
    document = read_document()
    examples: Mapping[str, Any] = {
        anchor(part.split("\n", 1)[0]): orjson.loads(found[1])
        for part in re.split(r"^## ", TEXT, flags=re.MULTILINE)[1:]
        if (found := re.search(r"^```json\n(.*?)^```", part, re.MULTILINE | re.DOTALL))
    }
    assert set(examples) == set(document.keys)
    assert [fault for heading, answer in examples.items() for fault in document.faults(heading, answer)] == []
