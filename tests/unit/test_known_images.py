"""What a table of contents is after its disk is lost: what the newest record of each key in its changelog says."""

from collections.abc import Iterator, Mapping

import pytest

from rules.claims.claim import Claim
from streams.rows import TOGETHER, _taken_apart, _together
from tables.known_images import KnownImages
from topics.content import Content
from topics.hashed_file import HashedFile
from topics.image_outcome import Stored

FIELDS = {"width": 1, "height": 1, "format": "PNG", "mode": "RGB", "file_size": 1}
CONTENT = Content.model_validate({"vector": [1.0], "thumbnail_base64": "", "metadata": FIELDS})


class Rows(dict[bytes, bytes]):
    """A table with its changelog, compacted."""

    def __init__(self) -> None:
        super().__init__()
        self.log: dict[bytes, bytes | None] = {}

    def put(self, key: bytes, value: bytes) -> None:
        self[key] = value
        self._log(key, value)

    def put_together(self, key: bytes, rows: Mapping[bytes, bytes]) -> None:
        self.update(rows)
        self._log(key, _together(rows))

    def delete(self, key: bytes) -> None:
        self.pop(key, None)
        self._log(key, None)

    def starting_with(self, prefix: bytes, _after: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        return iter(sorted((key, row) for key, row in self.items() if key.startswith(prefix)))

    def _log(self, key: bytes, value: bytes | None) -> None:
        self.log.pop(key, None)
        self.log[key] = value

    def recovered(self, *, with_tombstones: bool) -> dict[bytes, bytes]:
        """Return the rows as the changelog has them; its tombstones go after a day."""
        rows: dict[bytes, bytes] = {}
        for key, value in self.log.items():
            if value is None:
                if with_tombstones:
                    rows.pop(key, None)
            elif value.startswith(TOGETHER):
                rows |= dict(_taken_apart(value))
            else:
                rows[key] = value
        return rows


def stored(path: str) -> Stored:
    return Stored(
        job_id="j",
        collection="c",
        path=path,
        size=1,
        mtime_ns=1,
        model_id="m",
        sha256="0" * 64,
        incarnation="i1",
        content=CONTENT,
    )


@pytest.fixture
def rows() -> Rows:
    return Rows()


@pytest.mark.parametrize("with_tombstones", [True, False])
def test_an_answer_is_one_record_that_keeps_what_follows(rows: Rows, with_tombstones: bool) -> None:
    images, first = KnownImages(rows), stored("/a")  # type: ignore[arg-type]
    images.put_claim(first, Claim(owner="f"))
    images.put_answer(first, CONTENT, Claim(), first)
    assert len(rows.log) == 2
    claim = Claim().with_first("j2/c", "g")
    images.put_claim(first, claim)
    images.confirm(stored("/b"), "i1")
    # Read again, by another file: the record of the first answer goes.
    again = CONTENT.model_copy(update={"read_at": 2.0})
    images.put_answer(first, again, claim, stored("/b"))
    assert images.claim(first) == claim
    assert images.content(first) == again
    for path in "/a", "/b":
        assert images.is_confirmed(HashedFile(**stored(path).file_fields()), "i1")
    assert rows.recovered(with_tombstones=with_tombstones) == dict(rows)


@pytest.mark.parametrize("with_tombstones", [True, False])
def test_a_content_that_is_forgotten_does_not_come_back(rows: Rows, with_tombstones: bool) -> None:
    images, first = KnownImages(rows), stored("/a")  # type: ignore[arg-type]
    images.put_claim(first, Claim(owner="f"))
    images.put_answer(first, CONTENT, Claim(), first)
    images.drop_claim(first)
    images.drop_content(first)
    recovered = rows.recovered(with_tombstones=with_tombstones)
    assert not [key for key in recovered if not key.startswith(b"p|")]
