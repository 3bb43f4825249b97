"""Rows of prepare about paths that leave: of a content under all models, however many other paths it has."""

from collections.abc import Iterator

from rules.departures import Reason
from tables.departures import Departures
from tables.known_images import KnownImages
from topics.departure import Left
from topics.hashed_file import HashedFile

SHA = "a" * 64
GONE: Reason = "gone"


class Rows(dict[bytes, bytes]):
    """A table without Kafka that counts the rows that are looked at."""

    looked_at = 0

    def put(self, key: bytes, value: bytes) -> None:
        self[key] = value

    def delete(self, key: bytes) -> None:
        del self[key]

    def starting_with(self, prefix: bytes, after: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        for key in sorted(self):
            if key.startswith(prefix) and key > after:
                self.looked_at += 1
                yield key, self[key]


def file(path: str, *, model_id: str = "m", collection: str = "photos", sha256: str = SHA) -> HashedFile:
    return HashedFile(
        job_id="j", collection=collection, path=path, size=1, mtime_ns=1, model_id=model_id, sha256=sha256
    )


def left(path: str, sequence: int = 0) -> Left:
    return Left(job_id="j", collection="photos", path=path, sha256=SHA, sequence=sequence, reason=GONE)


def test_a_path_leaves_under_all_models_and_nothing_else_does() -> None:
    rows = Rows()
    images, departures = KnownImages(rows), Departures(rows)  # type: ignore[arg-type]
    stays = [
        file("/b|photos|/a"),  # ends as the one that leaves
        file("/a", collection="other"),
        file("/a", sha256="b" * 64),
        *(file(f"/copy-{number}") for number in range(300)),
    ]
    leave = [file("/a", model_id=model_id) for model_id in ("m", "org/model", "z")]
    for one in (*stays, *leave):
        images.confirm(one, "i")
    departures.void(left("/a", sequence=3))
    assert [images.is_confirmed(one, "i") for one in leave] == [False] * 3
    assert all(images.is_confirmed(one, "i") for one in stays)
    assert departures.voided(leave[0]) == (3, False)
    assert rows.looked_at < 10


def test_a_path_that_was_never_stored_leaves_its_sequence() -> None:
    rows = Rows()
    departures = Departures(rows)  # type: ignore[arg-type]
    departures.void(left("/a", sequence=1))
    assert departures.voided(file("/a")) == (1, False)
    assert departures.voided(file("/b")) is None
