"""Note what is to be sent, and what was."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "system_state",
        sa.Column("system", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="up", nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True, comment="down: not tried before"),
        sa.Column(
            "tries", sa.Integer(), server_default=sa.text("0"), nullable=False, comment="down: failures in a row"
        ),
        sa.Column("why", sa.Text(), nullable=True),
        sa.CheckConstraint("state IN ('up', 'down', 'paused')", name="state_known"),
        sa.PrimaryKeyConstraint("system"),
        schema="sync",
    )
    op.create_table(
        "position",
        sa.Column("flow", sa.Text(), nullable=False),
        sa.Column(
            "mark",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="how far the source was read, as its connector tells it",
        ),
        sa.Column("run_id", sa.BigInteger(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id"],
            ["sync.run.id"],
        ),
        sa.PrimaryKeyConstraint("flow"),
        schema="sync",
    )
    op.create_table(
        "intent",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("feed", sa.Integer(), nullable=False),
        sa.Column("record_id", sa.BigInteger(), nullable=False),
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("operation", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=True),
        sa.Column(
            "values", postgresql.JSON(astext_type=sa.Text()), nullable=False, comment="column to raw cell, as sent"
        ),
        sa.Column("state", sa.Text(), server_default="open", nullable=False),
        sa.Column("code", sa.Text(), nullable=True),
        sa.Column("message", sa.Text(), nullable=True, comment="the system's own words"),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("operation IN ('create', 'update', 'archive', 'delete')", name="operation_known"),
        sa.CheckConstraint(
            "state IN ('open', 'delivered', 'refused', 'stale', 'retry', 'unclear', 'dropped')", name="state_known"
        ),
        sa.ForeignKeyConstraint(
            ["feed"],
            ["sync.feed.id"],
        ),
        sa.ForeignKeyConstraint(
            ["run_id"],
            ["sync.run.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        schema="sync",
    )
    op.create_index(
        "intent_open",
        "intent",
        ["feed"],
        unique=False,
        schema="sync",
        postgresql_where=sa.text("state IN ('open', 'unclear')"),
    )
    op.create_index("intent_record", "intent", ["record_id", "id"], unique=False, schema="sync")
    op.create_table(
        "outbox",
        sa.Column("feed", sa.Integer(), nullable=False),
        sa.Column("record_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column(
            "generation",
            sa.BigInteger(),
            server_default=sa.text("1"),
            nullable=False,
            comment="counts changes: a marker that moved while it was sent stays",
        ),
        sa.Column("state", sa.Text(), server_default="waiting", nullable=False),
        sa.Column("queued_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("tries", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "why", postgresql.JSONB(astext_type=sa.Text()), nullable=True, comment="what keeps it: code and params"
        ),
        sa.CheckConstraint("state IN ('waiting', 'sending', 'refused', 'unclear')", name="state_known"),
        sa.ForeignKeyConstraint(
            ["feed"],
            ["sync.feed.id"],
        ),
        sa.PrimaryKeyConstraint("feed", "record_id"),
        schema="sync",
    )
    op.create_index("outbox_due", "outbox", ["feed", "state", "due_at"], unique=False, schema="sync")
    op.create_table(
        "subscription",
        sa.Column("feed", sa.Integer(), nullable=False, comment="a feed that writes to its system"),
        sa.Column("entity", sa.Text(), nullable=False),
        sa.Column("system", sa.Text(), nullable=False),
        sa.Column("columns", postgresql.ARRAY(sa.Text()), nullable=False, comment="whose changes are sent"),
        sa.Column("creates", sa.Boolean(), nullable=False, comment="whether new records are sent"),
        sa.ForeignKeyConstraint(
            ["feed"],
            ["sync.feed.id"],
        ),
        sa.PrimaryKeyConstraint("feed"),
        schema="sync",
    )
