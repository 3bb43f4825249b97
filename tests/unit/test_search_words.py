"""The words of a picture, and why it is found by them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.search import reasons
from rules.search.folding import fold, words
from rules.search.language import read
from rules.search.likeness import TrainedScale, target
from rules.search.lookup import lookup
from rules.search.query import Word

PICTURE: dict[str, Any] = {
    "title": "Morning over Reykjavík",
    "tags": ["raptors", "Vögel"],
    "people": ["Zoë Müller"],
    "label": "Red",
    "caption": "A bird in flight.",
    "filename": "IMG_2612.jpg",
    "full_path": "/photos/2018 Iceland/IMG_2612.jpg",
    "paths": ["/copies/b.jpg", "/photos/2018 Iceland/IMG_2612.jpg"],
    "camera_make": "FUJIFILM",
    "camera_model": "X-T4",
    "lens": "XF50mmF2 R WR",
    "iso": 100,
    "focal_length": 50.0,
    "aperture": 2.8,
    "exposure_time": 0.004,
    "taken_at": "2018-10-05T10:00:00+00:00",
}


def why(text: str) -> list[tuple[str, str, str]]:
    return [(one.word, one.field, one.value) for one in reasons.of_words(read(text), PICTURE)]


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Ångström", "angstrom"),
        ("STRASSE", "strasse"),
        ("Straße", "strasse"),
        ("Łódź", "lodz"),
        ("Ærø", "aero"),
        ("İstanbul", "istanbul"),
        ("ΑΘΉΝΑ", "αθηνα"),
        ("Ёлка", "елка"),
        ("ＣＡＮＯＮ", "canon"),  # noqa: RUF001
        ("が", "が"),  # a mark that makes another letter
        ("हिन्दी", "हिन्दी"),
        ("إسلام آمال", "اسلام امال"),
        ("می\u200cخواهم", "ميخواهم"),  # noqa: RUF001
        ("مـــرحبا", "مرحبا"),
        ("۲۰۱۸ २०१८", "2018 2018"),
        ("❤\ufe0f👍🏽", "❤👍"),
    ],
)
def test_case_accents_and_widths_do_not_count(text: str, folded: str) -> None:
    assert fold(text) == folded
    assert fold(folded) == folded


@given(st.text())
def test_words_of_words_are_the_same(text: str) -> None:
    found = words(text)
    assert all(word == fold(word) and " " not in word for word in found)


def test_words_are_stored_by_what_they_count() -> None:
    found = lookup(PICTURE)
    assert found["text"].split().count("raptors") == 4
    assert {"bird", "iso100", "50mm", "f2.8", "1/250", "2018-10-05", "m10", "iceland"} <= set(found["text"].split())
    assert {"50mm", "f2"} <= set(lookup({"lens": "XF50mmF2 R WR"})["text"].split())
    assert {"24mm", "70mm", "f2.8"} <= set(lookup({"lens": "EF24-70mm f/2.8L II USM"})["text"].split())
    assert {"muller", "mueller", "vogel", "voegel", "2612", "xt4"} <= set(found["text"].split())
    assert {"Traptors", "Cxt4", "Ficeland", "Pzoe", "Pmueller"} <= set(found["marked"])


def test_letters_are_spelt_out_within_a_phrase() -> None:
    found = lookup({"people": ["Jürgen Groß-Müller"], "tags": ["X-T4", "sea"]})
    assert "juergen gross mueller |" in found["text"]
    assert "jurgen gross muller |" in found["text"]
    assert {"Pjuergen", "Pjurgen", "Pgrossmuller", "Txt4"} <= set(found["marked"])
    assert "sea xt4" not in found["text"]


def test_numbers_are_not_joined_over_a_point() -> None:
    """f/1.6 is not f/16, and 4.2mm not 42mm; 1/250 is no 1250."""
    found = lookup({"lens": "back camera 4.2mm f/1.6", "exposure_time": 0.004, "filename": "IMG-2612.jpg"})
    assert {"4.2mm", "f1.6", "1/250", "img2612jpg"} <= set(found["text"].split())
    assert not {"42mm", "f16", "1250"} & set(found["text"].split())


def test_a_picture_with_very_long_texts_has_a_bounded_number_of_words() -> None:
    found = lookup({"description": "word " * 100_000, "paths": [f"/{number}/a.jpg" for number in range(5000)]})
    assert len(found["text"].split()) == 2000
    assert len(found["marked"]) <= 4000


@pytest.mark.parametrize(
    "payload",
    [{}, {"tags": "one", "paths": [1, None], "iso": "x", "taken_at": 5, "filename": {"a": 1}, "title": ["t"]}],
)
def test_what_another_program_wrote_has_words_too(payload: dict[str, Any]) -> None:
    assert lookup(payload)["v"] == 3


@pytest.mark.parametrize(
    ("query", "title"),
    [
        ("猫", "黒猫と犬"),
        ("黒猫", "大きな黒猫"),
        ("🐱", "Tom🐱!"),
        ("👍", "👍🏽 done"),
        ("🇫🇷", "🇩🇪🇫🇷"),
        ("احمد", "أحمد في البيت"),
        ('"iso 100"', ""),
        ('"October 2018"', ""),
        ('"f/2.8"', ""),
    ],
)
def test_what_is_found_has_a_reason(query: str, title: str) -> None:
    payload = PICTURE | {"title": title}
    (word,) = read(query).sought
    (reason,) = reasons.of_words(read(query), payload)
    assert reason.value == title or not title
    kept = lookup(payload)["marked"]
    ways = word.ways if isinstance(word, Word) else [word.others]
    assert any(all(f"={part}" in kept or f"~{part}" in kept for part in way) for way in ways)


def test_two_characters_are_found_only_side_by_side() -> None:
    (word,) = read("京都").words
    assert not {"=京都", "~京都"} & set(lookup({"title": "都の東京"})["marked"])
    assert word.ways == (("京都",),)


def test_each_word_is_found_in_the_field_that_counts_most() -> None:
    assert why("raptor zoe flight") == [
        ("raptor", "tags", "raptors"),
        ("zoe", "people", "Zoë Müller"),
        ("flight", "caption", "A bird in flight."),
    ]
    assert why("IMG_26") == [("IMG_26", "filename", "IMG_2612.jpg")]
    assert why("iso 100 Oct 2018") == [
        ("iso 100", "iso", "100"),
        ("Oct 2018", "taken_at", "2018-10-05T10:00:00+00:00"),
    ]
    assert why('"bird in flight"') == [("bird in flight", "caption", "A bird in flight.")]
    assert why("mueller xt4 cat") == [("mueller", "people", "Zoë Müller"), ("xt4", "camera", "FUJIFILM X-T4")]


def test_a_trained_scale_is_that_of_the_card() -> None:
    siglip = TrainedScale.of(4.7245, -16.772)
    assert siglip is not None
    # 1 / (1 + exp(16.772 - 112.675 * 0.15)), by hand
    assert siglip.probability(0.15) == pytest.approx(0.5321, abs=1e-3)
    assert siglip.probability(0.0) == pytest.approx(5.2e-8, rel=0.02)
    for one in (0.001, 0.5, 0.99):
        assert siglip.probability(siglip.cosine(one)) == pytest.approx(one)
    assert (siglip.cosine(0), siglip.cosine(1)) == (-1, 1)


@pytest.mark.parametrize(("scale", "bias"), [(None, 1.0), (1.0, None), (float("nan"), 0.0), (112.7, -16.8)])
def test_nothing_is_claimed_without_a_scale(scale: float | None, bias: float | None) -> None:
    assert TrainedScale.of(scale, bias) is None


def test_what_is_to_be_like_one_and_unlike_another() -> None:
    assert target([[1.0, 0.0]], []) == [1.0, 0.0]
    assert target([[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0]]) == [1.0, 0.0]
    assert target([], [[1.0, 0.0]]) == [-1.0, 0.0]
    with pytest.raises(ValueError, match="each other"):
        target([[1.0, 0.0]], [[2.0, 0.0]])
