"""What things are called in Dagster: asset keys, jobs, checks, tags.

::

    [system, flow] ──▶ [crm, entity] ──▶ [system, flow_out]     assets; a flow's jobs bear these names
    [navette, status]
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dagster import AssetKey

from mappings.language.flow import Flow, Into

CRM, NAVETTE = "crm", "navette"
STATUS = AssetKey([NAVETTE, "status"])

TAG_FLOW, TAG_SYSTEM, TAG_FILE = "navette/flow", "navette/system", "navette/file"
TAG_RUN, TAG_STATE = "navette/run", "navette/state"

CONSERVATION, REJECT_RATIO, REVIEW, FRESHNESS = "conservation", "reject_ratio", "review", "freshness"


def flow_key(flow: Flow) -> AssetKey:
    """What the flow brings in."""
    return AssetKey([flow.system, flow.flow])


def out_key(flow: Flow) -> AssetKey:
    """What the flow's system receives."""
    return AssetKey([flow.system, out_name(flow)])


def out_name(flow: Flow) -> str:
    """The job, and the last part of the asset's key, of the way out."""
    return f"{flow.flow}_out"


def flow_op(flow: Flow) -> str:
    """The op of that asset: the name that run configuration knows it by."""
    return f"{flow.system}__{flow.flow}"


def out_op(flow: Flow) -> str:
    """The op of the way out."""
    return f"{flow.system}__{out_name(flow)}"


def entity_key(name: str) -> AssetKey:
    return AssetKey([CRM, name])


@dataclass(frozen=True)
class Expected:
    """One entry of `expect:`, and the name of its check."""

    check: str
    label: str
    name: str
    arguments: Mapping[str, Any]


def expectations(flow: Flow) -> Iterator[Expected]:
    """Every expectation of the flow. A check is called as the expectation, with its fields where two have one name."""
    every = [
        (into, name, arguments) for into in flow.into for entry in into.expect for name, arguments in entry.items()
    ]
    same_name = Counter(name for _, name, _ in every)
    used: Counter[str] = Counter()
    for into, name, arguments in every:
        check = name if same_name[name] == 1 else _with_fields(into, name, arguments, several=len(flow.into) > 1)
        used[check] += 1
        yield Expected(check if used[check] == 1 else f"{check}_{used[check]}", into.label, name, arguments)


def _with_fields(into: Into, name: str, arguments: Mapping[str, Any], *, several: bool) -> str:
    fields = [str(arguments[key]) for key in ("column", "column_A", "column_B") if key in arguments]
    fields += [str(column) for column in arguments.get("column_list") or ()]
    parts = [name, *([into.label] if several else []), *fields]
    return re.sub(r"[^A-Za-z0-9_]", "_", "__".join(parts))
