"""`make demo`: a made-up company's files, with every kind of fault, loaded and explained.

::

    day 1   all systems deliver              ─▶ counters, rejects by cause
    day 2   a branch's file comes late       ─▶ what waited for it goes in by itself
            a file is cut in transfer        ─▶ refused whole, nothing changes
            someone edits a locked field     ─▶ the database says no
    day 3   the same rows in another order   ─▶ nothing changes
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from random import Random

import psycopg

from demo import generate, show
from demo.generate import Demo
from demo.navette import HERE, Navette
from demo.show import heading, out
from mappings.errors import NavetteError

DONE_OR_WAITS = (0, 3)
FAILED = 4


def deliver_first_day(navette: Navette, demo: Demo) -> tuple[list[str], int]:
    """All systems' files are read for the first time.

    Returns where the outcomes are not what was planted, and how many rows wait for another.
    """
    generate.write_day(navette.data, demo)
    generate.write_expected(navette.data, demo)
    expected = json.loads((navette.data / "expected.json").read_text("utf-8"))
    heading("Thermelec Maintenance: what its systems deliver on the first day")
    show.planted(expected)
    heading("navette run --all")
    runs = navette.runs("--all", allowed=DONE_OR_WAITS)
    show.counters(runs)
    differences = show.differences(expected, runs)
    out.print("\nEvery row ended as it was planted to." if not differences else "\n".join(differences))
    return differences, show.total(runs, "parked")


def show_rejects(navette: Navette) -> None:
    heading("navette rejects list: why rows were refused, wait, or need a person")
    out.print(navette.call("rejects", "list").strip(), markup=False)


def deliver_late_and_cut(navette: Navette, demo: Demo, waited: int) -> None:
    """A file that others waited for, and one that must not be believed, on the same day."""
    heading("A day later: the northern branch's customers arrive, and a file of balances whose transfer broke")
    generate.write_late_branch(navette.data, demo)
    generate.write_cut_balances(navette.data, demo)
    runs = navette.runs("--all", allowed=(FAILED,))
    show.counters(run for run in runs if run["state"] != "failed")
    waits = navette.parked()
    out.print(f"\n{waited:,} rows waited before, {waits:,} wait now: {waited - waits:,} found what they waited for.")
    for run in runs:
        if run["state"] == "failed":
            out.print(f"{run['flow']}: failed: {run['problem']['message']}", markup=False)
            out.print("Nothing of it was applied; the file lies in data/compta/failed.")


def edit_as_a_crm_user(navette: Navette, siret: str) -> None:
    """One edit of a field that the ERP owns, one of a field that the CRM owns, as a CRM application would."""
    heading("Someone in the CRM renames a customer that the ERP knows")
    with psycopg.connect(navette.call("store", "url").strip()) as connection:
        try:
            connection.execute("UPDATE crm.company SET name = 'Chez Marcel' WHERE siret = %s", [siret])
        except psycopg.Error as refusal:
            connection.rollback()
            said = refusal.diag
            told = (said.message_primary, said.message_detail, said.message_hint)
            out.print(*(line for line in told if line), sep="\n", markup=False)
        else:
            raise SystemExit("the edit went through: the lock does not hold")
        connection.execute("UPDATE crm.company SET segment = 'A' WHERE siret = %s", [siret])
        out.print("The segment, which the CRM owns, can be edited: done.")


def deliver_same_again(navette: Navette, demo: Demo) -> int:
    """All files again, rows in another order. Returns how many rows were created or updated: none, or it is a fault."""
    heading("The third day: all files again, every row in another place")
    generate.write_day(navette.data, demo, generate.NEXT_DAY, Random(7))
    runs = navette.runs("--all", allowed=DONE_OR_WAITS)
    show.counters(runs)
    changed = show.total(runs, "created", "updated")
    out.print(f"\n{show.total(runs, 'unchanged'):,} rows unchanged, {changed:,} created or updated.")
    return changed


def a_known_siret(demo: Demo) -> str:
    """The SIRET of a customer without fault, as the ERP's file has it."""
    row = next(row for row in demo.customers if row.fate("company") == "created" and not row.fault)
    return row.content.decode("cp1252").split(";")[4].replace(" ", "")


def tell_where_to_look(navette: Navette) -> None:
    heading("Look around")
    at = navette.project.relative_to(Path.cwd()) if navette.project.is_relative_to(Path.cwd()) else navette.project
    out.print(f"reports of each run (HTML and CSV):  {at}/.navette/reports/")
    out.print(f"where every flow stands:             .venv/bin/navette --project {at} status")
    out.print(f"what happened to a customer:         .venv/bin/navette --project {at} trace sage C00042")
    out.print(f"graph, runs, checks in Dagster:      .venv/bin/navette --project {at} up")
    out.print(f"mappings, to read and to change:     {at}/mappings/")


def main() -> int:
    parser = argparse.ArgumentParser(description="Loads the demo's files and explains what happens.")
    parser.add_argument("--in", dest="folder", type=Path, default=HERE, help="another folder for its data and store")
    navette = Navette(parser.parse_args().folder.resolve())
    began = time.perf_counter()
    demo = generate.make_demo()
    try:
        navette.start_afresh()
        differences, waited = deliver_first_day(navette, demo)
        show_rejects(navette)
        deliver_late_and_cut(navette, demo, waited)
        edit_as_a_crm_user(navette, a_known_siret(demo))
        changed = deliver_same_again(navette, demo)
        tell_where_to_look(navette)
    except NavetteError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    out.print(f"\n{time.perf_counter() - began:.0f} s")
    return 1 if differences or changed else 0


if __name__ == "__main__":
    sys.exit(main())
