"""What Darkroom relies on, of the embedded Qdrant and of any other."""

import asyncio
import math
import os
import uuid
from collections.abc import Callable
from itertools import chain
from unittest.mock import AsyncMock

import httpx
import pytest

from core.errors import CollectionMissingError, QdrantRejectedError, QdrantUnavailableError, RequestError
from gateways.qdrant import BoundCollection, CollectionInfo, ListedPoint, Point, Qdrant, schema
from rules.name_key import name_key
from rules.payload import merge
from tests.qdrant.points import old_photo, photo
from tests.qdrant.server import free_port
from tests.qdrant.words import by_words


def number_of(record: ListedPoint) -> int:
    return int(record.payload["filename"].removeprefix("IMG_").removesuffix(".jpg"))


async def numbers(qdrant: Qdrant, name: str, **options: object) -> list[list[int]]:
    """The numbers of all photographs, page by page."""
    return [[number_of(record) for record in page] for page in await all_pages(qdrant, name, **options)]


def named(number: int, filename: str) -> Point:
    return photo(number, filename=filename, name_key=name_key(filename), taken_at=f"2023-05-04T10:20:{number % 60:02}")


def payload_of(number: int) -> dict[str, object]:
    return {"filename": f"IMG_{number}.jpg", "paths": [f"/IMG_{number}.jpg"]}


async def all_pages(qdrant: Qdrant, name: str, **options: object) -> list[list[ListedPoint]]:
    pages, cursor = [], None
    while True:
        records, cursor = await qdrant.page(name, cursor=cursor, **options)  # type: ignore[arg-type]
        pages.append(records)
        if cursor is None:
            return pages
        assert len(pages) < 1000, "the cursors go round in a circle"


async def delete(qdrant: Qdrant, name: str, point_id: str) -> None:
    await qdrant._client.delete(name, [point_id])


class TestCollections:
    async def test_created_with_what_was_asked_and_listed(self, qdrant: Qdrant, name: str) -> None:
        created = await qdrant.ensure_collection(name, model_id="model-a", dimension=4, distance="Cosine")
        assert created == BoundCollection(name, 0, 4, "model-a", created.incarnation)
        assert uuid.UUID(created.incarnation or "")
        assert await qdrant.collection(name) == created
        assert created in await qdrant.collections()
        assert await qdrant.incarnation(name) == created.incarnation

    async def test_is_the_same_when_ensured_again(self, qdrant: Qdrant, photos: str) -> None:
        before = await qdrant.collection(photos)
        assert await qdrant.ensure_collection(photos, model_id="model-a", dimension=4, distance="Cosine") == before

    async def test_deleted_and_created_again_is_another_incarnation(self, qdrant: Qdrant, photos: str) -> None:
        before = await qdrant.incarnation(photos)
        await qdrant.upsert(photos, [photo(1)])
        assert await qdrant.delete_collection(photos)
        assert await qdrant.incarnation(photos) is None
        again = await qdrant.ensure_collection(photos, model_id="model-a", dimension=4, distance="Cosine")
        assert again.points == 0
        assert again.incarnation not in (None, before)

    @pytest.mark.parametrize(("model_id", "dimension"), [("model-b", 4), ("model-a", 5)])
    async def test_refuses_vectors_of_another_model_or_dimension(
        self, qdrant: Qdrant, photos: str, model_id: str, dimension: int
    ) -> None:
        with pytest.raises(RequestError, match=f"{photos}.*choose another collection") as error:
            await qdrant.ensure_collection(photos, model_id=model_id, dimension=dimension, distance="Cosine")
        assert error.value.status == 409

    async def test_ensured_by_many_at_once_is_one(self, qdrant: Qdrant, name: str) -> None:
        found = await asyncio.gather(
            *(qdrant.ensure_collection(name, model_id="model-a", dimension=4, distance="Cosine") for _ in range(8))
        )
        assert len({info.incarnation for info in found}) == 1

    async def test_made_by_others_is_adopted(self, qdrant: Qdrant, url: str, name: str) -> None:
        key = {"api-key": os.environ.get("QDRANT_API_KEY", "")}
        async with httpx.AsyncClient(base_url=url, headers=key) as other:
            made = await other.put(f"/collections/{name}", json={"vectors": {"size": 4, "distance": "Cosine"}})
            assert made.is_success
        assert await qdrant.collection(name) == CollectionInfo(name, 0, 4, None, None)
        adopted = await qdrant.ensure_collection(name, model_id="model-a", dimension=4, distance="Cosine")
        assert adopted.model_id == "model-a"
        assert adopted.incarnation is not None
        assert await qdrant.collection(name) == adopted

    async def test_wrong_name_is_refused(self, qdrant: Qdrant) -> None:
        with pytest.raises(RequestError) as error:
            await qdrant.ensure_collection("../etc", model_id="model-a", dimension=4, distance="Cosine")
        assert error.value.status == 422

    async def test_unknown_one(self, qdrant: Qdrant, name: str) -> None:
        assert await qdrant.collection(name) is None
        assert await qdrant.delete_collection(name) is False
        for call in (
            qdrant.upsert(name, [photo(1)]),
            qdrant.payloads(name, [photo(1).id], ["paths"]),
            qdrant.point(name, photo(1).id),
            qdrant.page(name, limit=10),
            qdrant.count(name),
            qdrant.search(name, [1.0, 0.0, 0.0, 0.0], limit=1),
            by_words(qdrant, name, "red", limit=1),
        ):
            with pytest.raises(CollectionMissingError, match=name):
                await call


class TestPoints:
    async def test_upsert_is_idempotent_and_the_last_one_counts(self, qdrant: Qdrant, photos: str) -> None:
        await qdrant.upsert(photos, [photo(1, caption="first", iso=100), photo(2)])
        await qdrant.upsert(photos, [photo(1, caption="second")])
        await qdrant.upsert(photos, [photo(1, caption="second")])
        found = await qdrant.point(photos, photo(1).id)
        assert found is not None
        assert found.payload == {"filename": "IMG_1.jpg", "caption": "second"}
        assert await qdrant.count(photos) == 2

    async def test_a_point_comes_back_whole(self, qdrant: Qdrant, photos: str) -> None:
        payload = {
            "caption": "blühende Wiese 🌼",
            "gps": {"lat": 48.86, "lon": 2.35},
            "paths": ["/a b.jpg", "/c.jpg"],
            "file_size": 2**40,
            "aperture": 2.8,
            "thumbnail_base64": "/9j/" * 3000,
        }
        await qdrant.upsert(photos, [Point(photo(1).id, [0.0, 3.0, 4.0, 0.0], payload)])
        found = await qdrant.point(photos, photo(1).id)
        assert found is not None
        assert found.id == photo(1).id
        assert found.payload == payload
        assert found.vector == pytest.approx([0.0, 0.6, 0.8, 0.0])
        assert await qdrant.point(photos, photo(2).id) is None

    async def test_lists_and_hits_come_without_thumbnail(self, qdrant: Qdrant, photos: str) -> None:
        await qdrant.upsert(photos, [photo(1, caption="red", thumbnail_base64="abc")])
        (record,), _ = await qdrant.page(photos, limit=10)
        (hit,) = await qdrant.search(photos, [1.0, 0.0, 0.0, 0.0], limit=10)
        (match,), _ = await by_words(qdrant, photos, "red", limit=10)
        for found in (record, hit, match):
            assert found.payload == {"filename": "IMG_1.jpg", "caption": "red"}

    async def test_payloads_gives_the_named_fields_of_those_that_exist(self, qdrant: Qdrant, photos: str) -> None:
        await qdrant.upsert(photos, [photo(1, paths=["/a"], caption="red"), photo(2)])
        found = await qdrant.payloads(photos, [photo(number).id for number in (1, 2, 3)], ["paths"])
        assert found == {photo(1).id: {"paths": ["/a"]}, photo(2).id: {}}

    @pytest.mark.parametrize("vector", [[1.0, 2.0], [math.nan, 0.0, 0.0, 1.0], [math.inf, 0.0, 0.0, 1.0]])
    async def test_a_wrong_vector_is_refused_with_its_whole_batch(
        self, qdrant: Qdrant, photos: str, vector: list[float]
    ) -> None:
        with pytest.raises(QdrantRejectedError):
            await qdrant.upsert(photos, [photo(1), photo(2, vector)])
        assert await qdrant.count(photos) == 0

    async def test_a_wrong_id_is_refused(self, qdrant: Qdrant, photos: str) -> None:
        with pytest.raises(QdrantRejectedError):
            await qdrant.upsert(photos, [Point("no-uuid", [1.0, 0.0, 0.0, 0.0], {})])

    async def test_a_text_that_is_no_unicode_is_refused(self, qdrant: Qdrant, photos: str) -> None:
        with pytest.raises(QdrantRejectedError):
            await qdrant.upsert(photos, [photo(1, full_path="/photos/\udcff.jpg")])

    async def test_a_batch_above_the_limit_is_refused(self, qdrant: Qdrant, photos: str) -> None:
        with pytest.raises(QdrantRejectedError):
            await qdrant.upsert(photos, [photo(1, thumbnail_base64="x" * (33 << 20))])

    async def test_concurrent_upserts_all_arrive(self, qdrant: Qdrant, photos: str) -> None:
        batches = [[photo(number) for number in range(start, start + 50)] for start in range(0, 1000, 50)]
        await asyncio.gather(*(qdrant.upsert(photos, batch) for batch in batches))
        assert await qdrant.count(photos) == 1000


class TestSearch:
    async def test_the_most_similar_come_first(self, qdrant: Qdrant, photos: str) -> None:
        angles = [80, 10, 45, 0, 170]
        points = [
            photo(angle, [math.cos(math.radians(angle)), math.sin(math.radians(angle)), 0.0, 0.0]) for angle in angles
        ]
        await qdrant.upsert(photos, points)
        hits = await qdrant.search(photos, [2.0, 0.0, 0.0, 0.0], limit=10)
        assert [hit.payload["filename"] for hit in hits] == [f"IMG_{angle}.jpg" for angle in sorted(angles)]
        assert [hit.score for hit in hits] == pytest.approx(
            [math.cos(math.radians(a)) for a in sorted(angles)], abs=1e-5
        )
        assert await qdrant.search(photos, [2.0, 0.0, 0.0, 0.0], limit=2, offset=1) == hits[1:3]

    async def test_filters_narrow_it(self, qdrant: Qdrant, photos: str) -> None:
        await qdrant.upsert(photos, [photo(1, iso=100), photo(2, iso=800), photo(3)])
        (hit,) = await qdrant.search(photos, [1.0, 0.0, 0.0, 0.0], limit=10, filters={"iso": {"gte": 200}})
        assert hit.id == photo(2).id


COMPOSED, APART = "Zoë Ångström", "Zoe\u0308 A\u030angstro\u0308m"


class TestFilters:
    @pytest.mark.parametrize("asked", [COMPOSED, APART], ids=["composed", "apart"])
    async def test_texts_that_look_the_same_are_the_same(self, qdrant: Qdrant, photos: str, asked: str) -> None:
        """Also those that were stored before all texts were composed."""
        stored = [
            photo(number, filename=f"{text}.jpg", caption=text, camera_model=text, tags=[text], people=[text])
            for number, text in enumerate((COMPOSED, APART))
        ]
        await qdrant.upsert(photos, [*stored, photo(2, tags=["Zoe Angstrom"], full_path=f"/{APART}")])
        for filters in (
            {"tags": asked},
            {"people": [asked, "Nobody"]},
            {"camera_model": asked},
            {"caption": asked},
            {"filename": f"{asked}.jpg"},
        ):
            assert await qdrant.count(photos, filters) == 2, filters
        assert await qdrant.facet(photos, "tags", limit=5) == {COMPOSED: 2, "Zoe Angstrom": 1}
        _, total = await by_words(qdrant, photos, asked, limit=5)
        assert total == 3  # for words, accents do not count

    async def test_paths_are_bytes(self, qdrant: Qdrant, photos: str) -> None:
        await qdrant.upsert(photos, [photo(1, full_path=f"/{COMPOSED}"), photo(2, full_path=f"/{APART}")])
        for number, text in ((1, COMPOSED), (2, APART)):
            records, _ = await qdrant.page(photos, limit=5, filters={"full_path": f"/{text}"})
            assert list(map(number_of, records)) == [number]

    @pytest.mark.parametrize(
        ("filters", "expected"),
        [
            ({}, [1, 2, 3]),
            ({"camera_make": "Canon"}, [1]),
            ({"camera_make": ["Canon", "Nikon"]}, [1, 2]),
            ({"camera_make": "canon"}, []),
            ({"camera_make": None}, [3]),
            ({"filename": "IMG_2.jpg"}, [2]),
            ({"tags": ["sea", "city"]}, [1, 2]),
            ({"tags": "sky"}, [1]),
            ({"iso": 100}, [1]),
            ({"iso": {"gte": 100, "lt": 800}}, [1]),
            ({"aperture": 2.8}, [2]),
            ({"taken_at": {"gte": "2023-05-04", "lte": "2023-05-04"}}, [2]),
            ({"taken_at": "2023"}, [1, 2]),
            ({"taken_at": {"gt": "2023-01"}}, [2]),
            ({"taken_at": {"lt": "2023-05-04T21:59:59+02:00"}}, [1]),
            ({"caption": "sea red"}, [1]),
            ({"gps": {"north": 49, "south": 48, "west": 2, "east": 3}}, [1]),
            ({"gps": {"lat": 48.861, "lon": 2.35, "radius": 120}}, [1]),
            ({"gps": {"lat": 48.861, "lon": 2.35, "radius": 100}}, []),
            ({"iso": {"gte": 100}, "camera_make": "Nikon"}, [2]),
            ({"rating": {"gte": 4}}, [1]),
            ({"rating": {"lt": 0}}, [2]),
            ({"label": "Red"}, [1]),
            ({"people": ["Ann", "Bob"]}, [1, 2]),
            ({"people": None}, [3]),
        ],
    )
    @pytest.mark.parametrize("photo", [photo, old_photo], ids=["of today", "of version 0.1.0"])
    async def test_matches(
        self,
        qdrant: Qdrant,
        photos: str,
        filters: dict[str, object],
        expected: list[int],
        photo: Callable[..., Point],
    ) -> None:
        await qdrant.upsert(
            photos,
            [
                photo(
                    1,
                    rating=4.5,
                    label="Red",
                    people=["Ann"],
                    camera_make="Canon",
                    tags=["sea", "sky"],
                    iso=100,
                    taken_at="2023-01-31T08:00:00",
                    caption="red sea",
                    gps={"lat": 48.86, "lon": 2.35},
                ),
                photo(
                    2,
                    rating=-1,
                    people=["Bob", "Carl"],
                    camera_make="Nikon",
                    tags=["city"],
                    iso=800,
                    aperture=2.8,
                    taken_at="2023-05-04T22:00:00+02:00",
                    gps={"lat": 52.5, "lon": 13.4},
                ),
                photo(3),
            ],
        )
        records, following = await qdrant.page(photos, limit=10, filters=filters)
        assert {record.id for record in records} == {photo(number).id for number in expected}
        assert following is None
        assert await qdrant.count(photos, filters) == len(expected)


class TestPages:
    async def test_by_id_every_point_comes_once(self, qdrant: Qdrant, photos: str) -> None:
        await qdrant.upsert(photos, [photo(number) for number in range(25)])
        pages = await numbers(qdrant, photos, limit=10)
        assert [len(page) for page in pages] == [10, 10, 5]
        assert sorted(chain(*pages)) == list(range(25))

    @pytest.mark.parametrize("photo", [photo, old_photo], ids=["of today", "of version 0.1.0"])
    @pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
    async def test_by_date_every_point_comes_once_and_in_order(
        self, qdrant: Qdrant, photos: str, limit: int, photo: Callable[..., Point]
    ) -> None:
        """Also those that share a date, and at the end those without one."""
        dates = ["2023-05-04T10:00:00", "2021-01-01T00:00:00", "2023-05-04T10:00:00", "1839-08-19T12:00:00Z"]
        dates += ["2023-05-04T10:00:00"] * 4 + ["2023-05-04T12:30:00+00:00"]
        points = [photo(number, taken_at=date) for number, date in enumerate(dates)]
        points += [photo(number) for number in (20, 21)]
        points += [photo(22, taken_at="last summer")]
        await qdrant.upsert(photos, points)
        in_order = [3, 1, {0, 2, 4, 5, 6, 7}, 8]
        for sort, expected in (("taken_at", in_order), ("-taken_at", in_order[::-1])):
            pages = await numbers(qdrant, photos, limit=limit, sort=sort)
            assert all(len(page) == limit for page in pages[:-1])
            found = list(chain(*pages))
            for group in [*expected, {20, 21, 22}]:
                wanted = group if isinstance(group, set) else {group}
                assert set(found[: len(wanted)]) == wanted
                del found[: len(wanted)]
            assert found == []

    @pytest.mark.parametrize("limit", [1, 2, 3, 100])
    async def test_the_cameras_clock_sorts(self, qdrant: Qdrant, photos: str, limit: int) -> None:
        """Whatever its offset: New Year in Tokyo, in New York, and where nobody knows. Bursts are in order."""
        dates = [
            "2023-12-31T23:59:59-05:00",
            "2024-01-01T00:30:00+09:00",
            "2024-01-01T00:30:00.25",
            "2024-01-01T00:30:00.5+09:00",
            "2024-01-01T00:45:00-05:00",
            "2024-01-01T08:00:00+00:00",
        ]
        await qdrant.upsert(photos, [photo(number, taken_at=date) for number, date in enumerate(dates)])
        for sort, wanted in (("taken_at", range(6)), ("-taken_at", range(5, -1, -1))):
            assert list(chain(*await numbers(qdrant, photos, limit=limit, sort=sort))) == list(wanted)
        for filters, expected in (
            ({"taken_at": "2024-01-01"}, [1, 2, 3, 4, 5]),
            ({"taken_at": "2023"}, [0]),
            ({"taken_at": "2024-01-01T00:30"}, [1, 2, 3]),
            ({"taken_at": "2024-01-01T00:30:00.25"}, [2]),
            ({"taken_at": {"lt": "2024-01-01T00:30:00.25+09:00"}}, [0, 1]),
        ):
            records, _ = await qdrant.page(photos, limit=10, filters=filters)
            assert sorted(map(number_of, records)) == expected, filters

    @pytest.mark.parametrize("limit", [1, 2, 100])
    async def test_dates_at_the_edges_come_once_and_are_found(self, qdrant: Qdrant, photos: str, limit: int) -> None:
        dates = [
            "0001", "0001-01-01T00:00:00+14:00", "0001-12-31", "1000-02", "2024", "2024-01-01T00:00:01",
            "9999-12-31T00:00:00-12:00", "9999-12-31T23:59:59.999999-12:00",
        ]  # fmt: skip
        await qdrant.upsert(photos, [photo(number, taken_at=date) for number, date in enumerate(dates)])
        await qdrant.upsert(photos, [photo(20)])
        found = list(chain(*await numbers(qdrant, photos, limit=limit, sort="taken_at")))
        assert sorted(found[:2]) == [0, 1]
        assert found[2:] == [2, 3, 4, 5, 6, 7, 20]
        for year, expected in (("0001", [0, 1, 2]), ("1000", [3]), ("2024", [4, 5]), ("9999", [6, 7]), ("9998", [])):
            records, _ = await qdrant.page(photos, limit=100, filters={"taken_at": year})
            assert sorted(map(number_of, records)) == expected, year
        records, _ = await qdrant.page(photos, limit=100, filters={"taken_at": {"gt": "0001", "lte": "9999"}})
        assert len(records) == 5

    @pytest.mark.parametrize("limit", [1, 2, 3, 100])
    async def test_points_of_version_0_1_0_sort_among_those_of_today(
        self, qdrant: Qdrant, photos: str, limit: int
    ) -> None:
        """They have no date by the camera's clock until they are read again: their instant stands in."""
        dates = [f"2024-01-{day:02}T12:00:00" for day in (1, 2, 3, 4, 4, 4, 5, 6)] + ["0001-01-01T00:00:00+14:00"]
        points = [(old_photo if number % 2 else photo)(number, taken_at=date) for number, date in enumerate(dates)]
        await qdrant.upsert(
            photos, [*points, old_photo(20, taken_at="0001-01-01T00:00:00+14:00"), old_photo(21), photo(22)]
        )
        for sort, ends in (("taken_at", (0, 2)), ("-taken_at", (8, 10))):
            pages = await numbers(qdrant, photos, limit=limit, sort=sort)
            found = list(chain(*pages))
            assert len(found) == len(dates) + 3
            assert set(found[-2:]) == {21, 22}
            assert set(found[slice(*ends)]) == {8, 20}
            days = [dates[number][:10] for number in found if number < 8]
            assert days == sorted(days, reverse=sort.startswith("-"))
            assert len(set(found)) == len(found)
        records, _ = await qdrant.page(photos, limit=100, filters={"taken_at": "2024-01-04"})
        assert sorted(map(number_of, records)) == [3, 4, 5]

    @pytest.mark.parametrize("limit", [1, 2, 3, 100])
    async def test_ratings_labels_and_people_sort(self, qdrant: Qdrant, photos: str, limit: int) -> None:
        known: list[dict[str, object]] = [
            {"rating": 5, "label": "red", "people": ["Zoë", "ann"]},
            {"rating": 3.5, "label": "Blue", "people": ["Carl"]},
            {"rating": -1, "label": "Yellow"},
            {"rating": 0},
            {},
        ]
        points = [Point(photo(n).id, photo(n).vector, merge({}, payload_of(n) | one)) for n, one in enumerate(known)]
        await qdrant.upsert(photos, points)
        for sort, wanted in (
            ("rating", [2, 3, 1, 0, 4]),
            ("-rating", [0, 1, 3, 2, 4]),
            ("label", [1, 0, 2]),
            ("-label", [2, 0, 1]),
            ("people", [0, 1]),
        ):
            found = list(chain(*await numbers(qdrant, photos, limit=limit, sort=sort)))
            assert found[: len(wanted)] == wanted, sort
            assert sorted(found) == list(range(5)), sort

    async def test_a_collection_without_the_newer_indexes_is_sorted(
        self, qdrant: Qdrant, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As version 0.1.0 made it: they are made when they are first needed."""
        newer = ("taken_local", "rating", "people")
        with monkeypatch.context() as patched:
            of_then = {field: kind for field, kind in schema.INDEXES.items() if field not in newer}
            patched.setattr(schema, "INDEXES", of_then)
            await qdrant.ensure_collection(name, model_id="model-a", dimension=4, distance="Cosine")
        await qdrant.upsert(name, [photo(1, taken_at="2024", rating=4), old_photo(0, taken_at="2023-01-01T00:00:00")])
        assert await numbers(qdrant, name, limit=5, sort="taken_at") == [[0, 1]]
        assert await numbers(qdrant, name, limit=5, sort="rating") == [[1, 0]]
        assert await qdrant.facet(name, "people", limit=5) == {}

    async def test_by_date_within_a_filter(self, qdrant: Qdrant, photos: str) -> None:
        dated = [photo(n, iso=n % 2, taken_at=f"2023-05-{n + 1:02}") for n in range(10)]
        await qdrant.upsert(photos, dated)
        assert await numbers(qdrant, photos, limit=3, sort="-taken_at", filters={"iso": 1}) == [[9, 7, 5], [3, 1]]

    @pytest.mark.parametrize("limit", [1, 2, 3, 100])
    async def test_by_name_every_point_comes_once_and_in_order(self, qdrant: Qdrant, photos: str, limit: int) -> None:
        """Also those that begin alike, or do not differ in what is compared; at the end those without a name's key."""
        names = [
            "2.jpg", "B.jpg", "b2.jpg", "c.jpg", "WhatsApp Image 2024-01-02 at 1.jpg", "whatsapp image 2023-01-01.jpg",
            "WhatsApp Image 2024-02.jpg", "Ä.jpg", "海.jpg",
        ]  # fmt: skip
        twins = [f"WhatsApp Image 2024-01-02 at 2 {number}.jpg" for number in range(3)]
        await qdrant.upsert(photos, [named(number, name) for number, name in enumerate(names + twins)])
        await qdrant.upsert(photos, [photo(20), photo(21)])
        expected = [*sorted(names, key=str.casefold)]
        for sort in ("filename", "-filename"):
            found = [
                record.payload for page in await all_pages(qdrant, photos, limit=limit, sort=sort) for record in page
            ]
            shown = [payload["filename"] for payload in found[:-2]]
            assert [name for name in shown if name not in twins] == expected[:: -1 if sort == "-filename" else 1]
            place = shown.index(names[4])
            assert {*shown[place - 3 : place + 4]} >= {*twins}
            assert len(shown) == len({*shown}) == len(names + twins)
            assert {payload["filename"] for payload in found[-2:]} == {"IMG_20.jpg", "IMG_21.jpg"}
            assert all("name_key" not in payload for payload in found)

    @pytest.mark.parametrize("sort", [None, "-taken_at", "filename"])
    async def test_points_that_come_and_go_meanwhile_move_no_other(
        self, qdrant: Qdrant, photos: str, sort: str | None
    ) -> None:
        await qdrant.upsert(photos, [named(number, f"{number}.jpg") for number in range(10, 30)])
        first, cursor = await qdrant.page(photos, limit=7, sort=sort)
        gone = {record.id for record in first[:3]}
        for identity in gone:
            await delete(qdrant, photos, identity)
        await qdrant.upsert(photos, [named(number, f"{number}.jpg") for number in (0, 1, 98, 99)])
        rest: list[ListedPoint] = []
        while cursor:
            page, cursor = await qdrant.page(photos, limit=7, sort=sort, cursor=cursor)
            rest += page
        seen = [record.id for record in first + rest]
        assert len(seen) == len(set(seen))
        assert {named(number, "").id for number in range(10, 30)} <= set(seen)

    async def test_a_scan_reads_every_point_once(self, qdrant: Qdrant, photos: str) -> None:
        await qdrant.upsert(photos, [photo(number) for number in range(23)])
        pages = [[number_of(record) for record in page] async for page in qdrant.pages(photos, limit=5)]
        assert [len(page) for page in pages] == [5, 5, 5, 5, 3]
        assert sorted(chain(*pages)) == list(range(23))

    async def test_a_scan_reads_those_that_match(self, qdrant: Qdrant, photos: str) -> None:
        await qdrant.upsert(photos, [photo(number, iso=100 * (number % 2)) for number in range(10)])
        pages = qdrant.pages(photos, limit=3, filters={"iso": 100})
        assert sorted([number_of(record) async for page in pages for record in page]) == [1, 3, 5, 7, 9]

    async def test_a_scan_goes_on_with_the_page_that_could_not_be_read(
        self, qdrant: Qdrant, photos: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await qdrant.upsert(photos, [photo(number) for number in range(9)])
        pages = qdrant.pages(photos, limit=4)
        seen = await pages.next() or []
        with monkeypatch.context() as patched:
            patched.setattr(qdrant, "page", AsyncMock(side_effect=QdrantUnavailableError("away")))
            with pytest.raises(QdrantUnavailableError):
                await pages.next()
        while page := await pages.next():
            seen += page
        assert sorted(map(number_of, seen)) == list(range(9))

    async def test_no_points_is_one_empty_page(self, qdrant: Qdrant, photos: str) -> None:
        assert await qdrant.page(photos, limit=5) == ([], None)
        assert await qdrant.page(photos, limit=5, sort="taken_at") == ([], None)

    async def test_foreign_sorts_and_cursors_are_refused(self, qdrant: Qdrant, photos: str) -> None:
        await qdrant.upsert(photos, [photo(1), photo(2)])
        _, cursor = await qdrant.page(photos, limit=1)
        for options in ({"sort": "caption"}, {"cursor": "nonsense"}, {"sort": "taken_at", "cursor": cursor}):
            with pytest.raises(RequestError) as error:
                await qdrant.page(photos, limit=1, **options)
            assert error.value.status == 422


async def test_healthy(qdrant: Qdrant) -> None:
    assert await qdrant.healthy()


async def test_nobody_there() -> None:
    async with Qdrant(f"http://127.0.0.1:{free_port()}", timeout=5) as absent:
        assert not await absent.healthy()
        with pytest.raises(QdrantUnavailableError, match="Is it running"):
            await absent.collections()


async def test_payloads_can_be_set_and_points_deleted(url: str, photos: str) -> None:
    red = {"must": [{"key": "caption", "match": {"text": "red"}}]}
    key = os.environ.get("QDRANT_API_KEY", "")
    address = f"{url}/collections/{photos}"
    # Qdrant itself answers before a change shows, unless it is asked to wait.
    async with httpx.AsyncClient(base_url=address, headers={"api-key": key}) as http:
        points = [{"id": n, "vector": [1, 0, 0, n], "payload": {"caption": "red"}} for n in range(3)]
        await http.put("/points?wait=true", json={"points": points})
        await http.post("/points/payload?wait=true", json={"points": [2], "payload": {"caption": "blue"}})
        await http.post("/points/payload?wait=true", json={"filter": red, "payload": {"tags": ["warm"]}})
        found = [(await http.get(f"/points/{n}")).json()["result"]["payload"] for n in range(3)]
        assert found == [{"caption": "red", "tags": ["warm"]}] * 2 + [{"caption": "blue"}]
        await http.post("/points/delete?wait=true", json={"points": [0]})
        await http.post("/points/delete?wait=true", json={"filter": red})
        left = (await http.post("/points/scroll", json={})).json()["result"]
    assert [point["id"] for point in left["points"]] == [2]
