"""Where Dagster's processes find the project: told by the environment, since Dagster starts them, not we.

::

    NAVETTE_PROJECT      the project; default: the folder that the process was started in
    NAVETTE_HOME         its state; default: .navette in the project
    NAVETTE_REPORTS_URL  where the reports are served (set by `navette up`); without it, links are paths
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from crm_store.store import Store
from pipelines.hub import home_of

PROJECT, HOME, REPORTS_URL = "NAVETTE_PROJECT", "NAVETTE_HOME", "NAVETTE_REPORTS_URL"


def project_root(env: Mapping[str, str] = os.environ) -> Path:
    """The project's folder, absolute."""
    return Path(env.get(PROJECT) or ".").expanduser().resolve()


def state_home(env: Mapping[str, str] = os.environ) -> Path:
    """NAVETTE_HOME of that project, absolute."""
    return home_of(project_root(env), env).expanduser().resolve()


def instance_folder(home: Path) -> Path:
    """What Dagster keeps outside PostgreSQL: the output of runs, its configuration, the logs of its processes."""
    return home / "dagster"


def open_store(env: Mapping[str, str] = os.environ) -> Store:
    """The project's store, started if need be."""
    return Store.open(state_home(env), env.get("NAVETTE_DATABASE_URL") or None)


def report_url(report: Path, env: Mapping[str, str] = os.environ) -> str | None:
    """The address of a file in NAVETTE_HOME/reports; None where nobody serves it."""
    served = env.get(REPORTS_URL)
    reports = state_home(env) / "reports"
    if not served or not report.is_relative_to(reports):
        return None
    return f"{served.rstrip('/')}/{report.relative_to(reports).as_posix()}"
