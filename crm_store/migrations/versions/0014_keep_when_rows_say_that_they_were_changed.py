"""Keep when the rows that changed records say that they were changed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "stamp",
        sa.Column("record_id", sa.BigInteger(), nullable=False),
        sa.Column(
            "at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="the moment that the journal's line of the same change has",
        ),
        sa.Column(
            "stamp",
            sa.BigInteger(),
            nullable=False,
            comment="when the row that made the change says it was made; microseconds since 1970",
        ),
        schema="sync",
    )
    op.create_index("stamp_record", "stamp", ["record_id", "at"], schema="sync")
