"""The trailer of a file on the road: what it tells is compared, or a notice says that it could not be."""

from __future__ import annotations

import pytest

from pipelines.cli.running import problem_lines
from pipelines.runs.result import RunResult
from tests.road_desk import Road, roads

FLOWS = {
    "stock": """
flow: stock
system: erp
read:
  format: {csv: {delimiter: ";", header: false}}
  records: {by: 1, use: D, columns: [kind, CODE, NOM, Q]}
  trailer: {by: 1, is: T, rows: 2, sum: {Q: 3}}
into: {entity: product, key: CODE, fields: {name: NOM, stock: Q}}
""",
}

module_road, road = roads(FLOWS)


def stock(road: Road, *lines: str, state: str = "done") -> RunResult:
    return road.run("stock", *lines, state=state)


@pytest.mark.parametrize("amount", ["15-", "(15)", "-15", "\u221215", "-1,5E+1", "-15,00"])
def test_a_sum_is_compared_in_every_form_that_the_fields_read(road: Road, amount: str) -> None:
    refused = stock(road, f"D;1;a;{amount}", "D;2;b;10", "T;2;26", state="failed")
    assert refused.problem is not None
    assert refused.problem["message"] == "the trailer tells a sum of Q of '26', the file has -5"
    assert road.one("SELECT count(*) FROM crm.product") == 0
    assert stock(road, f"D;1;a;{amount}", "D;2;b;10", "T;2;5-").notices == []
    assert road.hub_sees("SELECT name, stock FROM crm.product ORDER BY 1") == [("a", -15), ("b", 10)]


@pytest.mark.parametrize(("bad", "why"), [("D;1;a;n/a", "not_decimal"), ("D;1;a;15;more", "columns")])
def test_a_sum_that_cannot_be_compared_is_told_with_the_first_such_line(road: Road, bad: str, why: str) -> None:
    result = stock(road, "D;2;b;10", bad, "D;3;c;x", "T;3;26")
    assert result.notices == [
        f"{result.source}: the trailer's sum of Q was not compared: no amount could be read in 2 of 3 rows, the first on"
        " line 2; ask for the file again with these lines put right, or check the sum by hand"
    ]
    assert problem_lines(result) == result.notices
    assert [code for _, _, code in road.held()] == [why, "not_decimal"]
    count = stock(road, "D;2;b;10", bad, "D;3;c;x", "T;4;26", state="failed")
    assert count.problem is not None
    assert count.problem["message"] == "the trailer tells a row count of '4', the file has 3"
