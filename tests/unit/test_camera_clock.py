"""Dates by the camera's clock, and texts in one form."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.camera_clock import offset, sortable, span
from rules.name_key import name_key
from rules.payload import merge
from rules.text import forms, nfc


@pytest.mark.parametrize(
    ("date", "wanted"),
    [
        ("2024-01-01T00:30:00+09:00", "2024-01-01T00:30:00Z"),
        ("2024-01-01T00:30:00.25-05:00", "2024-01-01T00:30:00.250000Z"),
        ("2024-01-01T00:30:00", "2024-01-01T00:30:00Z"),
        ("2024-02", "2024-02-01T00:00:00Z"),
        ("1978", "1978-01-01T00:00:00Z"),
        ("0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00Z"),
        ("9999-12-31T23:59:59-12:00", "9999-12-31T23:59:59Z"),
        ("last summer", None),
        ("0000", None),
        ("", None),
    ],
)
def test_what_is_sorted_by(date: str, wanted: str | None) -> None:
    assert sortable(date) == wanted


@pytest.mark.parametrize(
    ("date", "first", "last"),
    [
        ("2023", "2023-01-01T00:00:00", "2023-12-31T23:59:59.999999"),
        ("2024-02", "2024-02-01T00:00:00", "2024-02-29T23:59:59.999999"),
        ("9999-12", "9999-12-01T00:00:00", "9999-12-31T23:59:59.999999"),
        ("2023-05-04", "2023-05-04T00:00:00", "2023-05-04T23:59:59.999999"),
        ("2023-05-04T10:20", "2023-05-04T10:20:00", "2023-05-04T10:20:59.999999"),
        ("2023-05-04 10:20:30Z", "2023-05-04T10:20:30", "2023-05-04T10:20:30.999999"),
        ("2023-05-04T10:20:30.5", "2023-05-04T10:20:30.500000", "2023-05-04T10:20:30.500000"),
    ],
)
def test_spans(date: str, first: str, last: str) -> None:
    assert span(date) == (datetime.fromisoformat(first), datetime.fromisoformat(last))


def test_offsets() -> None:
    assert offset("2023-05-04T10:20:30Z") == UTC
    assert offset("2023-05-04T10:20:30-0330") == timezone(-timedelta(hours=3, minutes=30))
    assert offset("2023-05-04T10:20:30") is offset("2023") is None


@given(st.datetimes())
def test_every_time_that_can_be_stored_can_be_asked_for(time: datetime) -> None:
    assert span(time.isoformat())[0] == time
    for length in (4, 7, 10, 16, 19):
        first, last = span(time.isoformat()[:length])
        assert first <= time <= last


def test_a_payload_has_texts_composed_and_paths_as_they_are() -> None:
    apart = "Zu\u0308rich"
    new = {
        "filename": f"{apart}.jpg",
        "full_path": f"/{apart}.jpg",
        "paths": [f"/{apart}.jpg"],
        "tags": [apart],
        "people": ["bob", "Ann"],
        "label": "Red",
        "taken_at": "2024-01-01T00:30:00+09:00",
    }
    merged = merge({"filename": f"{apart}.jpg"}, new)
    assert (merged["filename"], merged["tags"]) == ("Zürich.jpg", ["Zürich"])
    assert (merged["full_path"], merged["paths"]) == (f"/{apart}.jpg", [f"/{apart}.jpg"])
    assert merged["taken_at"] == "2024-01-01T00:30:00+09:00"
    assert merged["taken_local"] == "2024-01-01T00:30:00Z"
    assert merged["people_key"] == name_key("ann")
    assert merged["label_key"] == name_key("red")
    assert merge(merged, new) == merged


@given(st.text())
def test_forms_hold_the_composed_one_first(text: str) -> None:
    assert forms(text)[0] == nfc(text)
    assert text in forms(text)
