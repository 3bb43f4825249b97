"""Every record survives its topic, newer fields are ignored, and what does not validate says which field."""

import base64
import dataclasses
import json
from array import array
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from core.errors import InvalidMessageError
from core.settings import STAGES
from rules.outcomes import OUTCOMES
from topics import image_outcome, job_event
from topics.content import Content
from topics.db_write import DB_WRITE, DBWrite
from topics.files import FileOfJob, HashedFileOfJob
from topics.hashed_file import HASHED_FILE, HashedFile
from topics.image_outcome import IMAGE_OUTCOME
from topics.job_event import JOB_EVENT
from topics.job_event_codec import JobEvent, OutcomesAlike, decode_keyed, encode_event
from topics.job_status import JOB_STATUS, JobStatus
from topics.ml_request import ML_REQUEST, MLRequest
from topics.raw_path import RAW_PATH, RawPath
from topics.record import PACKED, Headers, Record, Topic
from topics.scan_request import SCAN_REQUEST, ScanRequest
from topics.sentinel import read_sentinel

job_ids = st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,20}\Z")
shas = st.binary(min_size=32, max_size=32).map(bytes.hex)
text = st.text(max_size=8)
optional_text = st.none() | text
sizes = st.integers(0, 1 << 62)
times = st.integers(-(1 << 63), (1 << 63) - 1)
seconds = st.floats(0, 9e10)
floats = st.floats(allow_nan=False, allow_infinity=False)
file_fields: dict[str, st.SearchStrategy[Any]] = {
    "job_id": job_ids,
    "collection": text,
    "path": text.map(lambda path: "/" + path.replace("\0", "")),
    "path_b64": st.none() | st.binary(max_size=8).map(lambda raw: base64.b64encode(b"/" + raw.replace(b"\0", b""))),
    "caption": st.booleans(),
    "model_id": text,
    "size": sizes,
    "mtime_ns": times,
    "sha256": shas,
}
metadata = st.fixed_dictionaries(
    {"width": sizes, "height": sizes, "format": text, "mode": text, "file_size": sizes},
    optional={
        "taken_at": text,
        "iso": st.integers(),
        "aperture": floats,
        "gps": st.fixed_dictionaries({"lat": st.floats(-90, 90), "lon": st.floats(-180, 180)}),
        "tags": st.lists(text, max_size=2),
    },
)
content = st.fixed_dictionaries(
    {
        "vector": st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), max_size=3),
        "metadata": metadata,
        "thumbnail_base64": text,
        "caption": optional_text,
    }
)
seen_file = {"file_id": text, "path": text}
outcome_file = {
    **seen_file,
    "outcome": st.sampled_from(OUTCOMES),
    "reason": optional_text,
    "sha256": st.none() | shas,
}
event = {"job_id": job_ids, "at": seconds}
gauge = st.fixed_dictionaries({"done": sizes, "in_flight": sizes})
base64_bytes = st.binary(max_size=200)

RECORDS: list[tuple[Topic[Any], type[Record], dict[str, st.SearchStrategy[Any]]]] = [
    (
        SCAN_REQUEST,
        ScanRequest,
        {
            "job_id": job_ids,
            "collection": text,
            "sources": st.lists(text, min_size=1, max_size=2),
            "caption": st.booleans(),
            "model_id": optional_text,
        },
    ),
    (
        RAW_PATH,
        RawPath,
        {name: value for name, value in file_fields.items() if name != "sha256"}
        | {"size": st.none() | sizes, "mtime_ns": st.none() | times, "model_id": optional_text},
    ),
    (HASHED_FILE, HashedFile, file_fields),
    (
        DB_WRITE,
        DBWrite,
        file_fields
        | {"point_id": text, "outcome": st.sampled_from(["stored", "cached", "duplicate"]), "content": content},
    ),
    (IMAGE_OUTCOME, image_outcome.Embedded, file_fields | {"content": content}),
    (IMAGE_OUTCOME, image_outcome.Stored, file_fields | {"incarnation": text, "content": st.none() | content}),
    (IMAGE_OUTCOME, image_outcome.FailedContent, file_fields | {"stage": text, "error_class": text, "reason": text}),
    (IMAGE_OUTCOME, image_outcome.FailedFile, file_fields | {"reason": text}),
    (IMAGE_OUTCOME, image_outcome.Forgotten, file_fields),
    (
        JOB_EVENT,
        job_event.Queued,
        event
        | {
            "collection": text,
            "sources": st.lists(text, max_size=2),
            "caption": st.booleans(),
            "model_id": optional_text,
            "message": text,
        },
    ),
    (JOB_EVENT, job_event.Scanning, event | {"collection": text, "model_id": text, "walk_id": text}),
    (
        JOB_EVENT,
        job_event.Seen,
        event | {"collection": text, "files": st.lists(st.fixed_dictionaries(seen_file), max_size=3)},
    ),
    (
        JOB_EVENT,
        job_event.Outcomes,
        event
        | {
            "collection": text,
            "files": st.lists(st.fixed_dictionaries(outcome_file), max_size=3),
            "replay": st.booleans(),
        },
    ),
    (
        JOB_EVENT,
        job_event.Sealed,
        event | {"walk_id": text, "partition": sizes, "partitions": st.integers(1, 99), "files": st.none() | sizes},
    ),
    (JOB_EVENT, job_event.Moved, event | {"stage": st.sampled_from(STAGES), "files": sizes}),
    (JOB_EVENT, job_event.MLSent, event | {"images": sizes}),
    (
        JOB_EVENT,
        job_event.Waiting,
        event | {"stage": st.sampled_from(STAGES), "target": st.sampled_from(["ml", "qdrant", None])},
    ),
    (JOB_EVENT, job_event.Command, event | {"type": st.sampled_from(["cancel", "pause", "resume"])}),
    (JOB_EVENT, job_event.JobFailed, event | {"collection": text, "reason": text}),
    (
        JOB_STATUS,
        JobStatus,
        {
            "job_id": job_ids,
            "status": st.sampled_from(["queued", "running", "completed"]),
            "collection": text,
            "progress": floats,
            "total_files": sizes,
            "total_known": st.booleans(),
            "processed_files": sizes,
            "cached_files": sizes,
            "failed_files": sizes,
            "outcomes": st.fixed_dictionaries(dict.fromkeys(OUTCOMES, sizes)),
            "stages": st.dictionaries(st.sampled_from(STAGES), gauge),
            "rate": floats,
            "eta_seconds": st.none() | floats,
            "end_time": optional_text,
            "waiting_for": st.sampled_from(["ml", "qdrant", None]),
            "ml_images_sent": sizes,
            "message": text,
            "logs": st.lists(text, max_size=2),
            "offset": sizes,
        },
    ),
]
each_record = pytest.mark.parametrize(("topic", "record", "fields"), RECORDS, ids=[r.__name__ for _, r, _ in RECORDS])


@each_record
@given(data=st.data())
@settings(max_examples=20)
def test_a_record_survives_its_topic(
    topic: Topic[Any], record: type[Record], fields: dict[str, st.SearchStrategy[Any]], data: st.DataObject
) -> None:
    value = record.model_validate(data.draw(st.fixed_dictionaries(fields)))
    encoded = topic.encode(value)
    assert topic.decode(encoded) == value
    assert type(topic.decode(encoded)) is record
    newer = json.dumps(json.loads(encoded) | {"of_a_newer_program": [1]}).encode()
    assert topic.decode(newer) == value


@each_record
@given(data=st.data())
@settings(max_examples=5)
def test_a_missing_or_wrong_field_is_named(
    topic: Topic[Any], record: type[Record], fields: dict[str, st.SearchStrategy[Any]], data: st.DataObject
) -> None:
    value = json.loads(topic.encode(record.model_validate(data.draw(st.fixed_dictionaries(fields)))))
    required = [name for name, field in record.model_fields.items() if field.is_required() and name in value]
    name = data.draw(st.sampled_from(required))
    with pytest.raises(InvalidMessageError, match=rf"{topic.name} does not validate: .*\b{name}\b"):
        topic.decode(json.dumps({k: v for k, v in value.items() if k != name}).encode())
    name = data.draw(st.sampled_from(required))
    with pytest.raises(InvalidMessageError, match=rf"{topic.name} does not validate: .*\b{name}\b"):
        topic.decode(json.dumps(value | {name: [["wrong"]]}).encode())


@given(base64_bytes)
def test_a_rendition_travels_as_base64(rendition: bytes) -> None:
    fields = {"job_id": "j", "collection": "c", "path": "/a", "model_id": "m", "size": 1, "mtime_ns": 1}
    request = MLRequest.model_validate(
        fields
        | {
            "sha256": "0" * 64,
            "metadata": {"width": 1, "height": 1, "format": "PNG", "mode": "RGB", "file_size": 1},
            "thumbnail_base64": "",
            "rendition_base64": base64.b64encode(rendition),
        }
    )
    encoded = ML_REQUEST.encode(request)
    assert ML_REQUEST.decode(encoded).rendition_base64 == rendition
    assert base64.b64decode(json.loads(encoded)["rendition_base64"]) == rendition


@each_record
@pytest.mark.parametrize("value", [b"", b"null", b"[]", b"{", b'"text"', b"\xff\xfe", b"1", b"NaN"])
def test_what_is_no_object_is_an_invalid_message(
    topic: Topic[Any], record: type[Record], fields: object, value: bytes
) -> None:
    with pytest.raises(InvalidMessageError, match=f"A message on {topic.name} does not validate"):
        topic.decode(value)


@pytest.mark.parametrize(
    ("topic", "fields", "named"),
    [
        (RAW_PATH, {"job_id": "no job id", "collection": "c", "path": "/a"}, "job_id"),
        (RAW_PATH, {"job_id": "j\n", "collection": "c", "path": "/a"}, "job_id"),
        (RAW_PATH, {"job_id": "j", "collection": "c", "path": "/a", "size": -1}, "size"),
        (SCAN_REQUEST, {"job_id": "j", "collection": "c", "sources": []}, "sources"),
        (JOB_EVENT, {"type": "unheard-of", "job_id": "j", "at": 1}, "unheard-of"),
        (JOB_EVENT, {"type": "ml-sent", "job_id": "j", "at": 1, "images": -1}, "images"),
        (JOB_EVENT, {"type": "moved", "job_id": "j", "at": 1, "stage": "hash", "files": -1}, "files"),
        (JOB_EVENT, {"type": "cancel", "job_id": "j", "at": -1}, "at"),
        (JOB_EVENT, {"type": "cancel", "job_id": "j", "at": float("nan")}, "at"),
        (JOB_EVENT, {"type": "cancel", "job_id": "j", "at": float("inf")}, "at"),
        (JOB_EVENT, {"type": "cancel", "job_id": "j", "at": 1e12}, "at"),
    ],
)
def test_a_value_that_no_stage_could_use_is_refused(topic: Topic[Any], fields: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidMessageError, match=named):
        topic.decode(json.dumps(fields).encode())


class TestOutcomesAsColumns:
    """What many files that ended alike are read as; all else is read as it always was, and refused so."""

    @staticmethod
    def _fields(**changed: Any) -> dict[str, Any]:
        files = [
            {"file_id": f"{n}", "path": f"/p/ä{n}", "outcome": "unchanged", "sha256": f"{n:064x}"} for n in range(99)
        ]
        return {
            "type": "outcomes",
            "job_id": "j",
            "at": 1.5,
            "collection": "c",
            "walk_id": "w",
            "files": files,
        } | changed

    @staticmethod
    def _read(fields: dict[str, Any]) -> JobEvent:
        return decode_keyed(b"j", json.dumps(fields).encode())

    def test_they_say_the_same(self) -> None:
        fields = self._fields()
        columns = self._read(fields)
        assert isinstance(columns, OutcomesAlike)
        whole = JOB_EVENT.decode(json.dumps(fields).encode())
        assert isinstance(whole, job_event.Outcomes)
        shared = (whole.job_id, whole.at, whole.collection, whole.walk_id)
        assert (columns.job_id, columns.at, columns.collection, columns.walk_id) == shared
        rows = zip(columns.file_ids, columns.paths, columns.sha256s, strict=True)
        assert [*rows] == [(file.file_id, file.path, file.sha256) for file in whole.files]
        assert columns.outcome == "unchanged"
        assert JOB_EVENT.decode(encode_event(columns)) == whole

    @pytest.mark.parametrize(
        "changed",
        [
            {"outcome": "stored"},
            {"reason": "none"},
            {"reason": None},
            {"path_b64": "L2E="},
            {"file_id": "0"},
            {"newer": 1},
        ],
        ids=lambda changed: next(iter(changed)) + f"={next(iter(changed.values()))}",
    )
    def test_what_is_not_alike_is_read_file_by_file(self, changed: dict[str, Any]) -> None:
        fields = self._fields()
        fields["files"][50] |= changed
        assert self._read(fields) == JOB_EVENT.decode(json.dumps(fields).encode())

    @pytest.mark.parametrize("outcome", ["failed", "skipped"])
    def test_what_has_more_to_tell_than_its_outcome_is_read_file_by_file(self, outcome: str) -> None:
        fields = self._fields()
        for file in fields["files"]:
            file["outcome"] = outcome
        assert isinstance(self._read(fields), job_event.Outcomes)
        assert isinstance(self._read(self._fields(replay=True)), job_event.Outcomes)

    @pytest.mark.parametrize(
        ("of_all", "of_one"),
        [
            ({"job_id": "no job id"}, {}),
            ({"at": -1}, {}),
            ({"collection": None}, {}),
            ({"walk_id": "w" * 256}, {}),
            ({"files": 1}, {}),
            ({}, {"sha256": "0" * 63 + "G"}),
            ({}, {"sha256": "0" * 65}),
            ({}, {"sha256": 1}),
            ({}, {"file_id": "x" * 256}),
            ({}, {"file_id": ["0"]}),
            ({}, {"path": "/" * 20_000}),
            ({}, {"outcome": "lost"}),
        ],
        ids=str,
    )
    def test_what_is_wrong_is_refused_as_ever(self, of_all: dict[str, Any], of_one: dict[str, Any]) -> None:
        fields = self._fields()
        fields["files"][50] |= of_one
        with pytest.raises(InvalidMessageError) as general:
            JOB_EVENT.decode(json.dumps(fields | of_all).encode())
        with pytest.raises(InvalidMessageError) as columns:
            self._read(fields | of_all)
        assert str(columns.value) == str(general.value)


def test_fields_that_are_none_are_left_out() -> None:
    assert json.loads(RAW_PATH.encode(RawPath(job_id="j", collection="c", path="/a"))) == {
        "job_id": "j",
        "collection": "c",
        "path": "/a",
        "caption": False,
    }


def test_the_same_path_is_the_same_file_however_it_is_written() -> None:
    one = RawPath(job_id="j", collection="c", path="/a/b.jpg")
    other = RawPath(job_id="j", collection="c", path="//a/./b.jpg", size=3, mtime_ns=4)
    assert one.file_id == other.file_id
    assert (one.filename, one.stamp) == ("b.jpg", None)


header_text = st.text(max_size=8)


@given(
    st.builds(
        Headers,
        job_id=header_text,
        file_id=header_text,
        model_id=header_text,
        attempt=st.integers(1, 1000),
        replay=st.booleans(),
        traceparent=header_text,
    )
)
def test_headers_survive(headers: Headers) -> None:
    assert Headers.decode(headers.encode()) == headers
    assert Headers.decode(dict(headers.encode())) == headers
    assert ("content-type", b"application/json") in headers.encode()


known_names = st.sampled_from(["job_id", "file_id", "model_id", "attempt", "replay", "traceparent", "walk_id", "files"])
digits = st.sampled_from([b"0", b"-1", b"9" * 5000, "٣".encode(), "²".encode(), b"1e3"])
garbage = st.lists(st.tuples(known_names | st.text(max_size=5), st.none() | digits | st.binary(max_size=5)), max_size=8)


@given(garbage)
def test_headers_of_anyone_can_be_read(raw: list[tuple[str, bytes | None]]) -> None:
    assert Headers.decode(raw).attempt >= 1
    assert Headers.decode(None) == Headers()


@given(garbage)
def test_an_end_marker_of_anyone_is_read_or_refused(raw: list[tuple[str, bytes | None]]) -> None:
    try:
        sentinel = read_sentinel(raw)
    except InvalidMessageError:
        return
    # What was read can be told to track.
    job_event.Sealed(
        job_id=sentinel.job_id, at=0, walk_id=sentinel.walk_id, partition=0, partitions=1, files=sentinel.files
    )


@pytest.mark.parametrize("job_id", [b"no job id", b"\xff", b"j\n", b"x" * 200, b""])
def test_an_end_marker_with_what_is_no_job_id_is_refused(job_id: bytes) -> None:
    with pytest.raises(InvalidMessageError, match="job_id"):
        read_sentinel([("job_id", job_id), ("walk_id", b"walk")])


def test_a_content_record_keeps_its_vector_to_the_last_bit_that_a_vector_store_keeps() -> None:
    fields = {"width": 1, "height": 1, "format": "PNG", "mode": "RGB", "file_size": 1}
    content = Content.model_validate({"vector": [0.1, 1e-300, -0.0, 1 / 3], "metadata": fields, "thumbnail_base64": ""})
    kept = array("f", [0.1, 1e-300, -0.0, 1 / 3])
    assert Content.model_validate_json(content.model_dump_json()).vector == kept
    assert Content.model_validate_json(content.model_dump_json(context=PACKED)).vector == kept


@pytest.mark.parametrize("vector", [[0.1, "x"], {"a": 1.0}, None, 0.1, "AAAA", "no base64"], ids=repr)
def test_a_vector_that_is_none_is_refused(vector: object) -> None:
    fields = {"width": 1, "height": 1, "format": "PNG", "mode": "RGB", "file_size": 1}
    with pytest.raises(ValidationError, match="vector"):
        Content.model_validate({"vector": vector, "metadata": fields, "thumbnail_base64": ""})


@pytest.mark.parametrize("record", [FileOfJob, RawPath, HashedFileOfJob, HashedFile])
@pytest.mark.parametrize("path", [{"path": "a.jpg"}, {"path": ""}, {"path": "/a\0"}, {"path": "/a", "path_b64": "!"}])
def test_a_file_without_an_absolute_path_is_refused(record: type[FileOfJob], path: dict[str, str]) -> None:
    value = {"job_id": "j", "collection": "c", "model_id": "m", "size": 1, "mtime_ns": 1, "sha256": "0" * 64}
    with pytest.raises(InvalidMessageError, match="path"):
        Topic[FileOfJob]("any", key="path", record=record).decode(json.dumps(value | path).encode())


def test_headers_of_another_file_say_all_else_alike() -> None:
    headers = Headers("j", "f", "m", 3, True, "trace")
    assert all(getattr(headers, field.name) != field.default for field in dataclasses.fields(Headers))
    assert headers.of_file("g") == dataclasses.replace(headers, file_id="g")
