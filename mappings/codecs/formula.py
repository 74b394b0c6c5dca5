"""The grammar of `compute`: what a formula may say, and which columns it names.

::

    QTY * PRICE * (1 - DISCOUNT / 100)          arithmetic over columns, numbers with a point
    coalesce(`Prix remisé`, PRICE)              names that are no single word stand in backquotes
    round(HOURS / 60, 2) > 8                    comparison gives a boolean
    KIND == 'C'                                 text is compared as it stands in the source, trimmed
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import lru_cache

from mappings.errors import ConfigurationError
from mappings.language.derived import Naming

_TOKEN = re.compile(
    r"""(?P<text>'[^']*'|"[^"]*")|`(?P<quoted>[^`]+)`|(?P<number>\d+(?:\.\d+)?)|(?P<name>\$?[^\W\d]\w*(?:\.\w+)*(?:\#\d+)?)"""
)
_PLACE = re.compile(r"\b_(\d+)\b")
FUNCTIONS = {"coalesce": (1, 99), "round": (2, 2)}
OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.Div)
COMPARISONS = (ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE)


@dataclass(frozen=True)
class Formula:
    """A checked expression; its names stand in the tree as `_0`, `_1` …, the positions in `columns`."""

    tree: ast.expr
    columns: tuple[str, ...]


def names_in(expression: str) -> tuple[str, ...]:
    """The columns that a formula names, in order, once each."""
    derived = expression.derived if isinstance(expression, Naming) else {}
    return tuple(derived.get(name, name) for name in formula(expression).columns)


@lru_cache(maxsize=256)
def formula(expression: str) -> Formula:
    """The checked formula; raises ConfigurationError that says what is not allowed in it."""
    columns: list[str] = []

    def place(found: re.Match[str]) -> str:
        name = found["quoted"] or found["name"]
        if name is None or (found["name"] in FUNCTIONS and expression[found.end() :].lstrip().startswith("(")):
            return found[0]
        if name not in columns:
            columns.append(name)
        return f"_{columns.index(name)}"

    text = _TOKEN.sub(place, expression).strip().replace("\n", " ")  # YAML breaks long texts into lines
    said = _Said(expression, text, columns)
    if not text:
        raise said.refused("it is empty")
    try:
        tree = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError) as error:
        at = (getattr(error, "offset", None) or 0) - 1
        rest = said.as_written(text[at:]) if at >= 0 else ""
        raise said.refused(f"it cannot be read from {rest!r} on" if rest else
                           "it stops too early: a value or a ')' is missing at its end") from error
    _check(tree, said)
    return Formula(tree, tuple(columns))


@dataclass(frozen=True)
class _Said:
    """A formula as it is written, and as the parser sees it: `_0` stands for the first of `columns`."""

    expression: str
    text: str
    columns: list[str]

    def as_written(self, part: str) -> str:
        """A part of what the parser sees, with the columns' own names."""
        return _PLACE.sub(lambda found: self.columns[int(found[1])], part)

    def refused(self, why: str) -> ConfigurationError:
        return ConfigurationError(
            f"the formula {self.expression.strip()!r}: {why}",
            todo="A formula has columns (in backquotes where they are not one word), numbers, text in quotes, "
            "+ - * / ( ), one comparison, coalesce(a, b) and round(x, digits).",
        )

    def not_allowed(self, node: ast.expr) -> ConfigurationError:
        part = ast.get_source_segment(self.text, node) or ast.unparse(node)
        return self.refused(f"{self.as_written(part)!r} is not allowed in it")


def _check(node: ast.expr, said: _Said) -> None:
    match node:
        case ast.BinOp(left=left, op=op, right=right) if isinstance(op, OPERATORS):
            inner = [left, right]
        case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=operand):
            inner = [operand]
        case ast.Compare(left=left, ops=[op], comparators=[right]) if isinstance(op, COMPARISONS):
            if is_text(left) or is_text(right):
                _check_text(left, op, right, said)
                return
            inner = [left, right]
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name in FUNCTIONS:
            least, most = FUNCTIONS[name]
            if not least <= len(arguments) <= most:
                raise said.refused(f"{name} takes {least if least == most else 'one or more'} values")
            if name == "round" and not _is_count(arguments[1]):
                raise said.refused("the second value of round is a number of digits from 0 to 12")
            inner = arguments[:1] if name == "round" else arguments
        case ast.Name(id=name) if re.fullmatch(r"_\d+", name):
            inner = []
        case ast.Constant(value=value) if isinstance(value, int | float) and not isinstance(value, bool):
            inner = []
        case _:
            raise said.not_allowed(node)
    for child in inner:
        _check(child, said)


def _check_text(left: ast.expr, op: ast.cmpop, right: ast.expr, said: _Said) -> None:
    sides = [side for side in (left, right) if not is_text(side)]
    if len(sides) != 1 or not isinstance(sides[0], ast.Name) or not isinstance(op, ast.Eq | ast.NotEq):
        raise said.refused("text is compared with one column, by == or !=")


def is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _is_count(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, int) and 0 <= node.value <= 12
