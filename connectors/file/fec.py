"""FEC, the French accounting file: delimited text with 18 columns by law (article A47 A-1 of the LPF), often with more.

The law says tabs or pipes and no quotes; files with quoted cells and other delimiters are met and read too. Header
names are spelled as the law spells them, whatever the file does with their case.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from connectors.file.delimited import DelimitedSource
from connectors.file.dialect import lay_out
from connectors.file.encoding import SAMPLE, settle, text_blocks
from connectors.file.series import Series
from connectors.page import distinct_headers
from mappings.errors import SourceUnreadable
from mappings.language.read import CsvFormat, FecFormat, Read

COLUMNS = (
    "JournalCode", "JournalLib", "EcritureNum", "EcritureDate", "CompteNum", "CompteLib", "CompAuxNum", "CompAuxLib",
    "PieceRef", "PieceDate", "EcritureLib", "Debit", "Credit", "EcritureLet", "DateLet", "ValidDate", "Montantdevise",
    "Idevise",
)
_INSTEAD = {"Debit": "Montant", "Credit": "Sens"}
"""What the law allows in place of two amounts: one, and its side."""
_OTHERS = ("DateRglt", "ModeRglt", "NatOp", "IdClient", *_INSTEAD.values())
"""Columns that the law adds for cash accounting."""
_SPELLED = {re.sub(r"[\W_]", "", name).casefold(): name for name in (*COLUMNS, *_OTHERS)}


def open_fec(path: Path, read: Read, _: Sequence[str] = ()) -> DelimitedSource:
    """SourceUnreadable if a column of the law is missing."""
    form = read.format.fec if read.format and read.format.fec else FecFormat()
    first = _first_line(path, form)
    delimiter = form.delimiter or max("\t|;,", key=first.count)
    quote = '"' if first.startswith('"') else None
    layout = lay_out(path, CsvFormat(delimiter=delimiter, quote=quote, encoding=form.encoding), read)
    columns = distinct_headers([_SPELLED.get(re.sub(r"[\W_]", "", name).casefold(), name) for name in layout.columns])
    missing = [name for name in COLUMNS if name not in columns and _INSTEAD.get(name) not in columns]
    if missing:
        raise SourceUnreadable(
            f"this is no FEC: it has no column {', '.join(missing)}", where=str(path),
            todo="check the export; a file without these columns can be read as `format: csv`",
        )
    detected = {"decimal": ","} | layout.detected | ({} if form.delimiter else {"delimiter": delimiter})
    layout = replace(layout, columns=columns, detected=detected)
    return DelimitedSource(path, layout, Series.of(read, columns, str(path), export=layout.own is not None))


def _first_line(path: Path, form: FecFormat) -> str:
    encoding, mark = settle(path, form.encoding)
    text = next(text_blocks(path, encoding, mark, SAMPLE), b"").lstrip(b" \r\n")
    return re.split(rb"[\r\n]", text, maxsplit=1)[0].decode("utf-8", "replace")
