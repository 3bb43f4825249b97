"""Rows of `known_images` as pictures leave for good. Written by prepare alone; every row is on its content's partition.

    f|SHA-256|collection              what was said last: that it is forgotten there, or is to be taken in again

It also finds and deletes the rows of paths (tables.known_images) and of what has left (tables.departures).
"""

from collections.abc import Awaitable, Iterator
from itertools import islice
from typing import NamedTuple

from rules.erasing import Word
from streams.rows import Rows
from tables.known_images import PATHS_KEPT, ContentKey

_KINDS = (b"i|", b"p|", b"r|", b"f|")
"""The rows that may name a collection, in the order in which its end is carried out: by content, then what is left."""


class Step(NamedTuple):
    """A step through all rows of a partition: keys of one kind, and the key behind which the next step goes on."""

    keys: list[bytes]
    after: bytes | None


class Erasures:
    """These rows. Methods that write return deliveries of changelog records, to be awaited before the ack."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def word(self, sha256: str, collection: str) -> Word | None:
        """Return what was said last of a content in a collection."""
        row = self._rows.get(_place(b"f", sha256, collection))
        return None if row is None else Word.read(row)

    def is_forgotten(self, sha256: str, collection: str) -> bool:
        """Tell whether the files of a content are skipped by a collection."""
        word = self.word(sha256, collection)
        return word is not None and word.is_forgotten

    def put_word(self, sha256: str, collection: str, word: Word) -> Awaitable[object]:
        """Note what was said."""
        return self._rows.put(_place(b"f", sha256, collection), word.row())

    def collections(self, sha256: str) -> set[str]:
        """Return the collections that rows of a content name, rows of claims aside."""
        found = (collection_of(key) for kind in (b"p", b"r", b"f") for key in self._keys(kind, sha256))
        return {name for name in found if name is not None}

    def models(self, sha256: str) -> list[ContentKey]:
        """Return a content under each model that it is known under."""
        found = {key[2 + 64 + 1 :].decode() for kind in (b"i", b"c") for key in self._keys(kind, sha256)}
        return [ContentKey(sha256, model_id) for model_id in sorted(found)]

    def has_paths(self, content: ContentKey) -> bool:
        """Tell whether any collection has a path of a content under a model."""
        return next(self._rows.starting_with(_place(b"p", *content) + b"|"), None) is not None

    def paths(self, sha256: str, collection: str) -> list[tuple[bytes, bytes]]:
        """Return key and path of each path of a content in a collection, under all models."""
        return [
            (key, key.split(b"|", 4)[4]) for key in self._keys(b"p", sha256) if _collection_of_path(key) == collection
        ]

    def voids(self, sha256: str, collection: str) -> list[tuple[bytes, bytes]]:
        """Return the keys of what is noted of paths that have left a collection with a content, each with its path.

        Also the key of a path's own row that is gone: its record is not (`streams.rows.Rows.delete_held`).
        """
        prefix = _place(b"r", sha256, collection) + b"|"
        paths = [key[len(prefix) :] for key, _ in self._rows.starting_with(prefix)]
        places = [prefix, *(_place(b"p", *content, collection) + b"|" for content in self.models(sha256))]
        return [(place + path, path) for path in paths for place in places]

    def prune(self, sha256: str, collection: str, before: float) -> list[Awaitable[object]]:
        """Delete what is noted of paths that left a collection with a content, or came back, before this time.

        What that guarded against is in Kafka no more; files that wait for ML may be older. The paths that are there
        get records of their own: the one of the content may hold those that left as well (tables.known_images).
        """
        prefix = _place(b"r", sha256, collection) + b"|"
        old = [key for key, row in self._rows.starting_with(prefix) if _noted_at(row) < before]
        if not old or next(self._keys(b"w", sha256), None) is not None:
            return []
        there = dict(islice(self._rows.starting_with(_place(b"p", sha256) + b"|"), PATHS_KEPT + 1))
        if len(there) > PATHS_KEPT:
            return []  # it would cost too much
        models = self.models(sha256)
        places = {b"%b|%b" % (_place(b"p", *one, collection), key[len(prefix) :]) for one in models for key in old}
        return [
            *(self._rows.put(key, row) for key, row in there.items()),
            *(row for one in models for row in self.alone(one)),
            *self.delete([*old, *sorted(places - there.keys())]),
        ]

    def delete(self, keys: list[bytes]) -> list[Awaitable[object]]:
        """Delete rows."""
        return [self._rows.delete(key) for key in keys]

    def alone(self, content: ContentKey) -> list[Awaitable[object]]:
        """Write what is known of a content as a record of its own.

        The record that it is part of may hold paths (tables.known_images), and would bring these back after a recovery.
        """
        key = _place(b"c", *content)
        row = self._rows.get(key)
        return [] if row is None else [self._rows.put(key, row)]

    def step(self, after: bytes, limit: int) -> Step:
        """Return some keys of the partition, from behind one."""
        kind = after[:2] or _KINDS[0]
        keys = [key for key, _ in islice(self._rows.starting_with(kind, after), limit)]
        if len(keys) == limit:
            return Step(keys, keys[-1])
        following = _KINDS[_KINDS.index(kind) + 1 :]
        return Step(keys, following[0] if following else None)

    def _keys(self, kind: bytes, sha256: str) -> Iterator[bytes]:
        return (key for key, _ in self._rows.starting_with(kind + b"|" + sha256.encode() + b"|"))


def _noted_at(row: bytes) -> int:
    """Return since when a path has left, or is back: seconds since 1970."""
    return int(row.partition(b"|")[2] or 0)


def collection_of(key: bytes) -> str | None:
    """Return the collection that a row is about, by its key; None: it is about none alone."""
    if key.startswith(b"p|"):
        return _collection_of_path(key)
    return key.split(b"|", 3)[2].decode() if key[:2] in {b"r|", b"f|"} else None


def _collection_of_path(key: bytes) -> str | None:
    """Return the collection of a path's row: names of collections and models have no bar and no slash."""
    fields = key.split(b"|", 4)
    return fields[3].decode() if len(fields) == 5 else None


def _place(kind: bytes, *names: str) -> bytes:
    return b"|".join((kind, *(name.encode() for name in names)))
