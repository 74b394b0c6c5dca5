"""Tell whose a refused element is."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "held",
        sa.Column("holder", sa.Text(), comment="of an element of a nested list: the key of the row that holds it"),
        schema="sync",
    )
