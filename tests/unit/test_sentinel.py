"""The end marker of a walk."""

import pytest

from core.errors import InvalidMessageError
from topics.sentinel import Sentinel, read_sentinel, sentinel_headers


@pytest.mark.parametrize("files", [None, 0, 7])
def test_what_is_written_is_read(files: int | None) -> None:
    assert read_sentinel(sentinel_headers("job-1", "walk-1", files)) == Sentinel("job-1", "walk-1", files)


@pytest.mark.parametrize("missing", ["job_id", "walk_id"])
def test_an_end_marker_of_nobody_is_refused(missing: str) -> None:
    headers = [header for header in sentinel_headers("job-1", "walk-1", 7) if header[0] != missing]
    with pytest.raises(InvalidMessageError, match=missing):
        read_sentinel(headers)


def test_a_count_that_is_no_number_is_not_a_reason_to_lose_the_marker() -> None:
    headers = [*sentinel_headers("job-1", "walk-1", None), ("files", b"many")]
    assert read_sentinel(headers).files is None
