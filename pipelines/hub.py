"""The hub: one project with its store, ready to work; what every command and every Dagster asset starts from."""

from __future__ import annotations

import os
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from crm_store.entity_tables import EntityTables, compile_entities
from crm_store.migrate import migrate_if_needed
from crm_store.store import Store
from mappings.errors import ConfigurationError
from mappings.language.flow import Flow
from mappings.language.project import Project, require_project


@dataclass(frozen=True)
class Hub:
    """A project, its store and the compiled tables. `home` holds state: the embedded server, reports, secrets.

    `kept`: what this process has worked out about flows and need not work out again (pipelines.runs.small).
    """

    project: Project
    home: Path
    store: Store
    tables: EntityTables
    kept: dict[Hashable, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def engine(self) -> Engine:
        """The engine of the working role."""
        return self.store.hub()

    @property
    def small(self) -> Engine:
        """The same, for work on few rows that comes again and again: its commits do not wait for the disk, unless they
        say so (`durable`)."""
        return self.store.small()

    @property
    def ask(self) -> Engine:
        """The same, for single questions: each is a transaction by itself."""
        return self.store.asking()

    def flow(self, name: str) -> Flow:
        """Raises ConfigurationError, which names the flows there are."""
        found = self.project.flows.get(name)
        if found is None:
            known = ", ".join(sorted(self.project.flows)) or "none"
            raise ConfigurationError(f"there is no flow {name!r}", todo=f"the flows of this project: {known}")
        return found


def home_of(root: Path, env: Mapping[str, str] = os.environ) -> Path:
    """Where the state of a project lives: NAVETTE_HOME, else `.navette` in the project."""
    return Path(env.get("NAVETTE_HOME") or root / ".navette")


def open_hub(root: Path, env: Mapping[str, str] = os.environ) -> Hub:
    """Reads the project, starts the store if need be and brings its schema up to date.

    Raises ConfigurationError (every mistake at once; a change of an entity that would lose data) and RetryLater.
    """
    project = require_project(root, env)
    home = home_of(root, env)
    store = Store.open(home, env.get("NAVETTE_DATABASE_URL") or None)
    migrate_if_needed(store, project)
    return Hub(project, home, store, compile_entities(project.entities))
