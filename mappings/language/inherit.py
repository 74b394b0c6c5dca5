"""`like` and overlays: one tree laid over another.

Mappings merge, lists and scalars replace. Three rules on top, since half of a choice is no choice:

* the source of a field or of a derived column (`from`, `first`, …) replaces the inherited source;
* a format of another kind replaces the inherited format;
* null under `fields`, `when` or `derive` takes the inherited line away.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace

from mappings.errors import Problem
from mappings.language.field import SOURCES
from mappings.language.node import Entry, Node, walk
from mappings.language.words import did_you_mean

FORMATS = ("csv", "fixed", "excel", "jsonl", "fec")


def merge(base: Node, over: Node, path: tuple[str, ...] = ()) -> Node:
    """`over` laid over `base`; every value keeps the place where it was written."""
    if not (isinstance(base.value, dict) and isinstance(over.value, dict)):
        return over
    inherited = dict(base.value)
    for choice in _choices(path):
        if any(name in over.value for name in choice):
            inherited = {name: entry for name, entry in inherited.items() if name not in choice or name in over.value}
    merged = dict(inherited)
    for name, entry in over.value.items():
        if name in inherited:
            if entry.node.value is None and path[-1:] in (("fields",), ("when",), ("derive",)):
                del merged[name]
                continue
            entry = Entry(entry.key, merge(inherited[name].node, entry.node, (*path, name)))  # noqa: PLW2901 (same key)
        merged[name] = entry
    return Node(over.spot, merged)


def _choices(path: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    if path[-2:-1] in (("fields",), ("derive",)):
        return (SOURCES,)
    return (FORMATS,) if path[-1:] == ("format",) else ()


def inherit(flows: dict[str, Node]) -> tuple[dict[str, Node], list[Problem]]:
    """Every flow with what it is `like` laid under it. A flow whose `like` leads nowhere keeps what it says itself."""
    problems: list[Problem] = []
    done: dict[str, Node] = {}

    def resolve(name: str, chain: tuple[str, ...]) -> Node:
        if name in done:
            return done[name]
        node = flows[name]
        like = node.get("like")
        result = node
        if like is not None and isinstance(like.value, str):
            if like.value in (*chain, name):
                circle = " -> ".join([*(*chain, name)[(*chain, name).index(like.value) :], like.value])
                problems.append(like.spot.problem(f"flows inherit in a circle: {circle}"))
            elif like.value not in flows:
                message = f"like: there is no flow {like.value!r}{did_you_mean(like.value, flows)}"
                problems.append(like.spot.problem(message))
            else:
                result = _under(resolve(like.value, (*chain, name)), node)
        done[name] = result
        return result

    for name in flows:
        resolve(name, ())
    return done, problems


def _under(base: Node, own: Node) -> Node:
    """`abstract` says something of one flow only, so it is not inherited; neither is where that flow inherits from."""
    kept = {name: entry for name, entry in base.entries.items() if name not in ("abstract", "like")}
    return merge(base.with_entries(kept), own)


def named_heirs(of_flows: Iterable[tuple[str, Node, Iterable[Problem]]]) -> Iterator[Problem]:
    """The problems of all flows (name, tree, what is wrong). One that shows in a single flow, which inherits its line,
    tells which flow that is."""
    told = [(name, walk(tree, ("flow",))[1].file, set(problems)) for name, tree, problems in of_flows]
    times = Counter(problem for _, _, problems in told for problem in problems)
    for name, file, problems in told:
        for problem in problems:
            if problem.file == file or times[problem] > 1:
                yield problem
            else:
                yield replace(problem, message=f"{problem.message} (in {name}, {file}, which inherits this line)")
