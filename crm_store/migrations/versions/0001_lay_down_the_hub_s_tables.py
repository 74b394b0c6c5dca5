"""Lay down the hub's tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "applied",
        sa.Column("name", sa.Text(), nullable=False, comment="store: what the last migration brought the store to"),
        sa.Column("value", sa.Text(), nullable=False, comment="a digest"),
        sa.PrimaryKeyConstraint("name"),
        schema="sync",
    )
    op.create_table(
        "field_set",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("entity", sa.Text(), nullable=False),
        sa.Column(
            "fields",
            postgresql.ARRAY(sa.Text()),
            nullable=False,
            comment="sorted; the fields of a crosswalk entry that have a base",
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("entity", "fields"),
        schema="sync",
    )
    op.create_table(
        "id_space",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("system", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("entity", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("system", "name", "entity"),
        schema="sync",
    )
    op.create_table(
        "journal",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("entity", sa.Text(), nullable=False),
        sa.Column("record_id", sa.BigInteger(), nullable=False),
        sa.Column("op", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column(
            "system",
            sa.Text(),
            nullable=True,
            comment="the system a hub run wrote for; null: a person or another application",
        ),
        sa.Column("author", sa.Text(), nullable=False, comment="the database session's user"),
        sa.Column("run_id", sa.BigInteger(), nullable=True),
        sa.Column("old", postgresql.JSONB(astext_type=sa.Text()), nullable=True, comment="changed columns only"),
        sa.Column(
            "new",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=True,
            comment="changed columns only; null on create: sync.history() reads them from the record",
        ),
        sa.CheckConstraint("op IN ('create', 'update')", name="op_known"),
        sa.PrimaryKeyConstraint("id"),
        schema="sync",
    )
    op.create_index("journal_record", "journal", ["record_id", "id"], unique=False, schema="sync")
    op.create_table(
        "master",
        sa.Column("entity", sa.Text(), nullable=False),
        sa.Column("field", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False, comment="'' where the rule holds for every type"),
        sa.Column("systems", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("locked", sa.Boolean(), nullable=False),
        sa.Column("ranked", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("entity", "field", "type"),
        schema="sync",
    )
    op.create_table(
        "run",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("flow", sa.Text(), nullable=False),
        sa.Column("system", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="landing", nullable=False),
        sa.Column(
            "trigger",
            sa.Text(),
            server_default="cli",
            nullable=False,
            comment="cli, schedule, sensor, replay, retry, settle",
        ),
        sa.Column("full", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("mark", sa.BigInteger(), nullable=True, comment="order mark of the file: its dated or numbered part"),
        sa.Column("source", sa.Text(), nullable=True, comment="path or resource read"),
        sa.Column("digest", sa.Text(), nullable=True, comment="of the content read"),
        sa.Column("mapping", sa.Text(), nullable=False, comment="digest of the mapping as it was"),
        sa.Column(
            "detected",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=True,
            comment="what the mapping left open and the reader found: encoding, delimiter ...",
        ),
        sa.Column("rows_read", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("landed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "cursor", postgresql.JSONB(astext_type=sa.Text()), nullable=True, comment="pass and row number applied last"
        ),
        sa.Column(
            "problem",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=True,
            comment="why it waits in review, was refused or failed: code and params",
        ),
        sa.Column("dagster_run", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "state IN ('landing', 'landed', 'applying', 'done', 'review', 'refused', 'failed')", name="state_known"
        ),
        sa.PrimaryKeyConstraint("id"),
        schema="sync",
    )
    op.create_index("run_flow", "run", ["flow", "id"], unique=False, schema="sync")
    op.create_table(
        "succession",
        sa.Column("predecessor", sa.BigInteger(), nullable=False, comment="the record that was converted, a lead"),
        sa.Column("predecessor_entity", sa.Text(), nullable=False),
        sa.Column("successor", sa.BigInteger(), nullable=False, comment="the record it became, a company"),
        sa.Column("successor_entity", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("predecessor"),
        schema="sync",
    )
    op.create_index("succession_successor", "succession", ["successor"], unique=False, schema="sync")
    op.create_table(
        "feed",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("flow", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False, comment="the into's name"),
        sa.Column("system", sa.Text(), nullable=False),
        sa.Column("entity", sa.Text(), nullable=False),
        sa.Column("id_space", sa.Integer(), nullable=False),
        sa.Column(
            "full_mark", sa.BigInteger(), nullable=True, comment="order mark of the newest full read that was applied"
        ),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True, comment="end of the last good run"),
        sa.ForeignKeyConstraint(
            ["id_space"],
            ["sync.id_space.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("flow", "label"),
        schema="sync",
    )
    op.create_table(
        "file",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("flow", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("mark", sa.BigInteger(), nullable=True),
        sa.Column("parts", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("run_id", sa.BigInteger(), nullable=True),
        sa.Column("state", sa.Text(), server_default="claimed", nullable=False),
        sa.CheckConstraint(
            "state IN ('claimed', 'done', 'failed', 'review', 'refused', 'repeated', 'older')", name="state_known"
        ),
        sa.ForeignKeyConstraint(
            ["run_id"],
            ["sync.run.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        schema="sync",
    )
    op.create_index("file_flow_digest", "file", ["flow", "digest"], unique=False, schema="sync")
    op.create_table(
        "conflict",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("feed", sa.Integer(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("entity", sa.Text(), nullable=False),
        sa.Column("record_id", sa.BigInteger(), nullable=False),
        sa.Column("field", sa.Text(), nullable=False),
        sa.Column("base", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("ours", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("theirs", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("winner", sa.Text(), nullable=False, comment="crm, remote, or nobody yet"),
        sa.Column("state", sa.Text(), server_default="logged", nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("state IN ('logged', 'open', 'settled')", name="state_known"),
        sa.CheckConstraint("winner IN ('crm', 'remote', 'open')", name="winner_known"),
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
    op.create_index("conflict_record", "conflict", ["entity", "record_id"], unique=False, schema="sync")
    op.create_table(
        "held",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("feed", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="open", nullable=False),
        sa.Column(
            "identity", sa.Text(), nullable=False, comment="the row's key, or '#' and a digest of its raw content"
        ),
        sa.Column("key", sa.Text(), nullable=True),
        sa.Column("mark", sa.BigInteger(), nullable=True),
        sa.Column("run_id", sa.BigInteger(), nullable=False, comment="the run that read it last"),
        sa.Column("row_no", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.Text(), nullable=True),
        sa.Column("line", sa.BigInteger(), nullable=True),
        sa.Column("code", sa.Text(), nullable=False, comment="first cause; a key of mappings.messages.REASONS"),
        sa.Column("field", sa.Text(), nullable=True),
        sa.Column(
            "causes", postgresql.JSONB(astext_type=sa.Text()), nullable=False, comment="[{field, code, params, value}]"
        ),
        sa.Column(
            "waits_for",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=True,
            comment="parked: [{entity, id_space, key}]",
        ),
        sa.Column(
            "candidates", postgresql.ARRAY(sa.BigInteger()), nullable=True, comment="review: the records it may be"
        ),
        sa.Column(
            "raw",
            postgresql.JSON(astext_type=sa.Text()),
            nullable=True,
            comment="source column to text, in the source's order; null for a damaged line",
        ),
        sa.Column("raw_text", sa.Text(), nullable=True, comment="the physical line, where it could not be split"),
        sa.Column("since", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "closed_by", sa.BigInteger(), nullable=True, comment="the run whose good row, or newer full read, closed it"
        ),
        sa.Column(
            "decision", postgresql.JSONB(astext_type=sa.Text()), nullable=True, comment="what a person decided, and who"
        ),
        sa.CheckConstraint("outcome IN ('rejected', 'parked', 'review')", name="outcome_known"),
        sa.CheckConstraint("state IN ('open', 'closed', 'dismissed', 'replaying')", name="state_known"),
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
        "held_open",
        "held",
        ["feed", "identity"],
        unique=True,
        schema="sync",
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_index("held_run", "held", ["run_id"], unique=False, schema="sync")
    op.create_table(
        "run_into",
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("feed", sa.Integer(), nullable=False),
        sa.Column("rows_read", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("created", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("updated", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("unchanged", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("skipped", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("superseded", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("rejected", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("parked", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("review", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "archived",
            sa.BigInteger(),
            server_default=sa.text("0"),
            nullable=False,
            comment="absent entries, not input rows",
        ),
        sa.Column(
            "unlinked",
            sa.BigInteger(),
            server_default=sa.text("0"),
            nullable=False,
            comment="absent entries, not input rows",
        ),
        sa.Column("conflicts", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("closed", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.CheckConstraint(
            "NOT closed OR rows_read ="
            " created + updated + unchanged + skipped + superseded + rejected + parked + review",
            name="conservation",
        ),
        sa.ForeignKeyConstraint(
            ["feed"],
            ["sync.feed.id"],
        ),
        sa.ForeignKeyConstraint(
            ["run_id"],
            ["sync.run.id"],
        ),
        sa.PrimaryKeyConstraint("run_id", "feed"),
        schema="sync",
    )
