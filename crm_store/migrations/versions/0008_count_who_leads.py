"""Count who leads, and keep with an intent what its base will be."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "leadership",
        sa.Column(
            "kind", sa.Text(), nullable=False, comment="flow: one run of it at a time; system: kept live by one process"
        ),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column(
            "epoch",
            sa.BigInteger(),
            server_default=sa.text("1"),
            nullable=False,
            comment="counts how often it was taken",
        ),
        sa.Column(
            "at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False, comment="taken last"
        ),
        sa.CheckConstraint("kind IN ('flow', 'system')", name="kind_known"),
        sa.PrimaryKeyConstraint("kind", "name"),
        schema="sync",
    )
    op.add_column(
        "intent",
        sa.Column(
            "record", JSONB(), comment="the record's columns that were sent, as they were: the base once it was taken"
        ),
        schema="sync",
    )
    op.add_column(
        "intent",
        sa.Column("version", sa.Text(), comment="of the row that the write was decided on"),
        schema="sync",
    )
