"""Rows of prepare about paths that leave: of a content under all models, however many other paths it has."""

from collections.abc import Iterator

from imaging.hashing import FileStamp
from rules.departures import PLAIN, Held, Reason
from tables.departures import Departures
from tables.erasures import Erasures
from tables.fingerprints import Fingerprint, Fingerprints
from tables.known_images import KnownImages
from topics.departure import Left
from topics.hashed_file import HashedFile

SHA = "a" * 64
GONE: Reason = "gone"
NOW = 1_000_000.0


class Rows(dict[bytes, bytes]):
    """A table without Kafka that counts the rows that are looked at."""

    looked_at = 0

    def put(self, key: bytes, value: bytes) -> None:
        self[key] = value

    def get_many(self, keys: list[bytes]) -> list[bytes | None]:
        return [self.get(key) for key in keys]

    def delete(self, key: bytes) -> None:
        self.pop(key, None)

    delete_held = delete

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
    departures.void(left("/a", sequence=3), NOW)
    assert [images.is_confirmed(one, "i") for one in leave] == [False] * 3
    assert all(images.is_confirmed(one, "i") for one in stays)
    assert departures.voided(leave[0]) == 3
    assert rows.looked_at < 10


def test_a_path_that_was_never_stored_leaves_its_sequence() -> None:
    rows = Rows()
    departures = Departures(rows)  # type: ignore[arg-type]
    departures.void(left("/a", sequence=1), NOW)
    assert departures.voided(file("/a")) == 1
    assert departures.voided(file("/b")) is None


def test_what_is_known_of_a_folder_is_found_a_few_rows_at_a_time() -> None:
    rows = Rows()
    departures = Departures(rows)  # type: ignore[arg-type]
    wanted = [file("/p/a"), file("/p/b/c|photos|/p/d"), file("/p/a", sha256="b" * 64)]
    others = [file("/pa"), file("/p/a", collection="other"), file("/b|photos|/p/e"), file("/p/a", model_id="z")]
    for one in (*wanted, *others):
        content = one.sha256.encode(), one.model_id.encode(), one.collection.encode()
        rows[b"|".join((b"p", *content, one.path_bytes))] = b"i"
    rows[b"p|%s|m|photos|/p/new" % SHA.encode()] = b"i|now"  # this very job has brought it
    found: list[tuple[bytes, str]] = []
    after: bytes | None = b""
    while after is not None:
        some, after = departures.in_folder("photos", b"/p", "now", after, 2)
        found += some
    assert sorted(set(found)) == sorted({(one.path_bytes, one.sha256) for one in wanted})


def test_what_prepare_knows_is_held_once_and_never_instead_of_what_is() -> None:
    rows = Rows()
    files = Fingerprints(rows)  # type: ignore[arg-type]
    here = Fingerprint(size=1, mtime_ns=2, sha256="new", held=(Held("photos", "new", ("home",)),))
    files.put(b"/p/a", here)
    for sha256 in ("new", "old", "old"):
        files.hold(b"/p/a", sha256, "photos")
    files.hold(b"/p/left", "old", "photos")
    after, left = files.get(b"/p/a"), files.get(b"/p/left")
    assert after == here.model_copy(update={"held": (Held("photos", "old", (PLAIN,)), *here.held)})
    assert left is not None
    assert left.held == (Held("photos", "old", (PLAIN,)),)
    assert not left.matches(FileStamp(0, 0))


def test_a_folder_is_compared_with_those_above_it() -> None:
    files = Fingerprints(Rows())  # type: ignore[arg-type]
    files.note_compared("photos", b"/p/2024")
    asked = [b"/p/2024", b"/p/2024/may", b"/p/2024b", b"/p"]
    assert [files.is_compared("photos", folder) for folder in asked] == [True, True, False, False]
    assert not files.is_compared("other", b"/p/2024")


def test_rows_within_places_are_read_in_pieces() -> None:
    rows = Rows()
    files = Fingerprints(rows)  # type: ignore[arg-type]
    for path in ("/a", "/a/1", "/a/2", "/a-b", "/a-b/1", "/b/1", "/b/2", "/c"):
        rows[path.encode()] = b"{}"
    places, found, after = [b"/a", b"/a-b", b"/b", b"/d"], [], b""
    while piece := [path for path, _ in files.within(places, after, 2)]:
        found += piece
        after = piece[-1]
    # In the order of the places: that of the bytes is another.
    assert found == [b"/a", b"/a/1", b"/a/2", b"/a-b", b"/a-b/1", b"/b/1", b"/b/2"]


def test_what_a_kill_repeats_takes_no_path_away_that_has_come_back() -> None:
    rows = Rows()
    images, departures = KnownImages(rows), Departures(rows)  # type: ignore[arg-type]
    again = file("/a").model_copy(update={"sequence": 1})
    images.confirm(file("/a"), "i")
    assert departures.void(left("/a", sequence=0), NOW) is not None
    assert departures.void(left("/a", sequence=0), NOW) is not None
    assert departures.voided(again) == 0
    departures.note_back(again, 0, NOW)
    images.confirm(again, "i")
    assert departures.voided(again) is None
    assert departures.void(left("/a", sequence=0), NOW) is None
    assert images.is_confirmed(again, "i")
    # Another removal is another thing.
    assert departures.void(left("/a", sequence=1), NOW) is not None
    assert departures.voided(again) == 1
    assert not images.is_confirmed(again, "i")


def test_what_has_left_is_noted_until_kafka_holds_nothing_of_it_any_more() -> None:
    """However often a library is moved around."""
    rows = Rows()
    images, departures, erasures = KnownImages(rows), Departures(rows), Erasures(rows)  # type: ignore[arg-type]
    rows[b"i|%b|m" % SHA.encode()] = b"{}"
    images.confirm(file("/here"), "i")
    images.confirm(file("/here", collection="other"), "i")
    there = dict(rows)
    departures.void(left("/first"), NOW)
    departures.note_back(file("/here"), 0, NOW)
    departures.void(left("/last"), NOW + 10)
    rows[b"w|%b|m|0" % SHA.encode()] = b"{}"
    assert erasures.prune(SHA, "photos", NOW + 5) == []  # a file waits for ML: it may be older
    rows.delete(b"w|%b|m|0" % SHA.encode())
    erasures.prune(SHA, "other", NOW + 5)
    assert [departures.voided(file(path)) for path in ("/first", "/last")] == [0, 0]
    erasures.prune(SHA, "photos", NOW + 5)
    assert [departures.voided(file(path)) for path in ("/first", "/last")] == [None, 0]
    # What is there stays, and the row that says so of the last one.
    assert rows == there | {b"r|%b|photos|/last" % SHA.encode(): b"0|%d" % (NOW + 10)}


def test_a_path_that_is_forgotten_takes_its_row_along_unless_others_count_on_it() -> None:
    path, other = b"/p/a.jpg", "b" * 64
    held = (Held("photos", SHA, (PLAIN,)), Held("other", SHA, (PLAIN,)))

    def retired(known: Fingerprint, *collections: str, sha256: str = SHA, untold: int = 0) -> Fingerprint | None:
        rows = Rows()
        files = Fingerprints(rows)  # type: ignore[arg-type]
        files.put(path, known)
        for collection in collections:
            files.retire(path, sha256, collection, untold)
        return files.get(path)

    known = Fingerprint(size=1, mtime_ns=2, sha256=SHA, held=held)
    assert retired(known, "photos") == known.model_copy(update={"held": held[1:]})
    assert retired(known, "photos", "other") is None
    assert retired(known, "photos", "other", sha256=other) == known
    # What the path holds now is not what is forgotten.
    edited = known.model_copy(update={"sha256": other})
    assert retired(edited, "photos", "other") == edited.model_copy(update={"held": ()})
    # Something has left before: what was handed on then is told from what comes, and of the content nothing is left.
    left = known.model_copy(update={"sequence": 1})
    bare = retired(left, "photos", "other")
    assert bare is not None
    assert (bare.sequence, bare.held, SHA in bare.model_dump_json()) == (1, (), False)
    assert not bare.matches(FileStamp(0, 0))
    assert retired(left, "photos", "other", untold=1) is None
