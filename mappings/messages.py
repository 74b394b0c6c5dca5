"""Why a row was refused, set aside or kept back, and what a run tells beside its counters: one template per code, so
that a report can be told in any language.

Faults and notices store code and params, never a sentence; `render` and `noticed` make the sentence when it is shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

REASONS: dict[str, str] = {
    # decode
    "required": "{field}: a value is required, the cell is empty",
    "not_text": "{field}: {value!r} holds characters that cannot be stored",
    "too_long": "{field}: {length} characters, at most {max} are allowed",
    "not_integer": "{field}: {value!r} is not a whole number",
    "not_decimal": "{field}: {value!r} is not a number (decimal sign: {decimal!r})",
    "too_many_decimals": "{field}: {value!r} has more than {scale} decimals",
    "out_of_range": "{field}: {value!r} is out of range ({min} to {max})",
    "not_date": "{field}: {value!r} is not a date of the form {format}",
    "not_duration": "{field}: {value!r} is not a duration (1:30, 2h30, 45 min, PT1H30M, or a number of {unit})",
    "not_datetime": "{field}: {value!r} is not a time of the form {format}",
    "not_boolean": "{field}: {value!r} is neither one of {true} nor one of {false}",
    "not_a_choice": "{field}: {value!r} is not one of {allowed}",
    "unknown_code": "{field}: the code {value!r} is not in {table}",
    "pattern": "{field}: {value!r} does not match {pattern}",
    "not_siren": "{field}: {value!r} is not a valid SIREN (9 digits with a check digit)",
    "not_siret": "{field}: {value!r} is not a valid SIRET (14 digits with a check digit)",
    "not_vat": "{field}: {value!r} is not a valid VAT number",
    "not_iban": "{field}: {value!r} is not a valid IBAN",
    "not_phone": "{field}: {value!r} is not a valid phone number (region {region})",
    "not_email": "{field}: {value!r} is not a valid e-mail address",
    "not_postal_code": "{field}: {value!r} is not a postal code of {country}",
    "not_country": "{field}: {value!r} is not a country",
    "not_currency": "{field}: {value!r} is not a currency (three letters, ISO 4217)",
    "no_currency": "{field}: an amount without a currency",
    "other_currency": "{field}: the amount is not in {currency}, the one currency that the system takes",
    "not_url": "{field}: {value!r} is not a web address (http or https)",
    "not_file": "{field}: {value!r} is not a usable file reference",
    "compute": "{field}: {expression} cannot be computed: {detail}",
    "compute_text": "{field}: {expression} cannot be computed: column {column} holds {value!r}, which is no number",
    "no_key": "the key {field} is empty, so the row cannot be told from others",
    # damaged lines
    "columns": "the line has {found} columns, {expected} are expected",
    "bytes": "the line holds bytes that are not {encoding}",
    "nul": "the line holds a NUL character, which no text has",
    "quote": "a quote is opened and never closed",
    "record": "the line is not a JSON object: {detail}",
    "list": "{field}: {value!r} is no JSON: {detail}",
    "cell_error": "column {column} shows the error {error}: put the cell right in the spreadsheet, and give the file"
    " again",
    "formula": "column {column} has a formula whose result was not saved by the program that wrote the file: open the"
    " file in a spreadsheet program, save it, and give it again",
    "width": "the line is {found} characters wide, {expected} are expected",
    "uncorrected": "the cells of this damaged line are still empty: fill them from its text",
    "continues": "the line continues a row that could not be read (line {above}; 0: there is none)",
    # validate
    "expectation": "{field}: {value!r} fails {expectation}: {rule}",
    "expectation_run": "the run fails {expectation} ({rule}): {observed}",
    # match and resolve
    "ambiguous": "{count} records fit by {rule}: {candidates}",
    "doubtful": "record {candidates} fits by {rule} but differs in {differs}",
    "taken": "record {candidates} fits by {rule} but is already {key} in {space}",
    "twins": "{count} new rows of this run are the same by {rule}: {keys}",
    "on_match": "record {candidates} fits by {rule}; the mapping asks for a decision",
    "create_open": "it may be a row that is being made there: whether it was is not known yet",
    "waits_for": "{field}: waits for {entity} {value!r} of {space}",
    "not_there": "{field}: {entity} {value!r} of {space} is not there: put the cell right, or bring that record in and"
    " replay; `else: park` in `refers` lets the row wait for it, `else: blank` lets it in without the link",
    "owner_refused": "the owner {entity} of this row was not taken in",
    "gone": "the row is absent from the full file; the mapping asks for a decision",
    "conflict": "{field}: both sides changed since they last agreed ({ours!r} here, {theirs!r} there)",
    # sending
    "create_unclear": "the answer to its create was lost, and each of these rows may be what was made: {keys}; say"
    " which it is with `navette link`, or of each that it is another record with `navette review row`",
    "link_unknown": "{field}: waits for its {entity} to be known there",
    "not_writable": "{field}: {value!r} cannot be written there",
    "not_encodable": "{field}: {value!r} has characters that {encoding} does not have",
    "too_wide": "{field}: {value!r} takes {size} places, its column has {width}",
    "not_fitting": "{field}: {value!r} holds a delimiter, line break or control character that the file cannot hold,"
    " or begins as a comment of it does",
    "may_be_there": "row {row}, which is held, may be this record, which would then be there twice",
    "not_able": "the system cannot {operation} here",
    "unread_there": "waits for the row there to be taken in, so that it is known whose row it is",
    "gone_there": "the row is gone there, though the record is linked to it",
    "system_down": "the system did not answer",
    "store": "the store refused the row: {detail}",
}

VARIANTS: dict[str, dict[str, str]] = {
    "not_decimal": {
        "scale": "{field}: {value!r} is not a number without a decimal sign, which `scale: {scale}` asks for",
        "either": "{field}: {value!r} is two numbers, with the comma before decimals or between thousands, and the file"
        " does not show which: say `decimal`"},
    "not_integer": {
        "either": "{field}: {value!r} is two numbers, with the comma before decimals or between thousands, and the file"
        " does not show which: say `decimal`"},
    "waits_for": {
        "several": "{field}: waits for {value!r} to be the {by} of one {entity} alone; {count} records have it:"
        " {several}",
        "by": "{field}: waits for the one {entity} whose {by} is {value!r}"},
    "not_there": {
        "several": "{field}: {value!r} is the {by} of {count} records of {entity} ({several}), and does not say which"
        " is meant: put the cell, or those records, right and replay; `else: park` in `refers` lets the row wait until"
        " one alone has it, `else: blank` lets it in without the link",
        "by": "{field}: there is not exactly one {entity} whose {by} is {value!r}: put the cell right, or bring that"
        " record in and replay; `else: park` in `refers` lets the row wait for it, `else: blank` lets it in without the"
        " link"},
    "owner_refused": {
        "key": "{field}: the key of its {entity} ({key}) is empty or cannot be read, so the row has no owner: leave"
        " such rows out with `when`, or let them in with a link (`refers`) instead of `owner`"},
    "unread_there": {
        "field": "{field}: waits for the row there to be taken in: it does not have there what both sides had agreed"
        " on, so it may have been changed there too"},
    "twins": {"record": "{count} new rows of this run fit the same record, {record}, and each would be it: {keys}"},
}
"""What a code says instead where one of its parameters is there, the first that is: what is looked for by a field and
not by a key, which several records may have; rows that are alike in what they fit and not by themselves; a point that
should not be written; an owner whose key is named (rows refused by older versions do not)."""


NOTICES: dict[str, str] = {
    # the connector's
    "trailer": "{where}: the trailer's sum of {columns} was not compared: no amount could be read in {unread:,} of"
    " {rows:,} rows, the first on line {line:,}; ask for the file again with these lines put right, or check the sum by"
    " hand",
    "late_commits": "what other sessions have open is hidden: only the overlap catches late commits (docs/systems.md,"
    " late commits)",
    "too_old": "the position is older than what the change table holds: everything was read",
    "deletions": "what was deleted there is not told to this login: only a full read finds it (docs/tryton.md, what was"
    " deleted)",
    "ahead": "the position lies in the future, where a clock that was wrong had put it: everything was read",
    # the run's
    "lacks": "{into}: the source has no column {columns}; the fields that are read from there stay as they are: correct"
    " the mapping if that is not meant",
    "marks": "no mark in {column} tells an order (rows that have one: {written:,}), so that older rows overwrite newer"
    " ones: name a column of numbers or times, or write read.stamp_format as the source has them",
    "unread_keys": "{into}: {count:,} keys could not be read, so that what is absent was left as it is; correct these"
    " rows, or the mapping, and run the file again",
    "unread_key": "{into}: one key could not be read, so that what is absent was left as it is; correct this row, or"
    " the mapping, and run the file again",
    "uncompared_keys": "{into}: {count:,} keys could not be read, so that nothing can be said of rows that are gone"
    " there",
    "uncompared_key": "{into}: one key could not be read, so that nothing can be said of rows that are gone there",
    "unsent": "{system}: nothing was sent: {why}",
    "kept": "{sentence}",  # of a run of a version that kept the sentence itself
}
"""What people are told of a run beside its counters, by code (`sync.run.notices`)."""


class _Blanks(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return "?"


def render(code: str, params: Mapping[str, Any]) -> str:
    """The sentence for `code`; an unknown code or a missing parameter never hides the rest."""
    usual = REASONS.get(code, code + ": {field} {value}")
    template = next((told for given, told in VARIANTS.get(code, {}).items() if params.get(given)), usual)
    try:
        return template.format_map(_Blanks(params)).removeprefix(": ")  # what is of the whole row names no field
    except (ValueError, IndexError, KeyError):
        return f"{code}: {dict(params)}"


def noticed(notices: Sequence[Mapping[str, Any]]) -> list[str]:
    """The sentences of a run's notices, each with its `code` and `params`."""
    return [NOTICES.get(told["code"], told["code"]).format_map(_Blanks(told["params"])) for told in notices]
