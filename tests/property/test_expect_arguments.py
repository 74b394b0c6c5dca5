"""Whatever a mapping says to an expectation, the answer is a sentence."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from mappings.check.expectation_arguments import faults_of
from mappings.check.expectations import EVERY, KNOWN
from mappings.errors import ConfigurationError, RunStopped
from mappings.language.entities import Entity
from mappings.language.entity import FieldSpec
from mappings.language.flow import Into
from mappings.words import FIELD_TYPES, FieldType
from pipelines.stages.expect import RowExpectations, RunExpectations

COLUMNS: dict[str, FieldType] = {kind: kind for kind in FIELD_TYPES}
ENTITY = Entity("company", "", (), (), {"name": FieldSpec(), "city": FieldSpec()}, {}, {}, ())

plain = st.none() | st.booleans() | st.integers(-3, 3) | st.floats() | st.text(max_size=4) | st.sampled_from([
    *COLUMNS, "name", "city", "0.5", "2026-11-22", "(", "^a", 'col("text") == "x"', "great_expectations", "pandas",
])
anything = st.recursive(
    plain, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=6,
)


@st.composite
def entries(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    name = draw(st.sampled_from(list(KNOWN)) | st.text(max_size=8))
    known = KNOWN.get(name)
    words = (*known.needs, *known.takes, *EVERY) if known else ("column",)
    chosen = draw(st.lists(st.sampled_from(words), max_size=6, unique=True))
    return name, {word: draw(anything) for word in (*(known.needs if known else ()), *chosen)}


@settings(max_examples=300, deadline=None)
@given(entries())
def test_faults_are_sentences(entry: tuple[str, dict[str, Any]]) -> None:
    assert all(isinstance(fault, str) and fault for fault in faults_of(*entry, COLUMNS))


@settings(max_examples=100, deadline=None)
@given(entries())
def test_what_passes_the_check_is_judged_or_refused_in_words(entry: tuple[str, dict[str, Any]]) -> None:
    name, arguments = entry
    into = Into.model_validate({
        "entity": "company", "key": "id", "fields": {"name": "name", "city": "city"}, "expect": [{name: arguments}],
    })
    values = pd.DataFrame({"name": ["a", None, "{}"], "city": ["b", "b", None]}, dtype="string[pyarrow]")
    with suppress(ConfigurationError, RunStopped):  # anything else would end in a traceback
        assert not RunExpectations(into, ENTITY).judged
        RowExpectations(into, ENTITY).check(values)
