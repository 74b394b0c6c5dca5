"""Dagster runs at the beginning and the end of `navette up`: none is shown as running when nothing runs it.

Stopping a run of a flow is safe at any moment: the next run of the flow carries on behind its last whole batch.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from contextlib import suppress

from dagster import DagsterInstance, DagsterRun, DagsterRunStatus, DefaultRunLauncher, RunsFilter
from dagster._core.errors import DagsterUserCodeProcessError, DagsterUserCodeUnreachableError
from dagster._core.storage.tags import GRPC_INFO_TAG
from dagster._grpc.client import DagsterGrpcClient

_RUNNING = [DagsterRunStatus.STARTING, DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING]
_CANCEL_SECONDS = 15
_NO_SERVER = (DagsterUserCodeUnreachableError, DagsterUserCodeProcessError)
"""What a call to a code server raises that is not there, or not any more."""


def close_orphans(instance: DagsterInstance) -> int:
    """Marks as failed the runs whose code server is gone: a killed `navette up` could not; returns how many."""
    if not isinstance(instance.run_launcher, DefaultRunLauncher):
        return 0  # elsewhere, runs outlive the process that launched them
    orphans = [run for run in _running(instance) if not _server_answers(run)]
    for run in orphans:
        instance.report_run_failed(run, "Its process is gone: Navette was killed, or the machine went down. The next "
                                        "run of the flow carries on where this one stopped.")
    return len(orphans)


def cancel_runs(instance: DagsterInstance) -> int:
    """Asks the runs under way to stop and waits for them; returns how many there were."""
    launcher = instance.run_launcher
    if not isinstance(launcher, DefaultRunLauncher):
        return 0
    runs = _running(instance)
    for run in runs:
        with suppress(*_NO_SERVER):
            launcher.terminate(run.run_id)  # type: ignore[no-untyped-call]
    deadline = time.monotonic() + _CANCEL_SECONDS
    while time.monotonic() < deadline and _still(instance, runs):
        time.sleep(0.2)
    return len(runs)


def close_canceled(instance: DagsterInstance) -> None:
    """After every process has ended: a run that was being cancelled is."""
    for run in _running(instance):
        if not _server_answers(run):
            instance.report_run_canceled(run, "Stopped with Navette; the next run of the flow carries on.")


def _running(instance: DagsterInstance) -> list[DagsterRun]:
    return [run for run in instance.get_runs(RunsFilter(statuses=_RUNNING)) if GRPC_INFO_TAG in run.tags]


def _still(instance: DagsterInstance, runs: Sequence[DagsterRun]) -> bool:
    left = instance.get_runs(RunsFilter(run_ids=[run.run_id for run in runs], statuses=_RUNNING)) if runs else []
    return bool(left)


def _server_answers(run: DagsterRun) -> bool:
    """Whether the code server that launched the run is there."""
    told = json.loads(run.tags[GRPC_INFO_TAG])
    client = DagsterGrpcClient(host=told.get("host"), port=told.get("port"), socket=told.get("socket"))
    try:
        client.ping("")
    except _NO_SERVER:
        return False
    return True
