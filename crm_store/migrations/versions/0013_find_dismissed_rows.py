"""Find rows that somebody dismissed, when they come again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "held_dismissed", "held", ["feed", "identity"], schema="sync", postgresql_where=sa.text("state = 'dismissed'")
    )
