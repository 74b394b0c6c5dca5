"""Keep what was decided of a conflict."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "conflict",
        sa.Column(
            "decision", postgresql.JSONB(astext_type=sa.Text()), nullable=True,
            comment="what a person decided, and who",
        ),
        schema="sync",
    )
