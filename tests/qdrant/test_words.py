"""Search by words, on the embedded Qdrant and on the one in QDRANT_URL."""

import asyncio

import pytest

from gateways.qdrant import Point, Qdrant
from gateways.qdrant.searching import Ranking
from rules.payload import merge
from rules.search.language import read
from tests.qdrant.points import photo
from tests.qdrant.words import WORDS, by_words, page_of

ALBUM = [
    photo(2612, tags=["raptors"], title="Zoë Ångström", paths=["/p/Iceland 2018/IMG_2612.jpg"]),
    photo(
        2,
        caption="a red roof in the sun",
        people=["Ann Müller", "Bob Lee"],
        gps={"lat": 48.86, "lon": 2.35},
        rating=4.0,
    ),
    photo(3, caption="a roof that is red, with raptors", description="京都タワー", label="Red"),
    photo(4, tags=["dog"], caption="a dog on a red roof", taken_at="2023-05-04T10:20:30", rating=0.0),
    photo(
        5,
        camera_make="FUJIFILM",
        camera_model="X-T4",
        lens="XF 50mm f/2",
        iso=100,
        focal_length=50.0,
        aperture=2.8,
        exposure_time=0.004,
        taken_at="2018-10-05T10:00:00",
    ),
]


@pytest.fixture
async def album(qdrant: Qdrant, photos: str) -> str:
    await qdrant.upsert(photos, ALBUM)
    return photos


def number_of(name: str) -> int:
    return int(name.removeprefix("IMG_").removesuffix(".jpg"))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("raptors", [2612, 3]),  # a tag comes before a caption
        ("RAPTOR", [2612, 3]),
        ("rapt", [2612]),
        ("IMG_26", [2612]),
        ("black raptors", [2612, 3]),
        ('"red roof"', [2, 4]),
        ("zoe angstrom", [2612]),
        ("Mueller", [2]),
        ("muller", [2]),
        ("xt4", [5]),
        ("x-t4 fuji", [5]),
        ("iso 100", [5]),
        ("50 mm", [5]),
        ("f/2.8", [5]),
        ("1/250s", [5]),
        ("October 2018", [5]),
        ("oktober", [5]),
        ("2018-10-05", [5]),
        ("iceland", [2612]),
        ("タワー", [3]),
        ("京", [3]),
        ("都", [3]),
        ('"iso 100"', [5]),
        ('"October 2018" -"f/2.8"', []),
        ('"roof in"', [2]),
        ('"sun ann"', []),  # no phrase reaches over two fields
        ("-roof", [2612, 5]),
        ("camera:fujifilm", [5]),
        ("camera:XT4", [5]),
        ("lens:50mm", [5]),
        ("tag:rap", []),
        ("tag:rap*", [2612]),
        ("tag:dog,raptors", [4, 2612]),
        ("-tag:dog roof", [2, 3]),
        ("red roof -dog -kyoto -京都", [2]),
        ("name:IMG_2", [2, 2612]),
        ('person:"Ann Müller"', [2]),
        ('person:"Ann Mueller"', [2]),
        ('"ann mueller"', [2]),
        ('person:"Bob Müller"', []),  # two persons, and no third
        ('tag:"raptors dog"', []),
        ('lens:"50mm f/2"', [5]),
        ("label:red", [3]),
        ("folder:iceland", [2612]),
        ("near:48.86,2.35,5", [2]),
        ("has:gps", [2]),
        ("-has:gps -has:tags -has:label", [5]),
        ("rating:>=4", [2]),
        ("has:rating", [2]),  # no stars are no rating
        ("-has:rating roof", [3, 4]),
        ("date:2018..2022", [5]),
        ("date:2023", [4]),
        ("iso:50..100 aperture:<=2.8", [5]),
        ("has:people,label", [2, 3]),
        ("9999-99 por", []),
    ],
)
async def test_what_is_found(qdrant: Qdrant, album: str, query: str, expected: list[int]) -> None:
    read_query = read(query)
    await qdrant.fill_words(album, seconds=60)
    if read_query.sought:
        hits = await page_of(qdrant, album, read_query, WORDS, limit=10)
    else:
        hits, _ = await qdrant.list_query(album, read_query, limit=10, cursor=None)
    found = [number_of(hit.payload["filename"]) for hit in hits]
    assert (found if query == "raptors" else sorted(found)) == (expected if query == "raptors" else sorted(expected))
    assert await qdrant.count_query(album, read_query, WORDS) == len(expected)


async def test_rarer_words_and_better_fields_count_more(qdrant: Qdrant, photos: str) -> None:
    common = [photo(number, caption="a tree by a lake") for number in range(20)]
    rare = [photo(30, caption="a heron by a lake"), photo(31, tags=["heron"]), photo(32, caption="a heron, a tree")]
    await qdrant.upsert(photos, [*common, *rare])
    hits, total = await by_words(qdrant, photos, "heron tree", limit=30)
    assert total == 23
    names = [number_of(hit.payload["filename"]) for hit in hits]
    assert names[0] == 32  # both words
    assert names[1] == 31  # a rare one, as a tag
    assert names[2] == 30
    scores = [hit.score for hit in hits]
    assert scores == sorted(scores, reverse=True)
    assert len(set(scores)) >= 4


async def test_pages_of_a_ranked_list(qdrant: Qdrant, photos: str) -> None:
    await qdrant.upsert(photos, [photo(number, caption="red " * (number + 1), iso=number) for number in range(7)])
    pages = [
        await by_words(qdrant, photos, "red", limit=3, offset=offset, filters={"iso": {"lt": 5}}) for offset in (0, 3)
    ]
    assert [total for _, total in pages] == [5, 5]
    assert [len(hits) for hits, _ in pages] == [3, 2]
    assert len({hit.id for hits, _ in pages for hit in hits}) == 5


@pytest.mark.parametrize(
    "ranking", [WORDS, Ranking(by_words=True, vectors=[[1.0, 0.0, 0.0, 0.0]])], ids=["words", "words and a vector"]
)
async def test_pages_have_each_of_very_many_that_tie_once(qdrant: Qdrant, photos: str, ranking: Ranking) -> None:
    """Also where the list goes on beyond the first thousand."""
    points = [photo(number, [1.0, number % 3, 0.0, 0.0], tags=["sea"], camera_make="Canon") for number in range(2300)]
    await qdrant.upsert(photos, points)
    assert await qdrant.fill_words(photos, seconds=60) == 0
    for query in ("sea", "canon se", "sea lion"):
        found = [
            hit
            for offset in range(0, 2400, 200)
            for hit in await page_of(qdrant, photos, read(query), ranking, limit=200, offset=offset)
        ]
        assert len(found) == len({hit.id for hit in found}) == 2300
        scores = [hit.score for hit in found]
        assert scores == sorted(scores, reverse=True)
        assert [hit.id for hit in found[:50]] == [
            hit.id for hit in await page_of(qdrant, photos, read(query), ranking, limit=50)
        ]


async def test_the_nearest_by_a_distance_come_first(qdrant: Qdrant, name: str) -> None:
    await qdrant.ensure_collection(name, model_id="model-a", dimension=4, distance="Euclid")
    await qdrant.upsert(name, [photo(number, [1.0, number, 0.0, 0.0]) for number in (5, 1, 3)])
    nearest = Ranking(by_words=False, vectors=[[1.0, 0.0, 0.0, 0.0]])
    hits = await page_of(qdrant, name, read("sea"), nearest, limit=10)
    assert [number_of(hit.payload["filename"]) for hit in hits] == [1, 3, 5]


async def test_words_and_vectors_are_fused(qdrant: Qdrant, photos: str) -> None:
    await qdrant.upsert(
        photos,
        [
            photo(1, [1.0, 0.0, 0.0, 0.0], caption="sea by the sea"),
            photo(2, [0.9, 0.1, 0.0, 0.0]),
            photo(3, [0.0, 1.0, 0.0, 0.0], caption="sea"),
            photo(4, [0.0, 0.9, 0.1, 0.0]),
        ],
    )
    await qdrant.fill_words(photos, seconds=60)
    both = Ranking(by_words=True, vectors=[[1.0, 0.0, 0.0, 0.0]])
    hits = await page_of(qdrant, photos, read("sea"), both, limit=10)
    assert [number_of(hit.payload["filename"]) for hit in hits] == [1, 3, 2, 4]
    assert hits[0].score == pytest.approx(1.0)
    assert all(0 < hit.score <= 1 for hit in hits)
    bound = Ranking(by_words=True, vectors=[[1.0, 0.0, 0.0, 0.0]], min_score=0.5)
    assert await qdrant.count_query(photos, read("sea"), bound) == 3  # what the words find stays


async def test_pictures_of_an_earlier_version_get_words(qdrant: Qdrant, photos: str) -> None:
    await qdrant.upsert(photos, [photo(number, caption="red", revision=str(number)) for number in range(500)])
    assert await qdrant.fill_words(photos, seconds=60) == 0
    assert await qdrant.count_query(photos, read("red"), WORDS) == 500
    (found,) = await qdrant.points(photos, [photo(7).id])
    assert found.payload["caption"] == "red"
    assert found.payload["words"]["text"].startswith("red")


async def test_before_they_have_words_their_captions_and_names_are_looked_through(qdrant: Qdrant, photos: str) -> None:
    await qdrant.upsert(
        photos, [photo(1, caption="red"), photo(2, caption="blue"), photo(3, caption="a red, red roof")]
    )
    filling = Ranking(by_words=True, is_filled=False)
    hits = await page_of(qdrant, photos, read("red roof"), filling, limit=10)
    assert sorted(number_of(hit.payload["filename"]) for hit in hits) == [1, 3]
    assert await qdrant.count_query(photos, read("red roof"), filling) == 2
    await qdrant.fill_words(photos, seconds=60)
    await qdrant.upsert(photos, [photo(4, caption="roof")])
    hits = await page_of(qdrant, photos, read("red roof"), filling, limit=10)
    assert [number_of(hit.payload["filename"]) for hit in hits] == [3, 1, 4]


async def test_words_follow_what_is_written(qdrant: Qdrant, photos: str) -> None:
    """Also where somebody else writes while words are filled in."""

    def stored(number: int, caption: str) -> Point:
        payload = {"filename": f"IMG_{number}.jpg", "paths": [f"/IMG_{number}.jpg"], "caption": caption}
        return Point(photo(number).id, [1.0, 0.0, 0.0, 0.0], merge({}, payload))

    await qdrant.upsert(photos, [photo(number, caption="red") for number in range(300)])
    newer = [stored(number, "blue") for number in range(0, 300, 2)]
    await asyncio.gather(qdrant.fill_words(photos, seconds=60), qdrant.replace(photos, newer, {}))
    while await qdrant.fill_words(photos, seconds=60):
        pass
    blue = await qdrant.count(photos, {"caption": "blue"})
    assert await qdrant.count_query(photos, read("blue"), WORDS) == blue
    assert await qdrant.count_query(photos, read("red"), WORDS) == 300 - blue


async def test_a_collection_without_the_indexes_gets_them(qdrant: Qdrant, url: str, photos: str) -> None:
    import httpx

    async with httpx.AsyncClient(base_url=url) as rest:
        for name in ("text", "marked", "v"):
            await rest.delete(f"/collections/{photos}/index/words.{name}")
    await qdrant.upsert(photos, [photo(1, tags=["raptors"])])
    async with Qdrant(url) as other:
        hits, _ = await by_words(other, photos, "raptors", limit=5)
    assert [hit.id for hit in hits] == [photo(1).id]
