"""What waits in a flow's drop folder; to look does not take what running takes (pandas, Arrow)."""

from __future__ import annotations

import os
from pathlib import Path

from connectors.file.folder import DropFile, unnamed_files, waiting_files
from mappings.language.flow import Flow
from pipelines.hub import Hub


def waiting(hub: Hub, flow: Flow) -> list[DropFile]:
    """The files of the flow's drop folder that it has not taken yet, oldest first, moving ones included."""
    folder = folder_of(hub, flow)
    if folder is None or flow.read.files is None or not folder.is_dir():
        return []
    return list(waiting_files(folder, flow.read, marker=hub.project.systems[flow.system].marker))


def unnamed(hub: Hub, flow: Flow) -> list[str]:
    """The files beside which the flow's would lie and that no flow names: a name is not as somebody thought."""
    folder = folder_of(hub, flow)
    if folder is None or flow.read.files is None:
        return []
    beside = [each.read for each in hub.project.flows.values() if folder_of(hub, each) == folder]
    return unnamed_files(folder, beside, marker=hub.project.systems[flow.system].marker)


def folder_of(hub: Hub, flow: Flow) -> Path | None:
    """The drop folder of the flow's system, as an absolute path: runs remember their files by it, and may be carried on
    with from another working directory. None where it has none."""
    system = hub.project.systems[flow.system]
    return None if system.folder is None else Path(os.path.abspath(hub.project.root / system.folder))
