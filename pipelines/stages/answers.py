"""Rows that answer held ones: of an export that was corrected, or of a replay. Whatever becomes of them, those close.

A held row that is refused again stays the one it was, whatever its key is now, so that a file may be corrected again
and again; only where another row is held under that key the old one closes. So it is with elements of nested lists. A
damaged line of an export that nobody filled in is that damaged line again, and SHOWN the character that was refused.
"""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pyarrow as pa
from sqlalchemy import BigInteger, Connection, Engine, any_, func, literal, select, update
from sqlalchemy.dialects.postgresql import ARRAY

from connectors.file.neutral import ANSWERS, KEPT, LINE, are_numbers
from connectors.page import Page
from crm_store import hub_tables as hub
from mappings.codecs.cells import cells_of, holds
from mappings.codecs.columns import SHOWN, UNSTORABLE
from pipelines.stages.held import not_newer
from pipelines.stages.staging import Staging

_NONE = pd.Series([], dtype="int64", index=pd.Index([], dtype="int64", name="row"))


def split_answers(page: Page) -> tuple[Page, pd.Series]:
    """The page without our own columns; and, by row number, the ids (int64) of the held rows that its rows answer."""
    ours = [name for name in page.frame.columns if name in KEPT]
    if not ours and page.damaged.empty:
        return page, _NONE
    said = page.damaged.set_index("row")["answers"]
    if not ours:
        return page, _numbers(said)
    frame = page.frame.drop(columns=ours)
    said = pd.concat([page.frame[ANSWERS], said]) if ANSWERS in ours else said
    plain = replace(page, frame=_unstorable_again(frame, page.frame[ANSWERS]) if ANSWERS in ours else frame)
    return _damaged_again(plain, page.frame[LINE]) if LINE in ours else plain, _numbers(said)


def staged_answers(answers: pd.Series, marks: pd.Series) -> pa.Table:
    """Each held row that is answered, with the order mark of the row that answers it; a damaged line has none."""
    known = marks.reindex(answers.index.unique()).loc[answers.index]
    return pa.table({"row_no": pa.array(answers.index), "held": pa.array(answers), "mark": pa.array(known)})


def marks_of_held(engine: Engine, answers: pd.Series) -> dict[int, int]:
    """By row number, the order mark of the held rows that it answers: of several, the latest."""
    held = hub.held
    asked = select(held.c.id, held.c.mark).where(
        held.c.id == any_(literal(answers.unique().tolist(), ARRAY(BigInteger))), held.c.mark.is_not(None))
    with engine.connect() as connection:
        known: dict[int, int] = dict(connection.execute(asked).all())
    found: dict[int, int] = {}
    for row, number in zip(answers.index, answers, strict=True):
        if number in known:
            found[row] = max(known[number], found.get(row, known[number]))
    return found


def _unstorable_again(frame: pd.DataFrame, said: pd.Series) -> pd.DataFrame:
    """In rows that answer held ones, what stands for characters that cannot be stored is refused as these were."""
    answering = said.notna() & (said != "")
    spoilt = [name for name in frame.columns if holds(cells_of(frame[name]), SHOWN.encode())]
    return frame.assign(**{
        name: frame[name].where(~answering, frame[name].str.replace(SHOWN, UNSTORABLE)) for name in spoilt
    })


def _numbers(said: pd.Series) -> pd.Series:
    texts = said.astype("string[pyarrow]").str.strip()
    texts = texts[texts.map(are_numbers, na_action="ignore").fillna(False).astype(bool)] if len(texts) else texts
    return texts.str.split(" ").explode().astype("int64")


def _damaged_again(page: Page, line: pd.Series) -> Page:
    """Rows that hold nothing but the text of a damaged line become that line again."""
    empty = (page.frame.isna() | (page.frame == "")).all(axis="columns") & line.notna() & (line != "")
    if not empty.any():
        return page
    mask = empty.to_numpy(dtype=bool)
    rows = page.frame.index[mask]
    again = pd.DataFrame({
        "row": rows.to_numpy(), "line": page.lines[mask], "code": "uncorrected", "params": "{}",
        "raw": line[mask].to_numpy(), "answers": "",
    })
    return Page(page.frame[~mask], page.lines[~mask], pd.concat([page.damaged, again], ignore_index=True))


def close_answered(connection: Connection, run_id: int, staging: Staging) -> None:
    """Closes the held rows of this flow that rows of the run answer, whatever key those have now.

    Not those that the run held again, nor news that is newer than the answer.
    """
    held, answers = hub.held, staging.answers
    flow = select(hub.run.c.flow).where(hub.run.c.id == run_id).scalar_subquery()
    connection.execute(
        update(held)
        .where(
            held.c.id == answers.c.held, held.c.state == "open", held.c.run_id < run_id,
            held.c.feed.in_(select(hub.feed.c.id).where(hub.feed.c.flow == flow)),
            not_newer(held, answers),
        )
        .values(state="closed", closed_at=func.now(), closed_by=run_id)
    )
