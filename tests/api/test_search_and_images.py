"""Finding pictures and looking at them; the points were put there by the test."""

import base64
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import pytest_asyncio

from core.settings import Settings
from gateways.qdrant import Point, Qdrant
from imaging.decoding import prepare
from imaging.files import stamp
from tests.api.service import Service, serving
from tests.ml.stub import vector_of
from tests.photos import photo

pytestmark = pytest.mark.asyncio(loop_scope="module")

JPEG = photo("jpg/Canon_40D.jpg")
HEIC = photo("heic/IMG_5195.HEIC")
THUMBNAIL = b"\xff\xd8 a small picture"


def rendition_of(path: Path) -> bytes:
    name = str(path).encode()
    return prepare(name, stamp(name), None, max_pixels=10**9, max_bytes=10**9).rendition


def point(vector: list[float], **payload: Any) -> Point:
    return Point(str(uuid.uuid4()), vector, {"thumbnail_base64": base64.b64encode(THUMBNAIL).decode(), **payload})


@pytest_asyncio.fixture(loop_scope="module")
async def album(vectors: Qdrant, collection: str, photos: Path) -> AsyncIterator[dict[str, Point]]:
    """Fill a collection: a photograph by what it looks like, and three by what text they go with."""
    await vectors.ensure_collection(collection, model_id="stub-1", dimension=512, distance="Cosine")
    original = photos / "canon.jpg"
    original.write_bytes(JPEG.read_bytes())
    points = {
        "canon": point(
            vector_of(rendition_of(JPEG)),
            filename="canon.jpg",
            full_path=str(original),
            paths=[str(original)],
            camera_make="Canon",
            taken_at="2008-05-30T15:56:01Z",
            iso=100,
        ),
        "sea": point(vector_of(b"the sea"), filename="sea.jpg", caption="a blue landscape", iso=800),
        "red": point(vector_of(b"a red roof"), filename="red.jpg", caption="a red roof", iso=200),
        "old": point(vector_of(b"something else"), filename="old.jpg", taken_at="1999-01-01T00:00:00Z"),
    }
    await vectors.upsert(collection, list(points.values()))
    yield points
    await vectors.delete_collection(collection)


class TestFacets:
    async def test_a_field_s_values_with_how_many_have_them(
        self, service: Service, vectors: Qdrant, collection: str, album: dict[str, Point]
    ) -> None:
        more = [point([0.5] * 512, camera_make=make, iso=iso) for make, iso in [("Nikon", 100), ("Nikon", 800)]]
        await vectors.upsert(collection, more)

        async def values(**query: str | int) -> list[tuple[str, int]]:
            answer = await service.http.get("images/facets/camera_make", params={"collection": collection, **query})
            return [(one["value"], one["images"]) for one in answer.raise_for_status().json()["values"]]

        assert await values() == [("Nikon", 2), ("Canon", 1)]
        assert await values(limit=1) == [("Nikon", 2)]
        assert sorted(await values(filters='{"iso": 100}')) == [("Canon", 1), ("Nikon", 1)]

    async def test_of_fields_that_have_few_values_only(
        self, service: Service, collection: str, album: dict[str, Point]
    ) -> None:
        assert (await service.http.get("images/facets/filename", params={"collection": collection})).status_code == 422
        unknown = await service.http.get("images/facets/lens", params={"collection": "nowhere"})
        assert unknown.status_code == 404


class TestSearch:
    async def test_by_meaning(self, service: Service, collection: str, album: dict[str, Point]) -> None:
        response = await service.http.post("search", json={"query": "a red roof", "limit": 2, "collection": collection})
        answer = response.json()
        assert (answer["mode"], answer["total"], len(answer["results"])) == ("semantic", 4, 2)
        first = answer["results"][0]
        assert (first["id"], first["filename"]) == (album["red"].id, "red.jpg")
        assert first["score"] == pytest.approx(1.0, abs=1e-5)
        assert first["payload"] == {"filename": "red.jpg", "caption": "a red roof", "iso": 200}
        reasons = {(one["kind"], one["word"], one["field"]) for one in first["reasons"]}
        assert reasons == {("word", "red", "caption"), ("word", "roof", "caption"), ("meaning", None, None)}
        assert (first["probability"], answer["likely"], answer["hint"]) == (None, None, None)

    async def test_pages_and_filters(self, service: Service, collection: str, album: dict[str, Point]) -> None:
        body = {"query": "a red roof", "collection": collection, "filters": {"iso": {"gte": 150}}}
        pages = [
            (await service.http.post("search", json=body | {"limit": 1, "offset": offset})).json()
            for offset in range(3)
        ]
        assert [[hit["filename"] for hit in page["results"]] for page in pages] == [["red.jpg"], ["sea.jpg"], []]
        assert {page["total"] for page in pages} == {2}

    @pytest.mark.parametrize("behaviour", [{"supports_text": False}, {"status": 503}])
    async def test_by_words_where_ml_makes_no_vector_of_a_text(
        self,
        service: Service,
        collection: str,
        album: dict[str, Point],
        ml_control: httpx.AsyncClient,
        behaviour: dict[str, object],
    ) -> None:
        await ml_control.post("/control", json=behaviour)
        response = await service.http.post("search", json={"query": "Blue landscape", "collection": collection})
        answer = response.json()
        assert (answer["mode"], answer["total"]) == ("keywords", 1)
        assert [hit["id"] for hit in answer["results"]] == [album["sea"].id]

    async def test_vectors_of_another_model_are_not_compared(
        self, service: Service, collection: str, album: dict[str, Point], ml_control: httpx.AsyncClient
    ) -> None:
        await ml_control.post("/control", json={"model_id": "stub-2"})
        by_text = await service.http.post("search", json={"query": "roof", "collection": collection})
        assert by_text.json()["mode"] == "keywords"
        by_image = await service.http.post(
            "search/image", files={"file": JPEG.read_bytes()}, data={"collection": collection}
        )
        assert by_image.status_code == 409
        assert "stub-2" in by_image.json()["detail"]

    async def test_by_picture(self, service: Service, collection: str, album: dict[str, Point]) -> None:
        response = await service.http.post(
            "search/image", files={"file": ("any", JPEG.read_bytes())}, data={"collection": collection, "limit": "1"}
        )
        assert response.status_code == 200, response.text
        [hit] = response.json()["results"]
        assert (hit["id"], hit["score"]) == (album["canon"].id, pytest.approx(1.0, abs=1e-5))
        assert response.json()["total"] == 4

    async def test_by_picture_within_filters(self, service: Service, collection: str, album: dict[str, Point]) -> None:
        data = {"collection": collection, "filters": '{"caption": "landscape"}'}
        response = await service.http.post("search/image", files={"file": JPEG.read_bytes()}, data=data)
        assert [hit["id"] for hit in response.json()["results"]] == [album["sea"].id]

    async def test_more_like_a_stored_one(self, service: Service, collection: str, album: dict[str, Point]) -> None:
        body = {"image_id": album["red"].id, "collection": collection}
        answer = (await service.http.post("search", json=body)).json()
        assert {hit["id"] for hit in answer["results"]} == {album[name].id for name in ("canon", "sea", "old")}
        assert (answer["mode"], answer["total"]) == ("semantic", 3)
        narrowed = await service.http.post("search", json=body | {"filters": {"iso": 800}})
        assert [hit["id"] for hit in narrowed.json()["results"]] == [album["sea"].id]
        unknown = await service.http.post("search", json=body | {"image_id": str(uuid.uuid4())})
        assert unknown.status_code == 404

    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            ("camera:canon", ["canon"]),
            ("-camera:canon -has:caption", ["old"]),
            ("date:1999", ["old"]),
            ("date:..2008 iso:100", ["canon"]),
            ('"blue landscape"', ["sea"]),
            ("roof -red", []),
        ],
    )
    async def test_the_language(
        self, service: Service, collection: str, album: dict[str, Point], query: str, expected: list[str]
    ) -> None:
        body = {"query": query, "collection": collection, "mode": "keywords"}
        answer = (await service.http.post("search", json=body)).raise_for_status().json()
        assert [hit["id"] for hit in answer["results"]] == [album[name].id for name in expected]
        assert (answer["mode"], answer["total"]) == ("keywords", len(expected))

    async def test_a_query_that_cannot_be_read_says_where(self, service: Service, collection: str) -> None:
        body = {"query": "boats date:2024-13", "collection": collection}
        response = await service.http.post("search", json=body)
        assert response.status_code in (404, 422)
        await service.http.post("collections", json={"name": collection})
        response = await service.http.post("search", json=body)
        problem = response.json()
        assert (response.status_code, problem["type"]) == (422, "urn:darkroom:problem:query")
        assert problem["query_error"] == {
            "position": 11,
            "length": 7,
            "expected": "a year, month or day is expected",
            "example": "date:2024-05..2024-08",
        }

    async def test_like_one_and_unlike_another(
        self, service: Service, collection: str, album: dict[str, Point]
    ) -> None:
        sea, red = album["sea"].id, album["red"].id
        body = {"query": f"like:{sea} -like:{red}", "collection": collection}
        answer = (await service.http.post("search", json=body)).json()
        assert {hit["id"] for hit in answer["results"]} == {album["canon"].id, album["old"].id}
        assert [one["kind"] for one in answer["results"][0]["reasons"]] == ["like"]
        unknown = await service.http.post("search", json=body | {"query": f"boat like:{uuid.uuid4()}"})
        assert unknown.status_code == 404

    async def test_a_picture_with_words(self, service: Service, collection: str, album: dict[str, Point]) -> None:
        data = {"collection": collection, "query": "landscape iso:800"}
        response = await service.http.post("search/image", files={"file": JPEG.read_bytes()}, data=data)
        (hit,) = response.raise_for_status().json()["results"]
        assert hit["id"] == album["sea"].id
        assert {one["kind"] for one in hit["reasons"]} == {"word", "meaning", "like"}

    @pytest.mark.parametrize("distance", ["Dot", "Euclid", "Manhattan"])
    async def test_a_trained_scale_says_nothing_of_distances(
        self, service: Service, vectors: Qdrant, album: dict[str, Point], ml_control: httpx.AsyncClient, distance: str
    ) -> None:
        await ml_control.post("/control", json={"logit_scale": 4.7245, "logit_bias": -16.772})
        name = f"c-{uuid.uuid4().hex[:12]}"
        await vectors.ensure_collection(name, model_id="stub-1", dimension=512, distance=distance)
        await vectors.upsert(name, [*album.values()])
        body = {"query": "a red roof", "collection": name, "mode": "semantic"}
        answer = (await service.http.post("search", json=body)).raise_for_status().json()
        await vectors.delete_collection(name)
        assert answer["results"][0]["id"] == album["red"].id
        assert (answer["likely"], answer["total"]) == (None, 4)
        assert {hit["probability"] for hit in answer["results"]} == {None}

    async def test_a_trained_scale_gives_probabilities_and_an_end(
        self, service: Service, collection: str, album: dict[str, Point], ml_control: httpx.AsyncClient
    ) -> None:
        await ml_control.post("/control", json={"logit_scale": 4.7245, "logit_bias": -16.772})
        body = {"query": "a red roof", "collection": collection, "mode": "semantic"}
        answer = (await service.http.post("search", json=body)).json()
        assert answer["likely"] == {"sure": 1, "maybe": 0}
        first, *others = answer["results"]
        assert first["probability"] == pytest.approx(1.0, abs=1e-6)
        assert (others, answer["total"]) == ([], 1), "the list ends where nothing is likely any more"
        whole = (await service.http.post("search", json=body | {"min_score": 0})).json()
        assert (len(whole["results"]), whole["total"]) == (4, 4)
        assert all(0 <= hit["probability"] < 0.05 for hit in whole["results"][1:])
        nothing = (await service.http.post("search", json=body | {"query": "a green door"})).json()
        assert (nothing["likely"], nothing["total"]) == ({"sure": 0, "maybe": 0}, 4), (
            "the nearest, where none is likely"
        )
        ended = (await service.http.post("search", json=body | {"min_score": 0.5})).json()
        assert ([hit["id"] for hit in ended["results"]], ended["total"]) == ([album["red"].id], 1)

    async def test_the_end_of_a_list_is_kept_from_page_to_page(
        self,
        service: Service,
        vectors: Qdrant,
        collection: str,
        album: dict[str, Point],
        ml_control: httpx.AsyncClient,
    ) -> None:
        await ml_control.post("/control", json={"logit_scale": 4.7245, "logit_bias": -16.772})
        near = np.array([[number, 0.0] for number in range(4)]) / 100 @ np.eye(2, 512) + vector_of(b"a red roof")
        await vectors.upsert(collection, [point(vector.tolist()) for vector in near])
        body: dict[str, object] = {"query": "a red roof", "collection": collection, "mode": "semantic", "limit": 2}
        seen: list[str] = []
        cursor = None
        while not seen or cursor:
            answer = (await service.http.post("search", json=body | {"cursor": cursor})).raise_for_status().json()
            assert answer["total"] == 5
            seen += [hit["id"] for hit in answer["results"]]
            cursor = answer["next"]
        assert len(set(seen)) == len(seen) == 5

    async def test_colours_where_the_model_knows_no_other_words(
        self, service: Service, collection: str, album: dict[str, Point], vectors: Qdrant, ml_control: httpx.AsyncClient
    ) -> None:
        await ml_control.post("/control", json={"supports_text": False, "colours_from": 0.9, "chooses_models": True})
        await vectors.upsert(collection, [point(vector_of(b"red"), filename="rose.jpg")])
        answer = (await service.http.post("search", json={"query": "red", "collection": collection})).json()
        found = {hit["filename"]: [(one["kind"], one["word"]) for one in hit["reasons"]] for hit in answer["results"]}
        assert found == {"rose.jpg": [("colour", "red")], "red.jpg": [("word", "red")]}
        assert (answer["mode"], answer["hint"], answer["lacks"], answer["total"]) == ("semantic", None, None, 2)
        other = (await service.http.post("search", json={"query": "red roof", "collection": collection})).json()
        assert (other["mode"], other["lacks"], other["total"]) == ("keywords", "text-model", 1)
        body = {"query": "blue", "collection": collection, "mode": "semantic"}
        none = (await service.http.post("search", json=body)).json()
        assert none["total"] == 0
        assert none["hint"].endswith("caption or date. Nor has one much of that colour.")

    async def test_what_is_missing_to_compare_meaning_is_told(
        self, service: Service, collection: str, album: dict[str, Point], ml_control: httpx.AsyncClient
    ) -> None:
        async def lacks(behaviour: dict[str, object], **asked: str) -> object:
            await ml_control.post("/control", json=behaviour)
            body = {"query": "roof", "collection": collection} | asked
            return (await service.http.post("search", json=body)).json()["lacks"]

        assert await lacks({}) is None
        assert await lacks({"supports_text": False}) == "text-model"
        assert await lacks({"model_id": "stub-2"}) == "same-model"
        assert await lacks({"status": 503}) == "ml"
        assert await lacks({"supports_text": False}, mode="keywords") is None

    async def test_an_end_by_similarity(self, service: Service, collection: str, album: dict[str, Point]) -> None:
        body = {"query": "a red roof", "collection": collection, "mode": "semantic", "min_score": 0.9}
        answer = (await service.http.post("search", json=body)).json()
        assert ([hit["id"] for hit in answer["results"]], answer["total"]) == ([album["red"].id], 1)

    async def test_pictures_that_stand_out_are_counted_where_no_scale_is_known(
        self, service: Service, vectors: Qdrant, collection: str, album: dict[str, Point]
    ) -> None:
        """Of noise nothing is claimed."""
        body = {"query": "a red roof", "collection": collection, "mode": "semantic"}
        others = [point(vector_of(f"other {number}".encode())) for number in range(100)]
        await vectors.upsert(collection, others)
        answer = (await service.http.post("search", json=body)).json()
        assert (answer["standing_out"], answer["likely"]) == (1, None)
        noise = (await service.http.post("search", json=body | {"query": "nothing of these"})).json()
        assert (noise["standing_out"], noise["total"]) == (None, 104)
        by_words = (await service.http.post("search", json=body | {"mode": "keywords"})).json()
        assert by_words["standing_out"] is None
        data = {"collection": collection}
        like = await service.http.post("search/image", files={"file": JPEG.read_bytes()}, data=data)
        assert like.raise_for_status().json()["standing_out"] == 1

    @pytest.mark.parametrize("query", ["stone", "like"])
    async def test_a_cursor_goes_on_where_the_last_picture_stood(
        self, service: Service, vectors: Qdrant, collection: str, album: dict[str, Point], query: str
    ) -> None:
        """Of pictures that tie, and where the last one was deleted and others came meanwhile."""
        body: dict[str, object] = {"query": query, "collection": collection, "mode": "keywords", "limit": 10}
        if query == "like":
            body |= {"query": f"like:{album['red'].id}", "filters": {"iso": 50}}
        many = [point(vector_of(b"a stone"), caption="a stone", iso=50) for _ in range(45)]
        await vectors.upsert(collection, many)
        answer = (await service.http.post("search", json=body)).raise_for_status().json()
        seen = [hit["id"] for hit in answer["results"]]
        await vectors._client.delete(collection, [seen[-1]])
        first = Point("00000000-0000-4000-8000-000000000000", vector_of(b"a stone"), {"caption": "a stone", "iso": 50})
        while answer["next"]:
            answer = (await service.http.post("search", json=body | {"cursor": answer["next"]})).json()
            seen += [hit["id"] for hit in answer["results"]]
            await vectors.upsert(collection, [first])
        assert len(seen) == len(set(seen))
        assert set(seen) == {one.id for one in many}

    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            ("kingfisher", "No picture has “kingfisher”"),
            ("roof camera:leica", "No picture meets camera:leica."),
            ("landscape camera:canon", "No picture meets all conditions at once"),
        ],
    )
    async def test_an_empty_answer_says_what_would_help(
        self,
        service: Service,
        collection: str,
        album: dict[str, Point],
        ml_control: httpx.AsyncClient,
        query: str,
        expected: str,
    ) -> None:
        await ml_control.post("/control", json={"supports_text": False})
        answer = (await service.http.post("search", json={"query": query, "collection": collection})).json()
        assert (answer["results"], answer["total"]) == ([], 0)
        assert answer["hint"].startswith(expected)
        assert "The model knows no text, so only words were looked up. `darkroom models get`" in answer["hint"]

    async def test_an_answer_by_words_alone_says_the_command_that_brings_meaning(
        self, service: Service, collection: str, album: dict[str, Point], ml_control: httpx.AsyncClient
    ) -> None:
        body = {"query": "roof", "collection": collection}
        assert (await service.http.post("search", json=body)).json()["hint"] is None
        await ml_control.post("/control", json={"supports_text": False})
        answer = (await service.http.post("search", json=body)).json()
        assert answer["total"] > 0
        assert "`darkroom models get` fetches one" in answer["hint"]
        asked_for = (await service.http.post("search", json=body | {"mode": "keywords"})).json()
        assert asked_for["hint"] is None, "who asks for words alone needs no other model"

    @pytest.mark.parametrize(
        "body",
        [{"query": "stone", "mode": "keywords"}, {"query": "stone"}, {"query": "has:caption"}],
        ids=["words", "fused", "listed"],
    )
    async def test_long_lists_by_cursor(
        self, service: Service, vectors: Qdrant, collection: str, album: dict[str, Point], body: dict[str, object]
    ) -> None:
        body = body | {"collection": collection, "limit": 7, "filters": {"iso": 50}}
        dates = [f"2020-01-{number + 1:02}" for number in range(30)]
        many = [
            point(vector_of(date.encode()), caption="stone " * (number + 1), iso=50, taken_at=date)
            for number, date in enumerate(dates)
        ]
        await vectors.upsert(collection, many)
        seen: list[str] = []
        cursor = None
        while True:
            answer = (await service.http.post("search", json=body | {"cursor": cursor})).raise_for_status().json()
            assert answer["total"] == 30
            seen += [hit["id"] for hit in answer["results"]]
            cursor = answer["next"]
            if cursor is None:
                break
        assert sorted(seen) == sorted(one.id for one in many)
        wrong = await service.http.post("search", json=body | {"query": "pebble", "cursor": "x"})
        assert wrong.status_code == 422

    async def test_a_cursor_goes_on_behind_the_last_one_that_was_shown(
        self, service: Service, vectors: Qdrant, collection: str, album: dict[str, Point]
    ) -> None:
        body: dict[str, object] = {"query": "stone", "mode": "keywords", "collection": collection, "limit": 5}
        many = [point(vector_of(b"x"), caption="stone " * (number + 1)) for number in range(10)]
        await vectors.upsert(collection, many)
        first = (await service.http.post("search", json=body)).json()
        await vectors.upsert(collection, [point(vector_of(b"y"), tags=["stone"], title="stone") for _ in range(3)])
        second = (await service.http.post("search", json=body | {"cursor": first["next"]})).json()
        ids = [hit["id"] for page in (first, second) for hit in page["results"]]
        assert sorted(ids) == sorted(one.id for one in many)
        other = await service.http.post("search", json=body | {"query": "pebble", "cursor": first["next"]})
        assert other.status_code == 422

    async def test_by_something_that_is_no_picture(
        self, service: Service, collection: str, album: dict[str, Point]
    ) -> None:
        response = await service.http.post(
            "search/image", files={"file": ("a.jpg", b"no picture")}, data={"collection": collection}
        )
        assert response.status_code == 422
        assert "The picture cannot be used" in response.json()["detail"]
        assert "/" not in response.json()["detail"]  # no path of ours

    async def test_by_a_file_that_is_too_large(self, service: Service, collection: str) -> None:
        file = b"x" * (service.settings.max_file_bytes + 100_000)
        response = await service.http.post("search/image", files={"file": file}, data={"collection": collection})
        assert response.status_code == 413
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["detail"] == "The request is larger than this route takes."

    async def test_by_picture_while_too_many_wait_for_a_decoder(
        self, service: Service, collection: str, album: dict[str, Point], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        transport: Any = service.http._transport
        monkeypatch.setattr(transport.app.state.services.decoders, "_places", 0)
        response = await service.http.post(
            "search/image", files={"file": JPEG.read_bytes()}, data={"collection": collection}
        )
        assert (response.status_code, response.headers["retry-after"]) == (503, "5")
        assert response.json()["type"] == "urn:darkroom:problem:busy"

    async def test_by_picture_while_ml_is_away(
        self, service: Service, collection: str, album: dict[str, Point], ml_control: httpx.AsyncClient
    ) -> None:
        await ml_control.post("/control", json={"status": 503})
        response = await service.http.post(
            "search/image", files={"file": JPEG.read_bytes()}, data={"collection": collection}
        )
        assert response.status_code == 503
        assert "ML" in response.json()["detail"]

    @pytest.mark.parametrize(
        "body",
        [
            {"query": ""},
            {},
            {"query": "x", "image_id": str(uuid.uuid4())},
            {"query": "x", "limit": 0},
            {"query": "x", "filters": {"unheard": 1}},
        ],
    )
    async def test_wrong_requests_say_what_is_wrong(
        self, service: Service, collection: str, album: dict[str, Point], body: dict[str, object]
    ) -> None:
        response = await service.http.post("search", json=body | {"collection": collection})
        assert response.status_code == 422
        assert isinstance(response.json()["detail"], str)


class TestImages:
    async def test_all_pages_by_cursor_or_number(
        self, service: Service, collection: str, album: dict[str, Point]
    ) -> None:
        found: list[dict[str, Any]] = []
        by_number: list[dict[str, Any]] = []
        answer: dict[str, Any] = {"next": ""}
        for number in (1, 2):
            parameters = {"collection": collection, "per_page": 3}
            answer = await service.get("images", cursor=answer["next"], **parameters)
            assert answer["total"] == 4
            found += answer["images"]
            by_number += (await service.get("images", page=number, **parameters))["images"]
        assert answer["next"] is None
        assert {image["id"] for image in found} == {point.id for point in album.values()}
        assert len(found) == 4
        assert by_number == found
        assert all("thumbnail_base64" not in image["payload"] for image in found)

    async def test_sorted_and_filtered(self, service: Service, collection: str, album: dict[str, Point]) -> None:
        answer = await service.get("images", collection=collection, sort="-taken_at", per_page=2)
        assert [image["payload"]["filename"] for image in answer["images"]] == ["canon.jpg", "old.jpg"]
        answer = await service.get("images", collection=collection, filters=json.dumps({"camera_make": "Canon"}))
        assert ([image["id"] for image in answer["images"]], answer["total"]) == ([album["canon"].id], 1)

    @pytest.mark.parametrize(
        ("name", "value"),
        [("filters", "{"), ("filters", "[]"), ("filters", '{"x":1}'), ("sort", "x"), ("cursor", "x"), ("page", 0)],
    )
    async def test_wrong_parameters_are_refused(
        self, service: Service, collection: str, album: dict[str, Point], name: str, value: object
    ) -> None:
        response = await service.http.get("images", params={"collection": collection, name: value})  # type: ignore[dict-item]
        assert response.status_code == 422
        assert isinstance(response.json()["detail"], str)

    async def test_a_thumbnail_is_a_jpeg_that_is_fetched_once(
        self, service: Service, collection: str, album: dict[str, Point]
    ) -> None:
        url = f"images/{album['sea'].id}/thumbnail"
        response = await service.http.get(url, params={"collection": collection})
        assert (response.content, response.headers["content-type"]) == (THUMBNAIL, "image/jpeg")
        again = await service.http.get(
            url, params={"collection": collection}, headers={"If-None-Match": response.headers["etag"]}
        )
        assert (again.status_code, again.content) == (304, b"")

    async def test_info_has_everything(self, service: Service, collection: str, album: dict[str, Point]) -> None:
        info = await service.get(f"images/{album['sea'].id}/info", collection=collection)
        assert info == {"id": album["sea"].id, "payload": album["sea"].payload, "paths_total": 0}

    @pytest.mark.parametrize("what", ["thumbnail", "image", "info", "paths"])
    async def test_an_unknown_picture_is_not_found(
        self, service: Service, collection: str, album: dict[str, Point], what: str
    ) -> None:
        response = await service.http.get(f"images/{uuid.uuid4()}/{what}", params={"collection": collection})
        assert response.status_code == 404
        assert "There is no picture" in response.json()["detail"]


class TestOriginals:
    @pytest.fixture
    def fetch(self, service: Service, vectors: Qdrant, collection: str) -> Callable[..., Awaitable[httpx.Response]]:
        """Give a function that stores a picture with these paths and asks for its original."""

        async def store_and_fetch(*paths: Path) -> httpx.Response:
            await vectors.ensure_collection(collection, model_id="stub-1", dimension=512, distance="Cosine")
            stored = point(vector_of(b"x"), full_path=str(paths[0]), paths=[str(path) for path in paths])
            await vectors.upsert(collection, [stored])
            return await service.http.get(f"images/{stored.id}/image", params={"collection": collection})

        return store_and_fetch

    @pytest.mark.parametrize(
        ("name", "media_type"),
        [
            ("a.jpg", "image/jpeg"),
            ("a.HEIC", "image/heic"),
            ("a.dng", "image/x-adobe-dng"),
            ("a.raw", "application/octet-stream"),
        ],
    )
    async def test_the_file_comes_as_it_is(
        self, fetch: Callable[..., Awaitable[httpx.Response]], photos: Path, name: str, media_type: str
    ) -> None:
        (photos / name).write_bytes(HEIC.read_bytes())
        response = await fetch(photos / name)
        assert response.content == HEIC.read_bytes()
        assert response.headers["content-type"] == media_type

    async def test_another_copy_is_served_when_the_first_is_gone(
        self, fetch: Callable[..., Awaitable[httpx.Response]], settings: Settings, photos: Path
    ) -> None:
        upload = settings.uploads_folder / "job" / "0" / "copy.jpg"
        upload.parent.mkdir(parents=True, exist_ok=True)
        upload.write_bytes(b"the copy")
        response = await fetch(photos / "gone.jpg", upload)
        assert response.content == b"the copy"

    async def test_nothing_outside_the_allowed_folders_is_served(
        self, fetch: Callable[..., Awaitable[httpx.Response]], photos: Path
    ) -> None:
        outside = photos.parent / "outside.jpg"
        outside.write_bytes(b"secret")
        (photos / "link.jpg").symlink_to(outside)
        for path in (outside, photos / "link.jpg", photos / ".." / "outside.jpg", photos):
            response = await fetch(path)
            assert response.status_code == 404, path
            assert b"secret" not in response.content


async def test_with_qdrant_away_the_answer_says_so(own: Settings) -> None:
    async with serving(own.model_copy(update={"qdrant_url": "http://127.0.0.1:1"})) as service:
        for response in (
            await service.http.get("collections"),
            await service.http.get("images"),
            await service.http.post("search", json={"query": "sea"}),
        ):
            assert response.status_code == 503
            assert "Qdrant" in response.json()["detail"]
