"""Reading YAML 1.2 with the line and column of every key and value; whatever is wrong becomes a Problem.

A value is read as the core schema of YAML says, with one rule on top: a plain scalar is a number, true, false or null
only if it is written the way Navette would write it. So `007`, `1.10`, `1e5`, `NULL` and `yes` stay text: they are
codes more often than numbers, and where a number is expected, text that holds one is taken.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml import events as ev
from ruamel.yaml.error import MarkedYAMLError

from mappings.errors import Problem
from mappings.language.node import Entry, Node, Scalar, Spot

LARGEST = 2_000_000  # bytes of one file; a mapping written by hand has a few thousand
DEEPEST = 50
MOST_VALUES = 200_000  # after aliases were followed: ten lines of nested aliases can mean a billion values

_INTEGER = re.compile(r"-?(0|[1-9]\d{0,14})")
_FLOAT = re.compile(r"-?(0|[1-9]\d{0,14})\.\d{1,15}")
_WORDS: dict[str, Scalar] = {"true": True, "false": False, "null": None, "~": None, "": None}
_TAG = "tag:yaml.org,2002:"


class _Stop(Exception):
    """The rest of the file cannot be understood; carries the problem that says so."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


def read_yaml(path: Path, shown_as: str) -> tuple[Node | None, list[Problem]]:
    """The mapping in the file, as far as it can be understood (else None), and every problem."""
    start = Spot(shown_as)
    try:
        with path.open("rb") as stream:
            content = stream.read(LARGEST + 1)
    except OSError as error:
        return None, [start.problem(f"cannot be read: {error.strerror or type(error).__name__}")]
    return parse_yaml(content, shown_as)


def parse_yaml(content: bytes, shown_as: str) -> tuple[Node | None, list[Problem]]:
    """As `read_yaml`, for bytes at hand."""
    start = Spot(shown_as)
    if len(content) > LARGEST:
        return None, [start.problem(f"larger than {LARGEST // 1_000_000} MB; a code table belongs in mappings/codes/")]
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        column = error.start - content.rfind(b"\n", 0, error.start)
        bad = content[error.start]
        return None, [Problem(shown_as, line, column, f"byte 0x{bad:02X} is not UTF-8; save the file as UTF-8")]
    builder = _Builder(shown_as, iter(()))
    try:
        builder.events = _events(text, start)
        node = builder.document()
    except _Stop as stop:
        return None, [*builder.problems, stop.problem]
    return node, builder.problems


def _events(text: str, start: Spot) -> Iterator[Any]:
    """One by one, so that nesting too deep stops the parser too: on ten thousand brackets it takes minutes."""
    try:
        yield from YAML(typ="safe", pure=True).parse(text)
    except MarkedYAMLError as error:
        raise _Stop(_explain(error, text, start)) from None
    except Exception as error:  # the parser meets bytes nobody planned for; what it raises then is its own affair
        bad = re.search(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", text)
        if bad:
            line, column = text.count("\n", 0, bad.start()) + 1, bad.start() - text.rfind("\n", 0, bad.start())
            message = f"the character U+{ord(bad.group()):04X} cannot stand in YAML"
            raise _Stop(Problem(start.file, line, column, message)) from None
        raise _Stop(start.problem(f"not valid YAML ({type(error).__name__})")) from None


@dataclass
class _Builder:
    """Turns the parser's events into nodes; iterates, and stops at a depth that no mapping needs."""

    file: str
    events: Iterator[Any]
    problems: list[Problem] = field(default_factory=list)
    anchors: dict[str, tuple[Node, int]] = field(default_factory=dict)

    def spot(self, event: Any) -> Spot:
        return Spot(self.file, event.start_mark.line + 1, event.start_mark.column + 1)

    def document(self) -> Node:
        next(self.events)  # stream start
        if isinstance(next(self.events), ev.StreamEndEvent):
            raise _Stop(Spot(self.file).problem("the file is empty"))
        node, _ = self.node(next(self.events), 0)
        next(self.events)  # document end
        after = next(self.events)
        if not isinstance(after, ev.StreamEndEvent):
            raise _Stop(self.spot(after).problem("a second document begins here; one file holds one (remove the ---)"))
        if not isinstance(node.value, dict):
            message = "the file is empty" if node.value is None else "expected `key: value` lines"
            if isinstance(node.value, str) and ":" in node.value:
                message += "; a colon needs a space after it"
            raise _Stop(node.spot.problem(message))
        return node

    def node(self, event: Any, depth: int) -> tuple[Node, int]:
        """The node that `event` opens, and how many values it stands for."""
        spot = self.spot(event)
        if depth > DEEPEST:
            raise _Stop(spot.problem(f"nested deeper than {DEEPEST} levels"))
        if isinstance(event, ev.AliasEvent):
            if event.anchor not in self.anchors:
                word = "*" + event.anchor
                raise _Stop(spot.problem(f'{word} refers to an anchor &{event.anchor} that is not above; '
                                         f'as text, put it in quotes: "{word}"'))
            return self.anchors[event.anchor]
        tag = event.tag
        if tag not in (None, "!", _TAG + "str", _TAG + "map", _TAG + "seq"):
            raise _Stop(spot.problem(f"tags are not used here (found {str(tag).removeprefix(_TAG)!r}); remove it"))
        if isinstance(event, ev.ScalarEvent):
            built = Node(spot, self.scalar(event, spot)), 1
        elif isinstance(event, ev.SequenceStartEvent):
            built = self.sequence(spot, depth)
        else:
            built = self.mapping(spot, depth)
        if built[1] > MOST_VALUES:
            raise _Stop(spot.problem(f"stands for more than {MOST_VALUES} values once its aliases are followed"))
        if event.anchor:
            self.anchors[event.anchor] = built
        return built

    def scalar(self, event: Any, spot: Spot) -> Scalar:
        text = str(event.value)
        if any(character == "\0" or "\ud800" <= character <= "\udfff" for character in text):
            raise _Stop(spot.problem("holds a character that no text may hold (NUL or half a surrogate pair)"))
        if event.style is not None or event.tag is not None:
            return text
        return resolve(text)

    def sequence(self, spot: Spot, depth: int) -> tuple[Node, int]:
        items: list[Node] = []
        size = 1
        while not isinstance(event := next(self.events), ev.SequenceEndEvent):
            item, item_size = self.node(event, depth + 1)
            items.append(item)
            size += item_size
        return Node(spot, items), size

    def mapping(self, spot: Spot, depth: int) -> tuple[Node, int]:
        entries: dict[str, Entry] = {}
        merged: list[Node] = []
        size = 1
        while not isinstance(event := next(self.events), ev.MappingEndEvent):
            key = self.spot(event)
            if not isinstance(event, ev.ScalarEvent):
                raise _Stop(key.problem("a key must be plain text; put the value in quotes if it begins with [ or {"))
            name = str(event.value)  # as written: the code `01` stays 01, `true` stays true
            node, node_size = self.node(next(self.events), depth + 1)
            size += node_size
            if name == "<<" and event.style is None:
                merged += node.items or [node]
            elif not name and event.style is None:
                self.problems.append(key.problem("a key is missing before the colon"))
            elif name in entries:
                first = entries[name].key
                self.problems.append(key.problem(f"{name!r} stands twice; the first is on line {first.line}"))
            else:
                self.scalar(event, key)
                entries[name] = Entry(key, node)
        for node in merged:
            if not isinstance(node.value, dict):
                self.problems.append(node.spot.problem("<< takes a mapping, or a list of mappings"))
            entries = {**node.entries, **entries}
            size += len(node.entries)
        return Node(spot, entries), size


def resolve(text: str) -> Scalar:
    """A plain scalar's value: a number, true, false or null only if written as Navette writes it."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text) and text != "-0":
        return int(text)
    if _FLOAT.fullmatch(text) and str(float(text)) == text:
        return float(text)
    return text


def _explain(error: MarkedYAMLError, text: str, start: Spot) -> Problem:
    """The parser's finding in the words of somebody who writes mappings."""
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    found = str(error.problem or error.context or "")
    opened = error.context_mark
    message = f"not valid YAML: {found}"
    if unquoted := re.search(r"found character '(\\t|.)' that cannot start", found):
        character = unquoted.group(1)
        if character == "\\t":
            message = "a tab; YAML is indented with spaces"
        else:
            message = f"text that begins with {character} needs quotes"
    elif "mapping values are not allowed" in found:
        message = "a colon is not expected here: check the indentation, or put text that holds ': ' in quotes"
    elif "sequence entries are not allowed" in found:
        message = "a list item is not expected here: begin it on a line of its own, or put text in quotes"
    elif "found unexpected end of stream" in found and opened:
        line, column, message = opened.line + 1, opened.column + 1, "a quote is opened here and never closed"
    elif "expected ',' or" in found and opened:
        bracket = "[" if "']'" in found else "{"
        place = f"line {opened.line + 1}, column {opened.column + 1}"
        message = f"the {bracket} of {place} is not closed, or a comma is missing"
    elif "<block end>" in found or "<document start>" in found:
        rest = text.split("\n")[line - 1][column - 1 :].strip()
        if rest and text.split("\n")[line - 1][: column - 1].strip():
            message = f"unexpected {rest[:30]!r}: put the whole text in quotes (double an apostrophe inside '…')"
        else:
            message = "the indentation fits no line above"
    elif "unknown escape" in found:
        message = f'{found.removeprefix("found ")}: inside "…" write \\\\ for a backslash, or use \'…\''
    return Problem(start.file, line, column, message)
