"""A file that is there whole or not at all: written beside its place, made safe on the disk, renamed into it.

::

    .customers_000007.csv.part ─ write ─ fsync ─ fsync of the folder ─▶ ready ─ rename ─ fsync of the folder ─▶ there

Hidden names fit no pattern, so nobody who looks for `customers_*.csv` ever sees the unfinished one. Once it was made
safe, it is there as long as it was not renamed: where it is gone, the file was delivered, though its reader may have
taken it already.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mappings.errors import ConfigurationError, RunStopped


def part_of(target: Path) -> Path:
    """Where the file is while it is being written."""
    return target.with_name(f".{target.name}.part")


def usable_folder(folder: Path) -> None:
    """Raises ConfigurationError where nothing can be written; a missing folder is not made: it may be a disk or share
    that is not there at the moment."""
    if not folder.is_dir():
        what = "is no folder" if folder.exists() else "is not there"
        raise ConfigurationError(f"the folder that files are written to {what}", where=str(folder),
                                 todo="create it (or mount it), or correct `outbound` of the system")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigurationError("the folder that files are written to cannot be written", where=str(folder),
                                 todo="let this user create files there")


@contextmanager
def told(target: Path) -> Iterator[None]:
    """What the file system refuses, as an error of ours: nothing was delivered, and nothing is noted as delivered."""
    try:
        yield
    except OSError as error:
        raise RunStopped(f"the file cannot be written: {error.strerror or error}", where=str(target),
                         todo="make room, or let this user write there, and push again: the same number is used"
                         ) from error


def safe(part: Path) -> None:
    """The file and its name survive a power cut from here on."""
    with part.open("rb+") as file:
        os.fsync(file.fileno())
    _folder_safe(part.parent)


def publish(part: Path, target: Path) -> None:
    """Renames the file into its place, over an older one of that name, in one step."""
    part.replace(target)
    _folder_safe(target.parent)


def discard(part: Path) -> None:
    """Takes away what was not finished."""
    with suppress(OSError):
        part.unlink(missing_ok=True)


def _folder_safe(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network file systems know no fsync of folders
            raise
    finally:
        os.close(descriptor)
