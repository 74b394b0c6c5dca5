"""Two new rows of one run that fit each other wait for a person; `unless` tells strangers apart among them too."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import select

from crm_store import hub_tables as tables
from crm_store.entity_tables import compile_entities
from crm_store.store import Store
from mappings.language.project import Project
from pipelines.hub import Hub
from pipelines.ops.reviews import reviews
from pipelines.runs.intake import run_flow
from pipelines.runs.settling import settle_row
from pipelines.stages import land
from tests.conftest import write_files

FLOW = """
flow: customers
system: sage
read: {files: "customers*.csv"}
into:
  entity: company
  key: CODE
  match:
    - siret
    - [name, postal_code]
    - {on: vat_number, unless: [siret, customer_code]}
  fields: {name: NAME, postal_code: POSTCODE, siret: SIRET, vat_number: {from: VAT, as: text}, customer_code: NO}
"""
OTHERS = """
flow: others
system: accounting
read: {files: "others*.csv"}
into: {entity: company, key: CODE, fields: {name: NAME, postal_code: POSTCODE, siret: SIRET}}
"""
TWO_SIRETS = ("73282932000074", "73282932000066")


@pytest.fixture
def hub(tmp_path: Path, new_store: Callable[[Project], Store]) -> Hub:
    project = write_files(tmp_path / "project", {"flows/customers": FLOW, "flows/others": OTHERS})
    return Hub(project, tmp_path / "home", new_store(project), compile_entities(project.entities))


@pytest.fixture
def twins(tmp_path: Path, hub: Hub) -> Callable[..., dict[str, str]]:
    """Runs lines `CODE,NAME,POSTCODE,SIRET,VAT,NO` and tells the rule that holds each row that is not taken in."""

    def run(*lines: str, flow: str = "customers") -> dict[str, str]:
        path = tmp_path / f"{flow}.csv"
        path.write_text("\n".join(("CODE,NAME,POSTCODE,SIRET,VAT,NO", *lines)) + "\n")
        (result,) = run_flow(hub, flow, file=path)
        counts = result.into["company"]
        if flow == "others":
            return {}
        with hub.engine.connect() as connection:
            still = tables.held.c.state == "open"
            held = connection.execute(select(tables.held.c.key, tables.held.c.causes).where(still)).all()
        assert (counts["rows_read"], counts["review"]) == (len(lines), len(held))
        return {row.key: row.causes[0]["params"]["rule"] for row in held}

    return run


def test_agencies_that_share_a_vat_number_but_not_the_siret_are_all_new(twins: Callable[..., dict[str, str]]) -> None:
    assert twins(f"1,North,59000,{TWO_SIRETS[0]},FR1,", f"2,South,13000,{TWO_SIRETS[1]},FR1,") == {}


def test_an_agency_that_tells_no_siret_makes_all_of_its_vat_number_wait(twins: Callable[..., dict[str, str]]) -> None:
    held = twins(f"1,North,59000,{TWO_SIRETS[0]},FR1,", f"2,South,13000,{TWO_SIRETS[1]},FR1,", "3,East,67000,,FR1,")
    assert held == dict.fromkeys(["1", "2", "3"], "vat_number")


def test_every_field_of_unless_can_tell_strangers(twins: Callable[..., dict[str, str]]) -> None:
    assert twins("1,North,59000,,FR1,A", "2,South,13000,,FR1,B", "3,East,67000,,FR2,C", "4,West,35000,,FR2,C") == {
        "3": "vat_number", "4": "vat_number",
    }


def test_a_row_that_fits_rows_which_wait_already_waits_with_them(twins: Callable[..., dict[str, str]]) -> None:
    held = twins(f"1,Dupont,59000,{TWO_SIRETS[0]},,", f"2,Dupont,59000,{TWO_SIRETS[0]},,",
                 f"3,Dupont,59000,{TWO_SIRETS[1]},,", "4,Durand,59000,,,")
    assert held == {"1": "siret", "2": "siret", "3": "name + postal_code"}


def test_twins_stay_twins_when_another_system_brings_what_fits_one(twins: Callable[..., dict[str, str]]) -> None:
    real, foreign = f"1,Dupont,59000,{TWO_SIRETS[0]},,", f"2,Durand,13000,{TWO_SIRETS[0]},,"
    both = dict.fromkeys(["1", "2"], "siret")
    assert twins(real, foreign) == both
    twins("A,Dupont,59000,,,", flow="others")
    assert twins(real, foreign) == both
    assert twins(real, f"2,Durand,13000,{TWO_SIRETS[1]},,") == {}


def offered(hub: Hub) -> dict[str, tuple[str, list[str]]]:
    """By key of each row that waits: its code, and the names of the records that are offered."""
    return {str(each.row.key): (each.row.causes[0].code, [record["name"] for record in each.candidates])
            for each in reviews(hub).rows}


def number_of(hub: Hub, key: str) -> int:
    return next(each.row.id for each in reviews(hub).rows if each.row.key == key)


def test_of_two_twins_the_one_that_was_made_is_offered_for_the_other(twins: Callable[..., dict[str, str]], hub: Hub) -> None:
    lines = (f"1,Dupont,59000,{TWO_SIRETS[0]},,", f"2,Dupont bis,13000,{TWO_SIRETS[0]},,")
    twins(*lines)
    assert offered(hub) == {"1": ("twins", []), "2": ("twins", [])}
    settle_row(hub, number_of(hub, "1"), create=True)
    assert offered(hub) == {"2": ("taken", ["Dupont"])}
    assert twins(*lines) == {"2": "siret"}, "read again, it waits as it did"


def test_of_three_twins_the_one_that_was_made_is_offered_for_both_others(twins: Callable[..., dict[str, str]], hub: Hub) -> None:
    twins(*[f"{n},Dupont {n},{n}9000,{TWO_SIRETS[0]},," for n in (1, 2, 3)], "7,Petit,59000,,FR1,", "8,Petit,13000,,FR1,")
    settle_row(hub, number_of(hub, "2"), create=True)
    assert offered(hub) == {"1": ("twins", ["Dupont 2"]), "3": ("twins", ["Dupont 2"]), "7": ("twins", []),
                            "8": ("twins", [])}
    settle_row(hub, number_of(hub, "1"), create=True)
    assert offered(hub)["3"] == ("ambiguous", ["Dupont 2", "Dupont 1"])


def test_a_twin_that_is_linked_is_offered_for_the_other_as_well(twins: Callable[..., dict[str, str]], hub: Hub) -> None:
    twins("A,Elsewhere,67000,,,", flow="others")
    with hub.engine.connect() as connection:
        record = connection.scalar(select(hub.tables.record["company"].c.id))
    twins(f"1,Dupont,59000,{TWO_SIRETS[0]},,", f"2,Dupont bis,13000,{TWO_SIRETS[0]},,")
    settle_row(hub, number_of(hub, "1"), link=record)
    assert [names for _, names in offered(hub).values()] == [["Elsewhere"]]


def test_twins_of_a_first_load_are_found_pages_apart(
    twins: Callable[..., dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(land, "PAGE_ROWS", 2)
    others = [f"{number},Name {number},{number},,," for number in range(10, 16)]
    held = twins(f"1,North,1,{TWO_SIRETS[0]},,", *others, f"2,South,2,{TWO_SIRETS[0]},,")
    assert held == dict.fromkeys("12", "siret")


GROUPS = """
flow: groups
system: sage
read: {files: "groups*.csv"}
into:
  entity: company
  key: CODE
  match: [siret, [name, parent]]
  fields: {name: NAME, siret: SIRET, parent: {from: GROUP, refers: company}}
"""
PEOPLE = """
flow: people
system: sage
read: {files: "people*.csv"}
into:
  - {entity: company, key: CODE, fields: {name: NAME}}
  - {entity: contact, key: NO, owner: company, match: [email], fields: {last_name: PERSON, email: EMAIL}}
"""


@pytest.mark.parametrize(("rows", "twins", "made"), [
    # Both wait for their group; one does; the group itself and a subsidiary that waits for it.
    ([f"1,A,{TWO_SIRETS[0]},9", f"2,B,{TWO_SIRETS[0]},9", "9,Group,,"], {"1", "2"}, {"9"}),
    ([f"1,A,{TWO_SIRETS[0]},9", f"2,B,{TWO_SIRETS[0]},", "9,Group,,"], {"1", "2"}, {"9"}),
    ([f"1,A,{TWO_SIRETS[0]},9", f"9,Group,{TWO_SIRETS[0]},"], {"1", "9"}, set()),
    # What they have in common is the group that they wait for; of another group of that name they are strangers.
    (["1,A,,9", "2,A,,9", "3,A,,8", "8,Other,,", "9,Group,,"], {"1", "2"}, {"3", "8", "9"}),
    # A subsidiary of a twin waits for it.
    (["1,A,,9", "2,A,,9", "3,C,,1", "9,Group,,"], {"1", "2", "3"}, {"9"}),
    # A twin waits for one from the second run on: the first could not know yet that its group is a twin.
    ([f"1,A,{TWO_SIRETS[0]},9", f"2,B,{TWO_SIRETS[1]},3", f"3,C,{TWO_SIRETS[0]},", f"4,D,{TWO_SIRETS[1]},",
      "9,Group,,"], {"1", "2", "3", "4"}, {"9"}),
])
def test_twins_that_wait_for_a_record_of_the_same_run(
    tmp_path: Path, new_store: Callable[[Project], Store], rows: list[str], twins: set[str], made: set[str]
) -> None:
    project = write_files(tmp_path / "project", {"flows/groups": GROUPS})
    hub = Hub(project, tmp_path / "home", new_store(project), compile_entities(project.entities))
    path = tmp_path / "groups.csv"
    path.write_text("\n".join(("CODE,NAME,SIRET,GROUP", *rows)) + "\n")
    x, held = hub.tables.crosswalk["company"], tables.held
    for created in (len(made), 0):
        (result,) = run_flow(hub, "groups", file=path)
        with hub.engine.connect() as connection:
            assert set(connection.scalars(select(x.c.key))) == made
            assert set(connection.scalars(select(held.c.key).where(held.c.state == "open"))) == twins
        assert result.into["company"]["created"] == created


def test_two_persons_of_one_address_of_a_company_that_comes_with_them(
    tmp_path: Path, new_store: Callable[[Project], Store]
) -> None:
    project = write_files(tmp_path / "project", {"flows/people": PEOPLE})
    hub = Hub(project, tmp_path / "home", new_store(project), compile_entities(project.entities))
    path = tmp_path / "people.csv"
    path.write_text("CODE,NAME,NO,PERSON,EMAIL\n1,A,10,Ann,info@a.fr\n1,A,11,Bob,info@a.fr\n2,B,20,Cid,info@a.fr\n")
    (result,) = run_flow(hub, "people", file=path)
    assert (result.into["contact"]["created"], result.into["contact"]["review"]) == (1, 2), "another company's is new"
