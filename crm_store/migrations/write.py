"""Write the next migration of the hub's own tables: `python -m crm_store.migrations.write "Add files' sizes"`.

Compares crm_store.hub_tables with the migrations so far, on an embedded server made for it in a temporary folder.
Alembic does not see changed CHECK constraints: read what it wrote, and add them. A test holds both to one schema.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from alembic import command

from crm_store.migrate import alembic_config, run_file
from crm_store.store import Store


def write(message: str) -> None:
    """One new file in crm_store/migrations/versions, numbered after the last."""
    versions = Path(__file__).parent / "versions"
    number = f"{len(list(versions.glob('[0-9]*.py'))) + 1:04d}"
    home = Path(tempfile.mkdtemp(prefix="navette-"))
    try:
        store = Store.open(home)
        with store.owner().begin() as connection:
            run_file(connection, "schemas.sql")
            config = alembic_config(connection)
            command.upgrade(config, "head")
            command.revision(config, message, autogenerate=True, rev_id=number)
    finally:
        Store.stop(home)
        shutil.rmtree(home)
    for path in versions.glob(f"{number}_*.py"):
        path.write_text("".join(line for line in path.read_text().splitlines(keepends=True) if "# ###" not in line))
        subprocess.run([sys.executable, "-m", "ruff", "format", "-q", path], check=True)  # noqa: S603 - our own linter


if __name__ == "__main__":
    write(" ".join(sys.argv[1:]))
