"""How well texts find their pictures."""

import re

import numpy as np
import pytest

from rules.recall import Caption, Fault, captions, ranks, recall


def test_lines_are_read_with_one_text_or_several() -> None:
    lines = [
        b'\xef\xbb\xbf{"file": "a.jpg", "text": "a dog"}',
        b"",
        b'{"file": "b.jpg", "text": ["x", "\xc3\xa9"], "id": 7}',
    ]
    assert list(captions(lines)) == [
        Caption(1, "a.jpg", "a dog"),
        Caption(3, "b.jpg", "x"),
        Caption(3, "b.jpg", "\u00e9"),
    ]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"a.jpg a dog", r"it is no JSON \(Expecting value at column 1\)"),
        (b'{"file": "a.jpg"}', r"it must look like .* \(text does not\)"),
        (b'{"file": 7, "text": "x"}', r"it must look like .* \(file does not\)"),
        (b'["a.jpg", "x"]', r"it must look like .* \(all of it does not\)"),
        (b'{"file": "a.jpg", "text": " "}', "its text is empty"),
        (b'{"file": "a.jpg", "text": []}', "its text is empty"),
        (b'{"file": "\xff", "text": "x"}', "it is not UTF-8"),
    ],
    ids=["no JSON", "no text", "a number", "a list", "an empty text", "no texts", "Latin-1"],
)
def test_what_is_wrong_with_a_line_is_said(line: bytes, reason: str) -> None:
    (fault,) = captions([b"", line])
    assert isinstance(fault, Fault)
    assert fault.line == 2
    assert re.fullmatch(reason, fault.reason)


def test_a_text_finds_its_picture_at_a_place() -> None:
    pictures = np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])
    texts = np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    assert ranks(pictures, texts, [0, 1, 2]) == [1, 2, 3]


def test_a_model_to_which_all_is_alike_finds_nothing() -> None:
    alike = np.ones((20, 1))
    assert ranks(alike, alike[:2], [0, 7]) == [20, 20]


def test_recall_is_the_share_that_is_found() -> None:
    assert recall([1, 2, 5, 6, 11]) == {1: 0.2, 5: 0.6, 10: 0.8}
