"""The hub's own tables in schema `sync` that do not depend on entities (crosswalks do: crm_store.entity_tables).

::

    run ─┬─< run_into >── feed ──> id_space        file ──> run
         ├─< held  >───── feed                     journal ··> run
         ├─< conflict     feed ──< subscription    position ──> run
         ├─< intent >──── feed ─┬< outbox          system_state
         ├─< outbound_file >──── ┴< mending          call_count, token
         └─< inbox                               leadership, stamp

A *feed* is one `into` of one flow. A *held* row is one that was refused (rejected), waits (parked) or needs a person
(review); views `reject`, `parked` and `review` show them by kind.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSON, JSONB

from mappings.words import OUTCOMES, RUN_STATES

metadata = MetaData(schema="sync")
_now = text("now()")


def _one_of(column: str, values: tuple[str, ...]) -> CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=f"{column}_known")


id_space = Table(
    "id_space", metadata,
    Column("id", Integer, Identity(), primary_key=True),
    Column("system", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("entity", Text, nullable=False),
    UniqueConstraint("system", "name", "entity"),
)

feed = Table(
    "feed", metadata,
    Column("id", Integer, Identity(), primary_key=True),
    Column("flow", Text, nullable=False),
    Column("label", Text, nullable=False, comment="the into's name"),
    Column("system", Text, nullable=False),
    Column("entity", Text, nullable=False),
    Column("id_space", Integer, ForeignKey("sync.id_space.id"), nullable=False),
    Column("full_mark", BigInteger, comment="order mark of the newest full read that was applied"),
    Column("confirmed_at", DateTime(timezone=True), comment="end of the last good run"),
    UniqueConstraint("flow", "label"),
)

field_set = Table(
    "field_set", metadata,
    Column("id", Integer, Identity(), primary_key=True),
    Column("entity", Text, nullable=False),
    Column("fields", ARRAY(Text), nullable=False, comment="sorted; the fields of a crosswalk entry that have a base"),
    UniqueConstraint("entity", "fields"),
)

run = Table(
    "run", metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("flow", Text, nullable=False),
    Column("system", Text, nullable=False),
    Column("state", Text, nullable=False, server_default="landing"),
    Column("trigger", Text, nullable=False, server_default="cli",
           comment="cli, schedule, sensor, replay, retry, settle"),
    Column("full", Boolean, nullable=False, server_default=text("false")),
    Column("mark", BigInteger, comment="order mark of the file: its dated or numbered part"),
    Column("source", Text, comment="path or resource read"),
    Column("digest", Text, comment="of the content read"),
    Column("mapping", Text, nullable=False, comment="digest of the mapping as it was"),
    Column("detected", JSONB, comment="what the mapping left open and the reader found: encoding, delimiter ..."),
    Column("rows_read", BigInteger, nullable=False, server_default=text("0")),
    Column("started_at", DateTime(timezone=True), nullable=False, server_default=_now),
    Column("landed_at", DateTime(timezone=True)),
    Column("ended_at", DateTime(timezone=True)),
    Column("worked", Double, comment="seconds of landing and applying, where it waited for a person between them"),
    Column("cursor", JSONB, comment="pass and row number applied last"),
    Column("problem", JSONB, comment="why it waits in review, was refused or failed: code and params"),
    Column("notices", JSONB, nullable=False, server_default=text("'[]'"),
           comment="what people are told of it beside its counters: [{code, params}]"),
    Column("dagster_run", Text),
    _one_of("state", RUN_STATES),
    Index("run_flow", "flow", "id"),
)

run_into = Table(
    "run_into", metadata,
    Column("run_id", BigInteger, ForeignKey("sync.run.id"), primary_key=True),
    Column("feed", Integer, ForeignKey("sync.feed.id"), primary_key=True),
    Column("rows_read", BigInteger, nullable=False, server_default=text("0")),
    *[Column(outcome, BigInteger, nullable=False, server_default=text("0")) for outcome in OUTCOMES],
    Column("archived", BigInteger, nullable=False, server_default=text("0"), comment="absent entries, not input rows"),
    Column("unlinked", BigInteger, nullable=False, server_default=text("0"), comment="absent entries, not input rows"),
    Column("conflicts", BigInteger, nullable=False, server_default=text("0")),
    Column("closed", Boolean, nullable=False, server_default=text("false")),
    CheckConstraint("NOT closed OR rows_read = " + " + ".join(OUTCOMES), name="conservation"),
)

file = Table(
    "file", metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("flow", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("digest", Text, nullable=False),
    Column("mark", BigInteger),
    Column("parts", JSONB, nullable=False, server_default=text("'{}'")),
    Column("seen_at", DateTime(timezone=True), nullable=False, server_default=_now),
    Column("run_id", BigInteger, ForeignKey("sync.run.id")),
    Column("state", Text, nullable=False, server_default="claimed"),
    _one_of("state", ("claimed", "done", "failed", "review", "refused", "repeated", "older")),
    Index("file_flow_digest", "flow", "digest"),
)

held = Table(
    "held", metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("feed", Integer, ForeignKey("sync.feed.id"), nullable=False),
    Column("outcome", Text, nullable=False),
    Column("state", Text, nullable=False, server_default="open"),
    Column("identity", Text, nullable=False, comment="the row's key, or '#' and a digest of its raw content"),
    Column("key", Text),
    Column("mark", BigInteger),
    Column("run_id", BigInteger, ForeignKey("sync.run.id"), nullable=False, comment="the run that read it last"),
    Column("row_no", BigInteger, nullable=False),
    Column("source", Text),
    Column("line", BigInteger),
    Column("code", Text, nullable=False, comment="first cause; a key of mappings.messages.REASONS"),
    Column("field", Text),
    Column("causes", JSONB, nullable=False, comment="[{field, code, params, value}]"),
    Column("waits_for", JSONB, comment="parked: [{entity, id_space, key}]"),
    Column("candidates", ARRAY(BigInteger), comment="review: the records it may be"),
    Column("raw", JSON, comment="source column to text, in the source's order; null for a damaged line"),
    Column("raw_text", Text, comment="the physical line, where it could not be split"),
    Column("since", DateTime(timezone=True), nullable=False, server_default=_now),
    Column("closed_at", DateTime(timezone=True)),
    Column("closed_by", BigInteger, comment="the run whose good row, or newer full read, closed it"),
    Column("decision", JSONB, comment="what a person decided, and who"),
    Column("holder", Text, comment="of an element of a nested list: the key of the row that holds it"),
    _one_of("outcome", ("rejected", "parked", "review")),
    _one_of("state", ("open", "closed", "dismissed", "replaying")),
    Index("held_open", "feed", "identity", unique=True, postgresql_where=text("state = 'open'")),
    Index("held_dismissed", "feed", "identity", postgresql_where=text("state = 'dismissed'")),
    Index("held_run", "run_id"),
)

conflict = Table(
    "conflict", metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("run_id", BigInteger, ForeignKey("sync.run.id"), nullable=False),
    Column("feed", Integer, ForeignKey("sync.feed.id"), nullable=False),
    Column("key", Text, nullable=False),
    Column("entity", Text, nullable=False),
    Column("record_id", BigInteger, nullable=False),
    Column("field", Text, nullable=False),
    Column("based", Boolean, nullable=False, server_default=text("true"),
           comment="false: nothing was agreed on before; each side brought a value when the two first met"),
    Column("base", JSONB),
    Column("ours", JSONB),
    Column("theirs", JSONB),
    Column("winner", Text, nullable=False, comment="crm, remote, or nobody yet"),
    Column("state", Text, nullable=False, server_default="logged"),
    Column("at", DateTime(timezone=True), nullable=False, server_default=_now),
    Column("decision", JSONB, comment="what a person decided, and who"),
    _one_of("winner", ("crm", "remote", "open")),
    _one_of("state", ("logged", "open", "settled")),
    Index("conflict_record", "entity", "record_id"),
)

journal = Table(
    "journal", metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("entity", Text, nullable=False),
    Column("record_id", BigInteger, nullable=False),
    Column("op", Text, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False, server_default=_now),
    Column("system", Text, comment="the system a hub run wrote for; null: a person or another application"),
    Column("author", Text, nullable=False, comment="the database session's user"),
    Column("run_id", BigInteger),
    Column("old", JSONB, comment="changed columns only"),
    Column("new", JSONB, comment="changed columns only; null on create: sync.history() reads them from the record"),
    _one_of("op", ("create", "update")),
    Index("journal_record", "record_id", "id"),
)

stamp = Table(
    "stamp", metadata,
    Column("record_id", BigInteger, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False, server_default=_now,
           comment="the moment that the journal's line of the same change has"),
    Column("stamp", BigInteger, nullable=False,
           comment="when the row that made the change says it was made; microseconds since 1970"),
    Index("stamp_record", "record_id", "at"),
)

master = Table(
    "master", metadata,
    Column("entity", Text, primary_key=True),
    Column("field", Text, primary_key=True),
    Column("type", Text, primary_key=True, comment="'' where the rule holds for every type"),
    Column("systems", ARRAY(Text), nullable=False),
    Column("locked", Boolean, nullable=False),
    Column("ranked", Boolean, nullable=False),
)

applied = Table(
    "applied", metadata,
    Column("name", Text, primary_key=True, comment="store: what the last migration brought the store to"),
    Column("value", Text, nullable=False, comment="a digest"),
)

succession = Table(
    "succession", metadata,
    Column("predecessor", BigInteger, primary_key=True, comment="the record that was converted, a lead"),
    Column("predecessor_entity", Text, nullable=False),
    Column("successor", BigInteger, nullable=False, comment="the record it became, a company"),
    Column("successor_entity", Text, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False, server_default=_now),
    Index("succession_successor", "successor"),
)

position = Table(
    "position", metadata,
    Column("flow", Text, primary_key=True),
    Column("mark", JSONB, nullable=False, comment="how far the source was read, as its connector tells it"),
    Column("run_id", BigInteger, ForeignKey("sync.run.id")),
    Column("at", DateTime(timezone=True), nullable=False, server_default=_now),
)

subscription = Table(
    "subscription", metadata,
    Column("feed", Integer, ForeignKey("sync.feed.id"), primary_key=True, comment="a feed that writes to its system"),
    Column("entity", Text, nullable=False),
    Column("system", Text, nullable=False),
    Column("columns", ARRAY(Text), nullable=False, comment="whose changes are sent"),
    Column("creates", Boolean, nullable=False, comment="whether new records are sent"),
)

outbox = Table(
    "outbox", metadata,
    Column("feed", Integer, ForeignKey("sync.feed.id"), primary_key=True),
    Column("record_id", BigInteger, primary_key=True, autoincrement=False),
    Column("generation", BigInteger, nullable=False, server_default=text("1"),
           comment="counts changes: a marker that moved while it was sent stays"),
    Column("state", Text, nullable=False, server_default="waiting"),
    Column("queued_at", DateTime(timezone=True), nullable=False, server_default=_now),
    Column("due_at", DateTime(timezone=True), nullable=False, server_default=_now),
    Column("tries", Integer, nullable=False, server_default=text("0")),
    Column("why", JSONB, comment="what keeps it: code and params"),
    Column("claimed", BigInteger, comment="files: the generation whose values are in the file that is being written"),
    _one_of("state", ("waiting", "sending", "refused", "unclear")),
    Index("outbox_due", "feed", "state", "due_at"),
)

intent = Table(
    "intent", metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("feed", Integer, ForeignKey("sync.feed.id"), nullable=False),
    Column("record_id", BigInteger, nullable=False),
    Column("run_id", BigInteger, ForeignKey("sync.run.id"), nullable=False),
    Column("operation", Text, nullable=False),
    Column("key", Text),
    Column("values", JSON, nullable=False, comment="column to raw cell, as sent"),
    Column("record", JSONB, comment="the record's columns that were sent, as they were: the base once it was taken"),
    Column("version", Text, comment="of the row that the write was decided on"),
    Column("state", Text, nullable=False, server_default="open"),
    Column("code", Text),
    Column("message", Text, comment="the system's own words"),
    Column("at", DateTime(timezone=True), nullable=False, server_default=_now),
    Column("answered_at", DateTime(timezone=True)),
    _one_of("operation", ("create", "update", "archive", "delete")),
    _one_of("state", ("open", "delivered", "refused", "stale", "retry", "unclear", "dropped")),
    Index("intent_record", "record_id", "id"),
    Index("intent_open", "feed", postgresql_where=text("state IN ('open', 'unclear')")),
)

outbound_file = Table(
    "outbound_file", metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("feed", Integer, ForeignKey("sync.feed.id"), nullable=False),
    Column("number", BigInteger, nullable=False, comment="from 1, without gaps"),
    Column("path", Text, nullable=False),
    Column("full", Boolean, nullable=False, comment="holds everything; else what changed since the file before"),
    Column("state", Text, nullable=False, server_default="open",
           comment="open: being written; ready: whole beside its place; delivered: in its place"),
    Column("run_id", BigInteger, ForeignKey("sync.run.id"), nullable=False),
    Column("rows", BigInteger),
    Column("refused", BigInteger),
    Column("digest", Text, comment="of the content"),
    Column("at", DateTime(timezone=True), nullable=False, server_default=_now),
    Column("delivered_at", DateTime(timezone=True)),
    _one_of("state", ("open", "ready", "delivered")),
    UniqueConstraint("feed", "number"),
    Index("outbound_file_unfinished", "feed", unique=True, postgresql_where=text("state <> 'delivered'")),
)

mending = Table(
    "mending", metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("what", Text, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False, server_default=_now),
    Column("by", Text, nullable=False, comment="who ran the command"),
    Column("why", Text),
    Column("entity", Text, nullable=False),
    Column("feed", Integer, ForeignKey("sync.feed.id"), comment="of a link or unlink"),
    Column("key", Text, comment="of a link or unlink"),
    Column("record_id", BigInteger, nullable=False, comment="the record linked or unlinked; of a merge the winner"),
    Column("other_id", BigInteger, comment="of a merge the loser"),
    Column("before", JSONB, nullable=False, comment="what was there, as undoing it needs it"),
    Column("undone_at", DateTime(timezone=True)),
    Column("undone_by", Text),
    _one_of("what", ("link", "unlink", "merge")),
)

system_state = Table(
    "system_state", metadata,
    Column("system", Text, primary_key=True),
    Column("state", Text, nullable=False, server_default="up"),
    Column("since", DateTime(timezone=True), nullable=False, server_default=_now),
    Column("until", DateTime(timezone=True), comment="down: not tried before"),
    Column("tries", Integer, nullable=False, server_default=text("0"), comment="down: failures in a row"),
    Column("why", Text),
    _one_of("state", ("up", "down", "paused")),
)

leadership = Table(
    "leadership", metadata,
    Column("kind", Text, primary_key=True, comment="flow: one run of it at a time; system: kept live by one process"),
    Column("name", Text, primary_key=True),
    Column("epoch", BigInteger, nullable=False, server_default=text("1"), comment="counts how often it was taken"),
    Column("at", DateTime(timezone=True), nullable=False, server_default=_now, comment="taken last"),
    _one_of("kind", ("flow", "system")),
)

inbox = Table(
    "inbox", metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("system", Text, nullable=False),
    Column("flow", Text, nullable=False),
    Column("key", Text, comment="Idempotency-Key of the call"),
    Column("digest", Text, nullable=False, comment="of what was signed: the same call again is no other"),
    Column("body", LargeBinary, comment="as it came: a JSON object, or a list of them; null long after it was done"),
    Column("body_digest", Text, comment="SHA-256 of a body that was dropped"),
    Column("rows", Integer, nullable=False),
    Column("received_at", DateTime(timezone=True), nullable=False, server_default=_now),
    Column("state", Text, nullable=False, server_default="waiting"),
    Column("run_id", BigInteger, ForeignKey("sync.run.id"), comment="the run that takes it in, or took it"),
    _one_of("state", ("waiting", "taking", "done", "failed", "refused", "dismissed")),
    CheckConstraint("(body IS NULL) = (body_digest IS NOT NULL) AND (body IS NOT NULL OR state = 'done')",
                    name="body_known"),
    UniqueConstraint("flow", "digest"),
    Index("inbox_key", "flow", "key", unique=True, postgresql_where=text("key IS NOT NULL")),
    Index("inbox_open", "flow", "id", postgresql_where=text("state IN ('waiting', 'taking', 'failed')")),
    Index("inbox_run", "run_id"),
    Index("inbox_kept", "system", "received_at", postgresql_where=text("state = 'done' AND body IS NOT NULL")),
)

call_count = Table(
    "call_count", metadata,
    Column("system", Text, primary_key=True, comment="'' where no system of that name is called for"),
    Column("what", Text, primary_key=True, comment="why calls were refused, or repeated"),
    Column("count", BigInteger, nullable=False, server_default=text("0")),
    Column("last_at", DateTime(timezone=True), nullable=False, server_default=_now),
)

token = Table(
    "token", metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("digest", Text, nullable=False, unique=True, comment="SHA-256 of the token, which is kept nowhere"),
    Column("role", Text, nullable=False, comment="the database role that its requests work as"),
    Column("made_at", DateTime(timezone=True), nullable=False, server_default=_now),
    Column("made_by", Text, nullable=False),
    Column("used_at", DateTime(timezone=True), comment="to the minute"),
    Column("revoked_at", DateTime(timezone=True)),
)
