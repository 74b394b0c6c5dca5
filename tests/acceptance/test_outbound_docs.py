"""The page's example of a file for another system is the file that its mapping writes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import psycopg

from crm_store.entity_tables import compile_entities
from mappings.language.project import require_project
from pipelines.hub import Hub
from pipelines.runs.pushing import push_flow
from tests.unit.test_docs_mapping import PAGE, examples


def test_the_file_on_the_page_is_the_one_that_is_written(new_store: Any, tmp_path: Path) -> None:
    for example in examples():
        if example.path is not None:
            path = tmp_path / example.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(example.text, "utf-8")
    project = require_project(tmp_path, {})
    store = new_store(project)
    folder = tmp_path / str(project.systems["sage"].outbound)
    folder.mkdir(parents=True)
    with psycopg.connect(store.crm_url, autocommit=True) as crm:
        made = crm.execute("INSERT INTO crm.company (type, name, city, credit_limit, credit_limit_currency) VALUES "
                           "('prospect', 'Durand; fils', 'Lyon', 1500.50, 'EUR') RETURNING id").fetchall()[0][0]
        child = crm.execute("INSERT INTO crm.company (type, name, parent) VALUES ('prospect', 'Élan', %s) RETURNING id",
                            [made]).fetchall()[0][0]
    hub = Hub(project, tmp_path / "home", store, compile_entities(project.entities))
    assert push_flow(hub, "sage_prospects").files == ["PROSPECTS_000001.csv"]
    shown = re.search(r"^Its first file.*?^```text\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert shown is not None
    text = shown[1].replace("101", str(made)).replace("102", str(child))
    assert (folder / "PROSPECTS_000001.csv").read_bytes() == text.encode("cp1252")
