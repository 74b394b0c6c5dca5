"""The CMMS's contracts with their equipment (JSON lines, lists inside) and its work orders (CSV)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from demo import delimited, names
from demo.manifest import CREATED, WAITS, Row, rejected

CONTRACTS = 900
WORK_ORDERS = 4_000
WORK_HEADER = "number,contract,equipment,technician,kind,state,requested_at,started_at,ended_at,hours,description"
STATES = {"OUVERT": 0.8, "SUSPENDU": 0.1, "CLOS": 0.1}
CONTRACT_FAULTS = (
    ("unknown state", 4, "unknown_code"), ("an end on the 40th", 3, "not_date"), ("contract without number", 2,
        "no_key"),
    ("JSON cut short", 3, "record"),
)
MACHINES_WITHOUT_SERIAL = 5


@dataclass(frozen=True)
class Contract:
    """A contract as the generator knows it: its number, its machines' serials, and what becomes of it."""

    number: str
    serials: tuple[str, ...]
    fate: str


def contract_rows(
    clients: Mapping[str, str], refused: Sequence[str], random: Random
) -> tuple[list[Row[bytes]], list[Contract]]:
    """One JSON object a line; `clients` are the codes taken in, `refused` those that were not."""
    rows: list[Row[bytes]] = []
    contracts: list[Contract] = []
    faults = {40 + 70 * place: fault for place, fault in enumerate(f for f in CONTRACT_FAULTS for _ in range(f[1]))}
    known = list(clients)
    for number in range(1, CONTRACTS + 1):
        content = _contract(number, random.choice(known), random)
        fate, fault = CREATED, ""
        if number in faults:
            fault, _, code = faults[number]
            fate = rejected(code)
        elif number % 100 == 50:
            content["client"]["code"], fate, fault = random.choice(refused), WAITS, "client not taken in"
        row = _contract_row(content, fate, fault, unlabelled=number % 160 == 0)
        rows.append(row)
        serials = tuple(item["serial"] for item in content["equipment"] if item["serial"])
        contracts.append(Contract(f"MC{number:05d}", serials, fate))
    return rows, contracts


def _contract(number: int, client: str, random: Random) -> dict[str, Any]:
    start = random.randrange(2018, 2026)
    kinds = [random.choice(names.MACHINES) for _ in range(random.randrange(1, 4))]
    return {
        "number": f"MC{number:05d}", "client": {"code": client}, "indirect": random.random() < 0.15,
        "period": {"start": f"{start}-01-01", "end": f"{start + random.randrange(1, 6)}-12-31"},
        "budget": {"amount": f"{random.randrange(5, 400) * 100}.00", "currency": "EUR"},
        "consumed": {"amount": f"{random.randrange(0, 5_000_00) / 100:.2f}", "currency": "EUR"},
        "state": random.choices(list(STATES), list(STATES.values()))[0],
        "equipment": [
            {
                "serial": f"SN{number:05d}{index}", "kind": kind, "label": label,
                "installed": f"{random.randrange(2005, 2024)}-06-15",
            }
            for index, (kind, label) in enumerate(kinds, 1)
        ],
    }


def _contract_row(content: dict[str, Any], fate: str, fault: str, *, unlabelled: bool) -> Row[bytes]:
    key = content["number"]
    if fate == rejected("record"):
        text = json.dumps(content, ensure_ascii=False)
        return Row(key, text[: len(text) // 2].encode(), (("contract", fate), ("equipment", fate)), fault)
    if fate == rejected("unknown_code"):
        content["state"] = "EN LITIGE"
    elif fate == rejected("not_date"):
        content["period"]["end"] = "2027-02-40"
    elif fate == rejected("no_key"):
        content["number"] = ""
    hangs = CREATED if fate == CREATED else rejected("owner_refused") if fate == rejected("no_key") else WAITS
    fates = [("contract", fate)]
    for index, machine in enumerate(content["equipment"]):
        if unlabelled and index == 0 and fate == CREATED:
            machine["serial"] = ""
            fates.append(("equipment", rejected("no_key")))
            fault = "machine without serial number"
        else:
            fates.append(("equipment", hangs))
    return Row(key, json.dumps(content, ensure_ascii=False).encode(), tuple(fates), fault)


def work_order_rows(contracts: Sequence[Contract], technicians: Sequence[str], random: Random) -> list[Row[bytes]]:
    rows: list[Row[bytes]] = []
    for number in range(1, WORK_ORDERS + 1):
        contract = random.choice(contracts)
        cells = _work_order(number, contract, random.choice(technicians), random)
        waits = contract.fate != CREATED
        fate, fault = (WAITS, "contract not taken in") if waits else (CREATED, "")
        if number % 700 == 3:
            cells[1], fate, fault = "MC99999", WAITS, "contract that nobody knows"
        elif number % 900 == 4:
            cells[6], fate, fault = "hier 14h", rejected("not_datetime"), "yesterday for a time"
        elif number % 800 == 5:
            cells[9], fate, fault = "2h30", rejected("not_decimal"), "hours with a letter"
        content = delimited.line(cells, ",", "utf-8")
        if number % 1000 == 6:
            content = ",".join([*cells[:10], "fuite, joint à changer"]).encode()
            fate, fault = rejected("columns"), "comma that was not quoted"
        rows.append(Row(cells[0], content, (("work_order", fate),), fault))
    return rows


def _work_order(number: int, contract: Contract, technician: str, random: Random) -> list[str]:
    day = f"2026-{random.randrange(1, 11):02d}-{random.randrange(1, 29):02d}"
    hour, quarters = random.randrange(7, 16), random.randrange(2, 17)
    end = hour * 60 + quarters * 15
    return [
        f"BT{number:06d}", contract.number, random.choice(contract.serials or ("",)), technician,
        random.choice(("CUR", "PREV", "PREV", "INST")), random.choice(("CLOTURE", "CLOTURE", "PLANIFIE", "ENCOURS")),
        f"{day} {hour - 1:02d}:10:00", f"{day} {hour:02d}:00:00", f"{day} {end // 60:02d}:{end % 60:02d}:00",
        f"{quarters / 4:.2f}",
        f"{random.choice(names.PARTS)} remplacé, essai conforme",
    ]
