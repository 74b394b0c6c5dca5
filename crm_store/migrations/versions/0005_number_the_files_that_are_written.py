"""Number the files that are written."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "outbound_file",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("feed", sa.Integer(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False, comment="from 1, without gaps"),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column(
            "full", sa.Boolean(), nullable=False, comment="holds everything; else what changed since the file before"
        ),
        sa.Column(
            "state",
            sa.Text(),
            server_default="open",
            nullable=False,
            comment="open: being written; ready: whole beside its place; delivered: in its place",
        ),
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=True),
        sa.Column("refused", sa.BigInteger(), nullable=True),
        sa.Column("digest", sa.Text(), nullable=True, comment="of the content"),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("state IN ('open', 'ready', 'delivered')", name="state_known"),
        sa.ForeignKeyConstraint(
            ["feed"],
            ["sync.feed.id"],
        ),
        sa.ForeignKeyConstraint(
            ["run_id"],
            ["sync.run.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("feed", "number"),
        schema="sync",
    )
    op.create_index(
        "outbound_file_unfinished",
        "outbound_file",
        ["feed"],
        unique=True,
        schema="sync",
        postgresql_where=sa.text("state <> 'delivered'"),
    )
    op.add_column(
        "outbox",
        sa.Column(
            "claimed",
            sa.BigInteger(),
            nullable=True,
            comment="files: the generation whose values are in the file that is being written",
        ),
        schema="sync",
    )
