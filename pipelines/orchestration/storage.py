"""What dagster.yaml names: Dagster's own storage in the project's store, its files in NAVETTE_HOME.

Plain `dagster dev` reads dagster.yaml before anything of ours runs, so the storage itself starts the store. None of
these takes settings: where things are follows from the environment (pipelines.orchestration.place).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dagster._core.storage.local_compute_log_manager import LocalComputeLogManager
from dagster._core.storage.root import LocalArtifactStorage
from dagster._serdes import ConfigurableClassData
from dagster_postgres import DagsterPostgresStorage

from pipelines.orchestration.place import instance_folder, open_store, state_home


class StoreStorage(DagsterPostgresStorage):
    """Runs, events and schedules in the database `dagster` of the project's store, which is started if need be."""

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        return {}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
                          ) -> StoreStorage:
        del config_value  # there is nothing to set
        return cls(open_store().dagster_url, inst_data=inst_data)


class HomeArtifacts(LocalArtifactStorage):
    """Dagster's files below NAVETTE_HOME/dagster."""

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        return {}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
                          ) -> HomeArtifacts:
        del config_value
        return cls(str(instance_folder(state_home())), inst_data)


class HomeLogs(LocalComputeLogManager):
    """What the steps of runs print, below NAVETTE_HOME/dagster/output."""

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        return {}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]) -> HomeLogs:
        del config_value
        return cls(str(instance_folder(state_home()) / "output"), inst_data=inst_data)
