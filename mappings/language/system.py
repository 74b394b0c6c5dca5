"""systems.yaml: the outside applications, each declared once."""

from __future__ import annotations

from pydantic import Field

from mappings.language.strict import Strict


class System(Strict):
    """One outside application. The keys a connector needs beyond these are checked by the connector's own model."""

    connector: str
    label: str = ""
    folder: str | None = None  # file: the drop folder, relative to the project
    done: str = "done"  # file: where read files go, below the folder
    failed: str = "failed"
    stable_for: str = "2s"  # file: size and time must stand still this long before a file is read
    marker: str | None = None  # file: read NAME only once NAME + this suffix lies beside it (".ok")
    options: dict[str, object] = Field(default_factory=dict)


class SystemsFile(Strict):
    systems: dict[str, System]
