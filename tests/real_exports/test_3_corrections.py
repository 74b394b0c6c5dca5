"""What was refused is corrected and goes through; what waited for it, or for a decision, follows by itself."""

from __future__ import annotations

import pytest
import python_calamine
import xlsxwriter

from pipelines.ops.export import export_held
from pipelines.runs.settling import settle_row
from tests.real_exports.companies import dolibarr_companies
from tests.real_exports.story import Story
from tests.road_desk import told

pytestmark = pytest.mark.slow

SIRET = "Identifiant professionnel 2"


def test_a_corrected_export_of_the_rejects_goes_through_and_what_hung_on_them_follows(second_day: Story) -> None:
    (written,) = export_held(second_day.hub, "dolibarr_companies")
    assert written.rows == 19
    table = python_calamine.CalamineWorkbook.from_path(str(written.path)).get_sheet_by_index(0).to_python()
    place, number = table[0].index(SIRET), table[0].index("Id")
    refused = {str(int(float(str(row[number])))) for row in table[1:]}
    known = {row["key"]: row["siret"] for row in dolibarr_companies("day2")}
    assert all(known[key] for key in refused)
    before = second_day.open_rows("parked")["dolibarr_contacts", "contact"]
    workbook = xlsxwriter.Workbook(str(second_day.inbox / "dolibarr_companies.xlsx"))
    sheet = workbook.add_worksheet()
    for line, row in enumerate(table):
        for column, cell in enumerate(row):
            sheet.write(line, column, "" if line and column == place else cell)
    workbook.close()
    second_day.run("corrected")
    counts = second_day.counts("corrected", "dolibarr_companies", "company")
    assert counts["rows_read"] == 19
    assert counts.get("rejected", 0) == counts.get("archived", 0) == 0
    taken = refused & second_day.links("company", "third_party").keys()
    assert len(taken) == 19 - counts.get("review", 0)
    assert len(taken) > 10
    assert ("dolibarr_companies", "company") not in second_day.open_rows("rejected")
    assert waiting_for(second_day, taken) == []
    assert len(second_day.open_rows("parked")["dolibarr_contacts", "contact"]) < len(before)


def test_what_waited_for_a_review_follows_when_somebody_decides(second_day: Story) -> None:
    number, key = second_day.ask(
        "SELECT h.id, h.key FROM sync.held h JOIN sync.feed f ON f.id = h.feed WHERE f.flow = 'tryton_parties_fr_semicolon'"
        " AND h.state = 'open' AND h.code = 'twins' ORDER BY h.key LIMIT 1")[0]
    waited = {
        (flow, into) for (flow, into), keys in second_day.open_rows("parked").items()
        if flow.startswith("tryton_") and key in keys
    }
    assert {("tryton_parties", "company"), ("tryton_identifiers", "siren"), ("tryton_addresses", "company")} <= waited
    result, *others = settle_row(second_day.hub, number, create=True)
    assert result.into["company"]["created"] == 1
    # Its twins are decided again, and wait on: for whoever says whether they are this record.
    assert [set(told(other, "company")) for other in others] == [{"review"}]
    still = [place for place, keys in second_day.open_rows("parked").items() if place in waited and key in keys]
    assert still == []
    record = second_day.links("company", "party")[key]
    assert second_day.ask("SELECT siret IS NOT NULL, city IS NOT NULL FROM crm.company WHERE id = :id", id=record) == [
        (True, True)]
    assert second_day.ask("SELECT count(*) > 0 FROM crm.address WHERE company = :id", id=record) == [(True,)]


def waiting_for(story: Story, companies: set[str]) -> list[str]:
    """Open parked rows of Dolibarr that name one of these companies."""
    rows = story.ask(
        "SELECT DISTINCT f.flow || ' ' || h.key FROM sync.held h JOIN sync.feed f ON f.id = h.feed"
        " WHERE h.state = 'open' AND h.outcome = 'parked'"
        " AND coalesce(h.raw ->> 'Identifiant société', h.raw ->> 'Id') = ANY (:companies)"
        " AND f.flow LIKE 'dolibarr%' AND (h.raw -> 'Identifiant société' IS NOT NULL OR f.entity = 'company')",
        companies=sorted(companies))
    return [row[0] for row in rows]
