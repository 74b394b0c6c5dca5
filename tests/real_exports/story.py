"""The days that one store reads, and what it can be asked between them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from shutil import copyfile
from typing import Any

from sqlalchemy import text

from crm_store.entity_tables import compile_entities
from crm_store.store import Store
from mappings.language.project import Project
from pipelines.hub import Hub
from pipelines.runs.intake import run_all, run_flow
from pipelines.runs.order import order_of_flows
from pipelines.runs.result import RunResult
from tests.real_exports.raw_exports import EXPORTS


@dataclass
class Story:
    """`results` holds the runs of each chapter, `runs` the numbers (after, up to) of all its runs, retries too."""

    project: Project
    store: Store
    results: dict[str, list[RunResult]] = field(default_factory=dict)
    runs: dict[str, tuple[int, int]] = field(default_factory=dict)
    hub: Hub = field(init=False)

    def __post_init__(self) -> None:
        self.hub = Hub(self.project, self.project.root / "home", self.store, compile_entities(self.project.entities))
        self.inbox.mkdir()

    @property
    def inbox(self) -> Path:
        return self.project.root / "inbox"

    def read(self, chapter: str, day: str) -> None:
        """Puts a day's files into the folder and runs every flow."""
        for path in sorted((EXPORTS / day).iterdir()):
            copyfile(path, self.inbox / path.name)
        self.run(chapter)
        assert [path.name for path in self.inbox.iterdir() if path.is_file()] == []

    def run(self, chapter: str) -> list[RunResult]:
        before = self.last_run()
        self.results[chapter] = run_all(self.hub)
        return self._ended(chapter, before)

    def read_again(self, chapter: str, day: str) -> None:
        """Reads the same files, which the folder would recognise."""
        before = self.last_run()
        self.results[chapter] = []
        for name in order_of_flows(self.project):
            path = EXPORTS / day / str(self.project.flows[name].read.files)
            if path.is_file():
                self.results[chapter] += run_flow(self.hub, name, file=path)
        self._ended(chapter, before)

    def _ended(self, chapter: str, before: int) -> list[RunResult]:
        self.runs[chapter] = (before, self.last_run())
        bad = {result.flow: result.problem for result in self.results[chapter] if result.state != "done"}
        assert bad == {}, chapter
        return self.results[chapter]

    def last_run(self) -> int:
        return int(self.ask("SELECT coalesce(max(id), 0) FROM sync.run")[0][0])

    def ask(self, statement: str, **values: Any) -> list[Any]:
        with self.hub.engine.connect() as connection:
            return list(connection.execute(text(statement), values).all())

    def counts(self, chapter: str, flow: str, into: str) -> dict[str, int]:
        """The outcomes of one into, less the zeros."""
        (result,) = [result for result in self.results[chapter] if result.flow == flow]
        return {name: count for name, count in result.into[into].items() if isinstance(count, int) and count}

    def links(self, entity: str, space: str) -> dict[str, int]:
        """Key in an id space to the record."""
        return dict(tuple(row) for row in self.ask(
            f"SELECT x.key, x.record_id FROM sync.crosswalk_{entity} x JOIN sync.id_space s ON s.id = x.id_space"
            " WHERE s.name = :space", space=space))

    def open_rows(self, outcome: str) -> dict[tuple[str, str], set[str]]:
        """(flow, into) to the keys that are held with this outcome."""
        found: dict[tuple[str, str], set[str]] = {}
        for flow, label, key in self.ask(
            "SELECT f.flow, f.label, h.key FROM sync.held h JOIN sync.feed f ON f.id = h.feed"
            " WHERE h.state = 'open' AND h.outcome = :outcome", outcome=outcome):
            found.setdefault((flow, label), set()).add(key)
        return found
