"""`compute`: a formula over a row's columns, worked out in exact decimals.

A blank operand makes the result blank (`coalesce` fills it), division by zero refuses the row, and the result is
rounded half up to the digits that the field keeps.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Context, Decimal, localcontext
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from mappings.codecs.cells import Cells, Mask, any_of, blank_to_null, judged, mask_of, present
from mappings.codecs.columns import trimmed_cells
from mappings.codecs.formula import Formula, formula, is_text, names_in
from mappings.codecs.numbers import canonical
from mappings.codecs.reading import PRECISION, Reading, Refusal, Rule

Objects = NDArray[np.object_]
_EXACT = Context(prec=60, rounding=ROUND_HALF_UP)
_OPERATIONS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
}
_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}


@dataclass
class _Work:
    """One evaluation: the columns read so far, and why rows cannot be worked out."""

    frame: pd.DataFrame
    expression: str
    what: Formula
    columns: tuple[str, ...]
    variables: Mapping[str, str]
    sign: str | None
    read: dict[str, Objects] = field(default_factory=dict)
    refusals: list[Refusal] = field(default_factory=list)

    def refuse(self, where: Mask, code: str, cells: Cells | None = None, **params: str) -> None:
        where = where & ~self.refused(code, params)
        if where.any():
            self.refusals.append(Refusal(where, code, params, cells))

    def refused(self, code: str, params: Mapping[str, str]) -> Mask:
        """Rows that are refused for this already: a formula may divide twice."""
        return any_of(len(self.frame), [r.where for r in self.refusals if (r.code, r.params) == (code, params)])

    def cells(self, name: str, sign: str | None = None) -> Cells:
        return blank_to_null(trimmed_cells(self.frame, self.columns[int(name[1:])], self.variables, sign or "."))


def computed(
    frame: pd.DataFrame, rule: Rule, variables: Mapping[str, str]
) -> tuple[Reading, bool]:
    """The formula's values (decimals of the field's scale, or booleans), and whether they are booleans."""
    expression = rule.map.compute or ""
    work = _Work(frame, expression, formula(expression), names_in(expression), variables, rule.sign)
    with localcontext(_EXACT):
        values = _value(work.what.tree, work)
    refusals = list(work.refusals)
    refused = any_of(len(frame), [refusal.where for refusal in refusals])
    if isinstance(work.what.tree, ast.Compare):
        return Reading(pa.array(values, pa.bool_(), mask=refused | _missing(values)), tuple(refusals)), True
    scale = 0 if rule.spec.type == "number" else rule.spec.scale
    rounded, large = _rounded(values, scale)
    if (large & ~refused).any():
        limit = f"{10 ** (PRECISION - scale) - 1}"
        refusals.append(Refusal(large & ~refused, "out_of_range", {"min": f"-{limit}", "max": limit}))
    out = pa.array(rounded, pa.decimal128(PRECISION, scale), mask=refused | large | _missing(values))
    return Reading(out, tuple(refusals)), False


def _value(node: ast.expr, work: _Work) -> Objects:  # noqa: PLR0911 - one return for each shape of the grammar
    rows = len(work.frame)
    match node:
        case ast.Name(id=name):
            return _column(name, work)
        case ast.Constant(value=value):
            return np.full(rows, Decimal(str(value)), dtype=object)
        case ast.UnaryOp(op=op, operand=operand):
            number = _number(operand, work)
            return _apply(operator.neg, number) if isinstance(op, ast.USub) else number
        case ast.BinOp(left=left, op=op, right=right):
            first, second = _number(left, work), _number(right, work)
            if isinstance(op, ast.Div):
                zero = _true(_apply(operator.not_, second))
                work.refuse(zero & ~_missing(first), "compute", expression=work.expression, detail="division by zero")
                second = _without(second, zero)
            return _apply(_OPERATIONS[type(op)], first, second)
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            if is_text(left) or is_text(right):
                return _compared_text(left, op, right, work)
            return _apply(_COMPARISONS[type(op)], _number(left, work), _number(right, work))
        case ast.Call(func=ast.Name(id="round"), args=[inner, ast.Constant(value=digits)]):
            return _apply(partial(_round, unit=Decimal(1).scaleb(-int(str(digits)))), _number(inner, work))
        case ast.Call(args=arguments):
            result = _number(arguments[0], work)
            for other in arguments[1:]:
                result = np.where(_missing(result), _number(other, work), result)
            return result
    raise TypeError(ast.dump(node))  # formula() lets nothing else through


def _number(node: ast.expr, work: _Work) -> Objects:
    value = _value(node, work)
    return _apply(Decimal, value) if isinstance(node, ast.Compare) else value


def _column(name: str, work: _Work) -> Objects:
    if name not in work.read:
        cells = work.cells(name, work.sign)
        numbers = canonical(cells, work.sign)
        work.refuse(present(cells) & ~present(numbers), "compute_text", cells, expression=work.expression,
                    column=work.what.columns[int(name[1:])])
        coded = numbers.dictionary_encode()
        distinct = np.array([Decimal(text) for text in coded.dictionary.to_pylist()] + [None], dtype=object)
        work.read[name] = distinct[coded.indices.fill_null(len(distinct) - 1).to_numpy()]
    return work.read[name]


def _compared_text(left: ast.expr, op: ast.cmpop, right: ast.expr, work: _Work) -> Objects:
    column, text = (right, left) if is_text(left) else (left, right)
    if not isinstance(column, ast.Name) or not isinstance(text, ast.Constant):
        raise TypeError(ast.dump(column))  # formula() lets nothing else through
    cells = work.cells(column.id)
    same = mask_of(judged(cells, lambda cell: cell == text.value, pa.bool_()))
    return _without((same if isinstance(op, ast.Eq) else ~same).astype(object), ~present(cells))


def _apply(function: Callable[..., Any], *operands: Objects) -> Objects:
    """The function of every row whose operands are all there; None elsewhere."""
    full = ~np.logical_or.reduce([_missing(operand) for operand in operands])
    result = np.full(len(full), None, dtype=object)
    if full.any():
        result[full] = np.frompyfunc(function, len(operands), 1)(*[operand[full] for operand in operands])
    return result


def _missing(values: Objects) -> Mask:
    return np.asarray(np.frompyfunc(lambda value: value is None, 1, 1)(values), dtype=bool)


def _true(values: Objects) -> Mask:
    return np.asarray(np.frompyfunc(lambda value: value is True, 1, 1)(values), dtype=bool)


def _without(values: Objects, where: Mask) -> Objects:
    kept = values.copy()
    kept[where] = None
    return kept


def _round(value: Decimal, unit: Decimal) -> Decimal:
    # Numbers far beyond what a field holds have no digits to round; they are refused in the end.
    return value if value.adjusted() > PRECISION else value.quantize(unit, rounding=ROUND_HALF_UP)


def _rounded(values: Objects, scale: int) -> tuple[Objects, Mask]:
    limit, unit = Decimal(10) ** (PRECISION - scale), Decimal(1).scaleb(-scale)
    large = _apply(lambda value: abs(value) + unit >= limit, values)
    far = _true(large)
    with localcontext(_EXACT):
        return _apply(partial(_round, unit=unit), _without(values, far)), far


__all__ = ["computed", "names_in"]
