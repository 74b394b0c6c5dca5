"""Taking files in: which ones wait, one run for each, where they go afterwards, and what runs because of it.

::

    drop folder ─ stands still? ─▶ seen before? ─▶ run ─▶ every flow that names it has finished ─▶ done/ or failed/
                                     └ same content again: told, not read                  └▶ parked rows retried
"""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import ColumnElement, Connection, desc, exists, insert, select, update

from connectors.file.folder import DropFile, content_digest, is_stable, retire
from crm_store import hub_tables as tables
from mappings.codecs.columns import variables_used
from mappings.errors import ConfigurationError, NavetteError, RetryLater, RunStopped, StoreHindered
from mappings.language.file_pattern import usable_pattern
from mappings.language.flow import Flow
from mappings.language.project import Project
from pipelines.hub import Hub
from pipelines.ops.sentences import said
from pipelines.reports import write_report
from pipelines.runs.executing import execute
from pipelines.runs.inbox import hints, note_hints, take_in
from pipelines.runs.lines import fail, mapping_now, note, result_of, start_failed
from pipelines.runs.lock import flow_lock
from pipelines.runs.order import order_of_flows
from pipelines.runs.orders import Order, Progress, Tell, quiet, silent
from pipelines.runs.push import push_locked
from pipelines.runs.remote import read_remote
from pipelines.runs.replay import retry_after_creates, retry_parked
from pipelines.runs.result import RunResult, not_run
from pipelines.runs.sources import must_be_there, named, open_named, seconds
from pipelines.runs.unfinished import close_run, drop_left_over, drop_staging, finish_unfinished
from pipelines.runs.waiting import folder_of, waiting


class HeldBack(NavetteError):
    """A run of the flow waits for a person; later ones wait for it."""

    exit_code = 3


def run_flow(hub: Hub, name: str, *, file: Path | None = None, full: bool | None = None, supersede: bool = False,
             trigger: str = "cli", progress: Progress = quiet, tell: Tell = silent, dagster_run: str | None = None,
             retry: bool = True) -> list[RunResult]:
    """Runs the flow on `file`, or on every file that waits in its drop folder, oldest first.

    Carries on with broken runs first. Raises ConfigurationError (check refuses the flow, or there is no such file),
    RetryLater (another run of the flow is under way), HeldBack (one waits in review). A file that cannot be read gives
    a failed result, not an exception; one that holds what was read last gives none, and `tell` a sentence.
    """
    flow = hub.flow(name)
    if flow.direction == "out":
        raise ConfigurationError("this flow only writes to its system", where=f"flow {name}",
                                 todo=f"navette push {name}")
    if file is not None:
        must_be_there(hub, flow, file)
    with flow_lock(hub, name):
        results = finish_unfinished(hub, flow, progress)
        drop_left_over(hub, name)
        held_back(hub, flow, supersede)
        taken = take_in(hub, flow, trigger, progress, dagster_run) if file is None else []
        results += taken
        if taken and taken[-1].state == "review":
            pass
        elif hub.project.systems[flow.system].connector != "file":
            said = hints(hub, flow)
            results.append(_run_remote(hub, flow, file, full, trigger, progress, dagster_run))
            note_hints(hub, said, results[-1])
        elif file is not None:
            resumed = _same_as(hub, results, file)
            results = [resumed] if resumed else [
                *results, _run_file(hub, flow, named(hub, flow, file), full, trigger, progress, dagster_run)
            ]
        else:
            results += _run_waiting(hub, flow, full, trigger, progress, tell, dagster_run)
        for result in results:
            result.report = str(write_report(hub, result.run_id))
        if flow.direction == "two-way" and results and results[-1].state == "done":
            _send(hub, flow, results[-1], progress)
    # Also where nothing changed: a run that brought what rows wait for may have been killed before it came to this.
    if retry and results:
        retry_parked(hub, progress)
    elif retry and flow.direction != "in":
        retry_after_creates(hub, progress)
    return results


def adopt_flow(hub: Hub, name: str, progress: Progress = quiet) -> RunResult:
    """Links everything that the system has with what the CRM has, by the match rules; writes nothing on either side.

    What differs is decided by the next run, as the masters say. Raises what `run_flow` raises.
    """
    flow = hub.flow(name)
    if hub.project.systems[flow.system].connector == "file":
        raise ConfigurationError("only a system that answers can be adopted", where=f"flow {name}",
                                 todo="for files, on_match: keep links without changing anything")
    with flow_lock(hub, name):
        finish_unfinished(hub, flow, progress)
        held_back(hub, flow, supersede=False)
        result = read_remote(hub, flow, full=True, trigger="adopt", progress=progress, adopting=True)
        result.report = str(write_report(hub, result.run_id))
    return result


def rebase_flow(hub: Hub, name: str, *, supersede: bool = False, progress: Progress = quiet) -> RunResult:
    """Reads everything that the system has under a mapping that changed, and agrees on it anew; sends nothing.

    A row that reads otherwise than it did is not taken for an edit there. Raises what `run_flow` raises.
    """
    flow = hub.flow(name)
    if (system := hub.project.systems[flow.system]).connector == "file":
        raise ConfigurationError(
            "only a system that answers can be read again by itself", where=f"flow {name}",
            todo=f"navette run {name} --file FILE reads a file under the mapping as it is now; those that were read"
            f" before lie in {system.done}/ below the drop folder",
        )
    with flow_lock(hub, name):
        finish_unfinished(hub, flow, progress)
        held_back(hub, flow, supersede)
        result = read_remote(hub, flow, full=True, trigger="rebase", progress=progress, rebasing=True)
        result.report = str(write_report(hub, result.run_id))
    return result


def run_all(hub: Hub, progress: Progress = quiet, trigger: str = "cli", tell: Tell = silent, *,
            full: bool | None = None) -> list[RunResult]:
    """Every flow on what waits for it, in the order of their references. `full`: systems that answer are read whole, or
    for changes; a file holds what its flow says.

    A flow in review does not stop the others, nor does one that is configured wrongly, or whose system is down,
    paused, or busy with another run.
    """
    results: list[RunResult] = []
    for name in order_of_flows(hub.project):
        if hub.project.flows[name].direction == "out":
            continue
        try:
            answers = hub.project.systems[hub.project.flows[name].system].connector != "file"
            wanted = full if answers else None
            results += run_flow(hub, name, full=wanted, trigger=trigger, progress=progress, tell=tell)
        except HeldBack as waiting:
            with hub.engine.connect() as connection:
                run_id = oldest_in_review(connection, name)
                if run_id is not None:
                    result = result_of(connection, run_id)
                    result.notices.append(waiting.message)  # of this command: the run itself says that it waits
                    results.append(result)
        except (ConfigurationError, RetryLater) as error:
            results.append(not_run(name, error))
    return results


def _send(hub: Hub, flow: Flow, result: RunResult, progress: Progress) -> None:
    """What the flow's outbox holds goes out behind what came in; a system that is down now gets it later."""
    try:
        result.sent = push_locked(hub, flow, progress)
    except RetryLater as waits:
        with hub.engine.begin() as connection:
            result.notices = note(connection, result.run_id, "unsent", system=flow.system, why=waits.message)
        write_report(hub, result.run_id)


def _run_remote(hub: Hub, flow: Flow, file: Path | None, full: bool | None, trigger: str, progress: Progress,
                dagster_run: str | None) -> RunResult:
    if file is not None:
        raise ConfigurationError(f"{flow.system} is no folder, so it reads no files", where=f"flow {flow.flow}",
                                 todo="leave out --file")
    return read_remote(hub, flow, full=flow.read.full if full is None else full, trigger=trigger, progress=progress,
                       dagster_run=dagster_run)


def _run_waiting(hub: Hub, flow: Flow, full: bool | None, trigger: str, progress: Progress, tell: Tell,
                 dagster_run: str | None) -> list[RunResult]:
    folder = folder_of(hub, flow)
    if flow.read.hook and (folder is None or flow.read.files is None):
        return []  # its system calls
    if folder is None or flow.read.files is None:
        raise ConfigurationError(
            "there is no drop folder to read from", where=f"flow {flow.flow}",
            todo="name a file with --file, or give the system a `folder` and the flow `read: {files: …}`",
        )
    if not folder.is_dir():
        raise ConfigurationError(
            f"the drop folder {folder} does not exist", where=f"system {flow.system}", todo="create it"
        )
    system = hub.project.systems[flow.system]
    results = []
    for found in waiting(hub, flow):
        if not is_stable(found, seconds(system.stable_for), system.marker):
            continue
        digest = content_digest(found.path)
        if seen := _taken(hub, flow, digest, found):
            lies = _retire(hub, flow, found, digest)
            if seen.again:
                tell(_set_aside(hub, flow, found, seen, lies))
            continue
        result = _run_file(hub, flow, found, full, trigger, progress, dagster_run, digest)
        results.append(result)
        if result.state == "review" or _hindered(result):
            break
        _retire(hub, flow, found, digest)
    return results


def _run_file(hub: Hub, flow: Flow, found: DropFile, full: bool | None, trigger: str, progress: Progress,
              dagster_run: str | None, digest: str | None = None) -> RunResult:
    whole = flow.read.full if full is None else full
    try:
        source = open_named(hub, flow, found.path, found.parts)
        digest = digest or content_digest(found.path)
    except RunStopped as error:
        run_id = start_failed(hub, flow, str(found.path), trigger, whole)
        fail(hub, run_id, None, error)
        _note_file(hub, flow, found, digest or "", run_id, "failed")
        with hub.engine.connect() as connection:
            return result_of(connection, run_id)
    if source.detected.get("export"):
        whole = False  # a corrected export of refused rows holds only those: the others are not gone
    order = Order(flow=flow, source=source, name=str(found.path), variables=found.parts, mark=found.mark, digest=digest,
                  full=whole, trigger=trigger, dagster_run=dagster_run)
    result = execute(hub, order, progress)
    if not _hindered(result):
        state = {"done": "done", "review": "review"}.get(result.state, "failed")
        _note_file(hub, flow, found, digest, result.run_id, state)
    return result


def _hindered(result: RunResult) -> bool:
    """Whether the run failed for the store's sake (its disk is full, say): its file is sound, and waits."""
    return result.state == "failed" and (result.problem or {}).get("code") == StoreHindered.__name__


def _note_file(hub: Hub, flow: Flow, found: DropFile, digest: str, run_id: int, state: str) -> None:
    with hub.engine.begin() as connection:
        connection.execute(insert(tables.file).values(
            flow=flow.flow, name=found.path.name, size=found.size, digest=digest, mark=found.mark,
            parts=dict(found.parts), run_id=run_id, state=state,
        ))


@dataclass(frozen=True)
class _Seen:
    """What a flow has finished with: the run that read it, and whether it has come again since."""

    run_id: int | None
    again: bool


def _taken(hub: Hub, flow: Flow, digest: str, found: DropFile) -> _Seen | None:
    """Whether the flow has finished with this file, or with this very content last.

    The content of an older file may come again with a newer one: that is news, unless it is what was read last. Where
    parts of the name are values of the mapping, the same content under other parts is other data.
    """
    file = tables.file
    used = variables_used(flow)
    with hub.engine.begin() as connection:
        finished = connection.execute(
            select(file.c.name, file.c.digest, file.c.state, file.c.run_id, file.c.parts, file.c.seen_at)
            .where(file.c.flow == flow.flow, file.c.state != "claimed").order_by(desc(file.c.id)).limit(1000)
        ).all()
        alike = [row for row in finished
                 if all((row.parts or {}).get(part) == found.parts.get(part) for part in used)]
        last = next((row for row in alike if row.state in ("done", "repeated")), None)
        if any(row.name == found.name and row.digest == digest and row.state not in ("review",)
               and row.seen_at.timestamp() >= _dropped_at(found) for row in alike):
            return _Seen(None, again=False)
        if last is None or last.digest != digest:
            return None
        connection.execute(insert(file).values(
            flow=flow.flow, name=found.path.name, size=found.size, digest=digest, mark=found.mark,
            parts=dict(found.parts), run_id=last.run_id, state="repeated",
        ))
    return _Seen(last.run_id, again=True)


def _set_aside(hub: Hub, flow: Flow, found: DropFile, seen: _Seen, lies: Path) -> str:
    """Says that the file was not read; and how it can be, where it was read under another mapping."""
    with hub.engine.connect() as connection:
        then = connection.scalar(select(tables.run.c.mapping).where(tables.run.c.id == seen.run_id))
    name = "file_again" if then == mapping_now(hub, flow) else "file_again_changed"
    return said(name, file=found.name, run=str(seen.run_id), flow=flow.flow, path=shlex.quote(str(lies)))


def _dropped_at(found: DropFile) -> float:
    """When the file came to lie there, in seconds since 1970: a copy may keep an old time of change."""
    try:
        status = found.path.stat()
    except OSError:
        return found.mtime
    return max(status.st_mtime, status.st_ctime)


def _retire(hub: Hub, flow: Flow, found: DropFile, digest: str) -> Path:
    """Moves a file away once every flow that names it has finished with it; returns where it lies then."""
    file = tables.file
    readers = flows_reading(hub.project, flow, found.path.name)
    with hub.engine.connect() as connection:
        states = {
            reader: connection.scalar(
                select(file.c.state).where(file.c.flow == reader, file.c.digest == digest)
                .order_by(desc(file.c.id)).limit(1)
            )
            for reader in readers
        }
    if any(state not in ("done", "repeated", "failed", "refused") for state in states.values()):
        return found.path
    folder = folder_of(hub, flow)
    assert folder is not None
    system = hub.project.systems[flow.system]
    good = all(state in ("done", "repeated") for state in states.values())
    return retire(found, folder, system.done if good else system.failed, marker=system.marker)


def retire_settled(hub: Hub, flow: Flow, source: str) -> None:
    """Moves the file of a run that was settled, if it lies in its drop folder as it was read; under the flow's lock."""
    for found in waiting(hub, flow):
        if str(found.path) == source and _taken(hub, flow, digest := content_digest(found.path), found):
            _retire(hub, flow, found, digest)


def flows_reading(project: Project, flow: Flow, name: str) -> list[str]:
    """Every flow of the system whose pattern fits the file's name."""
    return [
        other.flow for other in project.flows.values() if other.system == flow.system
        and (pattern := usable_pattern(other.read.files)) is not None and pattern.match(name) is not None
    ]


def oldest_in_review(connection: Connection, flow: str) -> int | None:
    """The oldest run of the flow that waits for a person."""
    return connection.scalar(
        select(tables.run.c.id).where(tables.run.c.flow == flow, tables.run.c.state == "review")
        .order_by(tables.run.c.id).limit(1)
    )


def in_review(flow: str) -> ColumnElement[bool]:
    """Whether a run of the flow waits for a person."""
    return exists().where(tables.run.c.flow == flow, tables.run.c.state == "review")


def held_back(hub: Hub, flow: Flow, supersede: bool) -> None:
    """Raises HeldBack while a run of the flow waits in review, unless that is to be dropped (`supersede`)."""
    with hub.ask.connect() as connection:
        if not connection.scalar(select(in_review(flow.flow))):
            return
    with hub.engine.begin() as connection:
        run_id = oldest_in_review(connection, flow.flow)
        if run_id is None:
            return
        if not supersede:
            raise HeldBack(
                f"run {run_id} of this flow waits in review", where=f"flow {flow.flow}",
                todo=f"navette review settle {run_id} --approve or --refuse; or run with --supersede to drop it",
            )
        close_run(connection, run_id, "refused")
        connection.execute(
            update(tables.file).where(tables.file.c.run_id == run_id, tables.file.c.state == "review")
            .values(state="refused")
        )
    drop_staging(hub, run_id)
    write_report(hub, run_id)  # its page said that it waits


def _same_as(hub: Hub, resumed: list[RunResult], file: Path) -> RunResult | None:
    """The interrupted run that just ended, if it was of this very file."""
    for result in resumed:
        if result.state == "done" and result.source == os.path.abspath(file):
            with hub.engine.connect() as connection:
                digest = connection.scalar(select(tables.run.c.digest).where(tables.run.c.id == result.run_id))
            if digest is not None and file.is_file() and content_digest(file) == digest:
                return result
    return None
