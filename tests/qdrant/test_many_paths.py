"""A content with very many copies: its point stays small, and every path is found, archived, copied and counted."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from httpx import Request, Response
from qdrant_client.async_qdrant_remote import AsyncQdrantRemote

from api.archive.contents import exact_duplicates, selection
from api.archive.points import give_back_path, holders, take_path
from api.collections.copying import Copier
from core.errors import QdrantUnavailableError, RequestError
from gateways.qdrant import Point, Qdrant
from rules.identity import point_id
from rules.many_paths import MAX_PATHS, MORE_PATHS
from rules.payload import REVISION
from tests.deadlines import HANG_SECONDS
from tests.qdrant.points import photo
from tests.qdrant.test_two_writers import SHA256, SlowQdrant, items, storer
from tests.qdrant.words import by_words

POINT = point_id(SHA256)
PATHS = [f"/photos/{number:03}.jpg" for number in range(250)]


async def store(qdrant: Qdrant, name: str, paths: Sequence[str]) -> None:
    """Store copies as the store stage does, a hundred to a batch."""
    for start in range(0, len(paths), 100):
        await storer(qdrant).upsert(items(name, *paths[start : start + 100]))


async def payload(qdrant: Qdrant, name: str) -> dict[str, Any]:
    found = await qdrant.payloads(name, [POINT], ["paths", MORE_PATHS, "full_path", "filename", "file_hash", REVISION])
    return found[POINT]


async def all_paths(qdrant: Qdrant, name: str) -> list[str]:
    """Return the paths page by page: none may come twice."""
    stored = await payload(qdrant, name)
    found, cursor = await qdrant.paths_page(name, stored, limit=30)
    while cursor is not None:
        page, cursor = await qdrant.paths_page(name, stored, limit=30, cursor=cursor)
        found += page
    assert await qdrant.count_paths(name, stored) == len(found)
    others = [path async for page in qdrant.other_paths(name, stored) for path in page]
    assert sorted([*stored["paths"], *others]) == sorted(found)
    return sorted(found)


async def is_found(qdrant: Qdrant, name: str, path: str) -> bool:
    """Tell whether a filter by a path finds the point, in every way to ask."""
    filters: dict[str, Any] = {"paths": path}
    count = await qdrant.count(name, filters)
    page, _ = await qdrant.page(name, limit=10, filters=filters)
    hits = await qdrant.search(name, [1.0, 0.0, 0.0, 0.0], limit=10, filters=filters)
    words, total = await by_words(qdrant, name, "jpg", limit=10, filters=filters)
    sample = await qdrant.sample(name, limit=10, filters=filters)
    assert count == len(page) == len(hits) == len(words) == total == len(sample)
    return count == 1


class Requests:
    """What a client has asked since it was last looked at."""

    def __init__(self, qdrant: Qdrant) -> None:
        self.seen: list[str] = []
        self.bytes = 0
        remote = qdrant._client._client
        assert isinstance(remote, AsyncQdrantRemote)
        remote.http.client.add_middleware(self._note)

    async def _note(self, request: Request, send: Any) -> Response:
        self.seen.append(f"{request.method} {request.url.path}")
        response: Response = await send(request)
        self.bytes += len(request.content) + len(response.content)
        return response

    def taken(self) -> list[str]:
        seen, self.seen = self.seen, []
        return seen


@pytest.fixture
async def target(qdrant: Qdrant, photos: str) -> AsyncIterator[str]:
    """A second collection of this test."""
    other = f"{photos}-2"
    await qdrant.ensure_collection(other, model_id="model-a", dimension=4, distance="Cosine")
    yield other
    await qdrant.delete_collection(other)


async def test_the_point_holds_a_hundred_and_all_are_found(qdrant: Qdrant, photos: str) -> None:
    await qdrant.upsert(photos, [photo(1, paths=["/other.jpg"])])
    await store(qdrant, photos, PATHS)
    stored = await payload(qdrant, photos)
    assert stored["paths"] == PATHS[:MAX_PATHS]
    assert await all_paths(qdrant, photos) == PATHS
    for path in (PATHS[0], PATHS[99], PATHS[100], PATHS[249]):
        assert await is_found(qdrant, photos, path), path
    assert not await is_found(qdrant, photos, "/photos/250.jpg")
    assert await qdrant.count(photos, {"paths": ["/other.jpg", PATHS[200]]}) == 2
    assert await qdrant.count(photos, {"paths": PATHS[200], "file_hash": "b" * 64}) == 0
    assert await qdrant.count(photos, {"paths": None}) == 0


async def test_what_comes_again_changes_nothing(qdrant: Qdrant, photos: str) -> None:
    await store(qdrant, photos, PATHS)
    before = await payload(qdrant, photos)
    await store(qdrant, photos, [PATHS[249], PATHS[0], *PATHS[90:110]])
    assert await payload(qdrant, photos) | {REVISION: None} == before | {REVISION: None}
    assert await all_paths(qdrant, photos) == PATHS


async def test_up_to_a_hundred_cost_no_request_more(qdrant: Qdrant, photos: str) -> None:
    requests = Requests(qdrant)
    await store(qdrant, photos, PATHS[:50])
    points = f"/collections/{photos}/points"
    description = f"GET /collections/{photos}"
    expected = [description, f"POST {points}", f"PUT {points}", f"POST {points}"]
    assert requests.taken() == expected
    await store(qdrant, photos, PATHS[50:100])
    assert requests.taken() == expected
    await take_path(qdrant, SHA256, PATHS[10], {photos: False})
    assert requests.taken() == [description, f"POST {points}", f"POST {points}/batch", f"POST {points}"]


async def test_a_batch_costs_as_much_however_many_copies_there_are(qdrant: Qdrant, photos: str) -> None:
    requests = Requests(qdrant)
    asked: list[int] = []
    copies = [f"/photos/{number:05}.jpg" for number in range(1000)]
    for start in range(0, len(copies), 100):
        before = requests.bytes
        await store(qdrant, photos, copies[start : start + 100])
        asked.append(requests.bytes - before)
    assert max(asked[2:]) < 1.01 * min(asked[2:])
    assert await all_paths(qdrant, photos) == copies


async def test_a_long_list_of_an_older_version_goes_on_and_is_bounded_when_it_is_written(
    qdrant: Qdrant, photos: str
) -> None:
    old = {"paths": PATHS, "full_path": PATHS[170], "filename": "170.jpg", "file_hash": SHA256}
    await qdrant.upsert(photos, [Point(POINT, [1.0, 0.0, 0.0, 0.0], old)])
    assert await all_paths(qdrant, photos) == PATHS
    assert await qdrant.count(photos, {"paths": PATHS[249]}) == 1
    await store(qdrant, photos, ["/photos/new.jpg"])
    stored = await payload(qdrant, photos)
    assert stored["paths"] == [*PATHS[:99], PATHS[170]]
    assert stored["full_path"] == PATHS[170]
    assert await all_paths(qdrant, photos) == [*PATHS, "/photos/new.jpg"]
    await qdrant.upsert(photos, [Point(POINT, [1.0, 0.0, 0.0, 0.0], old)])
    await take_path(qdrant, SHA256, PATHS[220], {photos: False})
    assert await all_paths(qdrant, photos) == [path for path in PATHS if path != PATHS[220]]
    assert len((await payload(qdrant, photos))["paths"]) == MAX_PATHS


@pytest.mark.parametrize("fails_at", [1, 2, 3, 4])
async def test_a_kill_between_the_writes_loses_nothing(
    qdrant: Qdrant, photos: str, monkeypatch: pytest.MonkeyPatch, fails_at: int
) -> None:
    """Qdrant takes so many writes, then the worker is dead; the messages come again."""
    await store(qdrant, photos, PATHS[:90])
    client, writes = qdrant._client.http.client, 0
    request = client.request

    async def dying(*, url: str, method: str, **options: Any) -> Any:
        nonlocal writes
        writes += method == "PUT" and url.endswith("/points")
        if writes == fails_at:
            raise QdrantUnavailableError("dead")
        return await request(url=url, method=method, **options)

    with monkeypatch.context() as patched:
        patched.setattr(client, "request", dying)
        with pytest.raises(QdrantUnavailableError):
            await store(qdrant, photos, PATHS[90:200] + PATHS[200:250])
    seen = await all_paths(qdrant, photos)
    assert seen[:90] == PATHS[:90]
    await store(qdrant, photos, PATHS[90:])
    assert await all_paths(qdrant, photos) == PATHS
    for path in PATHS[::20]:
        assert await qdrant.count(photos, {"paths": path}) == 1


async def test_two_store_workers_lose_no_path_of_very_many(url: str, qdrant: Qdrant, photos: str) -> None:
    await store(qdrant, photos, PATHS[:95])
    async with SlowQdrant(url) as slow:
        late = asyncio.create_task(storer(slow).upsert(items(photos, *PATHS[95:120])))
        await slow.has_read.wait()
        await storer(qdrant).upsert(items(photos, *PATHS[120:150]))
        slow.goes_on.set()
        await asyncio.wait_for(late, HANG_SECONDS)
    assert await all_paths(qdrant, photos) == PATHS[:150]


async def test_a_removed_path_does_not_come_back_with_a_late_move(url: str, qdrant: Qdrant, photos: str) -> None:
    """A worker has read the long list of an older version; the path is archived; then the worker writes."""
    old = {"paths": PATHS, "full_path": PATHS[0], "filename": "000.jpg", "file_hash": SHA256}
    await qdrant.upsert(photos, [Point(POINT, [1.0, 0.0, 0.0, 0.0], old)])
    async with SlowQdrant(url) as slow:
        late = asyncio.create_task(storer(slow).upsert(items(photos, "/photos/new.jpg")))
        await slow.has_read.wait()
        await take_path(qdrant, SHA256, PATHS[200], {photos: False})
        slow.goes_on.set()
        await asyncio.wait_for(late, HANG_SECONDS)
    assert await all_paths(qdrant, photos) == [*(path for path in PATHS if path != PATHS[200]), "/photos/new.jpg"]


async def test_archiving_takes_from_both_and_gives_back(qdrant: Qdrant, photos: str) -> None:
    await store(qdrant, photos, PATHS)
    for path in (PATHS[0], PATHS[240]):
        where = await holders(qdrant, SHA256, path)
        assert where == {photos: path == PATHS[0]}
        await take_path(qdrant, SHA256, path, where)
        await take_path(qdrant, SHA256, path, where)
        assert not await is_found(qdrant, photos, path)
        assert await holders(qdrant, SHA256, path) == {}
    assert await all_paths(qdrant, photos) == [path for path in PATHS if path not in {PATHS[0], PATHS[240]}]
    assert (await payload(qdrant, photos))["full_path"] == PATHS[1]
    await give_back_path(qdrant, SHA256, PATHS[240], {photos: False})
    await give_back_path(qdrant, SHA256, PATHS[0], {photos: True})
    assert await all_paths(qdrant, photos) == PATHS
    assert (await payload(qdrant, photos))["full_path"] == PATHS[0]
    assert await is_found(qdrant, photos, PATHS[0])


async def test_a_point_is_without_paths_only_when_all_are_archived(qdrant: Qdrant, photos: str) -> None:
    await store(qdrant, photos, PATHS[:103])
    stored = await payload(qdrant, photos)
    # As after the archiving of a hundred: one is left in the point, three beside it.
    fields = {"paths": PATHS[:1], "full_path": PATHS[0]}
    assert await qdrant.change(photos, POINT, fields, stored)
    left = [PATHS[0], *PATHS[100:103]]
    while left:
        assert await all_paths(qdrant, photos) == left
        stored = await payload(qdrant, photos)
        assert stored["paths"]
        assert stored["full_path"] in left
        await take_path(qdrant, SHA256, left.pop(0), {photos: False})
    assert (await payload(qdrant, photos))["paths"] == []
    assert await qdrant.count(photos, {"paths": None}) == 1
    assert await all_paths(qdrant, photos) == []
    for path in PATHS[100:103]:
        await give_back_path(qdrant, SHA256, path, {photos: False})
    assert await all_paths(qdrant, photos) == PATHS[100:103]


async def test_what_is_to_be_archived_is_named_wholly(qdrant: Qdrant, photos: str) -> None:
    await store(qdrant, photos, PATHS)
    [content] = [one async for one in exact_duplicates(qdrant, photos)]
    assert sorted(content.paths) == sorted(content.unwanted) == PATHS
    [chosen] = [one async for one in selection(qdrant, photos, [POINT], keep=False)]
    assert sorted(chosen.unwanted) == PATHS
    # One that is left in the point, others beside it: still a duplicate.
    assert await qdrant.change(photos, POINT, {"paths": PATHS[99:100]}, await payload(qdrant, photos))
    [content] = [one async for one in exact_duplicates(qdrant, photos)]
    assert sorted(content.paths) == PATHS[99:]


async def test_copies_take_all_paths_along(qdrant: Qdrant, photos: str, target: str) -> None:
    await store(qdrant, photos, PATHS[:220])
    await store(qdrant, target, PATHS[200:])
    copier = Copier(qdrant, None, "Cosine")  # type: ignore[arg-type]
    assert await copier.copy(photos, target, [POINT]) == 1
    assert await all_paths(qdrant, target) == PATHS
    assert await is_found(qdrant, target, PATHS[210])
    await take_path(qdrant, SHA256, PATHS[210], {target: False})
    assert await all_paths(qdrant, photos) == PATHS[:220], "the source has lists of its own"


async def test_lists_come_and_go_with_their_collection_and_are_none(qdrant: Qdrant, photos: str) -> None:
    await store(qdrant, photos, PATHS)
    assert f"{photos}~paths" not in [info.name for info in await qdrant.collections()]
    assert await qdrant.collection(f"{photos}~paths") is None
    with pytest.raises(RequestError):
        await qdrant.ensure_collection(f"{photos}~paths", model_id="model-a", dimension=4, distance="Cosine")
    await qdrant.renew_collection(photos)
    assert await all_paths(qdrant, photos) == PATHS
    assert await qdrant.delete_collection(photos)
    names = [found.name for found in (await qdrant._client.get_collections()).collections]
    assert [name for name in names if name.startswith(photos)] == []
    # Made again under its name: the same client goes on, and nothing of what was comes back.
    await qdrant.ensure_collection(photos, model_id="model-a", dimension=4, distance="Cosine")
    await store(qdrant, photos, PATHS[100:])
    assert await all_paths(qdrant, photos) == PATHS[100:]
    assert not await is_found(qdrant, photos, PATHS[0])


async def test_without_its_lists_a_collection_goes_on(qdrant: Qdrant, photos: str) -> None:
    """As when only the collection itself was restored from a snapshot."""
    await store(qdrant, photos, PATHS)
    await qdrant._client.delete_collection(f"{photos}~paths")
    assert await all_paths(qdrant, photos) == PATHS[:100]
    await take_path(qdrant, SHA256, PATHS[3], {photos: False})
    assert await qdrant.count(photos, {"paths": PATHS[200]}) == 0
    await store(qdrant, photos, PATHS)
    assert await all_paths(qdrant, photos) == PATHS


async def test_uploads_are_known_by_the_end_of_their_paths(qdrant: Qdrant, photos: str) -> None:
    await store(qdrant, photos, [f"/old/uploads/job/{number}/a.jpg" for number in range(150)])
    stored = await payload(qdrant, photos)
    ends = ["job/149/a.jpg", "job/150/a.jpg", "other/149/a.jpg"]
    assert await qdrant.ends_of_others(photos, [stored, {}], ends) == ["job/149/a.jpg"]


@pytest.mark.parametrize("cursor", ["x", "l1", "lno-uuid"])
async def test_a_cursor_that_no_page_ended_with_is_refused(qdrant: Qdrant, photos: str, cursor: str) -> None:
    with pytest.raises(RequestError):
        await qdrant.paths_page(photos, {"paths": ["/a"], MORE_PATHS: "list"}, limit=10, cursor=cursor)
