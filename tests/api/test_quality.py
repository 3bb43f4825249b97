"""How much a search finds: words alone, meaning alone, and both in one list, over a fixed set of drawn pictures.

Some of them have words that their colours do not show, others have colours alone, so that neither half finds them all.
A change to the cutting of words, to their weights, or to how lists are fused, shows here as another share.
"""

import asyncio
import io
import socket
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import uvicorn
from PIL import Image

from core.settings import Settings
from embedded.ml.choosing import Choice
from embedded.ml.clip import ClipModel
from embedded.ml.service import create_app
from embedded.models.shelf import Shelf
from gateways.qdrant import Point, Qdrant
from tests import pictures
from tests.api.service import Service, serving
from tests.models import colours

pytestmark = pytest.mark.asyncio(loop_scope="module")

# By name: the colours in percent, and what people and programs wrote about it.
ALBUM: dict[str, tuple[Sequence[tuple[str, int]], dict[str, Any]]] = {
    "01": ([("blue", 80), ("yellow", 20)], {}),
    "02": ([("lime", 100)], {"tags": ["hike"]}),
    "03": ([("red", 70), ("black", 30)], {"caption": "a camp fire at night"}),
    "04": ([("white", 90), ("lime", 10)], {"title": "Winter"}),
    "05": ([("yellow", 100)], {}),
    "06": ([("black", 95), ("white", 5)], {"tags": ["milky way"]}),
    "07": ([("red", 50), ("lime", 50)], {"tags": ["garden"], "people": ["Anna"]}),
    "08": ([("red", 34), ("white", 33), ("blue", 33)], {"caption": "a flag in the wind"}),
    "09": ([("lime", 60), ("blue", 40)], {}),
    "10": ([("yellow", 50), ("blue", 50)], {"people": ["Anna"]}),
    "11": ([("black", 60), ("white", 40)], {"caption": "stars above the snow"}),
    "12": ([("yellow", 60), ("lime", 40)], {"tags": ["kitchen"], "description": "lemons from Anna's tree"}),
}
QUERIES = {
    "sea": "01",
    "blue sky": "01",
    "forest": "02",
    "hike": "02",
    "fire at night": "03",
    "winter": "04",
    "snow": "04",
    "desert": "05",
    "milky way": "06",
    "night": "06",
    "red rose in the garden": "07",
    "flag": "08",
    "grass and sky": "09",
    "Anna by the sea on the sand": "10",
    "stars": "11",
    "snow at night": "11",
    "yellow kitchen": "12",
    "lemons": "12",
}
# Of these queries, those whose picture is the first, and those whose picture is among the first three.
EXPECTED = {"keywords": (11, 11), "semantic": (11, 13), "auto": (16, 18)}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ClipModel:
    return ClipModel(colours.write(tmp_path_factory.mktemp("models") / "colours"))


@asynccontextmanager
async def ml_service(model: ClipModel, data: Path) -> AsyncIterator[str]:
    choice = Choice(Shelf(data), lambda folder, captioner: model, reserve=0)
    await choice.start(None)
    server = uvicorn.Server(uvicorn.Config(create_app(choice), log_level="warning"))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        running = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            await running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def searching(
    settings: Settings, model: ClipModel, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Service]:
    data = tmp_path_factory.mktemp("data")
    async with ml_service(model, data) as url:
        own = settings.model_copy(update={"ml_inference_service_url": url, "darkroom_data": data})
        async with serving(own) as service:
            yield service


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def album(settings: Settings, model: ClipModel) -> AsyncIterator[str]:
    name = f"c-{uuid.uuid4().hex[:12]}"
    seen = [Image.open(io.BytesIO(pictures.painted(*parts))) for parts, _ in ALBUM.values()]
    points = [
        Point(str(uuid.uuid5(uuid.NAMESPACE_OID, number)), vector.tolist(), {"filename": f"IMG_{number}.jpg"} | words)
        for (number, (_, words)), vector in zip(ALBUM.items(), model.embed(seen), strict=True)
    ]
    async with Qdrant(settings.qdrant_address) as qdrant:
        await qdrant.ensure_collection(name, model_id=model.model_id, dimension=model.dimension, distance="Cosine")
        await qdrant.upsert(name, points)
        yield name
        await qdrant.delete_collection(name)


async def place_of(service: Service, collection: str, query: str, mode: str) -> int:
    """Return at which place, from 1, a query finds its picture; 99 where it does not."""
    body = {"query": query, "collection": collection, "mode": mode, "limit": len(ALBUM)}
    answer = (await service.http.post("search", json=body)).raise_for_status().json()
    names = [hit["filename"] for hit in answer["results"]]
    wanted = f"IMG_{QUERIES[query]}.jpg"
    return names.index(wanted) + 1 if wanted in names else 99


@pytest.mark.parametrize("mode", EXPECTED)
async def test_recall(searching: Service, album: str, mode: str) -> None:
    places = {query: await place_of(searching, album, query, mode) for query in QUERIES}
    found = (sum(one == 1 for one in places.values()), sum(one <= 3 for one in places.values()))
    assert found == EXPECTED[mode], "\n".join(f"{query}: {place}" for query, place in places.items())


async def test_both_in_one_list_find_more_than_each_alone(searching: Service, album: str) -> None:
    """By what is expected, so that nobody lowers these numbers without a thought."""
    words, meaning, both = (EXPECTED[mode] for mode in ("keywords", "semantic", "auto"))
    assert both[0] > max(words[0], meaning[0])
    assert both[1] > max(words[1], meaning[1])


async def test_hits_have_the_probability_that_the_model_was_trained_to_give(searching: Service, album: str) -> None:
    body = {"query": "desert", "collection": album, "min_score": 0}
    answer = (await searching.http.post("search", json=body)).json()
    first, *_, last = answer["results"]
    assert (first["filename"], first["probability"]) == ("IMG_05.jpg", pytest.approx(1.0, abs=1e-6))
    assert last["probability"] < 1e-6
    assert answer["likely"]["sure"] >= 1
