"""Single values: pattern, code table, codec, and the limits of the field that takes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mappings.codecs.cells import TEXT, Cells, Mask, any_of, blank_to_null, nulled, picked, placed, present
from mappings.codecs.choice import among
from mappings.codecs.conversion import HOLDS, converted
from mappings.codecs.keys import link_keys
from mappings.codecs.reading import Codec, Reading, Refusal, Rule, arrow_type
from mappings.codecs.registry import codec_of
from mappings.codecs.source_value import mismatched
from mappings.codecs.text import fitted
from mappings.codecs.values import Lookup
from mappings.errors import ConfigurationError

if TYPE_CHECKING:
    from mappings.language.entity import FieldSpec
    from mappings.language.strict import Column

LINKS = ("link", "links")


@dataclass(frozen=True)
class Setting:
    """What single values are decoded in: the field's name and rule, its code table, and what rows and files add."""

    name: str
    rule: Rule
    table: Mapping[str, Any] | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    shape: Sequence[Column] | None = None  # of the key that a link refers to
    regions: Cells | None = None  # the country of each cell, where the mapping takes it from a column

    def of_items(self, owners: Any) -> Setting:
        """The setting for the items of lists, each beside its owner's region."""
        return self if self.regions is None else replace(self, regions=self.regions.take(pa.array(owners)))


def decode_values(cells: Cells, setting: Setting) -> tuple[Any, tuple[Refusal, ...], Mask]:
    """The values, the refusals, and which cells say nothing (`else: keep`); cells are prepared, blanks may be ''."""
    rule = setting.rule
    cells = blank_to_null(cells)
    unsaid = np.zeros(len(cells), bool)
    refusals: list[Refusal] = []
    strange = mismatched(cells, rule.map)
    if strange.any():
        refusals.append(Refusal(strange, "pattern", {"pattern": rule.map.pattern}))
        cells = nulled(cells, strange)
    if setting.table is None:
        reading = _coded(cells, setting)
        return reading.values, (*refusals, *reading.refusals), unsaid
    looked = Lookup(cells, _single_rule(rule), setting.table, setting.name)
    values = looked.values
    if rule.spec.type in LINKS:
        values = link_keys([values], setting.shape, setting.variables)
    refusals += looked.refusals
    if looked.rest is not None and present(looked.rest).any():
        reading = _coded(looked.rest, setting)
        values = placed(values, looked.unknown, picked(reading.values, looked.unknown))
        refusals += reading.refusals
    return values, tuple(refusals), unsaid if looked.kept is None else looked.kept


def _coded(cells: Cells, setting: Setting) -> Reading:
    """What the codec makes of the cells, as the field holds it and within the field's limits."""
    rule = setting.rule
    values: Any = cells
    refusals: tuple[Refusal, ...] = ()
    if rule.spec.type not in LINKS or rule.map.as_ is not None:
        codec = codec_of(rule.map, rule.spec)
        decoded = _by_region(codec, cells, setting)
        fitting = converted(decoded.values, codec.gives, rule)
        values, refusals = fitting.values, (*decoded.refusals, *fitting.refusals)
        if rule.map.invalid == "as_is" and refusals:
            values, refusals = _as_it_stands(values, cells, refusals, rule), ()
        limited = _limited(values, rule)
        values, refusals = limited.values, (*refusals, *limited.refusals)
    if rule.spec.type in LINKS:
        values = link_keys([values], setting.shape, setting.variables)
    return Reading(values, refusals)


def _by_region(codec: Codec, cells: Cells, setting: Setting) -> Reading:
    """The codec, once for each country that the rows are of."""
    if setting.regions is None or "region" not in codec.takes:
        return codec.decode(cells, setting.rule)
    values = pa.nulls(len(cells), arrow_type(codec.gives, setting.rule.spec.scale))
    refusals: list[Refusal] = []
    filled = setting.regions.fill_null("")
    for region in pc.unique(filled).to_pylist():
        here = pc.equal(filled, region).to_numpy(zero_copy_only=False)
        reading = codec.decode(picked(cells, here), replace(setting.rule, region=region or None))
        values = placed(values, here, reading.values)
        for refusal in reading.refusals:
            where = np.zeros(len(cells), bool)
            where[here] = refusal.where
            refusals.append(replace(refusal, where=where))
    return Reading(values, tuple(refusals))


def keeps_any_text(spec: FieldSpec) -> bool:
    """Whether the field can keep a text that its codec refuses."""
    return HOLDS[spec.type] == "text" and not spec.values


def _as_it_stands(values: Any, cells: Cells, refusals: tuple[Refusal, ...], rule: Rule) -> Cells:
    if not keeps_any_text(rule.spec):
        raise ConfigurationError(
            f"a field of type {rule.spec.type} cannot keep a text that it refuses",
            todo="Leave `invalid: as_is` out, or make the field a text.",
        )
    refused = any_of(len(cells), [refusal.where for refusal in refusals])
    return placed(values, refused, picked(cells, refused))


def _limited(values: Any, rule: Rule) -> Reading:
    if values.type != TEXT:
        return Reading(values)
    return among(values, rule) if rule.spec.type in ("choice", "choices") else fitted(values, rule)


def _single_rule(rule: Rule) -> Rule:
    """The rule for the values of a code table: of a set, each value; of a link, the text of its key."""
    single_type = {"choices": "choice", "links": "text", "link": "text"}.get(rule.spec.type)
    return rule if single_type is None else replace(rule, spec=rule.spec.model_copy(update={"type": single_type}))
