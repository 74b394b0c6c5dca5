"""The hub as a Dagster resource: opened once per process, when something first needs the store."""

import os
from functools import lru_cache
from pathlib import Path

from dagster import ConfigurableResource
from pydantic import Field

from pipelines.hub import Hub, open_hub
from pipelines.orchestration.place import HOME


class HubResource(ConfigurableResource[Hub]):
    """One project with its store. Definitions load without it, so that the graph is there when the store is not."""

    project: str = Field(description="The folder that holds mappings/.")

    def open(self) -> Hub:
        """The hub; raises ConfigurationError and RetryLater."""
        return _opened(Path(self.project), os.environ.get(HOME), os.environ.get("NAVETTE_DATABASE_URL"))


@lru_cache(maxsize=4)
def _opened(root: Path, home: str | None, url: str | None) -> Hub:
    del home, url  # part of the key: tests open one project with several stores
    return open_hub(root)
