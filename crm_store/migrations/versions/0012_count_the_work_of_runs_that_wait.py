"""Count the work of runs that wait for a person, not their waiting."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "run",
        sa.Column(
            "worked", sa.Double(), comment="seconds of landing and applying, where it waited for a person between them"
        ),
        schema="sync",
    )
    op.execute("UPDATE sync.run SET worked = extract(epoch FROM landed_at - started_at) WHERE state = 'review'")
