"""What a key may hold, told from the models' own annotations: for messages, so that no second list can go stale."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from mappings.language.node import Path
from mappings.language.strict import Expected, OneOrMore
from mappings.language.words import listed

_PLAIN: dict[Any, str] = {
    str: "text", int: "a whole number", float: "a number", bool: "true or false", type(None): "null",
}


def members(shape: Any) -> Iterator[Any]:
    """The alternatives of a shape, one by one, without `Annotated`."""
    origin = get_origin(shape)
    if origin is Annotated:
        yield from members(get_args(shape)[0])
    elif origin in (Union, types.UnionType):
        for member in get_args(shape):
            yield from members(member)
    else:
        yield shape


def models(shapes: Sequence[Any]) -> list[type[BaseModel]]:
    """The models among the alternatives, those of list items included."""
    found: list[type[BaseModel]] = []
    for shape in shapes:
        for member in members(shape):
            if isinstance(member, type) and issubclass(member, BaseModel):
                found.append(member)
            elif get_origin(member) is tuple:
                found += models([item for item in get_args(member) if item is not ...])
    return found


def keys_of(shapes: Sequence[Any]) -> list[str]:
    """The keys that a mapping here may have, as written in YAML."""
    return list(dict.fromkeys(alias for model in models(shapes) for alias in aliases(model)))


def aliases(model: type[BaseModel]) -> dict[str, Any]:
    """YAML key to annotation, with its metadata."""
    return {
        info.alias or name: Annotated[(info.annotation, *info.metadata)] if info.metadata else info.annotation
        for name, info in model.model_fields.items()
    }


def words_of(shape: Any) -> list[str]:
    """The words that a closed list allows here."""
    found: list[str] = []
    for member in members(shape):
        if get_origin(member) is Literal:
            found += [word for word in get_args(member) if isinstance(word, str)]
        elif get_origin(member) is tuple:
            found += [word for item in get_args(member) if item is not ... for word in words_of(item)]
    return found


def shapes_at(model: type[BaseModel], path: Path) -> list[Any]:
    """The shapes that the value under `path` may have; empty where the language knows no such key."""
    shapes: list[Any] = [model]
    for step in path:
        inner: list[Any] = []
        for shape in shapes:
            for member in members(shape):
                inner += _inside(member, step)
        shapes = inner
    return shapes


def _inside(member: Any, step: str | int) -> list[Any]:
    if isinstance(member, type) and issubclass(member, BaseModel):
        known = aliases(member)
        return [known[str(step)]] if str(step) in known else []
    origin, arguments = get_origin(member), get_args(member)
    if origin is dict:
        return [arguments[1]]
    if origin is tuple and arguments:
        if isinstance(step, int):
            return [arguments[0] if arguments[-1] is ... else arguments[min(step, len(arguments) - 1)]]
        return _inside(arguments[0], step)  # one mapping where a list of one is meant
    return []


def describe(shape: Any) -> str:  # noqa: PLR0911 (one return a shape)
    """The shape in words: "text", "one of in, out or two-way", "a share such as 5%"."""
    if get_origin(shape) is Annotated:
        inner, *metadata = get_args(shape)
        said = [mark.text for mark in metadata if isinstance(mark, Expected)]
        if said:
            return str(said[0])
        text = describe(inner)
        if OneOrMore in metadata and get_origin(inner) is tuple:
            return f"{describe(get_args(inner)[0])}, or a list"
        return text
    origin = get_origin(shape)
    if origin in (Union, types.UnionType):
        said = [describe(member) for member in get_args(shape)]
        return listed(dict.fromkeys(text for text in said if text != "null" or len(said) == 1))
    if origin is Literal:
        words = [word for word in get_args(shape) if isinstance(word, str)]
        return f"one of {listed(words)}" if len(words) > 1 else listed(words)
    if origin is tuple:
        return "a list"
    if origin is dict:
        return "`name: value` lines"
    if isinstance(shape, type) and issubclass(shape, BaseModel):
        said_by_model = getattr(shape, "expected", "")
        return said_by_model or f"a mapping with {listed(aliases(shape), 'and')}"
    if shape is Any or isinstance(shape, typing.TypeVar):
        return "a value"
    return _PLAIN.get(shape, "a value")
