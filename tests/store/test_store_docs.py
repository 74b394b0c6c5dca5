"""What docs/store.md shows works as it is written."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import mkdtemp

import psycopg

from crm_store import server as embedded
from crm_store.migrate import migrate
from crm_store.passwords import kept_passwords
from crm_store.store import Store
from mappings.language.project import Project
from tests.store.conftest import Desk

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "store.md").read_text("utf-8")
BLOCKS = re.findall(r"^```sql\n-- (.*?)\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


def shown(who: str) -> list[str]:
    return [block for told, block in BLOCKS if told == who]


def test_what_a_crm_user_is_shown_runs(desk: Desk) -> None:
    blocks = shown("as a CRM user")
    assert len(blocks) == 2
    for block in blocks:
        for statement in block.strip().split(";\n"):
            desk.crm.execute(statement)


def test_the_privileges_shown_are_enough_for_servers_of_one_s_own(write_project: Callable[..., Project]) -> None:
    """Two projects, one after the other, on a PostgreSQL 18 that knows nothing of navette."""
    first, login = shown("as an administrator")
    second = shown("as an administrator, for a second project on the same server")[0]
    top = Path(mkdtemp(prefix="nvd-", dir="/tmp"))
    port = embedded.ensure_running(top / "server").port
    word = kept_passwords(top / "server", (embedded.ADMIN,))[embedded.ADMIN]
    try:
        for block, owner, database in ((first, "navette_owner", "navette"), (second, "sales_owner", "sales")):
            admin = psycopg.connect(host="127.0.0.1", port=port, user=embedded.ADMIN, password=word, dbname="postgres",
                                    autocommit=True)
            for statement in block.strip().split(";\n"):
                admin.execute(statement)
            store = Store.open(top / database, f"postgresql://{owner}:a%20long%20one@127.0.0.1:{port}/{database}")
            assert migrate(store, write_project()) != []
            if database == "navette":
                admin.execute(login)
            admin.close()
            with psycopg.connect(store.crm_url, user="crm_web", password="another") as crm:
                crm.execute("INSERT INTO crm.company (name) VALUES ('x')")
            with psycopg.connect(store.dagster_url.replace("+psycopg2", "")) as dagster:
                dagster.execute("CREATE TABLE runs (id int)")
            store.let_go()
    finally:
        Store.stop(top / "server")
        shutil.rmtree(top)
