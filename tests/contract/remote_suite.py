"""What every connector to a live system has to stand, whatever the system; it buys the suite with a desk.

::

    class TestMine(RemoteSuite):
        @pytest.fixture
        def desk(self) -> RemoteDesk: ...
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
import pandas as pd
import pytest

from connectors.page import DAMAGED_COLUMNS, Page
from connectors.remote import Change, Key, Position, Receipt, Remote, RemoteSource, Resource
from mappings.errors import ConfigurationError

HOSTILE = (
    "L'Œuvre & Fils <b>", '"quoted"; DROP TABLE party --', "100% _a_ \\%", "日本語 🚲 naïve", "back\\slash\\n", "{'a': [1]}",
    "%s %(x)s :x ?", "null", "x" * 200, "é" * 100,
)
"""Texts that any text column must give back as they are."""


class RemoteDesk(Protocol):
    """A resource of a running system, and what happens to it behind the connector's back."""

    @property
    def resource(self) -> Resource:
        """Read and written by the suite: key, `text`, `typed`, the version and the column of archived rows, if any."""

    @property
    def text(self) -> str:
        """A column of free text, of 200 characters at least, which may be null or not."""

    @property
    def typed(self) -> tuple[str, str]:
        """A column that is no text, and a text that is no value of it."""

    @property
    def refused(self) -> Mapping[str, str]:
        """Values of a new row that the system itself refuses, when all others would be taken."""

    @property
    def said(self) -> str:
        """A part of what it says then."""

    @property
    def unknown(self) -> tuple[str, str]:
        """A column that there is not, and the one that was meant."""

    def open(self) -> Remote:
        """A session of its own."""

    def values(self) -> dict[str, str]:
        """Values of a row that is like no other, `text` among them; the key too where we number the rows."""

    def insert(self, rows: Sequence[Mapping[str, str]]) -> list[Key]: ...

    def edit(self, key: Key, values: Mapping[str, str]) -> None: ...

    def delete(self, key: Key) -> None: ...

    def give_one_stamp(self, keys: Sequence[Key], like: Key | None = None) -> None:
        """Makes the time of change of all these rows that of the row `like`, or of the last of them."""


class RemoteSuite:
    @pytest.fixture
    def desk(self) -> RemoteDesk:
        raise NotImplementedError

    @pytest.fixture
    def remote(self, desk: RemoteDesk) -> Iterator[Remote]:
        remote = desk.open()
        yield remote
        remote.close()

    # reading by key

    def test_keys_that_are_not_there_are_missing(self, desk: RemoteDesk, remote: Remote) -> None:
        [key] = desk.insert([desk.values()])
        desk.delete(key)
        assert_page(remote.fetch(desk.resource, [key]), desk.resource, 0)
        assert_page(remote.fetch(desk.resource, []), desk.resource, 0)
        no_key = ("no such key",) * len(key)
        assert_page(remote.fetch(desk.resource, [no_key]), desk.resource, 0)

    def test_rows_are_fetched_as_they_are_now(self, desk: RemoteDesk, remote: Remote) -> None:
        keys = desk.insert([desk.values() for _ in range(3)])
        remote.fetch(desk.resource, keys)
        desk.edit(keys[1], {desk.text: "edited"})
        page = remote.fetch(desk.resource, keys[:2])
        assert_page(page, desk.resource, 2)
        assert texts(desk, page)[keys[1]] == "edited"

    # writing

    def test_a_row_is_created_updated_and_read_back(self, desk: RemoteDesk, remote: Remote) -> None:
        values = desk.values()
        [made] = remote.write(desk.resource, [create(desk, values)])
        assert made.state == "delivered"
        assert made.key is not None
        row = only(remote.fetch(desk.resource, [made.key]))
        assert {name: row[name] for name in values} == values
        [changed] = remote.write(desk.resource, [Change("update", made.key, {desk.text: "other"})])
        assert changed == Receipt("delivered", made.key, changed.version)
        assert only(remote.fetch(desk.resource, [made.key]))[desk.text] == "other"

    def test_receipts_come_in_the_order_of_the_changes(self, desk: RemoteDesk, remote: Remote) -> None:
        changes = [create(desk, desk.values()) for _ in range(remote.capabilities(desk.resource).batch)][:20]
        receipts = remote.write(desk.resource, changes)
        found = texts(desk, remote.fetch(desk.resource, [receipt.key for receipt in receipts if receipt.key]))
        assert [found[receipt.key] for receipt in receipts] == [change.values[desk.text] for change in changes]

    def test_no_changes_are_no_call(self, desk: RemoteDesk, remote: Remote) -> None:
        assert remote.write(desk.resource, []) == []

    def test_an_archived_row_can_still_be_fetched_and_read(self, desk: RemoteDesk, remote: Remote) -> None:
        if not remote.capabilities(desk.resource).archive:
            pytest.skip("this resource cannot archive: its own tests say what happens instead")
        [key] = desk.insert([desk.values()])
        archive = Change("archive", key, {desk.text: "edited too"})
        assert [one.state for one in remote.write(desk.resource, [archive])] == ["delivered"]
        assert texts(desk, remote.fetch(desk.resource, [key])) == {key: "edited too"}
        assert key in read_all(desk, remote.read(desk.resource, None))

    def test_a_deleted_row_is_gone(self, desk: RemoteDesk, remote: Remote) -> None:
        if not remote.capabilities(desk.resource).delete:
            pytest.skip("this resource cannot delete: its own tests say what happens instead")
        keys = desk.insert([desk.values() for _ in range(2)])
        assert [one.state for one in remote.write(desk.resource, [Change("delete", keys[0], {})])] == ["delivered"]
        assert set(texts(desk, remote.fetch(desk.resource, keys))) == {keys[1]}

    def test_hostile_text_comes_back_unharmed_and_is_found(self, desk: RemoteDesk, remote: Remote) -> None:
        batch = remote.capabilities(desk.resource).batch
        changes = [create(desk, {**desk.values(), desk.text: text}) for text in HOSTILE]
        receipts = [one for at in range(0, len(changes), batch) for one in remote.write(desk.resource, changes[at : at + batch])]
        for text, receipt in zip(HOSTILE, receipts, strict=True):
            assert receipt.state == "delivered", receipt
            assert receipt.key is not None
            assert only(remote.fetch(desk.resource, [receipt.key]))[desk.text] == text
            assert receipt.key in texts(desk, remote.find(desk.resource, {desk.text: text}))

    def test_a_stale_version_is_refused_and_nothing_written(self, desk: RemoteDesk, remote: Remote) -> None:
        if not remote.capabilities(desk.resource).versions:
            pytest.skip("this system has no versions")
        keys = desk.insert([desk.values() for _ in range(3)])
        versions = column(desk, remote.fetch(desk.resource, keys), desk.resource.version)
        desk.edit(keys[1], {desk.text: "theirs"})
        receipts = remote.write(desk.resource, [Change("update", key, {desk.text: f"ours {key[0]}"}, versions[key]) for key in keys])
        assert [receipt.state for receipt in receipts] == ["delivered", "stale", "delivered"]
        found = texts(desk, remote.fetch(desk.resource, keys))
        assert [found[key] for key in keys] == [f"ours {keys[0][0]}", "theirs", f"ours {keys[2][0]}"]
        now = column(desk, remote.fetch(desk.resource, keys), desk.resource.version)
        [again] = remote.write(desk.resource, [Change("update", keys[1], {desk.text: "ours"}, now[keys[1]])])
        assert again.state == "delivered"

    def test_a_value_of_the_wrong_kind_is_refused_and_the_others_are_written(self, desk: RemoteDesk, remote: Remote) -> None:
        name, wrong = desk.typed
        keys = desk.insert([desk.values() for _ in range(3)])
        changes = [Change("update", key, {desk.text: f"good {key[0]}"}) for key in keys]
        changes[1] = Change("update", keys[1], {desk.text: "bad", name: wrong})
        receipts = deliver(remote, desk.resource, changes)
        assert [receipt.state for receipt in receipts] == ["delivered", "refused", "delivered"]
        assert receipts[1].key == keys[1]
        assert wrong in receipts[1].message
        assert "bad" not in texts(desk, remote.fetch(desk.resource, keys)).values()

    def test_a_refused_change_leaves_the_others_receipts(self, desk: RemoteDesk, remote: Remote) -> None:
        changes = [create(desk, values) for values in (desk.values(), {**desk.values(), **desk.refused}, desk.values())]
        receipts = deliver(remote, desk.resource, changes)
        assert [receipt.state for receipt in receipts] == ["delivered", "refused", "delivered"]
        assert desk.said.lower() in receipts[1].message.lower()
        assert "Traceback" not in receipts[1].message
        found = texts(desk, remote.fetch(desk.resource, [receipt.key for receipt in receipts if receipt.key]))
        assert sorted(found.values()) == sorted([changes[0].values[desk.text], changes[2].values[desk.text]])

    def test_a_batch_that_is_taken_whole_wrote_nothing_when_refused(self, desk: RemoteDesk, remote: Remote) -> None:
        if not remote.capabilities(desk.resource).whole_batch:
            pytest.skip("batches of this system are not whole")
        changes = [create(desk, values) for values in (desk.values(), {**desk.values(), **desk.refused})]
        assert [receipt.state for receipt in remote.write(desk.resource, changes)] == ["refused", "refused"]
        assert len(remote.find(desk.resource, {desk.text: changes[0].values[desk.text]})) == 0

    # what the mapping names and is not there

    def test_an_unknown_column_is_told_with_the_nearest_word(self, desk: RemoteDesk, remote: Remote) -> None:
        wrong, meant = desk.unknown
        named = replace(desk.resource, columns=(*desk.resource.columns, wrong))
        for ask in (lambda: remote.capabilities(named), lambda: remote.fetch(named, []),
                    lambda: list(remote.read(named, None).pages()), lambda: remote.find(desk.resource, {wrong: "x"}),
                    lambda: remote.write(desk.resource, [create(desk, {**desk.values(), wrong: "x"})])):
            with pytest.raises(ConfigurationError, match=f"(?s){wrong}.*{meant}"):
                ask()

    def test_an_unknown_resource_is_told_with_the_nearest_word(self, desk: RemoteDesk, remote: Remote) -> None:
        with pytest.raises(ConfigurationError, match=desk.resource.name):
            remote.capabilities(replace(desk.resource, name=desk.resource.name + "x"))

    # reading everything, and what changed

    @pytest.mark.parametrize("size", [1, 3, 1000])
    def test_everything_is_read_whatever_the_size_of_a_page(self, desk: RemoteDesk, remote: Remote, size: int) -> None:
        keys = desk.insert([desk.values() for _ in range(7)])
        source = remote.read(desk.resource, None)
        for _ in range(2):  # the same numbers each time
            pages = list(source.pages(size))
            assert all(len(page) <= size for page in pages)
            rows = pd.concat([page.frame for page in pages])
            assert list(rows.index) == list(range(1, len(rows) + 1))
            found = [tuple(key) for key in rows[list(desk.resource.key)].itertuples(index=False)]
            assert set(keys) <= set(found)
            assert len(found) == len(set(found))
        for page in pages:
            assert_page(page, desk.resource, len(page))

    def test_a_change_behind_our_back_is_read_and_older_rows_are_not(self, desk: RemoteDesk, remote: Remote) -> None:
        exact = replace(desk.resource, overlap=0.0)
        keys = desk.insert([desk.values() for _ in range(3)])
        desk.edit(keys[2], {desk.text: "the greatest stamp"})
        position = end_of(remote.read(exact, None))
        assert keys[0] not in read_all(desk, remote.read(exact, position))
        desk.edit(keys[1], {desk.text: "edited"})
        [new] = desk.insert([desk.values()])
        source = remote.read(exact, position)
        found = read_all(desk, source)
        assert found[keys[1]] == "edited"
        assert new in found
        assert keys[0] not in found
        assert keys[0] not in read_all(desk, remote.read(exact, source.position))

    @pytest.mark.parametrize("size", [1, 2, 3])
    def test_rows_with_one_stamp_are_never_lost(self, desk: RemoteDesk, remote: Remote, size: int) -> None:
        exact = replace(desk.resource, overlap=0.0)
        desk.insert([desk.values()])
        position = end_of(remote.read(exact, None))
        keys = desk.insert([desk.values() for _ in range(7)])
        desk.give_one_stamp(keys)
        source = remote.read(exact, position)
        assert set(keys) <= set(read_all(desk, source, size))
        [late] = desk.insert([desk.values()])  # as a transaction of the same moment that was committed later
        desk.give_one_stamp([late], like=keys[0])
        assert late in read_all(desk, remote.read(exact, source.position), size)

    def test_what_is_known_in_one_state_is_read_in_the_next(self, desk: RemoteDesk, remote: Remote) -> None:
        keys = desk.insert([desk.values() for _ in range(3)])
        again = replace(desk.resource, overlap=60.0)
        position = end_of(remote.read(again, None))
        known = remote.fetch(again, keys).states
        desk.edit(keys[1], {desk.text: "edited"})
        news = read_all(desk, remote.read(again, position, known.__contains__))
        assert news[keys[1]] == "edited"
        assert not known or news.keys().isdisjoint({keys[0], keys[2]})

    def test_the_overlap_reads_what_was_committed_late(self, desk: RemoteDesk, remote: Remote) -> None:
        [old] = desk.insert([desk.values()])
        keys = desk.insert([desk.values() for _ in range(2)])
        desk.edit(keys[0], {desk.text: "the greatest stamp"})
        position = end_of(remote.read(desk.resource, None))
        [late] = desk.insert([desk.values()])
        desk.give_one_stamp([late], like=old)
        assert late not in read_all(desk, remote.read(replace(desk.resource, overlap=0.0), position))
        assert late in read_all(desk, remote.read(replace(desk.resource, overlap=60.0), position))

    def test_a_position_is_json_and_stays_when_nothing_changes(self, desk: RemoteDesk, remote: Remote) -> None:
        desk.insert([desk.values()])
        position = end_of(remote.read(desk.resource, None))
        kept = Position(json.loads(json.dumps(dict(position.mark))))
        assert end_of(remote.read(desk.resource, kept)) == position

    def test_from_the_beginning_everything_has_changed(self, desk: RemoteDesk, remote: Remote) -> None:
        keys = desk.insert([desk.values() for _ in range(2)])
        assert set(keys) <= set(read_all(desk, remote.read(desk.resource, Position())))

    # probing

    def test_a_probe_finds_exactly_the_value(self, desk: RemoteDesk, remote: Remote) -> None:
        texts_ = ["Probe One", "probe one", "Probe_One", "Probe One and more"]
        keys = desk.insert([{**desk.values(), desk.text: text} for text in texts_])
        for key, text in zip(keys, texts_, strict=True):
            page = remote.find(desk.resource, {desk.text: text})
            assert_page(page, desk.resource, 1)
            assert list(texts(desk, page)) == [key]
        both = {desk.text: texts_[0], desk.resource.key[0]: keys[0][0]}
        assert len(remote.find(desk.resource, both)) == 1
        assert len(remote.find(desk.resource, {**both, desk.text: texts_[1]})) == 0

    def test_a_probe_gives_no_more_than_asked(self, desk: RemoteDesk, remote: Remote) -> None:
        desk.insert([{**desk.values(), desk.text: "many alike"} for _ in range(5)])
        assert len(remote.find(desk.resource, {desk.text: "many alike"}, limit=3)) == 3
        assert len(remote.find(desk.resource, {desk.text: "many alike"})) == 5

    # sessions

    def test_what_one_session_writes_another_reads(self, desk: RemoteDesk, remote: Remote) -> None:
        [made] = remote.write(desk.resource, [create(desk, desk.values())])
        other = desk.open()
        try:
            assert made.key is not None
            assert len(other.fetch(desk.resource, [made.key])) == 1
        finally:
            other.close()


def create(desk: RemoteDesk, values: Mapping[str, str]) -> Change:
    key = tuple(values[name] for name in desk.resource.key) if set(desk.resource.key) <= set(values) else None
    return Change("create", key, values)


def deliver(remote: Remote, resource: Resource, changes: Sequence[Change]) -> list[Receipt]:
    """As the hub does: a batch that was refused whole is halved, until the bad change stands alone."""
    able = remote.capabilities(resource)
    if len(changes) > able.batch:
        middle = able.batch
        return deliver(remote, resource, changes[:middle]) + deliver(remote, resource, changes[middle:])
    receipts = remote.write(resource, changes)
    if able.whole_batch and len(changes) > 1 and all(receipt.state == "refused" for receipt in receipts):
        middle = len(changes) // 2
        return deliver(remote, resource, changes[:middle]) + deliver(remote, resource, changes[middle:])
    return receipts


def assert_page(page: Page, resource: Resource, rows: int) -> None:
    """The shape that every page has."""
    assert len(page.frame) == rows
    assert set(resource.columns) <= set(page.frame.columns)
    assert all(str(kind) == "string" and kind.storage == "pyarrow" for kind in page.frame.dtypes)
    assert not page.frame.isna().any(axis=None)
    assert page.frame.index.dtype == np.int64
    assert page.lines.dtype == np.int64
    assert len(page.lines) == rows
    assert tuple(page.damaged.columns) == DAMAGED_COLUMNS
    assert len(page.damaged) == 0


def only(page: Page) -> dict[str, str]:
    assert len(page) == 1
    return page.frame.iloc[0].to_dict()


def column(desk: RemoteDesk, page: Page, name: str | None) -> dict[Key, str]:
    keys = [tuple(key) for key in page.frame[list(desk.resource.key)].itertuples(index=False)]
    return dict(zip(keys, page.frame[name], strict=True))


def texts(desk: RemoteDesk, page: Page) -> dict[Key, str]:
    return column(desk, page, desk.text)


def read_all(desk: RemoteDesk, source: RemoteSource, size: int = 1000) -> dict[Key, str]:
    return {key: text for page in source.pages(size) for key, text in texts(desk, page).items()}


def end_of(source: RemoteSource) -> Position:
    for _ in source.pages():
        pass
    return source.position
