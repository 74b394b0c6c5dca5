"""A run's page and CSV, made from facts alone: whole, escaped, self-contained."""

from __future__ import annotations

import csv
import io
import re
import string
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

import pytest

from mappings.messages import REASONS, VARIANTS
from pipelines.cli.running import problem_lines
from pipelines.ops.held_rows import Cause, CauseGroup, HeldRow
from pipelines.ops.samples import Sampled
from pipelines.ops.sentences import SENTENCES, guard_lines, said
from pipelines.reports.facts import RunFacts
from pipelines.reports.page import index_page, run_page
from pipelines.reports.picture import BAR_WIDTH, BARS, picture_of
from pipelines.reports.sheet import COLUMNS, run_sheet
from pipelines.runs.result import RunResult, empty_counts

EVIL = '<script>alert("x")</script>&\'"'


def group(code: str = "not_siret", count: int = 3, sentence: str = "siret: 'x' is wrong") -> CauseGroup:
    return CauseGroup("customers", "company", "rejected", code, "siret", count, sentence, "drop/c.csv", 2, 9)


def held(number: int = 1, raw: dict[str, str] | None = None, raw_text: str | None = None) -> HeldRow:
    return HeldRow(
        number, 7, "customers", "company", "company", "rejected", "open", "C1", "drop/c.csv", 2,
        (Cause("not_siret", "siret", "x", "siret: 'x' is wrong"),), raw, raw_text, (), (), None, None, None, None,
    )


def facts(**more: Any) -> RunFacts:
    counts = empty_counts("company") | {"rows_read": 1234, "created": 1231, "rejected": 3}
    result = RunResult(
        7, "customers", "done", 1.25, {"company": counts}, source="drop/c.csv", full=True, rows_read=1234,
        detected={"delimiter": ";"},
    )
    whole = RunFacts(result, datetime(2026, 11, 22, 8, tzinfo=UTC), "cli", {"company": counts}, [], [],
                     [Sampled(group(), [held(raw={"CODE": "C1", "SIRET": "x"})])], [held(raw={"CODE": "C1"})])
    return replace(whole, **more)


class Outline(HTMLParser):
    """Tags that are open, and everything that leads out of the page."""

    VOID = ("meta", "rect", "br")

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.leads: list[str] = []
        self.seen: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.leads += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "data", "action")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


def test_the_page_tells_counters_causes_samples_and_what_was_detected() -> None:
    page = run_page(facts(), "run_7.csv")
    for told in ("Run 7 of customers", "1,234 rows read", ">1,231<", "siret: &#39;x&#39; is wrong", "c.csv:2",
                 "SIRET: x", "delimiter", "lines 2 to 9"):
        assert told in page
    assert Outline(page).open == []


def test_the_page_needs_nothing_but_itself() -> None:
    outline = Outline(run_page(facts(), "run_7.csv"))
    assert outline.seen >= {"style", "svg", "table"}
    assert not outline.seen & {"script", "link", "img", "iframe", "object"}
    assert set(outline.leads) == {"index.html", "run_7.csv"}
    assert "http" not in re.sub(r'http-equiv="Content-Security-Policy"', "", run_page(facts(), "run_7.csv"))


def test_nothing_from_outside_is_read_as_html() -> None:
    rows = [held(raw={EVIL: EVIL}), held(2, raw_text=EVIL)]
    result = replace(facts().result, flow=EVIL, source=EVIL, detected={EVIL: EVIL})
    conflict = {"into": EVIL, "key": EVIL, "entity": EVIL, "record_id": 1, "field": EVIL, "based": True,
                "base": EVIL, "ours": [EVIL, "EUR"], "theirs": None, "winner": "open"}
    page = run_page(facts(result=result, causes=[Sampled(group(sentence=EVIL), rows)], conflicts=[conflict],
                          conflicts_count=1, counters={EVIL: empty_counts(EVIL)}), "run_7.csv")
    assert "<script" not in page
    assert Outline(page).seen.isdisjoint({"script"})


@pytest.mark.parametrize(("state", "told"), [
    ("review", "navette review settle 7 --approve"), ("failed", "This run failed: c.csv: no such column"),
    ("refused", "This run was refused"), ("done", "The guard let this run pass"),
])
def test_every_state_says_what_it_means(state: Any, told: str) -> None:
    problem = {"failed": ["This run failed: c.csv: no such column"], "refused": ["This run was refused; …"]}
    result = replace(facts().result, state=state)
    page = run_page(facts(result=result, problem=problem.get(state, []), guard=["company: 3 of 4 …"]), "run_7.csv")
    assert told in page


def test_a_run_that_took_everything_in_has_no_picture() -> None:
    page = run_page(facts(causes=[], rows=[]), "run_7.csv")
    assert "<svg viewBox" not in page
    assert "Every row was taken in" in page


def test_the_picture_has_a_bar_for_each_large_cause_and_one_for_the_rest() -> None:
    causes = [group(f"code_{number}", 100 - number) for number in range(BARS + 5)]
    picture = picture_of(causes)
    assert len(picture.bars) == BARS + 1
    assert max(bar.width for bar in picture.bars) == BAR_WIDTH
    assert picture.bars[0].width > picture.bars[1].width
    assert (picture.bars[-1].label, picture.bars[-1].count) == ("+5", sum(cause.count for cause in causes[BARS:]))
    assert sum(bar.count for bar in picture.bars) == sum(cause.count for cause in causes)
    assert picture_of([group(count=1_000_000), group(count=1)]).bars[1].width >= 2


def test_the_csv_holds_counters_causes_and_rows() -> None:
    read = list(csv.DictReader(io.StringIO(run_sheet(facts()))))
    assert tuple(read[0]) == COLUMNS
    assert {row["outcome"]: row["count"] for row in read if row["what"] == "counter"}["created"] == "1231"
    assert [(row["code"], row["count"]) for row in read if row["what"] == "cause"] == [("not_siret", "3")]
    assert [(row["key"], row["line"], row["raw"]) for row in read if row["what"] == "row"] == [
        ("C1", "2", '{"CODE": "C1"}'),
    ]


def test_a_spreadsheet_executes_nothing_of_the_csv() -> None:
    formula = held(raw_text="=cmd|'/c calc'!A1")
    read = list(csv.DictReader(io.StringIO(run_sheet(facts(rows=[formula])))))
    assert [row["raw"] for row in read if row["what"] == "row"] == ["'=cmd|'/c calc'!A1"]


def test_the_index_leads_to_every_run() -> None:
    run = {"flow": EVIL, "state": "done", "started_at": datetime(2026, 11, 22, tzinfo=UTC), "name": EVIL}
    page = index_page([empty_counts("") | run | {"id": number} for number in (2, 1)])
    assert Outline(page).leads == ["run_2.html", "run_1.html"]
    assert "<script" not in page


def test_a_sentence_is_told_for_everything_that_can_trip_the_guard() -> None:
    for what in ("rejects", "creates", "updates", "archives", "empty"):
        (line,) = guard_lines([{"what": what, "into": "company", "count": 1234, "of": 2000, "limit": 0.5}])
        assert line.startswith("company: ")
        assert "2,000" in line


@pytest.mark.parametrize(("limit", "said"), [(0.0, "none"), (0.004, "0.4%"), (0.05, "5%"), (0.125, "12.5%")])
def test_the_share_that_the_guard_allows_is_told_as_it_was_written(limit: float, said: str) -> None:
    (line,) = guard_lines([{"what": "rejects", "into": "company", "count": 1, "of": 300, "limit": limit}])
    assert line == f"company: 1 of 300 rows were rejected; the guard allows {said}."


def test_notices_of_the_run_stand_on_its_page() -> None:
    told = facts()
    assert "not compared &lt;b&gt;" in run_page(
        replace(told, result=replace(told.result, notices=["not compared <b>"])), "run_7.csv"
    )


def test_a_run_that_waits_is_told_by_the_command_in_the_same_sentences() -> None:
    tripped = [{"what": "empty", "into": "company", "count": 0, "of": 6, "limit": 0.0}]
    result = RunResult(7, "customers", "review", 0.1, {}, problem={"code": "guard", "tripped": tripped})
    assert problem_lines(result) == [
        "run 7 waits in review: company: the source holds no row at all, and 6 entries were known before.",
        "  -> navette review settle 7 --approve applies it, navette review settle 7 --refuse drops it.",
    ]


def test_sentences_are_whole_templates_with_named_places() -> None:
    for template in (*SENTENCES.values(), *REASONS.values(), *[told for each in VARIANTS.values() for told in each.values()]):
        names = [name for _, name, _, _ in string.Formatter().parse(template) if name is not None]
        assert all(names), template
    assert said("gap", missing="1") == "missing: 1"
