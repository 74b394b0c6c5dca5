"""How every flow stands, on one page: the asset navette/status, and the check `freshness` of each flow.

A sensor looks every minute and writes both when something has changed, or an hour has passed, without starting a run:
what is late is late because nothing runs.
"""

import hashlib
import time
from collections.abc import Iterable, Sequence
from typing import Any

import orjson
from dagster import (
    AssetCheckExecutionContext,
    AssetCheckKey,
    AssetCheckResult,
    AssetChecksDefinition,
    AssetCheckSeverity,
    AssetCheckSpec,
    AssetExecutionContext,
    AssetMaterialization,
    AssetsDefinition,
    AssetSelection,
    DefaultSensorStatus,
    MaterializeResult,
    SensorDefinition,
    SensorEvaluationContext,
    SensorResult,
    SkipReason,
    asset,
    define_asset_job,
    multi_asset_check,
    sensor,
)

from mappings.language.flow import Flow
from pipelines.ops.status import FlowStatus, status, unnamed_of
from pipelines.orchestration.checks import evaluation
from pipelines.orchestration.flow_jobs import FlowJob
from pipelines.orchestration.hub_resource import HubResource
from pipelines.orchestration.names import FRESHNESS, NAVETTE, STATUS, flow_key
from pipelines.orchestration.telling import Metadata, table

EVERY_SECONDS = 60
AT_LEAST_EVERY = 3600.0

_COLUMNS = dict.fromkeys(("flow", "needs", "waits", "last_good", "next_due"), "string")


def status_asset() -> AssetsDefinition:
    """navette/status: what is late, missing, waiting or open."""

    @asset(key=STATUS, group_name=NAVETTE, kinds={"table"}, description=(
        "What is late, missing, waiting or open, flow by flow; flows that need somebody come first. "
        "The sensor `navette_status` writes it again whenever something changes."
    ))
    def status_now(context: AssetExecutionContext, hub: HubResource) -> MaterializeResult[Any]:
        del context
        return MaterializeResult(metadata=status_metadata(status(hub.open())))

    return status_now


def status_metadata(flows: Sequence[FlowStatus]) -> Metadata:
    """Sums, then a line for each flow; those that need somebody first."""
    ordered = sorted(flows, key=lambda one: (not needs(one), one.flow))
    needy = sum(bool(needs(one)) for one in flows)
    return {
        "summary": f"{needy} of {len(flows)} flows need somebody" if needy else "all is well",
        "late": sum(bool(one.late) for one in flows),
        "missing": sum(len(one.gaps) for one in flows),
        "waiting_files": sum(len(one.waiting) for one in flows),
        "runs_in_review": sum(len(one.in_review) for one in flows),
        "open_rejects": sum(one.rejected for one in flows),
        "open_reviews": sum(one.review for one in flows),
        "parked": sum(one.parked for one in flows),
        "open_conflicts": sum(one.conflicts for one in flows),
        "interrupted": sum(one.activity == "interrupted" for one in flows),
        "unnamed_files": "; ".join(unnamed_of(flows)) or "none",
        "flows": table(_COLUMNS, [_line(one) for one in ordered]),
    }


def _line(one: FlowStatus) -> tuple[Any, ...]:
    good = one.last_good
    waits = [f"{len(one.waiting):,} files" if one.waiting else "", f"{one.parked:,} parked rows" if one.parked else ""]
    return (
        one.flow, "; ".join(needs(one)) or "nothing", ", ".join(filter(None, waits)) or "nothing",
        f"{_moment(good.ended_at or good.started_at)} (run {good.run_id})" if good else "never",
        _moment(one.next_due) if one.next_due else "",
    )


def needs(one: FlowStatus) -> list[str]:
    """What somebody should look at, in sentences."""
    told = [*one.overdue, *(f"run {number} waits in review" for number in one.in_review), *one.held]
    if one.activity == "interrupted":
        told.append("a run was interrupted; the next one carries on with it")
    told += [f"{count:,} {what}" for count, what in (
        (one.rejected, "open rejects"), (one.review, "rows to decide"), (one.conflicts, "open conflicts"),
        (one.stuck, "records not taken there")) if count]
    return told


def _moment(moment: Any) -> str:
    return str(moment.astimezone().strftime("%Y-%m-%d %H:%M"))


def freshness_results(project_flows: Iterable[Flow], stands: Iterable[FlowStatus]) -> list[AssetCheckResult]:
    """One for each flow: fails when an expected file has not come, a due run was missed, or the last run failed."""
    by_name = {one.flow: one for one in stands}
    results = []
    for flow in project_flows:
        one = by_name[flow.flow]
        good = one.last_good
        metadata: dict[str, Any] = {"late": list(one.late), "missing": [gap.sentence for gap in one.gaps]}
        if good is not None:
            metadata |= {"last_good_run": good.run_id, "last_good_at": _moment(good.ended_at or good.started_at)}
        results.append(AssetCheckResult(
            asset_key=flow_key(flow), check_name=FRESHNESS, passed=not one.late and not one.gaps, metadata=metadata,
            severity=AssetCheckSeverity.ERROR if one.late else AssetCheckSeverity.WARN,
            description="; ".join(one.overdue) or "in time",
        ))
    return results


def freshness_checks(flows: Sequence[Flow]) -> AssetChecksDefinition:
    """The check `freshness` of every flow, in one step."""
    specs = [AssetCheckSpec(FRESHNESS, asset=flow_key(flow), description=_expected(flow)) for flow in flows]

    @multi_asset_check(name="navette_freshness", specs=specs, can_subset=True)
    def look(context: AssetCheckExecutionContext, hub: HubResource) -> Iterable[AssetCheckResult]:
        asked = {check.asset_key for check in context.selected_asset_check_keys}
        yield from freshness_results([flow for flow in flows if flow_key(flow) in asked], status(hub.open()))

    return look


def _expected(flow: Flow) -> str:
    when = f"What is expected by {flow.read.expected_by} has come. " if flow.read.expected_by else ""
    return f"{when}No scheduled run was missed, the last one did not fail, and no file of a series is missing."


def status_job(flows: Sequence[Flow]) -> FlowJob:
    """Writes the status and the freshness checks now."""
    checks = [AssetCheckKey(flow_key(flow), FRESHNESS) for flow in flows]
    return define_asset_job(
        "navette_status", selection=AssetSelection.assets(STATUS) | AssetSelection.checks(*checks),
        description="Look now at what is late, missing, waiting or open.",
    )


def status_sensor(flows: Sequence[Flow]) -> SensorDefinition:
    """`navette_status`: keeps the status and the freshness checks true without starting runs."""
    @sensor(
        name="navette_status", minimum_interval_seconds=EVERY_SECONDS, default_status=DefaultSensorStatus.RUNNING,
        description="Writes navette/status and the freshness checks when something has changed.",
    )
    def watch(context: SensorEvaluationContext, hub: HubResource) -> SensorResult | SkipReason:
        stands = status(hub.open())
        digest = _digest(stands)
        last, at = (context.cursor or " 0").split(" ")
        now = time.time()
        if digest == last and now - float(at) < AT_LEAST_EVERY:
            return SkipReason("nothing has changed")
        events: list[Any] = [AssetMaterialization(STATUS, metadata=status_metadata(stands))]
        events += [evaluation(flow_key(flow), check)
                   for flow, check in zip(flows, freshness_results(flows, stands), strict=True)]
        return SensorResult(asset_events=events, cursor=f"{digest} {now:.0f}")

    return watch


def _digest(stands: Sequence[FlowStatus]) -> str:
    return hashlib.sha256(orjson.dumps([one.as_json() for one in stands], default=str)).hexdigest()[:16]
