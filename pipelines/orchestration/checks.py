"""Asset checks of a flow: its counters add up, few rows are refused, nothing waits for a person, each expectation.

::

    conservation   rows read = the sum of all outcomes, in each into
    reject_ratio   no more refused rows than the flow's guard allows
    review         no run of the flow waits for a person
    expect_…       no row refused by that expectation; or, where it judges the whole run, the run met it
    freshness      evaluated by pipelines.orchestration.status, since it can fail without any run
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from dagster import AssetCheckEvaluation, AssetCheckResult, AssetCheckSeverity, AssetCheckSpec, AssetKey

from mappings.check.expectations import EVERY
from mappings.language.flow import Flow
from mappings.words import OUTCOMES
from pipelines.hub import Hub
from pipelines.ops.sentences import guard_lines
from pipelines.orchestration.held import Refusals, refusals, told_arguments
from pipelines.orchestration.names import (
    CONSERVATION,
    REJECT_RATIO,
    REVIEW,
    Expected,
    expectations,
    flow_key,
)
from pipelines.orchestration.telling import table
from pipelines.runs.intake import oldest_in_review
from pipelines.runs.lines import result_of
from pipelines.runs.result import RunResult
from pipelines.stages.guard import FEWEST_ROWS


def check_specs(flow: Flow) -> list[AssetCheckSpec]:
    """The checks that a run of the flow evaluates."""
    key = flow_key(flow)
    limit = flow.guard.rejects
    return [
        AssetCheckSpec(CONSERVATION, asset=key, description="Rows read are the sum of all outcomes, in each into."),
        AssetCheckSpec(REJECT_RATIO, asset=key, description=(
            "No limit is set on refused rows." if limit is None else f"At most {limit:.0%} of the rows are refused.")),
        AssetCheckSpec(REVIEW, asset=key, description="No run of this flow waits for a person's decision."),
        *[AssetCheckSpec(expected.check, asset=key, description=_asked(expected)) for expected in expectations(flow)],
    ]


def _asked(expected: Expected) -> str:
    own = str(expected.arguments.get("description") or "")
    said = ", ".join(f"{name}: {value}" for name, value in expected.arguments.items() if name not in EVERY)
    return f"{expected.label}: {own or said or expected.name}"


def check_results(hub: Hub, flow: Flow, results: Sequence[RunResult]) -> Iterator[AssetCheckResult]:
    """What the runs of a flow say of its checks; nothing of an expectation that no run came to judge."""
    judged = [result for result in results if result.into]
    if judged:
        yield _conservation(flow, judged)
        yield _reject_ratio(flow, judged)
    yield _review(hub, flow)
    yield from _expectations(hub, flow, [*judged, *(result for result in results if _unmet(result))])


def evaluation(key: AssetKey, result: AssetCheckResult) -> AssetCheckEvaluation:
    """A result as an event, for where no asset is being materialised."""
    return AssetCheckEvaluation(
        asset_key=key, check_name=str(result.check_name), passed=result.passed, severity=result.severity,
        metadata=dict(result.metadata or {}), description=result.description,
    )


def _conservation(flow: Flow, results: Sequence[RunResult]) -> AssetCheckResult:
    rows = [
        (result.run_id, label, counts["rows_read"], sum(int(counts[name]) for name in OUTCOMES))
        for result in results for label, counts in result.into.items()
    ]
    return AssetCheckResult(
        asset_key=flow_key(flow), check_name=CONSERVATION, passed=all(read == counted for *_, read, counted in rows),
        metadata={"counted": table({"run": "int", "into": "string", "read": "int", "outcomes": "int"}, rows)},
    )


def _reject_ratio(flow: Flow, results: Sequence[RunResult]) -> AssetCheckResult:
    limit = flow.guard.rejects
    shares = [
        (result.run_id, label, counts["rejected"], counts["rows_read"],
         round(counts["rejected"] / counts["rows_read"], 4) if counts["rows_read"] else 0.0)
        for result in results for label, counts in result.into.items()
    ]
    highest = max((share for *_, share in shares), default=0.0)
    judged = max((share for *_, of, share in shares if of >= FEWEST_ROWS), default=0.0)  # as the guard does
    columns = {"run": "int", "into": "string", "rejected": "int", "read": "int", "ratio": "float"}
    return AssetCheckResult(
        asset_key=flow_key(flow), check_name=REJECT_RATIO, passed=limit is None or judged <= limit,
        metadata={"ratio": highest, "limit": 1.0 if limit is None else limit, "by_into": table(columns, shares)},
        description=f"{highest:.2%} of the rows of one into were refused" if highest else "no row was refused",
    )


def _review(hub: Hub, flow: Flow) -> AssetCheckResult:
    """Also of a run that is none of these: a replay passes by one that waits."""
    with hub.engine.connect() as connection:
        run_id = oldest_in_review(connection, flow.flow)
        problem = result_of(connection, run_id).problem if run_id is not None else None
    return review_check(flow, run_id, " ".join(guard_lines((problem or {}).get("tripped") or [])))


def review_check(flow: Flow, run_id: int | None, why: str) -> AssetCheckResult:
    """Failed while a run waits in review; the description says why and what to do."""
    if run_id is None:
        return AssetCheckResult(asset_key=flow_key(flow), check_name=REVIEW, passed=True, description="nothing waits")
    return AssetCheckResult(
        asset_key=flow_key(flow), check_name=REVIEW, passed=False, metadata={"run": run_id},
        description=f"Run {run_id} waits in review. {why} Launch navette_approve_review or navette_refuse_review "
                    f"with run: {run_id}.".replace("  ", " "),
    )


def _expectations(hub: Hub, flow: Flow, results: Sequence[RunResult]) -> Iterator[AssetCheckResult]:
    """Row by row: refused rows fail a check. On the whole run: what its problem says was found instead."""
    asked = list(expectations(flow))
    if not asked or not results:
        return
    refused: Refusals = sum((refusals(hub, result) for result in results), Counter())
    unmet = {(failure["into"], failure["expectation"], told_arguments(failure["arguments"])): failure["observed"]
             for result in results for failure in _unmet(result)}
    for expected in asked:
        said = {name: value for name, value in expected.arguments.items() if name not in EVERY}
        key = expected.label, expected.name, told_arguments(said)
        critical = expected.arguments.get("severity", "critical") == "critical"
        found = str(unmet[key]) if key in unmet else f"{refused[key]:,} rows were refused" if refused[key] else ""
        yield AssetCheckResult(
            asset_key=flow_key(flow), check_name=expected.check, passed=not found, description=found or "met",
            metadata={"refused_rows": refused[key]},
            severity=AssetCheckSeverity.ERROR if critical else AssetCheckSeverity.WARN,
        )


def _unmet(result: RunResult) -> list[dict[str, Any]]:
    """The whole-run expectations that stopped the run."""
    return list((result.problem or {}).get("expectations") or [])
