"""Keep what a run tells beside its counters."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

# Runs of older versions have some of it among what their reader found: one as its sentence, two that are always alike.
_WAS_DETECTED = """
UPDATE sync.run SET detected = detected - ARRAY['trailer', 'late commits', 'change table'], notices =
    CASE WHEN detected ? 'trailer' THEN jsonb_build_array(jsonb_build_object(
        'code', 'kept', 'params', jsonb_build_object('sentence', detected -> 'trailer'))) ELSE '[]' END
    || CASE WHEN detected ? 'late commits' THEN '[{"code": "late_commits", "params": {}}]'::jsonb ELSE '[]' END
    || CASE WHEN detected ? 'change table' THEN '[{"code": "too_old", "params": {}}]'::jsonb ELSE '[]' END
WHERE detected ?| ARRAY['trailer', 'late commits', 'change table']
"""


def upgrade() -> None:
    op.add_column(
        "run",
        sa.Column(
            "notices",
            JSONB(),
            server_default=sa.text("'[]'"),
            nullable=False,
            comment="what people are told of it beside its counters: [{code, params}]",
        ),
        schema="sync",
    )
    op.execute(_WAS_DETECTED)
