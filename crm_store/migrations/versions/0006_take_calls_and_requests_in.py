"""Take calls and requests in."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "call_count",
        sa.Column("system", sa.Text(), nullable=False, comment="'' where no system of that name is called for"),
        sa.Column("what", sa.Text(), nullable=False, comment="why calls were refused, or repeated"),
        sa.Column("count", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("system", "what"),
        schema="sync",
    )
    op.create_table(
        "token",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False, comment="SHA-256 of the token, which is kept nowhere"),
        sa.Column("role", sa.Text(), nullable=False, comment="the database role that its requests work as"),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True, comment="to the minute"),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("digest"),
        sa.UniqueConstraint("name"),
        schema="sync",
    )
    op.create_table(
        "inbox",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("system", sa.Text(), nullable=False),
        sa.Column("flow", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=True, comment="Idempotency-Key of the call"),
        sa.Column("digest", sa.Text(), nullable=False, comment="of what was signed: the same call again is no other"),
        sa.Column("body", sa.LargeBinary(), nullable=False, comment="as it came: a JSON object, or a list of them"),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("state", sa.Text(), server_default="waiting", nullable=False),
        sa.Column("run_id", sa.BigInteger(), nullable=True, comment="the run that takes it in, or took it"),
        sa.CheckConstraint(
            "state IN ('waiting', 'taking', 'done', 'failed', 'refused', 'dismissed')", name="state_known"
        ),
        sa.ForeignKeyConstraint(
            ["run_id"],
            ["sync.run.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("flow", "digest"),
        schema="sync",
    )
    op.create_index(
        "inbox_key", "inbox", ["flow", "key"], unique=True, schema="sync", postgresql_where=sa.text("key IS NOT NULL")
    )
    op.create_index(
        "inbox_open",
        "inbox",
        ["flow", "id"],
        unique=False,
        schema="sync",
        postgresql_where=sa.text("state IN ('waiting', 'taking', 'failed')"),
    )
    op.create_index("inbox_run", "inbox", ["run_id"], unique=False, schema="sync")
