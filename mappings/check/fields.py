"""The rules of one field: codec and type, what the codec takes, patterns, formulas, codes and fixed values."""

from __future__ import annotations

from collections.abc import Mapping

from mappings.check.literal_values import literal_problem, unfit_values
from mappings.check.places import FlowPlace, IntoPlace, Problems, Step
from mappings.check.regexes import regex_problem
from mappings.check.time_formats import SHORT_YEAR, time_format_problem, written_format_problem
from mappings.codecs.conversion import conversion_problem
from mappings.codecs.durations import SECONDS
from mappings.codecs.into import cell_spec
from mappings.codecs.registry import CODECS, codec_name
from mappings.codecs.single import keeps_any_text
from mappings.language.cron import zone_problem
from mappings.language.entity import FieldSpec
from mappings.language.field import FieldMap, Out
from mappings.language.text import Text
from mappings.language.words import did_you_mean, listed

OWN_OPTIONS = ("format", "century", "decimal", "scale", "round", "region", "timezone", "true", "false", "collapse",
               "case")
"""Keys that only some codecs listen to; the others work on the text before any codec, or on the field itself."""

OF_TEXTS = ("html", "replace", "split", "part", "extract", "pattern", "values")
"""Keys that work on the text of a cell."""

_CURRENCY, _COUNTRY = FieldSpec(format="currency"), FieldSpec(format="country")


def check_fields(place: IntoPlace) -> Problems:
    for name, line in place.into.fields.items():
        spec = place.spec(name)
        if spec is None:
            continue
        held = cell_spec(line, spec, place.project.entities)
        yield from _codec(place, name, line, held)
        yield from _parts(place, name, line, spec)
        yield from _patterns(place, name, line)
        yield from _lists(place, name, line, spec)
        yield from _times(place, name, line, held)
        yield from _fixed(place, name, line, held)
        yield from _codes(place, name, line, held, place.project.codes)


def _codec(place: IntoPlace, name: str, line: FieldMap, spec: FieldSpec) -> Problems:
    if line.as_ is not None and line.as_ not in CODECS:
        hint = did_you_mean(line.as_, CODECS)
        yield place.value("fields", name, "as").problem(f"{name}: there is no codec {line.as_!r}{hint}")
        return
    if line.compute is not None or line.constant is not None:
        what = "a formula" if line.compute is not None else "a constant"
        if line.as_ is not None:
            message = f"{name}: {what} takes no codec; it is a value of the field already"
            yield place.key("fields", name, "as").problem(message)
        for key in OF_TEXTS:
            if place.writes("fields", name, key):
                message = f"{name}: `{key}` means nothing to {what}, which is a value of the field already"
                yield place.key("fields", name, key).problem(message)
        return
    chosen = codec_name(line, spec)
    key_only = spec.type in ("link", "links") and line.as_ is None  # a key is compared as it stands
    if chosen not in CODECS:
        return
    if line.invalid == "as_is" and not keeps_any_text(spec):
        message = f"{name}: a field of type {spec.type} cannot keep a text that it refuses; leave `invalid: as_is` out"
        yield place.key("fields", name, "invalid").problem(message)
    codec = CODECS[chosen]
    if problem := conversion_problem(codec.gives, spec.type):
        yield place.value("fields", name, "as").problem(f"{name}: {problem}")
    for key in OWN_OPTIONS:
        takers = [other for other, known in CODECS.items() if key in known.takes]
        if place.writes("fields", name, key) and takers and (key_only or key not in codec.takes):
            if key == "timezone" and {codec.gives, spec.type} == {"date", "datetime"}:
                continue
            what = "a link" if key_only else f"the codec {chosen}"
            message = f"{name}: `{key}` means nothing to {what}; it belongs to {listed(takers, 'and')}"
            yield place.key("fields", name, key).problem(message)


def _parts(place: IntoPlace, name: str, line: FieldMap, spec: FieldSpec) -> Problems:
    """Currency, unit and region."""
    if spec.type == "money" and line.currency is None:
        message = f"{name}: an amount needs its currency: currency: EUR, or currency: {{from: COLUMN}}"
        yield place.key("fields", name).problem(message)
    elif spec.type == "money" and line.default is not None and line.currency is not None and not line.currency.blank:
        message = f"{name}: a default needs its currency too: currency: {{from: COLUMN, blank: EUR}}"
        yield place.key("fields", name, "default").problem(message)
    for key, kind in (("currency", "money"), ("unit", "quantity")):
        if spec.type != kind and place.writes("fields", name, key):
            message = f"{name}: `{key}` belongs to {kind} fields, not to {spec.type}"
            yield place.key("fields", name, key).problem(message)
    if line.currency is not None and line.currency.blank:
        if literal_problem(line.currency.blank, _CURRENCY, "currency"):
            message = f"{name}: {line.currency.blank!r} is no currency (three letters, ISO 4217)"
            yield place.value("fields", name, "currency", "blank").problem(message)
    elif line.currency is not None and line.currency.from_ is None:
        yield place.value("fields", name, "currency").problem(f"{name}: currency: which? EUR, or {{from: COLUMN}}")
    if codec_name(line, spec) == "duration" and line.unit is not None and line.unit.blank not in SECONDS:
        message = f"{name}: a duration is counted in a unit for all rows: {listed(SECONDS, 'or')}"
        yield place.value("fields", name, "unit").problem(message)
    region = line.region if isinstance(line.region, str) or line.region is None else line.region.blank
    if region is not None and literal_problem(region, _COUNTRY, "region"):
        path = ("fields", name, "region") if isinstance(line.region, str) else ("fields", name, "region", "blank")
        yield place.value(*path).problem(f"{name}: {region!r} is no country; two letters such as FR")


def _patterns(place: IntoPlace, name: str, line: FieldMap) -> Problems:
    if line.pattern is not None and (problem := regex_problem(line.pattern)):
        yield place.value("fields", name, "pattern").problem(f"{name}: {problem}")
    yield from check_text(place, ("fields", name), line)
    if line.cut and line.max is None and _spec_max(place, name) is None:
        yield place.key("fields", name, "cut").problem(f"{name}: cut at which length? Write `max`")


def check_text(place: FlowPlace, path: tuple[Step, ...], text: Text) -> Problems:
    """What prepares a text, below `path`, whose last step is the name of the field or the column."""
    name = path[-1]
    if text.extract is not None and (problem := regex_problem(text.extract)):
        yield place.value(*path, "extract").problem(f"{name}: {problem}")
    if text.replace is not None and "" in text.replace:
        yield place.value(*path, "replace").problem(f"{name}: replace: what is replaced cannot be empty")
    if text.split == "":
        yield place.value(*path, "split").problem(f"{name}: split: which separator?")
    if text.part is not None and text.split is None:
        yield place.key(*path, "part").problem(f"{name}: part of what? Write `split`, the separator")
    if text.part == 0:
        yield place.value(*path, "part").problem(f"{name}: parts count from 1; -1 is the last")


def _spec_max(place: IntoPlace, name: str) -> int | None:
    spec = place.spec(name)
    return spec.max if spec is not None else None


def _lists(place: IntoPlace, name: str, line: FieldMap, spec: FieldSpec) -> Problems:
    many = spec.type in ("choices", "links")
    if line.split is not None and line.part is None and not many:
        message = f"{name} holds one value, and split gives several; say which with `part`"
        yield place.key("fields", name, "split").problem(message)
    if line.many and spec.type != "links":
        yield place.key("fields", name, "many").problem(f"{name}: many belongs to links; {name} is {spec.type}")


def _times(place: IntoPlace, name: str, line: FieldMap, spec: FieldSpec) -> Problems:
    if line.timezone is not None and (problem := zone_problem(line.timezone)):
        yield place.value("fields", name, "timezone").problem(f"{name}: {problem}")
    codec = codec_name(line, spec)
    for position, form in enumerate(line.format or ()):
        if codec in ("date", "datetime") and (
                problem := time_format_problem(form, zoned=codec == "datetime")):
            yield place.value("fields", name, "format", position).problem(f"{name}: {problem}")
    if line.century is not None and not any(SHORT_YEAR in form for form in line.format or ()):
        yield place.key("fields", name, "century").problem(
            f"{name}: century is of years with two digits, and no `format` has {SHORT_YEAR}")
    written = line.out.format if isinstance(line.out, Out) else None
    if written is not None and codec in ("date", "datetime") and (problem := written_format_problem(written)):
        yield place.value("fields", name, "out", "format").problem(f"{name}.out: {problem}")


def _fixed(place: IntoPlace, name: str, line: FieldMap, spec: FieldSpec) -> Problems:
    for key in ("constant", "blank", "default"):
        value = getattr(line, key)
        if value is None or (key == "blank" and value == "keep"):
            continue
        if problem := literal_problem(value, spec, name):
            yield place.value("fields", name, key).problem(f"{problem} ({key})")
    if line.default is not None and name in place.into.defaults:
        message = f"{name} has a default here and under `defaults`; one is enough"
        yield place.key("fields", name, "default").problem(message)


def _codes(
    place: IntoPlace, name: str, line: FieldMap, spec: FieldSpec, tables: Mapping[str, Mapping[str, str]]
) -> Problems:
    if line.else_ is not None and line.values is None:
        message = f"{name}: `else` tells what a code outside `values` means, and there are no `values`"
        yield place.key("fields", name, "else").problem(message)
    if line.values is None:
        return
    if not line.values:
        yield place.value("fields", name, "values").problem(f"{name}: values: which codes?")
    spec = spec.model_copy(update={"type": {"choices": "choice", "links": "link"}.get(spec.type, spec.type)})
    if isinstance(line.values, str):
        table = tables.get(line.values.removeprefix("@"), {})
        for _, unfit in unfit_values(list(dict.fromkeys(table.values())), spec, name):
            yield place.value("fields", name, "values").problem(f"code table {line.values}: {unfit}")
        return
    for code, value in line.values.items():
        if problem := literal_problem(value, spec, name):
            yield place.value("fields", name, "values", code).problem(problem)
