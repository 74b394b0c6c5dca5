"""The embedded server's settings, scaled to the machine, written anew before each start."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import psutil

_MB = 1024 * 1024
_SHM = Path("/dev/shm")  # noqa: S108 - looked at for its size only

PG_HBA = """\
# Written by navette. Passwords everywhere: the server's own socket too, since every local user can reach loopback.
local all all scram-sha-256
host all all 127.0.0.1/32 scram-sha-256
host all all ::1/128 scram-sha-256
"""


def settings_text(data: Path, *, port: int, socket_dir: Path, tcp: bool) -> str:
    """navette.conf, which postgresql.conf includes.

    Settings that are not about size: `jit` costs more than it gives on batches of 50,000 rows; `random_page_cost` is
    a solid-state disk's; `wal_compression` would be pglz's here, and cost more than all else where each page that is
    touched is written whole after a checkpoint (2.5 s of 3 s for 10,000 changed records); `wal_buffers` hold what two
    lanes write between two rounds of the log's writer, for which they would wait a fifth of the time; statements and
    values stay out of the log (they hold personal data and, for roles, passwords); `synchronous_commit` stays on, since
    a committed batch must survive a power cut.
    """
    memory = psutil.virtual_memory().total // _MB
    free = shutil.disk_usage(data).free // _MB
    chosen = {
        "listen_addresses": "127.0.0.1" if tcp else "",
        "port": str(port),
        "unix_socket_directories": str(socket_dir),
        "unix_socket_permissions": "0777",  # the folder is private where the user is; root's server belongs to another
        "max_connections": "60",
        "password_encryption": "scram-sha-256",
        "shared_buffers": f"{_between(memory // 8, 64, 512)}MB",
        "effective_cache_size": f"{max(memory // 2, 128)}MB",
        "work_mem": f"{_between(memory // 200, 8, 64)}MB",
        "maintenance_work_mem": f"{_between(memory // 32, 32, 256)}MB",
        "wal_buffers": f"{_between(memory // 128, 4, 128)}MB",
        "max_wal_size": f"{_between(free // 8, 512, 8192)}MB",
        "min_wal_size": f"{_between(free // 64, 80, 512)}MB",
        "checkpoint_timeout": "15min",
        "wal_compression": "off",
        "random_page_cost": "1.1",
        "jit": "off",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "lc_messages": "C",
        "log_min_error_statement": "panic",
        "log_error_verbosity": "terse",
        "log_line_prefix": "%m [%p] %q%u@%d ",
    }
    if _SHM.exists() and shutil.disk_usage(_SHM).total < 256 * _MB:
        chosen["dynamic_shared_memory_type"] = "sysv"  # a container's 64 MB are too small for a parallel hash join
    lines = "".join(f"{name} = '{value.replace(chr(39), chr(39) * 2)}'\n" for name, value in chosen.items())
    return f"# Written by navette before each start; your own settings belong in postgresql.auto.conf.\n{lines}"


def socket_path_fits(folder: Path) -> bool:
    """Whether a socket can lie in `folder`: paths are limited to about 107 bytes, and the setting is a comma list."""
    return len(os.fsencode(folder / ".s.PGSQL.65535")) <= 100 and not set(str(folder)) & set(",'\"\\")


def _between(value: int, least: int, most: int) -> int:
    return max(least, min(value, most))
