"""The demo's Tryton is filled with what flows are to read: each model through the connector, as many as were made."""

from __future__ import annotations

import pandas as pd
import pytest

from connectors.remote import Resource
from connectors.tryton.open import open_tryton
from connectors.tryton.session import Session
from demo.tryton_server import TrytonServer
from demo.tryton_world import Sizes, fill

pytestmark = pytest.mark.timeout(900)  # the first on a machine sets Tryton up

SIZES = Sizes(parties=12, products=6, sales=5, employees=3, hours=8)
RESOURCES = {
    "party.identifier": (12, ("party.name", "address.city", "type", "code")),
    "party.address": (12, ("party.name", "street_unstructured", "postal_code", "city", "country.code")),
    "party.contact_mechanism": (24, ("party.name", "type", "value")),
    "product.product": (6, ("code", "template.name", "template.list_price", "template.default_uom.name")),
    "sale.sale": (5, ("party.name", "sale_date", "state", "untaxed_amount", "currency.code", "lines")),
    "sale.line": (None, ("sale", "product.code", "quantity", "unit_price")),
    "company.employee": (3, ("party.name", "start_date")),
    "timesheet.line": (8, ("employee.party.name", "work.name", "date", "duration")),
}


def test_every_model_of_the_demo_is_read_whole(tryton: TrytonServer, others: Session) -> None:
    fill(others, 7, SIZES)
    remote = open_tryton(tryton.settings())
    try:
        for name, (count, columns) in RESOURCES.items():
            resource = Resource(name, ("id",), ("id", *columns))
            rows = pd.concat([page.frame for page in remote.read(resource, None).pages(5)])
            assert count is None or len(rows) == count, name
            empty = [column for column in columns if (rows[column] == "").any()]
            assert empty == [], name
        sirets = remote.find(Resource("party.identifier", ("id",), ("id", "code")), {"type": "fr_siret"}, limit=99)
        assert len(set(sirets.frame["code"])) == 12
    finally:
        remote.close()
