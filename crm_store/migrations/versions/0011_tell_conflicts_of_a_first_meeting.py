"""Tell conflicts of a first meeting from those in which both sides changed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "conflict",
        sa.Column(
            "based",
            sa.Boolean(),
            server_default=sa.text("true"),
            nullable=False,
            comment="false: nothing was agreed on before; each side brought a value when the two first met",
        ),
        schema="sync",
    )
