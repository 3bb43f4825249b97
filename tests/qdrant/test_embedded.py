"""What holds for the embedded Qdrant alone: kills, restarts, its data folder, and Qdrant's own error shapes."""

import asyncio
import contextlib
import os
import random
import shutil
import signal
import socket
from pathlib import Path

import httpx
import pytest

from core.errors import QdrantUnavailableError
from embedded.qdrant.collection import Collection
from embedded.qdrant.configuration import CollectionConfig
from gateways.qdrant import Point, Qdrant
from tests.qdrant.points import photo
from tests.qdrant.server import EmbeddedQdrant, free_port
from tests.qdrant.words import by_words


@pytest.fixture
def url(embedded_url: str) -> str:
    """Run on the embedded server, also where QDRANT_URL names another for the tests of what holds for both."""
    return embedded_url


async def make_collection(qdrant: Qdrant, name: str = "photos") -> str | None:
    return (await qdrant.ensure_collection(name, model_id="model-a", dimension=4, distance="Cosine")).incarnation


class TestKill:
    async def test_right_after_an_answered_upsert_loses_nothing(self, server: EmbeddedQdrant) -> None:
        for round_ in range(2):
            async with Qdrant(server.url) as qdrant:
                await make_collection(qdrant)
                batch = [photo(round_ * 100 + number, caption=f"lap{round_}") for number in range(100)]
                await qdrant.upsert("photos", batch)
                server.kill()
            server.start()
            async with Qdrant(server.url) as qdrant:
                assert await qdrant.count("photos") == (round_ + 1) * 100
                found, total = await by_words(qdrant, "photos", f"lap{round_}", limit=1000)
                assert total == 100
                assert {hit.id for hit in found} == {point.id for point in batch}

    async def test_amid_a_stream_of_upserts_keeps_all_that_were_answered(self, server: EmbeddedQdrant) -> None:
        answered: dict[str, Point] = {}
        for round_ in range(2):
            async with Qdrant(server.url) as qdrant:
                await make_collection(qdrant)
                enough = asyncio.Event()
                upserts = asyncio.create_task(self._upsert_until_it_dies(qdrant, round_, answered, enough))
                await enough.wait()
                server.kill()  # while the next upsert is under way
                await upserts
            server.start()
            async with Qdrant(server.url) as qdrant:
                found = await qdrant.payloads("photos", list(answered), ["caption", "filename"])
                assert found == {point.id: point.payload for point in answered.values()}
                sample = random.choice(list(answered.values()))
                kept = await qdrant.point("photos", sample.id)
                assert kept is not None
                assert kept.vector == pytest.approx(sample.vector)

    async def _upsert_until_it_dies(
        self, qdrant: Qdrant, round_: int, answered: dict[str, Point], enough: asyncio.Event
    ) -> None:
        wanted = len(answered) + random.randint(30, 200)
        with contextlib.suppress(QdrantUnavailableError):
            for first in range(round_ * 100_000, (round_ + 1) * 100_000, 10):
                # A unit vector, which comes back as it was.
                batch = [photo(first + n, [0.6, 0.0, 0.8, 0.0], caption=f"number {first + n}") for n in range(10)]
                await qdrant.upsert("photos", batch)
                answered.update((point.id, point) for point in batch)
                if len(answered) >= wanted:
                    enough.set()

    async def test_amid_creating_and_deleting_leaves_whole_collections(self, server: EmbeddedQdrant) -> None:
        for _ in range(2):
            begun = asyncio.Event()
            async with Qdrant(server.url) as qdrant:
                churn = asyncio.create_task(self._create_and_delete_until_it_dies(qdrant, begun))
                await begun.wait()
                await asyncio.sleep(random.random() / 10)  # anywhere between two of its steps
                server.kill()
                await churn
            server.start()
            async with Qdrant(server.url) as qdrant:
                found = await qdrant.collections()
                for info in found:
                    await make_collection(qdrant, info.name)
                    await qdrant.upsert(info.name, [photo(1)])
                    assert await qdrant.count(info.name) == 1
                    assert await qdrant.delete_collection(info.name)
            assert [path.name for path in server.data.iterdir()] == ["lock"]

    async def _create_and_delete_until_it_dies(self, qdrant: Qdrant, begun: asyncio.Event) -> None:
        with contextlib.suppress(QdrantUnavailableError):
            for number in range(10_000):
                await make_collection(qdrant, f"photos-{number}")
                if number % 2:
                    begun.set()
                    await qdrant.delete_collection(f"photos-{number - 1}")


class TestPowerCut:
    """Of all files only the log of changes is sure to be on disk."""

    async def test_all_that_was_answered_is_in_the_log(self, server: EmbeddedQdrant, tmp_path: Path) -> None:
        segments = server.data / "photos" / "shard" / "segments"
        async with Qdrant(server.url) as qdrant:
            await make_collection(qdrant)
            shutil.copytree(segments, tmp_path / "as-they-were")
            await qdrant.upsert("photos", [photo(n, caption="red sea") for n in range(100)])
            await qdrant.upsert("photos", [photo(n, caption="blue sky") for n in range(50)])
            assert await qdrant.replace("photos", [photo(50, caption="no sea")], {}) == set()
            deletion = {"points": [photo(99).id]}
            httpx.post(f"{server.url}/collections/photos/points/delete", json=deletion).raise_for_status()
        server.kill()
        shutil.rmtree(segments)
        (tmp_path / "as-they-were").rename(segments)
        server.start()
        async with Qdrant(server.url) as qdrant:
            assert await qdrant.count("photos") == 99
            assert (await by_words(qdrant, "photos", "sky", limit=1))[1] == 50
            assert (await by_words(qdrant, "photos", "red", limit=1))[1] == 48
            fields = await qdrant.payloads("photos", [photo(50).id], ["caption"])
            assert fields == {photo(50).id: {"caption": "no sea"}}

    def test_the_log_is_on_disk_when_a_change_returns(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        Collection.create(tmp_path / "photos", CollectionConfig(4, "Cosine", {}))
        collection = Collection(tmp_path / "photos")
        on_disk: dict[Path, bytes] = {}
        sync = os.fsync

        def fsync(descriptor: int) -> None:
            sync(descriptor)
            path = Path(f"/proc/self/fd/{descriptor}").resolve()
            if path.is_file():
                on_disk[path] = path.read_bytes()

        monkeypatch.setattr(os, "fsync", fsync)
        for number in range(3):
            collection.upsert([{"id": number, "vector": [1.0, 0.0, 0.0, 0.0], "payload": {"caption": "red sea"}}])
            log = [*(tmp_path / "photos" / "shard" / "wal").iterdir()]
            assert log
            assert all(on_disk[file] == file.read_bytes() for file in log)
        collection.close()


class TestRestart:
    async def test_everything_is_as_before(self, server: EmbeddedQdrant) -> None:
        async with Qdrant(server.url) as qdrant:
            await make_collection(qdrant)
            await qdrant.upsert("photos", [photo(n, caption="red sea", taken_at=f"202{n}-01-01") for n in range(3)])
            await qdrant.upsert("photos", [photo(1, caption="blue sky", taken_at="2021-01-01")])
            before = await self._all(qdrant)
        assert server.stop() == -signal.SIGTERM
        server.start()
        async with Qdrant(server.url) as qdrant:
            assert await self._all(qdrant) == before

    async def _all(self, qdrant: Qdrant) -> object:
        return (
            await qdrant.collections(),
            await qdrant.page("photos", limit=10, sort="-taken_at"),
            await by_words(qdrant, "photos", "sea", limit=10),
            await qdrant.search("photos", [1.0, 0.0, 0.0, 0.0], limit=10),
        )

    async def test_after_it_the_same_client_goes_on(self, server: EmbeddedQdrant) -> None:
        async with Qdrant(server.url) as qdrant:
            incarnation = await make_collection(qdrant)
            server.kill()
            with pytest.raises(QdrantUnavailableError):
                await qdrant.upsert("photos", [photo(1)])
            server.start()
            await qdrant.upsert("photos", [photo(1)])
            assert await qdrant.incarnation("photos") == incarnation

    async def test_what_a_kill_left_half_done_is_removed(self, server: EmbeddedQdrant) -> None:
        server.kill()
        (server.data / ".half-0" / "shard").mkdir(parents=True)
        server.start()
        async with Qdrant(server.url) as qdrant:
            assert await qdrant.collections() == []
        assert not (server.data / ".half-0").exists()


class TestStart:
    def test_a_port_in_use_is_said(self, server: EmbeddedQdrant, tmp_path: Path) -> None:
        ended = EmbeddedQdrant(tmp_path / "other").run_to_end(server.port)
        assert ended.returncode == 1
        assert f"cannot listen on 127.0.0.1:{server.port}" in ended.stderr
        assert "Traceback" not in ended.stderr

    def test_a_folder_in_use_is_said(self, server: EmbeddedQdrant) -> None:
        ended = EmbeddedQdrant(server.data).run_to_end(free_port())
        assert ended.returncode == 1
        assert f"{server.data} is in use" in ended.stderr
        assert "Traceback" not in ended.stderr

    async def test_a_damaged_collection_is_named(self, server: EmbeddedQdrant) -> None:
        async with Qdrant(server.url) as qdrant:
            await make_collection(qdrant)
        server.stop()
        (server.data / "photos" / "collection.json").write_text("{")
        ended = server.run_to_end(server.port)
        assert ended.returncode == 1
        assert str(server.data / "photos") in ended.stderr
        assert "Traceback" not in ended.stderr

    async def test_only_the_given_address_is_listened_on(self, server: EmbeddedQdrant) -> None:
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.2", server.port), timeout=5)


class TestRest:
    """Qdrant's answers to what the gateway itself would not send."""

    @pytest.mark.parametrize("name", ["..%2Fevil", "%2e%2e", ".hidden", "a%00b", "x" * 65])
    async def test_a_bad_collection_name_is_refused(self, url: str, name: str) -> None:
        body = {"vectors": {"size": 4, "distance": "Cosine"}}
        async with httpx.AsyncClient() as http:
            answer = await http.put(f"{url}/collections/{name}", json=body)
        assert answer.status_code in (404, 405, 422)

    @pytest.fixture
    def address(self, url: str, photos: str) -> str:
        return f"{url}/collections/{photos}"

    @pytest.mark.parametrize(
        ("request_line", "body", "status", "reason"),
        [
            ("PUT ", '{"vectors": {"size": 4, "distance": "Cosine"}}', 409, "already exists"),
            ("PUT ", '{"vectors": {"image": {"size": 4, "distance": "Cosine"}}}', 400, "Not supported"),
            ("PUT /points", '{"points": [{"id": 1, "vector": [NaN, 0, 0, 1]}]}', 400, "JSON"),
            ("PUT /points", '{"points": [{"id": 1, "vector": [null, 0, 0, 1]}]}', 400, "finite numbers"),
            ("PUT /points", '{"points": [{"id": 1, "vector": [0, 0, 1]}]}', 400, "expected dim: 4, got 3"),
            ("PUT /points", '{"points": [{"id": -1, "vector": [0, 0, 0, 1]}]}', 400, "point -1"),
            ("PUT /points", '{"points": [{"id": 1}]}', 400, "an id and a vector"),
            ("PUT /points", '{"points": 5}', 400, "points must be a list"),
            ("PUT /points", "not json", 400, "JSON"),
            ("POST /points/scroll", '{"limit": "many"}', 400, "limit"),
            ("POST /points/scroll", '{"order_by": "not_indexed"}', 400, "No range index"),
            ("POST /points/scroll", '{"filter": {"must": [{"wrong": 1}]}}', 400, "must"),
            ("POST /points/query", '{"query": [1, 2]}', 400, "expected dim: 4, got 2"),
            ("POST /points/query", '{"query": {"sample": "random"}}', 400, "Not supported"),
            ("POST /points", '{"ids": ["no-uuid"]}', 400, "no-uuid"),
            ("GET /points/7", "", 404, "Point with id 7"),
        ],
    )
    async def test_errors_have_qdrants_shape(
        self, address: str, request_line: str, body: str, status: int, reason: str
    ) -> None:
        method, path = request_line.split(" ")
        async with httpx.AsyncClient(headers={"Content-Type": "application/json"}) as http:
            answer = await http.request(method, f"{address}{path}", content=body)
            count = await http.post(f"{address}/points/count", content="{}")
        assert answer.status_code == status
        assert reason in answer.json()["status"]["error"]
        assert count.json()["result"]["count"] == 0
