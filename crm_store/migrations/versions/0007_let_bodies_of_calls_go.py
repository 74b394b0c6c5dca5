"""Let bodies of calls go."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column(
        "inbox", "body", schema="sync", nullable=True,
        comment="as it came: a JSON object, or a list of them; null long after it was done",
    )
    op.add_column(
        "inbox", sa.Column("body_digest", sa.Text(), nullable=True, comment="SHA-256 of a body that was dropped"),
        schema="sync",
    )
    op.create_check_constraint(
        "body_known", "inbox",
        "(body IS NULL) = (body_digest IS NOT NULL) AND (body IS NOT NULL OR state = 'done')",
        schema="sync",
    )
    op.create_index(
        "inbox_kept", "inbox", ["system", "received_at"], unique=False, schema="sync",
        postgresql_where=sa.text("state = 'done' AND body IS NOT NULL"),
    )
