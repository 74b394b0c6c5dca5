"""The demo's data is believable, belongs to nobody, and is the same each time; its mappings are without mistakes."""

from __future__ import annotations

import re
from pathlib import Path
from random import Random

import pytest
from stdnum.fr import siret, tva

from demo import generate, identifiers
from demo.generate import Demo
from demo.manifest import Row, reordered
from demo.world import make_world
from mappings.check.project import check_project

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def demo() -> Demo:
    return generate.make_demo()


def test_every_number_of_a_company_passes_its_own_check() -> None:
    customers = make_world().customers
    assert [c.siret for c in customers if not siret.is_valid(c.siret)] == []
    assert [c.vat_number for c in customers if not tva.is_valid(c.vat_number)] == []
    assert len({c.siret for c in customers}) == len(customers)


def test_a_wrong_digit_is_seen() -> None:
    number = identifiers.siret(identifiers.siren(7))
    assert siret.is_valid(number)
    assert not siret.is_valid(identifiers.with_wrong_last_digit(number))


def test_phone_numbers_and_domains_belong_to_nobody(tmp_path: Path, demo: Demo) -> None:
    assert all(c.phone.startswith(identifiers.FICTIONAL) for c in make_world().customers)
    generate.write_day(tmp_path, demo)
    for path in tmp_path.rglob("*.csv"):
        domains = set(re.findall(rb"@[\w.-]*\.([a-z]+)\b", path.read_bytes()))
        assert domains <= {b"example"}, path


def test_the_same_seed_writes_the_same_bytes(tmp_path: Path, demo: Demo) -> None:
    generate.write_day(tmp_path / "one", demo)
    generate.write_day(tmp_path / "two", generate.make_demo())
    one = {path.relative_to(tmp_path / "one"): path.read_bytes() for path in (tmp_path / "one").rglob("*.*")}
    two = {path.relative_to(tmp_path / "two"): path.read_bytes() for path in (tmp_path / "two").rglob("*.*")}
    assert one
    assert one == two


def test_the_customers_file_has_five_thousand_lines_as_the_erp_writes_them(tmp_path: Path, demo: Demo) -> None:
    assert len(demo.customers) == 5_000
    generate.write_day(tmp_path, demo)
    content = (tmp_path / "sage" / f"CLI_SIEGE_{generate.FIRST_DAY}.csv").read_bytes()
    assert b"\x81" in content  # the planted byte that Windows-1252 lacks
    assert "œ".encode("cp1252") in content or "é".encode("cp1252") in content
    assert content.count(b"\r\n") == 5_001


def test_another_order_keeps_the_rows_and_the_order_within_a_key() -> None:
    rows = [Row(key, f"{key}{n}".encode(), ()) for n in range(3) for key in "abcdefgh"]
    mixed = reordered(rows, Random(1))
    assert sorted(row.content for row in mixed) == sorted(row.content for row in rows)
    assert [row.content for row in mixed] != [row.content for row in rows]
    assert [row.content for row in mixed if row.key == "c"] == [b"c0", b"c1", b"c2"]


def test_every_planted_fault_is_counted_with_what_must_become_of_it(demo: Demo) -> None:
    told = demo.manifest().as_json()
    assert sum(told["first"]["sage_customers"]["company"].values()) == 5_000
    for flow, labels in told["first"].items():
        for label, outcomes in labels.items():
            held = outcomes["rejected"] + outcomes["parked"] + outcomes["review"]
            assert sum(told["causes"][flow].get(label, {}).values()) == held
    assert len({kind for kinds in told["planted"].values() for kind in kinds}) > 30


@pytest.mark.parametrize("project", ["demo", "benchmarks/project"])
def test_the_mappings_have_no_mistakes(project: str) -> None:
    assert [str(problem) for problem in check_project(ROOT / project)] == []
