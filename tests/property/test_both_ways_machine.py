"""Any interleaving of edits, reads, pushes, failures and kills: once everything is quiet, all sides agree or say why.

::

    edits in the CRM and in three systems ─┐
    reads, pushes, time                    ├─ in any order ─▶ quiet ─▶ invariants
    lost answers, kills, refusals, down  ──┘
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from pipelines.ops.conflicts import open_conflicts, settle_conflict
from tests.memory_desk import FIELDS, FLOWS, Three, clear, module_three, siret

__all__ = ["module_three"]

VALUES: dict[str, tuple[str, ...]] = {
    "name": ("Atelier", "Boulangerie du Port", "Atelier Nord et Sud"),
    "city": ("Lyon", "Villeneuve-sur-Lot", "Villeneuve-d'Ascq", ""),
    "phone": ("+33141000001", "+33141000002", "01 41 00 00 03", ""),
    "email": ("a@example.org", "b@example.org", ""),
    "segment_note": ("one", "a rather long note", "FORBIDDEN", ""),
    "website": ("https://one.example.org", "https://two.example.org", ""),
    "credit_limit": ("100", "250.50", ""),
}
CRM_PHONES = ("+33141000001", "+33141000002", "+33141000003", "")
flows, places, choices = st.sampled_from(FLOWS), st.integers(0, 5), st.integers(0, 3)
ANSWERS = ("lost", "never", "late", "down", "retry", "killed_before", "killed_after")


class BothWays(RuleBasedStateMachine):
    """One example. `three` and `server` are set by the test."""

    three: Three
    server: Any

    @initialize()
    def begin(self) -> None:
        clear(self.three, self.server)
        self.companies = 0

    def _new(self) -> str:
        """The SIRET of one more company, of six at most."""
        self.companies = min(self.companies + 1, 6)
        return siret(self.companies)

    # the CRM

    @rule(name=choices, city=choices)
    def made_in_the_crm(self, name: int, city: int) -> None:
        number = self._new()
        if not self.three.sees("SELECT 1 FROM crm.company WHERE siret = %s", number):
            self.three.crm("INSERT INTO crm.company (name, siret, city) VALUES (%s, %s, nullif(%s, ''))",
                           VALUES["name"][name % 3], number, VALUES["city"][city])

    @rule(place=places, name=st.sampled_from([*VALUES]), value=choices)
    def edited_in_the_crm(self, place: int, name: str, value: int) -> None:
        allowed = CRM_PHONES if name == "phone" else VALUES[name]
        record = self._record(place)
        money = ", credit_limit_currency = CASE WHEN %s <> '' THEN 'EUR' END" if name == "credit_limit" else ""
        chosen = allowed[value % len(allowed)]
        with suppress(psycopg.errors.InsufficientPrivilege):  # a lock, which is as it should be
            self.three.crm(f"UPDATE crm.company SET {name} = nullif(%s, '')::{'numeric' if money else 'text'}{money} WHERE id = %s",
                           chosen, *([chosen] if money else []), record)

    @rule(place=places, back=st.booleans())
    def archived_in_the_crm(self, place: int, back: bool) -> None:
        self.three.crm(f"UPDATE crm.company SET archived_at = {'NULL' if back else 'now()'} WHERE id = %s",
                       self._record(place))

    def _record(self, place: int) -> int:
        records = [row[0] for row in self.three.sees("SELECT id FROM crm.company ORDER BY id")]
        return records[place % len(records)] if records else 0

    # the systems

    @rule(flow=flows, name=choices, city=choices, again=st.booleans(), place=places)
    def made_in_a_system(self, flow: str, name: int, city: int, again: bool, place: int) -> None:
        """A company of its own, or one that the others have."""
        taken = {row["siret"] for row in self.three.systems[flow].rows.values()}
        number = siret(place + 1) if again and place < self.companies else self._new()
        if number not in taken:
            self.three.systems[flow].insert(name=VALUES["name"][name % 3], siret=number, city=VALUES["city"][city],
                                            **({"closed": "false"} if flow == "erp" else {}))

    @rule(flow=flows, place=places, name=st.sampled_from([*VALUES]), value=choices)
    def edited_in_a_system(self, flow: str, place: int, name: str, value: int) -> None:
        self._edit(flow, place, name, value)

    @rule(flow=flows, place=places, name=st.sampled_from([*VALUES]), value=choices)
    def edited_between_look_and_write(self, flow: str, place: int, name: str, value: int) -> None:
        if self.three.systems[flow].versions:
            self.three.systems[flow].meanwhile = lambda: self._edit(flow, place, name, value)

    def _edit(self, flow: str, place: int, name: str, value: int) -> None:
        one, column = self.three.systems[flow], FIELDS[flow].get(name)
        if one.rows and column is not None:
            cells = VALUES[name]
            one.edit(sorted(one.rows)[place % len(one.rows)], **{column: cells[value % len(cells)]})

    @rule(flow=flows, place=places)
    def deleted_in_a_system(self, flow: str, place: int) -> None:
        one = self.three.systems[flow]
        if one.rows:
            one.delete(sorted(one.rows)[place % len(one.rows)])

    # the hub

    @rule(flow=flows, full=st.booleans())
    def read(self, flow: str, full: bool) -> None:
        self.three.read(flow, full=full)

    @rule(flow=flows, again=st.booleans())
    def push(self, flow: str, again: bool) -> None:
        self.three.push_again(flow) if again else self.three.push(flow)

    @rule()
    def everything_once(self) -> None:
        self.three.time_passes()
        self.three.round()

    @rule()
    def time_passes(self) -> None:
        self.three.time_passes()

    @rule(place=places, side=st.sampled_from(["ours", "theirs"]))
    def a_conflict_is_settled(self, place: int, side: Any) -> None:
        with self.three.hub.engine.connect() as connection:
            waiting = open_conflicts(self.three.hub, connection)
        if waiting:
            settle_conflict(self.three.hub, waiting[place % len(waiting)].id, side)

    # trouble

    @rule(flow=flows, answers=st.lists(st.sampled_from(ANSWERS), min_size=1, max_size=3))
    def answers_badly(self, flow: str, answers: list[Any]) -> None:
        self.three.systems[flow].answers.extend(answers)

    @rule(flow=flows, down=st.booleans())
    def goes_down_or_comes_up(self, flow: str, down: bool) -> None:
        self.three.systems[flow].is_down = down

    @rule(flow=flows)
    def repeats_old_news(self, flow: str) -> None:
        self.three.systems[flow].repeats = True

    @rule(flow=flows, statements=st.integers(1, 120), again=st.booleans())
    def killed_while_sending(self, flow: str, statements: int, again: bool) -> None:
        self.three.life.left = statements
        self.push(flow, again)
        self.three.life.left = None

    # the end

    def teardown(self) -> None:
        if not hasattr(self, "companies"):
            return
        three = self.three
        three.rest()
        assert not (found := [*three.differences(), *three.strangers()]), f"{found}\n{three.told()}"
        for name, one in three.systems.items():
            made = [row["siret"] for row in one.made]
            ended = [key for _, key in one.deleted]
            for number in set(made):
                keys = [row["id"] for row in one.made if row["siret"] == number]
                assert sum(key not in ended for key in keys) <= 1, f"made twice in {name}: {number}\n{three.told()}"
        twice = three.sees("SELECT siret FROM crm.company GROUP BY siret HAVING count(*) > 1")
        assert not twice, three.told()
        before = three.moved()
        three.round()  # reads of what changed: the last round before this one read everything
        assert three.moved() == before, three.told()


QUICK = settings(max_examples=3, stateful_step_count=20, deadline=None, database=None,
                 phases=[Phase.generate], report_multiple_bugs=False,  # shrinking takes hours
                 suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])


def test_once_quiet_all_sides_agree_or_say_why(module_three: Three, server: Any) -> None:
    BothWays.three, BothWays.server = module_three, server
    run_state_machine_as_test(BothWays, settings=QUICK)


@pytest.mark.long
def test_once_quiet_all_sides_agree_or_say_why_at_length(module_three: Three, server: Any) -> None:
    BothWays.three, BothWays.server = module_three, server
    run_state_machine_as_test(BothWays, settings=settings(QUICK, max_examples=40, stateful_step_count=40))
