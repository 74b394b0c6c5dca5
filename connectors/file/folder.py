"""Drop folders: which files wait, whether they stand still, what they hold, where they go afterwards."""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path

import xxhash

from mappings.errors import ConfigurationError, RetryLater, SourceUnreadable
from mappings.language.file_pattern import parse_pattern, usable_pattern
from mappings.language.read import Read

_STAMP = re.compile(r"\.\d{8}T\d{6}Z(-\d+)?(?=(\.[^.]*)?$)")
"""What `retire` puts into a name, before its suffix."""


@dataclass(frozen=True)
class DropFile:
    """A file as it was seen: size in bytes, mtime in seconds since 1970, inode.

    `parts`: what its name gives, dates in ISO form. `mark`: its order mark, of a dated part microseconds since 1970
    (UTC), of a numbered one the number; None where the name gives no order.
    """

    path: Path
    name: str
    size: int
    mtime: float
    parts: Mapping[str, str] = field(default_factory=dict)
    mark: int | None = None
    inode: int = 0

    def is_still(self, found: os.stat_result) -> bool:
        """Whether what was `found` is this file, as it was seen."""
        return (found.st_ino, found.st_size, found.st_mtime) == (self.inode, self.size, self.mtime)


def drop_file(path: Path, read: Read, *, retired: bool = False) -> DropFile:
    """One file by its path; a name that does not fit the pattern gives no parts, a missing file has size 0.

    `retired`: it was moved away when it was read, and its first name tells the parts.
    """
    name = _STAMP.sub("", path.name) if retired else path.name
    parts = (parse_pattern(read.files).match(name) if read.files else None) or {}
    try:
        status = path.stat()
    except OSError:
        return DropFile(path, path.name, 0, 0.0, parts, order_mark(parts, read))
    return DropFile(path, path.name, status.st_size, status.st_mtime, parts, order_mark(parts, read), status.st_ino)


def order_mark(parts: Mapping[str, str], read: Read) -> int | None:
    """The place in the series of a file with these parts."""
    part = parse_pattern(read.files).order(read.order) if read.files else None
    if part is None or part.name not in parts:
        return None
    text = parts[part.name]
    if part.kind == "number":
        return int(text)
    if part.kind == "text":
        return None
    moment = datetime.fromisoformat(text)
    since = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def waiting_files(folder: Path, read: Read, *, marker: str | None = None) -> list[DropFile]:
    """The files of a folder whose names fit, oldest first: by order mark, else by time and name.

    Folders below, hidden files, markers and links that lead out of the folder are no files that wait. Raises
    ConfigurationError: the pattern is wrong, the folder cannot be read.
    """
    if not read.files:
        return []
    try:
        pattern = parse_pattern(read.files)
    except ValueError as error:
        raise ConfigurationError(f"read.files: {error}", todo="`navette check` tells where it is written") from None
    found = []
    try:
        inside = folder.resolve()
        for entry in os.scandir(folder):
            parts = None if entry.name.startswith(".") else pattern.match(entry.name)
            if parts is None or (marker and entry.name.endswith(marker)):
                continue
            path = folder / entry.name
            try:
                status = path.stat()
                if not stat.S_ISREG(status.st_mode) or path.resolve().parent != inside:
                    continue
            except OSError:
                continue  # gone since the folder was listed, or a link to nothing
            found.append(DropFile(path, entry.name, status.st_size, status.st_mtime, parts, order_mark(parts, read),
                                  status.st_ino))
    except OSError as error:
        raise ConfigurationError(
            f"the drop folder cannot be read: {error.strerror or error}", where=str(folder),
            todo="create it, and let this user read it",
        ) from error
    return sorted(found, key=lambda one: (one.mark is None, one.mark or 0, one.mtime, one.name))


def unnamed_files(folder: Path, reads: Iterable[Read], *, marker: str | None = None) -> list[str]:
    """The names of files in the folder that fit no pattern, but for hidden files and markers: nobody reads them."""
    patterns = [pattern for read in reads if (pattern := usable_pattern(read.files)) is not None]
    try:
        entries = [entry.name for entry in os.scandir(folder) if entry.is_file() and not entry.name.startswith(".")]
    except OSError:
        return []
    return sorted(name for name in entries if not (marker and name.endswith(marker))
                  and all(pattern.match(name) is None for pattern in patterns))


def nearest_file(name: str, folders: Iterable[Path]) -> Path | None:
    """The file whose name is most like `name`, in the first of the folders that has one like it; the newest that was
    `name` before it was moved away, where there is one."""
    stem, _, ending = name.rpartition(".")
    for folder in folders:
        try:
            files = [entry.name for entry in os.scandir(folder) if entry.is_file()]
        except OSError:
            continue
        moved = sorted(file for file in files if stem and file.startswith(f"{stem}.") and file.endswith(f".{ending}"))
        if near := moved[-1:] or get_close_matches(name, files, 1):
            return folder / near[0]
    return None


def is_stable(file: DropFile, stable_for: float, marker: str | None = None, *, now: float | None = None) -> bool:
    """Whether the file is as it was seen, has not changed for `stable_for` seconds, and its marker lies beside it.

    The time of change that counts is the kernel's (ctime): a copy may give a file an old mtime before it is whole.
    """
    moment = time.time() if now is None else now
    try:
        status = file.path.stat()
    except OSError:
        return False
    if (status.st_size, status.st_mtime) != (file.size, file.mtime):  # shares may tell another inode each time
        return False
    if marker is not None and not file.path.with_name(file.name + marker).is_file():
        return False
    past = [at for at in (status.st_ctime, status.st_mtime) if at <= moment]  # clocks of other machines run ahead
    return moment - max(past, default=moment) >= stable_for


def retire(file: DropFile, folder: Path, into: str, *, marker: str | None = None) -> Path:
    """Moves a file that was read to `into` below the folder, its name stamped with the time (UTC); overwrites nothing.

    Its marker is removed, or the next file of the name would seem whole before it is. Another file that has come under
    its name meanwhile was not read, and stays. Returns where it lies now.
    """
    goal = folder / into
    if goal.resolve() == folder.resolve() or folder.resolve() not in goal.resolve().parents:
        raise ConfigurationError(
            f"read files cannot go to {into!r}", where=str(folder), todo="name a folder below the drop folder"
        )
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    try:
        goal.mkdir(parents=True, exist_ok=True)
        if not file.is_still(file.path.stat()):
            return file.path
        target = _moved(file.path, goal, stamp)
        if not file.is_still(target.stat()):  # it came in this very moment
            os.link(target, file.path)
            target.unlink()
            return file.path
        if marker is not None:
            file.path.with_name(file.name + marker).unlink(missing_ok=True)
    except FileNotFoundError as error:
        raise RetryLater("the file is gone: another run moved it", where=str(file.path)) from error
    except OSError as error:
        raise ConfigurationError(
            f"the file was read, but cannot be moved to {goal}: {error.strerror or error}", where=str(file.path),
            todo="let this user write there; until then the file counts as read and is not read again",
        ) from error
    return target


def _moved(path: Path, goal: Path, stamp: str) -> Path:
    number = 1
    while True:
        again = "" if number == 1 else f"-{number}"
        target = goal / f"{path.stem}.{stamp}{again}{path.suffix}"
        try:
            os.close(os.open(target, os.O_CREAT | os.O_EXCL, 0o600))  # two runs cannot both have the name
        except FileExistsError:
            number += 1
            continue
        try:
            path.replace(target)
        except OSError:
            target.unlink(missing_ok=True)
            raise
        return target


def content_digest(path: Path) -> str:
    """XXH3 (128 bit, hex) of the file's bytes, read in pieces; SourceUnreadable if it cannot be read."""
    digest = xxhash.xxh3_128()
    try:
        with path.open("rb") as file:
            while piece := file.read(1 << 20):
                digest.update(piece)
    except OSError as error:
        raise SourceUnreadable(
            f"the file cannot be read: {error.strerror or error}", where=str(path), todo="check the path and its rights"
        ) from error
    return digest.hexdigest()
