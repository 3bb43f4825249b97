"""The language of the search box: what is read, and what is said of what cannot be."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.search.language import read
from rules.search.query import InField, Known, Phrase, Query, QueryError, Wanted, Word

ONE = "6f1f6f0a-6d0c-5b0e-9d1c-2f6a3b1c9e57"
OTHER = "6f1f6f0a-6d0c-5b0e-9d1c-2f6a3b1c9e58"


def words(query: Query) -> list[str]:
    return [" ".join(word.ways[0]) for word in query.words]


def must(text: str) -> Any:
    (named,) = read(text).must
    assert named.text == text
    return named.condition


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("raptors", ["raptors"]),
        ("Birds in flight", ["birds", "flight"]),
        ("the who", ["the", "who"]),
        ("Zoë Ångström", ["zoe", "angstrom"]),
        ("STRASSE straße", ["strasse"]),
        ("IMG_26", ["img 26"]),
        ("京都タワー", ["京都 都タ タワ ワー"]),
        ("iso 100 ISO-200 iso400", ["iso100", "iso200", "iso400"]),
        ("50mm 35 mm 4,5mm", ["50mm", "35mm", "4.5mm"]),
        ("f/2.8 F4 f 5,6 ƒ/1.80", ["f2.8", "f4", "f5.6", "f1.8"]),
        ("1/250 1/60s 1/30 s 2s", ["1/250", "1/60", "1/30", "2s"]),
        ("October 2018, oct 2018 2018-10 10/2018", ["2018-10"]),
        ("Oktober 2018 octobre 2019 Oct. 2020", ["2018-10", "2019-10", "2020-10"]),
        ("5 October 2018 October 5th, 2018 5.10.2018 2018/10/05", ["2018-10-05"]),
        ("Oct-2018, 10-2018", ["2018-10"]),
        ("05/10/2018", ["2018-10-05"]),
        ("boats,sea;sky", ["boats", "sea", "sky"]),
        ("2018-13 31 February 2018", ["2018 13", "31", "2018-02"]),
        ("boats - at … sunset!", ["boats", "sunset"]),
        ("Rome: the market http://a.b 12:30", ["rome", "market", "http a b", "12 30"]),
        ("🐱 ❤️ 👍🏽 🇫🇷", ["🐱", "❤", "👍", "🇫🇷"]),
        ("שָׁלוֹם أحمد کتاب ٢٠١٨", ["שלום", "احمد", "كتاب", "2018"]),
        ("\u200fחתול\u200f Donau\u00addampf", ["חתול", "donaudampf"]),  # noqa: RUF001
        ("ねこ 猫 고양이", ["ねこ", "猫", "고양이"]),
    ],
)
def test_words(text: str, expected: list[str]) -> None:
    assert words(read(text)) == expected


def test_a_word_may_be_written_in_several_ways() -> None:
    (camera,) = read("X-T4").words
    assert camera.ways == (("x", "t4"), ("xt4",))
    (name,) = read("dsc01234").words
    assert name.ways == (("dsc01234",), ("dsc", "01234"))
    (person,) = read("Müller").words
    assert ("mueller",) in person.ways
    (one,) = read("raptors").words
    assert ("raptor",) in one.ways
    (month,) = read("octobre").words
    assert ("m10",) in month.ways


def test_what_a_model_compares_is_the_text_without_filters() -> None:
    query = read(f'birds in "blue sky" camera:canon -dog date:2024 like:{ONE} October 2018')
    assert query.text == "birds in blue sky October 2018"
    assert query.like == (ONE,)
    assert [named.text for named in query.must] == ['"blue sky"', "camera:canon", "date:2024"]
    assert [named.text for named in query.must_not] == ["-dog"]


def test_everything_may_stand_behind_a_minus() -> None:
    query = read(f'-dog -"red roof" -camera:canon -has:gps -like:{ONE} like:{OTHER} -near:1,2,3')
    assert [type(named.condition) for named in query.must_not] == [Word, Phrase, InField, Known, Wanted]
    assert (query.like, query.unlike, query.words) == ((OTHER,), (ONE,), ())


@pytest.mark.parametrize(
    "text",
    [
        '"Red roof"',
        "“red roof”",
        "„red roof“",
        "«red roof»",
        '“red roof"',
        '"red roof”',
        "「red roof」",
        "『red roof』",
    ],
)
def test_a_phrase_in_any_quotes(text: str) -> None:
    assert must(text).words == ("red", "roof")


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ('"iso 100"', "iso100"),
        ('"f/2.8"', "f2.8"),
        ('"50 mm"', "50mm"),
        ('"October 2018"', "2018-10"),
        ('" 1/250 s "', "1/250"),
    ],
)
def test_a_setting_in_quotes_is_that_setting(text: str, other: str) -> None:
    assert must(text).others == (other,)
    assert must('"taken at iso 100"').others == ()


def test_signs_as_other_keyboards_have_them() -> None:
    query = read("camera：canon \u200f-dog －cat −sea")  # noqa: RUF001
    assert [one.text for one in query.must] == ["camera：canon"]  # noqa: RUF001
    assert [one.text for one in query.must_not] == ["-dog", "－cat", "−sea"]  # noqa: RUF001


def test_of_several_pictures_all_are_meant() -> None:
    assert read(f"like:{ONE},{OTHER.upper()}").like == (ONE, OTHER)


@pytest.mark.parametrize("term", ["-dog ", '"red" ', f"-like:{ONE} ", "iso:100 ", "camera:a "])
def test_a_query_has_a_bounded_number_of_conditions(term: str) -> None:
    read("boats " + term * 64)
    with pytest.raises(QueryError, match="no more than 64") as caught:
        read("boats " + term * 65)
    assert caught.value.position == 6 + 64 * len(term)
    assert caught.value.length == len(term.strip())


def test_of_very_many_words_the_first_are_looked_up() -> None:
    query = read("".join(f"w{number} " for number in range(500)))
    assert len(query.words) == 32
    assert query.text.endswith("w499")


@pytest.mark.parametrize(
    ("text", "field", "values"),
    [
        ("date:2024", "taken_at", ["2024"]),
        ("date:2024-05..2024-08", "taken_at", [{"gte": "2024-05", "lte": "2024-08"}]),
        ("date:2024-05-04..", "taken_at", [{"gte": "2024-05-04"}]),
        ("taken:..2024", "taken_at", [{"lte": "2024"}]),
        ("date:>=2024-05", "taken_at", [{"gte": "2024-05"}]),
        ("DATE:<2024", "taken_at", [{"lt": "2024"}]),
        ("date:2023,2024-05", "taken_at", ["2023", "2024-05"]),
        ("date:2024/05/04", "taken_at", ["2024-05-04"]),
        ('date:"May 2024"', "taken_at", ["2024-05"]),
        ("date:May 2024", "taken_at", ["2024-05"]),
        ("date:1st May 2024", "taken_at", ["2024-05-01"]),
        ("date:2024-05 .. 2024-08", "taken_at", [{"gte": "2024-05", "lte": "2024-08"}]),
        ("date:2024-05 ..2024-08", "taken_at", [{"gte": "2024-05", "lte": "2024-08"}]),
        ("date:2024+", "taken_at", [{"gte": "2024"}]),
        ("rating:4+", "rating", [{"gte": 4.0}]),
        ("iso:100 .. 800", "iso", [{"gte": 100.0, "lte": 800.0}]),
        ("rating:>=4", "rating", [{"gte": 4.0}]),
        ("rating>=4", "rating", [{"gte": 4.0}]),
        ("rating >= 4", "rating", [{"gte": 4.0}]),
        ("iso>400", "iso", [{"gt": 400.0}]),
        ("date:2024-05…2024-08", "taken_at", [{"gte": "2024-05", "lte": "2024-08"}]),
        ("near:48.86, 2.35, 5", "gps", [{"lat": 48.86, "lon": 2.35, "radius": 5000.0}]),
        ("rating:5", "rating", [{"gte": 5.0, "lte": 5.0}]),
        ("rating:3..5", "rating", [{"gte": 3.0, "lte": 5.0}]),
        ("stars:≥4", "rating", [{"gte": 4.0}]),
        ("rating:-1", "rating", [{"gte": -1.0, "lte": -1.0}]),
        ("iso:100..800", "iso", [{"gte": 100.0, "lte": 800.0}]),
        ("near:48.86,2.35,5", "gps", [{"lat": 48.86, "lon": 2.35, "radius": 5000.0}]),
        ("near:48.86,2.35,500m", "gps", [{"lat": 48.86, "lon": 2.35, "radius": 500.0}]),
        ("near:33.9S,151.2E", "gps", [{"lat": -33.9, "lon": 151.2, "radius": 1000.0}]),
    ],
)
def test_filters(text: str, field: str, values: list[object]) -> None:
    assert must(text) == Wanted(field, tuple(values))


@pytest.mark.parametrize(
    ("text", "stored"),
    [("aperture:2.8", 2.8), ("aperture:f/2.8", 2.8), ("focal:50mm", 49.8), ("shutter:1/250", 0.004), ("shutter:2s", 2)],
)
def test_numbers_as_cameras_round_them(text: str, stored: float) -> None:
    (bounds,) = must(text).values
    assert bounds["gte"] <= stored <= bounds["lte"] < bounds["gte"] * 1.1


@pytest.mark.parametrize(
    ("text", "field", "way"),
    [
        ("camera:Canon", "camera", ("canon",)),
        ('lens:"50mm f/1.8"', "lens", ("50mm", "f", "1", "8")),
        ("tag:raptors", "tags", ("raptors",)),
        ("keyword:raptors", "tags", ("raptors",)),
        ('person:"Ann Müller"', "people", ("ann", "muller")),
        ("people:Zoë", "people", ("zoe",)),
        ("folder:Iceland", "folder", ("iceland",)),
        ("file:IMG_26", "filename", ("img", "26")),
        ("format:JPEG", "format", ("jpeg",)),
    ],
)
def test_fields_of_words(text: str, field: str, way: tuple[str, ...]) -> None:
    condition = must(text)
    assert (condition.field, condition.ways[0]) == (field, way)


def test_behind_an_open_range_and_a_year_stands_a_word() -> None:
    query = read("date:2024-05.. boats")
    assert (query.must[0].text, query.text) == ("date:2024-05..", "boats")
    query = read("date:2024 may be")
    assert (query.must[0].text, query.text) == ("date:2024", "may be")


def test_of_several_values_one() -> None:
    assert must("camera:canon,nikon").ways == (("canon",), ("nikon",))
    assert must("has:gps,rating") == Known(("gps", "rating"))


@pytest.mark.parametrize(
    ("text", "position", "length", "expected", "example"),
    [
        ("", 0, 1, "a word", "boats"),
        (" ... ", 0, 5, "a word", "boats"),
        ('boats "at sea', 6, 1, "closed", '"red roof"'),
        ('boats ""', 7, 1, "words must stand", '"red roof"'),
        ("boats camera:", 13, 1, "right behind camera:", "camera:canon"),
        ("camera: canon", 7, 1, "right behind camera:", "camera:canon"),
        ("camera:!!", 7, 2, "needs a word", "camera:canon"),
        ("boats -ratng:3", 7, 6, "Is rating: meant?", "rating:>=4"),
        ("foo:bar", 0, 4, "no field 'foo'", "camera:canon"),
        ("rating:9", 7, 1, "stars from -1", "rating:>=4"),
        ("rating:>=", 7, 2, "a value must stand behind >=", "rating:>=4"),
        ("rating:>=x", 9, 1, "stars from -1", "rating:>=4"),
        ("iso:100..x", 9, 1, "a number", "iso:100..800"),
        ("iso:800..100", 4, 8, "ends before it begins", "iso:100..800"),
        ("iso:..", 4, 2, "one end", "iso:100..800"),
        ("date:2024-13", 5, 7, "a year, month or day", "date:2024-05..2024-08"),
        ("date:2024-05..2024-99", 14, 7, "a year, month or day", "date:2024-05..2024-08"),
        ("date:2025..2024", 5, 10, "ends before it begins", "date:2024-05..2024-08"),
        ("date:2024,x", 10, 1, "a year, month or day", "date:2024-05..2024-08"),
        ("has:wings", 4, 5, "one of gps, date", "has:gps"),
        ("has:gps,wings", 8, 5, "one of gps, date", "has:gps"),
        ("near:paris", 5, 5, "latitude, longitude", "near:48.86,2.35,5"),
        ("near:91,2,3", 5, 2, "a latitude", "near:48.86,2.35,5"),
        ("near:1,x,3", 7, 1, "a longitude", "near:48.86,2.35,5"),
        ("near:1,2,-3", 9, 2, "a distance", "near:48.86,2.35,5"),
        ("like:42", 5, 2, "the id of a picture", "like:"),
        (f"like:{ONE},42", 42, 2, "the id of a picture", "like:"),
        ("date:2024-05 .. x", 16, 1, "a year, month or day", "date:2024-05..2024-08"),
        ("🐱 חתול rating:9", 14, 1, "stars from -1", "rating:>=4"),
        ("rating >=  x", 11, 1, "stars from -1", "rating:>=4"),
        ("date: 2024", 5, 1, "right behind date:", "date:2024-05..2024-08"),
        ("-", 0, 1, "a word", "boats"),
        ("shutter:1/0", 8, 3, "a time", "exposure:1/250"),
    ],
)
def test_errors_point_at_the_place(text: str, position: int, length: int, expected: str, example: str) -> None:
    with pytest.raises(QueryError) as caught:
        read(text)
    error = caught.value
    assert (error.position, error.length) == (position, length)
    assert expected in error.expected
    assert error.example.startswith(example)
    assert str(position + 1) in str(error)
    if "…" not in error.example:
        read(error.example)  # an example is a query itself


@given(st.text(max_size=60) | st.text(alphabet='abd1205:-"“”.,/<>=* \u0308é京', max_size=40))
def test_any_text_is_read_or_refused_with_a_place(text: str) -> None:
    error, query = None, Query()
    try:
        query = read(text)
    except QueryError as refused:
        error = refused
    if error is None:
        assert query.words or query.must or query.must_not or query.like or query.unlike
    else:
        assert 0 <= error.position <= len(text)


@given(st.text(max_size=300))
def test_text_in_quotes_is_text(text: str) -> None:
    bare = text.replace('"', "")
    if any(character.isalnum() for character in bare):
        query = read(f'"{bare}"')
        assert len(query.must) == 1
