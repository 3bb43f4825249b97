"""Sources, end to end: what is wanted stands on a topic, and is looked at by schedule and when someone asks."""

import time
import uuid
from pathlib import Path
from typing import Any

import pytest

from tests import pictures
from tests.api.service import Service, eventually, serving
from tests.bus import Bus
from tests.parts import Part
from tests.pipeline import Pipeline, account
from tests.worker import Worker


@pytest.fixture
def name() -> str:
    return f"s-{uuid.uuid4().hex[:12]}"


async def add(service: Service, **wanted: Any) -> dict[str, Any]:
    response = await service.http.post("sources", json=wanted)
    assert response.status_code == 201, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def sync(service: Service, bus: Bus, name: str) -> dict[str, Any]:
    response = await service.http.post(f"sources/{name}/sync")
    assert response.status_code == 202, response.text
    return account(await bus.finished(response.json()["job_id"]))


async def first_job(service: Service, name: str) -> str:
    async def look() -> str | None:
        response = await service.http.get(f"sources/{name}")
        job = response.json()["last_job"] if response.status_code == 200 else None
        return job and str(job["job_id"])

    return await eventually(look)


async def until_idle(service: Service, name: str) -> None:
    async def is_idle() -> bool:
        return bool((await service.get(f"sources/{name}"))["state"] == "idle")

    await eventually(is_idle)


def asked(bus: Bus, name: str) -> list[str]:
    """Return the ids of the jobs that were asked for to look at a source."""
    return [request["job_id"] for request in bus.values("scan-request", source=name)]


async def until_asked(bus: Bus, name: str) -> None:
    await bus.until(lambda: asked(bus, name), f"a look at {name}")


async def test_a_source_is_looked_at_as_it_is_added_and_when_someone_asks(
    pipeline: Pipeline, service: Service, photos: Path, name: str, collection: str
) -> None:
    pictures.write_new(photos, 2)
    added = await add(service, folder=str(photos), name=name, collection=collection, exclude=["private/"])
    assert (added["folder"], added["every_seconds"], added["next_at"]) == (str(photos), None, None)
    first = account(await pipeline.bus.finished(await first_job(service, name)))
    await until_idle(service, name)
    assert (first["source"], first["collection"], first["outcomes"]["stored"]) == (name, collection, 2)

    (photos / "private").mkdir()
    pictures.write_new(photos / "private", 1)
    pictures.write_new(photos, 1)
    second = await sync(service, pipeline.bus, name)
    assert (second["outcomes"]["stored"], second["outcomes"]["unchanged"], second["total_files"]) == (1, 2, 3)
    await until_idle(service, name)
    shown = await service.get(f"sources/{name}")
    assert (shown["state"], shown["last_job"]["job_id"]) == ("idle", second["job_id"])
    assert [one["name"] for one in (await service.get("sources"))["sources"] if one["name"] == name] == [name]


async def test_a_restart_of_the_service_forgets_no_source_and_a_removal_is_one(
    pipeline: Pipeline, service: Service, photos: Path, name: str, collection: str
) -> None:
    await add(service, folder=str(photos), name=name, collection=collection, every_seconds=3600)
    await pipeline.bus.finished(await first_job(service, name))
    settings = service.settings.model_copy(update={"darkroom_data": photos.parent / "other-api"})
    async with serving(settings) as other:
        known = await other.get(f"sources/{name}")
        assert (known["folder"], known["every_seconds"]) == (str(photos), 3600)
        assert known["next_at"] is not None
        assert (await other.http.delete(f"sources/{name}")).status_code == 204
        assert (await other.http.get(f"sources/{name}")).status_code == 404

    async def gone() -> bool:
        return (await service.http.get(f"sources/{name}")).status_code == 404

    await eventually(gone)


async def test_a_program_adds_a_source_on_the_topic(
    pipeline: Pipeline, service: Service, photos: Path, name: str, collection: str
) -> None:
    pictures.write_new(photos, 1)
    await pipeline.bus.publish("source", name, {"name": name, "folder": str(photos), "collection": collection})
    status = account(await pipeline.bus.finished(await first_job(service, name)))
    assert status["outcomes"]["stored"] == 1
    # What is no source, and what is not under its own name, changes none.
    await pipeline.bus.publish("source", name, {"name": name, "folder": "not absolute", "collection": collection})
    await pipeline.bus.publish("source", name, {"name": "another", "folder": "/", "collection": collection})
    assert (await service.get(f"sources/{name}"))["folder"] == str(photos)


async def test_a_look_that_another_program_tells_of_and_never_ends_holds_up_no_other(
    pipeline: Pipeline, service: Service, photos: Path, name: str, collection: str
) -> None:
    pictures.write_new(photos, 1)
    bus = pipeline.bus

    async def forge(job_id: str) -> None:
        who = {"job_id": job_id, "at": time.time()}
        walk = {"collection": collection, "sources": [str(photos)], "walk_id": "w", "source": name}
        await bus.publish("job-event", job_id, who | walk | {"type": "scanning"})
        # As the watchdog tells, before long.
        await bus.publish("job-event", job_id, who | {"type": "stalled", "reason": "no end marker"})
        await bus.until(lambda: bus.values("job-status", job_id=job_id, stalled="no end marker"), "that it stands")

    forged = [f"{name}-forged", f"{name}-forged-again"]
    await forge(forged[0])
    await add(service, folder=str(photos), name=name, collection=collection)
    await until_asked(bus, name)
    assert account(await bus.finished(asked(bus, name)[0]))["outcomes"]["stored"] == 1

    await forge(forged[1])

    async def is_the_newest() -> bool:
        known = await service.get(f"sources/{name}")
        return (known["state"], known["last_job"]["job_id"]) == ("idle", forged[1])

    await eventually(is_the_newest)
    assert (await sync(service, bus, name))["outcomes"]["unchanged"] == 1
    for job_id in forged:
        await bus.close_job(job_id)
        await bus.finished(job_id)


@pytest.mark.parametrize(
    ("wanted", "status", "why"),
    [
        ({"folder": "{photos}", "name": "a b"}, 422, "name"),
        ({"folder": "{photos}", "every_seconds": 5}, 422, "every_seconds"),
        ({"folder": "{photos}/none"}, 400, "does not exist"),
        ({"folder": "/"}, 400, "outside the folders"),
        ({"folder": "{photos}", "exclude": ["!"]}, 422, "exclude"),
        ({"folder": "{photos}", "collection": "a/b"}, 422, "collection"),
    ],
    ids=["name", "every", "missing", "outside", "pattern", "collection"],
)
async def test_what_cannot_be_kept_is_said(
    service: Service, photos: Path, wanted: dict[str, Any], status: int, why: str
) -> None:
    folder = wanted["folder"].format(photos=photos)
    response = await service.http.post("sources", json=wanted | {"folder": folder})
    assert response.status_code == status, response.text
    assert why in response.text


async def test_a_name_and_a_folder_are_kept_once(service: Service, photos: Path, name: str, collection: str) -> None:
    await add(service, folder=str(photos), name=name, collection=collection)
    again = await service.http.post("sources", json={"folder": str(photos.parent), "name": name})
    assert (again.status_code, name in again.text) == (409, True)
    same = await service.http.post("sources", json={"folder": str(photos), "collection": collection})
    assert (same.status_code, name in same.text) == (409, True)
    await service.http.delete(f"sources/{name}")


class TestSchedule:
    """By workers of its own, which are killed."""

    async def test_a_time_is_acted_on_once_by_however_many_workers_and_after_a_kill(
        self, pipeline: Pipeline, kafka: Part, qdrant: Part, ml: Part, photos: Path, name: str, collection: str
    ) -> None:
        pictures.write_new(photos, 1)
        data = photos.parent / "second"
        with Worker(kafka, qdrant, ml, data):
            source = {"name": name, "folder": str(photos), "collection": collection, "every_seconds": 60}
            await pipeline.bus.publish("source", name, source)

            def told() -> list[dict[str, Any]]:
                return [one for one in pipeline.bus.values("source-status", name=name) if "due" in one]

            await pipeline.bus.until(told, "that it was acted on")
            [job_id] = asked(pipeline.bus, name)
            await pipeline.bus.finished(job_id)
        [status] = told()
        assert status["job_id"] == job_id
        assert status["due"] <= time.time()

    async def test_a_paused_source_is_not_looked_at_by_itself(
        self, pipeline: Pipeline, service: Service, photos: Path, name: str, collection: str
    ) -> None:
        source = {"name": name, "folder": str(photos), "collection": collection, "paused": True}
        await pipeline.bus.publish("source", name, source)

        async def known() -> dict[str, Any] | None:
            response = await service.http.get(f"sources/{name}")
            return response.json() if response.status_code == 200 else None

        assert (await eventually(known))["state"] == "paused"
        # Another that came later was looked at: this one has been passed over.
        other = f"{name}-other"
        await pipeline.bus.publish("source", other, source | {"name": other, "paused": False})
        await until_asked(pipeline.bus, other)
        assert asked(pipeline.bus, name) == []
        resumed = await service.http.post(f"sources/{name}/resume")
        assert resumed.json()["state"] in {"idle", "syncing"}
        await until_asked(pipeline.bus, name)
