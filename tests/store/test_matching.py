"""Values are compared folded or canonical, the same on both sides, and found by index."""

from __future__ import annotations

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import literal, text

from crm_store.match_indexes import match_expression
from crm_store.migrate import migrate
from mappings.language.entity import FieldSpec
from tests.conftest import Server, write_files
from tests.store.conftest import Desk

FLOW = """
flow: companies
system: sage
read: {files: "*.csv"}
into:
  entity: company
  key: CODE
  match: [siret, name, [city, postal_code], {on: email, agree: [phone]}]
  fields:
    {name: NAME, siret: SIRET, email: MAIL, postal_code: CP, city: TOWN, phone: TEL,
     salesperson: {from: REP, refers: {entity: employee, by: login}}}
"""

FOLDED = {
    "L'Orée & Cie": "l oree cie", "  SOCIÉTÉ   Générale-d’Entretien ": "societe generale d entretien",
    "Œuvre Æsop ß ẞ": "oeuvre aesop ss ss", "Łódź Øre Đorđe ÞÓR": "lodz ore dorde thor", "ﬁn²": "fin2",
    "e\u0301te\u0301": "ete", "co\u00adopera\u200btion": "cooperation", "ЖУК": "жук", "日本 株式会社": "日本 株式会社",
    "a\u00a0b\u202fc": "a b c", "30 € — net…": "30 net", "": None, " .-'’ ": None, None: None, "\n\t": None,
    "S.A.R.L. Dupont": "s a r l dupont", "ACME123": "acme123", "N°5": "n 5",
}


@pytest.mark.parametrize("written", FOLDED)
def test_text_is_folded(desk: Desk, written: str | None) -> None:
    assert desk.one("SELECT crm.fold(%s)", written) == FOLDED[written]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30))
def test_folding_again_and_other_case_or_accents_change_nothing(desk: Desk, written: str) -> None:
    once, twice, spaced = desk.hub.execute(
        "SELECT crm.fold(%s), crm.fold(crm.fold(%s)), crm.fold(' ' || %s || ' - ')", [written] * 3).fetchone()
    assert once == twice == spaced


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(max_codepoint=127, exclude_characters="\0"), max_size=30))
def test_the_short_way_for_plain_ascii_answers_like_the_long_one(desk: Desk, written: str) -> None:
    """A letter that only the long way knows, appended to both, makes the server take it."""
    short, long = desk.hub.execute("SELECT crm.fold(%s), crm.fold(%s || ' é')", [written, written]).fetchone()
    assert long == (f"{short} e" if short else "e")


def test_text_is_folded_formats_compare_canonical_and_mail_in_lower_case() -> None:
    column = literal("x")
    assert "fold" in str(match_expression(column, FieldSpec()))
    assert "fold" in str(match_expression(column, FieldSpec(type="long_text")))
    assert "lower" in str(match_expression(column, FieldSpec(format="email")))
    for spec in (FieldSpec(format="siret"), FieldSpec(type="number"), FieldSpec(type="choice", values=("a",)), None):
        assert match_expression(column, spec) is column


def test_match_rules_of_the_flows_are_served_by_an_index_and_go_with_them(
    server: Server, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("project")
    project = write_files(folder, {"flows/companies": FLOW})
    store = server.new_store(project)
    try:
        with store.hub().begin() as hub:
            hub.execute(text(
                "INSERT INTO crm.company (name, siret, email, city, postal_code) SELECT 'Société ' || i,"
                " lpad(i::text, 14, '0'), 'mail' || i || '@x.example', 'Saint-Étienne ' || i, '75001'"
                " FROM generate_series(1, 20000) i"))
        for where in (
            "siret = '00000000000042'", "crm.fold(city) = crm.fold('SAINT  ETIENNE 42') AND postal_code = '75001'",
            "crm.fold_company(name) = crm.fold_company('SOCIETE  42 (SARL)')",
            "lower(email) = lower('Mail42@x.example')",
        ):
            with store.hub().connect() as hub:
                hub.execute(text("SET LOCAL plan_cache_mode = force_generic_plan"))
                plan = "\n".join(hub.execute(text(f"EXPLAIN SELECT id FROM crm.company WHERE {where}")).scalars())
                assert hub.execute(text(f"SELECT count(*) FROM crm.company WHERE {where}")).scalar() == 1
            assert "Seq Scan" not in plan, plan
        with store.owner().connect() as owner:
            made = text("SELECT indexname FROM pg_indexes WHERE tablename = 'employee' AND indexdef LIKE '%login%'")
            assert owner.execute(made).scalars().all() != []
        fewer = FLOW.replace("siret, name, [city, postal_code],", "")
        done = migrate(store, write_files(folder, {"flows/companies": fewer}))
        assert sorted(line.rsplit("_", 1)[0] + line[-8:] for line in done if "dropped" in line) == [
            "index company_city_postal_code dropped", "index company_name dropped",
            "index company_siret dropped"]
    finally:
        server.drop(store)


def test_what_is_looked_up_often_is_found_by_index_as_applications_ask_for_it(
    server: Server, tmp_path_factory: pytest.TempPathFactory
) -> None:
    store = server.new_store(write_files(tmp_path_factory.mktemp("project"), {}))
    try:
        with store.hub().begin() as hub:
            hub.execute(text("INSERT INTO crm.company (name, customer_code) SELECT 'C', 'C-' || i FROM generate_series(1, 20000) i"))
        with psycopg.connect(store.crm_url) as application:
            for asked, count in (("= 'C-42'", 1), ("LIKE 'C-42%'", 111), ("= ANY ('{C-1,C-2}')", 2)):
                where = f"FROM crm.company WHERE customer_code {asked}"
                plan = "\n".join(row[0] for row in application.execute(f"EXPLAIN SELECT id {where}"))
                assert "company_customer_code_index" in plan, plan
                assert application.execute(f"SELECT count(*) {where}").fetchone() == (count,)
    finally:
        server.drop(store)
