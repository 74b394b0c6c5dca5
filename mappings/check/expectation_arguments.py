"""What a mapping says to an expectation: whether it can be meant so, and its values as the fields hold them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from typing import Any

from mappings.check.expectations import EVERY, KNOWN, REFUSED, Known, judges_rows
from mappings.language.entities import SECOND_COLUMN, Entity
from mappings.language.words import did_you_mean, listed
from mappings.words import FieldType

PARSER = "great_expectations"
CONDITION = re.compile(r"""\s*col\(\s*(?:"([^"]*)"|'([^']*)')\s*\)\s*(?:\.notnull\(\)|[<>!=]=?)""")
NUMBERS: tuple[FieldType, ...] = ("number", "decimal", "money", "quantity")
_SEVERITIES = ("critical", "warning", "info")
_REGEX = ("regex", "regex_list")
_LIMITS = ("min_value", "max_value")
_CONDITION_FORM = "'col(\"type\") == \"customer\"'"


def columns_of_entity(entity: Entity) -> dict[str, FieldType]:
    """Every name that an expectation may look at, with its type: fields, currencies, units, type, family, archived."""
    columns: dict[str, FieldType] = {"type": "text", "family": "text", "archived": "boolean"}
    for name, spec in entity.fields.items():
        columns[name] = spec.type
        if spec.type in SECOND_COLUMN:
            columns[f"{name}_{SECOND_COLUMN[spec.type]}"] = "text"
    return columns


def fields_judged(name: str, arguments: Mapping[str, Any]) -> tuple[str, ...]:
    """The fields that the expectation judges, in order, once each."""
    judged: list[str] = []
    for parameter in KNOWN[name].columns:
        given = arguments.get(parameter)
        several = given if isinstance(given, list | tuple) else [] if given is None else [given]
        judged += [str(column) for column in several]
    return tuple(dict.fromkeys(judged))


def columns_named(name: str, arguments: Mapping[str, Any]) -> tuple[str, ...]:
    """The fields that the expectation looks at: those it judges, then those of its row_condition."""
    return tuple(dict.fromkeys([*fields_judged(name, arguments), *condition_columns(arguments.get("row_condition"))]))


def condition_columns(condition: Any) -> tuple[str, ...]:
    """The fields that a row_condition looks at: `col("type") == "customer"`, or the same as a mapping."""
    if isinstance(condition, str):
        found = CONDITION.match(condition)
        return (found.group(1) or found.group(2),) if found else ()
    if isinstance(condition, Mapping):
        column = condition.get("column")
        here = (str(column["name"]),) if isinstance(column, Mapping) and "name" in column else ()
        below = [condition_columns(part) for part in condition.get("conditions") or ()]
        return tuple(dict.fromkeys([*here, *(name for names in below for name in names)]))
    return ()


def faults_of(name: str, arguments: Mapping[str, Any], columns: Mapping[str, FieldType]) -> Iterator[str]:
    """What is wrong with one entry of `expect`, in sentences; `columns`: the names it may look at, with their types."""
    if name in REFUSED:
        yield f"{name} cannot be had here: {REFUSED[name]}"
        return
    known = KNOWN.get(name)
    if known is None:
        yield f"there is no expectation {name!r}{did_you_mean(name, KNOWN)}"
        return
    takes = (*known.needs, *known.takes, *EVERY)
    for word in arguments:
        if word not in takes:
            yield f"{name} takes no {word!r}{did_you_mean(word, takes)}"
    for word in known.needs:
        if arguments.get(word) is None:
            yield f"{name} needs {word!r}"
    if known.one_of and all(arguments.get(word) is None for word in known.one_of):
        yield f"{name} needs {listed(known.one_of)}"
    yield from _columns(name, known, arguments, columns)
    yield from _common(name, known, arguments)
    for parameter in (word for word in known.values if arguments.get(word) is not None):
        yield from _values(name, parameter, arguments, columns)
    yield from _regexes(name, arguments)


def typed(name: str, arguments: Mapping[str, Any], columns: Mapping[str, FieldType]) -> dict[str, Any]:
    """The arguments with every value of a field as that field holds it; those of other parameters as they stand.

    Text stays text (`value_set: [1]` for a text field is ['1']), numbers become int or float, dates `date`, times
    `datetime` with a zone (UTC where none is written). Raises ValueError with a sentence.
    """
    given = {word: value for word, value in arguments.items() if value is not None}
    known = KNOWN[name]
    for parameter in (word for word in known.values if word in given):
        value = given[parameter]
        if parameter == "value_pairs_set":
            kinds = [columns[given["column_A"]], columns[given["column_B"]]]
            given[parameter] = [
                tuple(_typed(item, kind) for item, kind in zip(pair, kinds, strict=True)) for pair in value
            ]
        elif isinstance(value, list | tuple):
            given[parameter] = [_typed(item, columns[given["column"]]) for item in value]
        else:
            given[parameter] = _typed(value, columns[given["column"]])
    return given


def _typed(value: Any, kind: FieldType) -> Any:
    """One value of the mapping as a field of that type holds it."""
    if value is None:
        return None
    if not isinstance(value, str | int | float):
        raise ValueError(f"{value!r} is not a single value")  # noqa: TRY004 (a mistake in a mapping, not in a call)
    if kind in NUMBERS:
        return _number(value)
    if kind == "boolean":
        if isinstance(value, bool):
            return value
        raise ValueError(f"{value!r} is not true or false")
    if kind == "date":
        return _moment(value, "date, such as 2026-11-22", date.fromisoformat)
    if kind == "datetime":
        return _moment(value, "time, such as 2026-11-22T08:30:00+01:00", _datetime)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _number(value: Any) -> int | float:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    try:
        text = str(value)
        number = int(text) if re.fullmatch(r"[+-]?\d{1,18}", text) else float(text)
    except ValueError:
        raise ValueError(f"{value!r} is not a number") from None
    if not math.isfinite(number):
        raise ValueError(f"{value!r} is not a number")
    return number


def _datetime(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _moment(value: Any, what: str, read: Any) -> Any:
    try:
        return read(str(value))
    except ValueError:
        raise ValueError(f"{value!r} is not a {what}") from None


def _columns(
    name: str, known: Known, arguments: Mapping[str, Any], columns: Mapping[str, FieldType]
) -> Iterator[str]:
    for parameter in known.columns:
        given = arguments.get(parameter)
        several = [str(column) for column in given] if isinstance(given, list | tuple) else []
        if parameter == "column_list" and given is not None and len(several) < 2:
            yield f"{name}: column_list is a list of at least two fields"
        elif parameter == "column_list" and len(set(several)) < len(several):
            yield f"{name}: column_list names a field twice"
        elif parameter != "column_list" and given is not None and not isinstance(given, str):
            yield f"{name}: {parameter} is the name of one field"
    for column in columns_named(name, arguments):
        if column not in columns:
            yield f"{name}: there is no field {column!r}{did_you_mean(column, columns)}"
    kinds = {column: _kind(columns[column]) for column in fields_judged(name, arguments) if column in columns}
    on_run = not judges_rows(name, arguments)
    for column, kind in kinds.items():
        if known.of == "number" and kind != "number":
            yield f"{name} judges numbers; {column} is {columns[column]}"
        if known.of == "text" and on_run and kind != "text":
            yield f"{name} judges text when it looks at the whole run; {column} is {columns[column]}"
    compared = len(known.columns) == 2 or name == "expect_multicolumn_values_to_be_equal"
    if compared and "value_pairs_set" not in known.needs and len(set(kinds.values())) > 1:
        yield f"{name} compares like with like; {listed((f'{c} is {columns[c]}' for c in kinds), 'and')}"


def _kind(kind: FieldType) -> str:
    if kind in NUMBERS:
        return "number"
    return {"date": "time", "datetime": "time", "boolean": "boolean"}.get(kind, "text")


def _common(name: str, known: Known, arguments: Mapping[str, Any]) -> Iterator[str]:
    mostly = arguments.get("mostly")
    share = mostly is None or (isinstance(mostly, int | float) and not isinstance(mostly, bool) and 0 <= mostly <= 1)
    if not share:
        yield f"{name}: mostly is a share from 0 to 1, such as 0.95"
    elif not known.run and not judges_rows(name, arguments):
        yield f"{name} takes no mostly: shares are judged on the whole run by PostgreSQL, which cannot judge this"
    if arguments.get("severity", "critical") not in _SEVERITIES:
        yield f"{name}: severity is {listed(_SEVERITIES)}"
    parser, condition = arguments.get("condition_parser"), arguments.get("row_condition")
    if parser not in (None, PARSER):
        yield f"{name}: condition_parser can only be {PARSER}, with row_condition: {_CONDITION_FORM}"
    elif condition is not None and not condition_columns(condition):
        yield f"{name}: row_condition is written {_CONDITION_FORM}, or with < <= > >= !=, or col(\"x\").notnull()"


def _values(
    name: str, parameter: str, arguments: Mapping[str, Any], columns: Mapping[str, FieldType]
) -> Iterator[str]:
    given = arguments[parameter]
    if parameter == "value_set" and not isinstance(given, list | tuple):
        yield f"{name}: value_set is a list, such as [a, b]"
    elif parameter in _LIMITS and isinstance(given, list | tuple):
        yield f"{name}: {parameter} is a single value"
    elif parameter == "value_pairs_set" and not (
        isinstance(given, list | tuple) and all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in given)
    ):
        yield f"{name}: value_pairs_set is a list of pairs, such as [[FR, EUR], [CH, CHF]]"
    elif all(columns.get(str(arguments.get(word))) for word in KNOWN[name].columns):  # else it is told already
        alone = {word: arguments[word] for word in (*KNOWN[name].columns, parameter)}
        try:
            held = typed(name, alone, columns)[parameter]
        except ValueError as wrong:
            yield f"{name}: {parameter}: {wrong}"
            return
        if parameter in _LIMITS:
            yield from _limit(name, parameter, held, arguments, columns)


def _limit(
    name: str, parameter: str, held: Any, arguments: Mapping[str, Any], columns: Mapping[str, FieldType]
) -> Iterator[str]:
    column = arguments["column"]
    if isinstance(held, bool) or not isinstance(held, int | float | date):
        yield f"{name} compares numbers, dates and times; {column} is {columns[column]}"
        return
    if parameter == "max_value" and isinstance(arguments.get("min_value"), str | int | float):
        try:
            low: Any = typed(name, {"column": column, "min_value": arguments["min_value"]}, columns)["min_value"]
        except ValueError:
            return  # told already
        if low > held:
            yield f"{name}: min_value {low} is larger than max_value {held}"


def _regexes(name: str, arguments: Mapping[str, Any]) -> Iterator[str]:
    for parameter in _REGEX:
        given = arguments.get(parameter)
        if given is None:
            continue
        if parameter == "regex_list" and not (isinstance(given, list | tuple) and given):
            yield f"{name}: regex_list is a list, such as ['^A', '^B']"
            continue
        for regex in given if isinstance(given, list | tuple) else [given]:
            try:
                re.compile(str(regex))
            except re.error as wrong:
                yield f"{name}: {regex!r} is not a regular expression: {wrong}"
