"""Note what was mended by hand."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "mending",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("by", sa.Text(), nullable=False, comment="who ran the command"),
        sa.Column("why", sa.Text(), nullable=True),
        sa.Column("entity", sa.Text(), nullable=False),
        sa.Column("feed", sa.Integer(), nullable=True, comment="of a link or unlink"),
        sa.Column("key", sa.Text(), nullable=True, comment="of a link or unlink"),
        sa.Column(
            "record_id", sa.BigInteger(), nullable=False, comment="the record linked or unlinked; of a merge the winner"
        ),
        sa.Column("other_id", sa.BigInteger(), nullable=True, comment="of a merge the loser"),
        sa.Column(
            "before",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="what was there, as undoing it needs it",
        ),
        sa.Column("undone_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("undone_by", sa.Text(), nullable=True),
        sa.CheckConstraint("what IN ('link', 'unlink', 'merge')", name="what_known"),
        sa.ForeignKeyConstraint(
            ["feed"],
            ["sync.feed.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        schema="sync",
    )
