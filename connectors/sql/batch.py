"""Changes parted into sets that one statement each can take, all of them for one transaction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from connectors.remote import Change, Key


@dataclass(frozen=True)
class Batch:
    """Changes that set the same columns, no row twice. `places`: where each stood among the changes, from 0."""

    columns: tuple[str, ...]
    changes: tuple[Change, ...]
    places: tuple[int, ...]

    @property
    def values(self) -> list[list[str | None]]:
        """One list of cells for each of `columns`."""
        return [[change.values[name] for change in self.changes] for name in self.columns]

    @property
    def keys(self) -> list[list[str | None]]:
        """One list of cells for each column of the key."""
        return [list(cells) for cells in zip(*[change.key or () for change in self.changes], strict=True)]

    @property
    def expected(self) -> list[list[str | None]]:
        """One list for each of `columns`, of the cells that the changes take the place of; null: whatever is there."""
        return [[(change.expected or {}).get(name) for change in self.changes] for name in self.columns]

    @property
    def versions(self) -> list[str | None]:
        return [change.version for change in self.changes]


def batches(changes: Sequence[Change]) -> Iterator[Batch]:
    """The second change of a row comes in a later set: within one statement it would not see the first."""
    seen: dict[Key, int] = {}
    parted: dict[tuple[int, tuple[str, ...]], list[int]] = {}
    for place, change in enumerate(changes):
        turn = 0
        if change.key is not None and change.operation != "create":
            turn = seen[change.key] = seen.get(change.key, -1) + 1
        parted.setdefault((turn, tuple(sorted(change.values))), []).append(place)
    for (_, columns), places in sorted(parted.items()):
        yield Batch(columns, tuple(changes[place] for place in places), tuple(places))


def filled(change: Change, more: Mapping[str, str]) -> Change:
    """The change with further values; its own go before them."""
    return replace(change, values={**more, **change.values})
