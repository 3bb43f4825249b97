"""Many files in one message: put together, taken apart, and each of them on its own where one is not valid."""

import orjson
import pytest

from core.errors import InvalidMessageError
from topics import bundle
from topics.content import Content
from topics.db_write import DB_WRITE, DBWrite
from topics.hashed_file import HASHED_FILE
from topics.image_outcome import IMAGE_OUTCOME, MoreWaiters
from topics.job_event import JOB_EVENT, Seen
from topics.raw_path import RAW_PATH, RawPath
from topics.record import Headers

WALK = {"job_id": "job-1", "collection": "photos", "roots": ["/photos"], "walk_id": "walk"}
FILES = [
    RawPath(**WALK, path="/photos/a.jpg", size=1, mtime_ns=2),
    RawPath(**WALK, path="/photos/b�.jpg", path_b64="L3Bob3Rvcy9i/y5qcGc=", size=3, mtime_ns=4),
]
SHARED = Headers(job_id="job-1", attempt=2)


def encoded(*files: RawPath, trace: str = "") -> bytes:
    apart = [bundle.take_apart(b"", file, Headers(job_id="job-1", traceparent=trace)) for file in files]
    return bundle.encode(apart[0][0], [own for _, own in apart])


def test_files_come_out_as_they_went_in() -> None:
    entries = [*bundle.decode(RAW_PATH, encoded(*FILES, trace="00-t"), SHARED.encode())]
    assert [entry.record for entry in entries] == FILES
    assert [entry.index for entry in entries] == [0, 1]
    for entry, file in zip(entries, FILES, strict=True):
        assert entry.headers == Headers(job_id="job-1", file_id=file.file_id, attempt=2, traceparent="00-t")


def test_what_files_share_stands_once() -> None:
    value = orjson.loads(encoded(*FILES))
    assert {name: value[name] for name in WALK} == WALK
    assert [[*file] for file in value["files"]] == [
        ["path", "size", "mtime_ns"],
        ["path", "path_b64", "size", "mtime_ns"],
    ]


def test_a_message_of_one_file_is_read_as_ever() -> None:
    headers = FILES[0].headers(Headers(traceparent="00-t"))
    (entry,) = bundle.decode(RAW_PATH, RAW_PATH.encode(FILES[0]), headers.encode())
    assert (entry.record, entry.headers) == (FILES[0], headers)


@pytest.mark.parametrize("name", ['/photos/"files".jpg', "/photos/files"])
def test_a_name_makes_no_bundle(name: str) -> None:
    file = FILES[0].model_copy(update={"path": name})
    assert [entry.record for entry in bundle.decode(RAW_PATH, RAW_PATH.encode(file), [])] == [file]


@pytest.mark.parametrize("bad", [{"path": 5}, {"size": 1}, "/photos/c.jpg", None, {"path": "/x", "path_b64": "eA=="}])
def test_a_file_that_is_not_valid_is_refused_alone(bad: object) -> None:
    value = orjson.loads(encoded(*FILES))
    value["files"].insert(1, bad)
    first, refused, last = bundle.decode(RAW_PATH, orjson.dumps(value), SHARED.encode())
    assert [first.record, last.record] == FILES
    assert refused.record is None
    assert refused.refused is not None
    # What goes to dead-letter says whose file it is.
    assert orjson.loads(refused.refused.value)["job_id"] == "job-1"
    with pytest.raises(InvalidMessageError):
        RAW_PATH.decode(refused.refused.value)


PLAIN = {"path": "/photos/a.jpg", "size": 1, "mtime_ns": -2, "ctime_ns": None, "sha256": "ab" * 32}


def plain(*files: object, **shared: object) -> list[int]:
    """Return the indexes of the plain files of a message on hashed-file."""
    message = orjson.dumps({"job_id": "job-1", "collection": "photos", "model_id": "m"} | shared | {"files": files})
    opened = bundle.opened(HASHED_FILE, message, [])
    assert opened is not None
    return [index for index, _ in opened.plain(PLAIN.keys())]


def test_plain_files_have_the_same_fields_and_no_others() -> None:
    assert plain(PLAIN, PLAIN | {"traceparent": "00-t"}, {"path": "/photos/b.jpg"}, 17, PLAIN) == [0, 4]
    assert plain(PLAIN, walk_id="walk", caption=True, roots=["/photos"]) == [0]


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("sha256", "ab" * 32 + "|m"),
        ("sha256", "AB" * 32),
        ("sha256", None),
        ("path", ["/photos/a.jpg"]),
        ("path", "/" + "a" * 20_000),
        ("size", "1"),
        ("size", -1),
        ("size", 1 << 63),
        ("mtime_ns", None),
        ("mtime_ns", 1.5),
        ("ctime_ns", True),
    ],
)
def test_a_plain_file_has_the_fields_of_a_record(name: str, bad: object) -> None:
    """Nothing else looks at them before they become a key, or an event."""
    assert plain(PLAIN, PLAIN | {name: bad}) == []


@pytest.mark.parametrize("shared", [{"path_b64": "L3Bob3Rvcy9i"}, {"reread": "ab" * 32}, {"size": 5}], ids=str)
def test_files_that_share_more_are_not_plain(shared: dict[str, object]) -> None:
    assert plain(PLAIN, **shared) == []


@pytest.mark.parametrize("files", [[], [{"path": "/a"}] * (bundle.MAX_FILES_READ + 1)], ids=["none", "too many"])
def test_a_bundle_of_no_files_or_too_many_is_refused_whole(files: list[object]) -> None:
    with pytest.raises(InvalidMessageError, match="raw-path"):
        [*bundle.decode(RAW_PATH, orjson.dumps(WALK | {"files": files}), [])]


def test_other_messages_with_files_are_no_bundles() -> None:
    seen = Seen.model_validate(
        {"job_id": "job-1", "at": 1.0, "collection": "photos", "files": [{"file_id": "f", "path": "/a"}]}
    )
    assert [entry.record for entry in bundle.decode(JOB_EVENT, JOB_EVENT.encode(seen), [])] == [seen]


def test_vectors_travel_as_bytes_and_are_read_as_numbers_too() -> None:
    vector = [0.1, -2.5, 1e30, 0.0]
    fields = {"width": 1, "height": 1, "format": "JPEG", "mode": "RGB", "file_size": 1}
    content = Content.model_validate({"vector": vector, "metadata": fields, "thumbnail_base64": ""})
    write = DBWrite(
        **WALK,
        path="/a",
        size=1,
        mtime_ns=2,
        model_id="m",
        sha256="0" * 64,
        point_id="p",
        outcome="stored",
        content=content,
    )
    alike, own = bundle.take_apart(b"/a", write, SHARED)
    assert isinstance(orjson.loads(own.fields)["content"]["vector"], str)
    (first, _) = bundle.decode(DB_WRITE, bundle.encode(alike, [own, own]), [])
    assert isinstance(first.record, DBWrite)
    assert first.record.content.vector == pytest.approx(vector, rel=1e-7)
    # Alone it has the form that version 0.1.0 reads.
    assert orjson.loads(bundle.message(DB_WRITE, alike, [own])[0])["content"]["vector"] == pytest.approx(vector)


def test_a_number_of_more_than_64_bits_ends_no_stage() -> None:
    """It came from a program, and what follows from it could not be sent: each worker ended at it, again and again."""
    fields = {"path": "/a", "size": 1, "mtime_ns": 2, "sha256": "0" * 64, "model_id": "m"}
    more = MoreWaiters.model_validate(WALK | fields | {"after": 1 << 70})
    alike, own = bundle.take_apart(b"/a", more, SHARED)
    assert IMAGE_OUTCOME.decode(bundle.message(IMAGE_OUTCOME, alike, [own])[0]) == more
    assert len([*bundle.decode(IMAGE_OUTCOME, bundle.encode(alike, [own, own]), [])]) == 2
    with pytest.raises(InvalidMessageError, match="mtime_ns"):
        RAW_PATH.validate(WALK | {"path": "/a", "size": 1, "mtime_ns": 1 << 64})
