"""A system that masters `archived`: what of a record's marker is left when a full read no longer has its row."""

from __future__ import annotations

from pathlib import Path

from crm_store.migrate import migrate
from mappings.language.project import require_project
from tests.acceptance.test_both_ways import filled
from tests.both_ways_desk import Both, both

__all__ = ["both"]


def test_a_record_that_a_run_archives_leaves_no_marker_that_its_row_is_gone(both: Both) -> None:
    for name, before, after in (("entities/company", "archived: crm", "archived: erp"),
                                ("flows/erp", "absent: ignore", "absent: archive")):
        path = Path(both.root / f"mappings/{name}.yaml")
        path.write_text(path.read_text().replace(before, after))
    project = require_project(both.root, {})
    migrate(both.store, project)
    desk = Both(both.root, both.store, project, both.erp, both.books)
    filled(desk)
    desk.sees("DELETE FROM sync.outbox")
    desk.crm("UPDATE crm.company SET website = 'https://one.example' WHERE name = 'Company 1'")
    desk.erp("DELETE FROM customer WHERE name = 'Company 1'")
    desk.push("erp_companies")
    assert desk.outbox() == [("refused", "gone_there")]
    assert desk.run("erp_companies", full=True).into["company"]["archived"] == 1
    assert desk.outbox() == []
