"""Great Expectations' Data Docs of one run: its validation pages, made to be read without a network.

::

    FOLDER/index.html      the page of the only into, or a list of the intos
    FOLDER/<into>.html     one page per into, where there are several

The library's pages load scripts, fonts and pictures from half a dozen hosts, and put values into tables as they are.
Here all that would be loaded is taken out and a style sheet is put in, values are escaped before the library sees them,
and a policy in the page forbids loading or running anything at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Any

from pipelines.stages.expectations import library
from pipelines.stages.expectations.rows import RowExpectations, RowJudge
from pipelines.stages.expectations.run import Judged, RunExpectations

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_STYLE = (Path(__file__).parent / "docs.css").read_text("utf-8")
_TAKEN_OUT = (
    re.compile(r"<script\b.*?</script>", re.DOTALL | re.IGNORECASE),
    re.compile(r"<link\b[^>]*>", re.IGNORECASE),
    re.compile(r"<img\b[^>]*>", re.IGNORECASE),
    re.compile(r"<nav class=\"navbar navbar-expand.*?</nav>\s*</div>\s*</nav>", re.DOTALL),
    re.compile(r"<footer\b.*?</footer>", re.DOTALL | re.IGNORECASE),
    re.compile(r"url\(\s*'https?:[^']*'\s*\)", re.IGNORECASE),
)
_LINK_UP = re.compile(r"<a\b[^>]*\bhref=\"\.\./[^>]*>(.*?)</a>", re.DOTALL)
"""To pages of the library's own site, which is not built here."""


@dataclass(frozen=True)
class IntoResults:
    """What is told of one into: its label, its row-local and its whole-run expectations after they were checked."""

    label: str
    rows: RowExpectations | None = None
    run: RunExpectations | None = None

    @property
    def validations(self) -> list[Any]:
        """The library's results, one per expectation."""
        judges = self.rows.judges if self.rows else []
        judged = self.run.judged if self.run else []
        return [*(_of_rows(judge) for judge in judges), *(_of_run(verdict) for verdict in judged)]


def build_docs(results: Sequence[IntoResults], folder: Path, *, title: str, at: datetime) -> Path:
    """Writes the pages of one run into `folder` (made if need be) and returns its index.html.

    `title` names the run, such as "erp_customers, run 12"; `at` is when it was judged. Intos without a result are left
    out. Nothing is written outside the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    told = [(into.label, found) for into in results if (found := into.validations)]
    index = folder / "index.html"
    if len(told) == 1:
        (label, validations), = told
        index.write_text(_page(label, validations, title, at), "utf-8")
        return index
    for label, validations in told:
        (folder / f"{_file(label)}.html").write_text(_page(label, validations, title, at), "utf-8")
    index.write_text(_index(told, title), "utf-8")
    return index


def _of_rows(judge: RowJudge) -> Any:
    """The library's own result for the whole run, from the counts of its batches."""
    tally, metric = judge.tally, judge.said.map_metric
    outcome = judge.said._validate(
        metrics={
            "table.row_count": tally.element, "column_values.nonnull.unexpected_count": tally.null,
            f"{metric}.filtered_row_count": tally.judged, f"{metric}.unexpected_count": tally.unexpected,
            f"{metric}.unexpected_values": tally.sample,
        },
        runtime_configuration={"result_format": {"result_format": "SUMMARY", "partial_unexpected_count": 20}},
    )
    return _result(judge.said, bool(outcome["success"]), outcome["result"])


def _of_run(verdict: Judged) -> Any:
    return _result(verdict.asked, verdict.success, dict(verdict.found), verdict.problem)


def _result(asked: Any, success: bool, found: dict[str, Any], problem: str = "") -> Any:
    raised = {
        "raised_exception": bool(problem), "exception_message": escape(problem, quote=False) or None,
        "exception_traceback": "",
    }
    asked_for = asked.configuration
    asked_for.kwargs = {word: value for word, value in asked_for.kwargs.items() if word != "batch_id"}
    kind = library.part("core").ExpectationValidationResult
    return kind(
        success=success, expectation_config=asked_for, result=_escaped(found), exception_info=raised, meta={}
    )


def _escaped(found: Any) -> Any:
    """What comes from the source, as text that no browser takes for anything else."""
    if isinstance(found, str):
        return escape(found)
    if isinstance(found, dict):
        return {name: _escaped(value) for name, value in found.items()}
    if isinstance(found, list | tuple):
        return [_escaped(value) for value in found]
    return found


def _page(label: str, validations: list[Any], title: str, at: datetime) -> str:
    """One of the library's validation pages."""
    met = sum(bool(validation.success) for validation in validations)
    suite = library.part("core").ExpectationSuiteValidationResult(
        success=met == len(validations), results=validations, suite_name=title,
        statistics={
            "evaluated_expectations": len(validations), "successful_expectations": met,
            "unsuccessful_expectations": len(validations) - met, "success_percent": 100 * met / len(validations),
        },
        meta={
            "great_expectations_version": library.load().__version__, "batch_kwargs": {"data_asset_name": label},
            "run_id": library.part("core.run_identifier").RunIdentifier(run_name=title, run_time=at),
        },
    )
    content = library.part("render.renderer").ValidationResultsPageRenderer(run_info_at_end=True).render(suite)
    return offline(library.part("render.view").DefaultJinjaPageView().render(content), f"{title}: {label}")


def offline(page: str, title: str) -> str:
    """The page with nothing that loads or runs anything, and the style sheet instead."""
    for found in _TAKEN_OUT:
        page = found.sub("", page)
    page = _LINK_UP.sub(r"\1", page)
    page = re.sub(r"<title>.*?</title>", "", page, flags=re.DOTALL)
    head = (
        f'<head><meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style>"
    )
    return page.replace("<head>", head, 1)


def _index(told: Iterable[tuple[str, list[Any]]], title: str) -> str:
    lines = [
        f'<li><a href="{_file(label)}.html">{escape(label)}</a>: '
        f"{sum(bool(found.success) for found in validations)} of {len(validations)} expectations met</li>"
        for label, validations in told
    ]
    shown = f"<ul>{''.join(lines)}</ul>" if lines else "<p>Nothing was expected of this run.</p>"
    page = (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"></head>'
        f"<body><h1>{escape(title)}</h1>{shown}</body></html>"
    )
    return offline(page, title)


def _file(label: str) -> str:
    """A file name for an into; labels are names of the language, so nothing is lost."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", label)
