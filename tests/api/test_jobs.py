"""What the service tells about jobs, from events that a plain Kafka client publishes. No worker runs."""

import asyncio
import itertools
import random

import pytest

from api.view.database import Database
from core.settings import Settings
from rules.outcomes import Outcome
from tests.api.events import START, outcomes, queued, scanning, sealed, seen
from tests.api.service import Service, eventually, producing, serving
from tests.bus import PARTITIONS
from tests.deadlines import HANG_SECONDS
from topics.job_event import JOB_EVENT, AnyJobEvent, Command, JobFailed, MLSent, Moved, Waiting
from topics.job_status import JobStatus
from topics.sentinel import Sentinel, read_sentinel

pytestmark = pytest.mark.asyncio(loop_scope="module")

SIX: dict[str, Outcome] = {
    "a.jpg": "stored",
    "b.jpg": "cached",
    "c.jpg": "duplicate",
    "d.jpg": "unchanged",
    "e.txt": "skipped",
    "f.jpg": "failed",
}


class TestStatus:
    async def test_a_job_goes_from_queued_to_its_end_with_exact_counts(self, service: Service, job_id: str) -> None:
        offset = await service.publish(queued(job_id))
        status = await service.status(job_id, offset=offset)
        assert (status["status"], status["start_time"]) == ("queued", "2023-11-14T22:13:20.000+00:00")

        offset = await service.publish(scanning(job_id), seen(job_id, [*SIX]))
        status = await service.status(job_id, offset=offset)
        assert (status["status"], status["total_files"], status["progress"]) == ("scanning", 6, 0.0)

        offset = await service.publish(
            *sealed(job_id, PARTITIONS), outcomes(job_id, {"a.jpg": "stored", "b.jpg": "cached", "f.jpg": "failed"})
        )
        status = await service.status(job_id, offset=offset)
        assert (status["status"], status["processed_files"], status["progress"]) == ("running", 3, 50.0)
        assert status["end_time"] is None

        offset = await service.publish(
            outcomes(job_id, {"c.jpg": "duplicate", "d.jpg": "unchanged", "e.txt": "skipped"})
        )
        status = await service.status(job_id, offset=offset)
        assert status["status"] == "completed_with_errors"
        assert status["outcomes"] == dict.fromkeys(
            ["stored", "cached", "duplicate", "unchanged", "skipped", "failed"], 1
        )
        assert (status["total_files"], status["processed_files"]) == (6, 6)
        assert (status["cached_files"], status["failed_files"]) == (3, 1)
        assert (status["progress"], status["end_time"]) == (100.0, "2023-11-14T22:13:23.000+00:00")
        assert any("/photos/f.jpg: failed: cannot be decoded" in line for line in status["logs"])

    async def test_gauges_and_what_the_job_waits_for(self, service: Service, job_id: str) -> None:
        offset = await service.publish(
            queued(job_id),
            seen(job_id, [*SIX]),
            Moved(job_id=job_id, at=START, stage="hash", files=5),
            MLSent(job_id=job_id, at=START, images=4),
            Waiting(job_id=job_id, at=START, stage="embed", target="ml"),
        )
        status = await service.status(job_id, offset=offset)
        assert status["stages"]["hash"] == {"done": 5, "in_flight": 1}
        assert (status["ml_images_sent"], status["waiting_for"]) == (4, "ml")

    async def test_events_in_any_order_and_more_than_once_give_the_same_counts(
        self, service: Service, job_id: str
    ) -> None:
        events: list[AnyJobEvent] = [
            queued(job_id),
            scanning(job_id),
            seen(job_id, [*SIX]),
            *(outcomes(job_id, {name: outcome}) for name, outcome in SIX.items()),
            outcomes(job_id, {"a.jpg": "cached", "b.jpg": "duplicate"}),  # a redelivery that knows less
            *sealed(job_id, PARTITIONS),
        ] * 2
        random.Random(job_id).shuffle(events)
        status = await service.status(job_id, offset=await service.publish(*events))
        assert status["status"] == "completed_with_errors"
        assert status["outcomes"] == dict.fromkeys(
            ["stored", "cached", "duplicate", "unchanged", "skipped", "failed"], 1
        )

    async def test_a_replay_lifts_a_failure(self, service: Service, job_id: str) -> None:
        offset = await service.publish(
            queued(job_id), seen(job_id, ["f.jpg"]), *sealed(job_id, PARTITIONS), outcomes(job_id, {"f.jpg": "failed"})
        )
        assert (await service.status(job_id, offset=offset))["status"] == "completed_with_errors"
        offset = await service.publish(outcomes(job_id, {"f.jpg": "stored"}, replay=True))
        status = await service.status(job_id, offset=offset)
        assert (status["status"], status["outcomes"]["stored"], status["failed_files"]) == ("completed", 1, 0)

    async def test_a_job_that_fails_as_a_whole_says_why(self, service: Service, job_id: str) -> None:
        offset = await service.publish(
            queued(job_id), JobFailed(job_id=job_id, at=START, collection="c", reason="/photos is gone.")
        )
        status = await service.status(job_id, offset=offset)
        assert (status["status"], status["message"]) == ("failed", "/photos is gone.")

    async def test_messages_that_are_no_events_do_not_stop_the_view(self, service: Service, job_id: str) -> None:
        async with producing(service.settings.kafka_brokers) as producer:
            for value in (
                b"not JSON",
                None,
                b'{"type": "queued"}',
                b'{"type": "unheard-of", "job_id": "x", "at": 1}',
                JOB_EVENT.encode(queued(job_id)).replace(b"1700000000.0", b"1e300"),
            ):
                await producer.send_and_wait(JOB_EVENT.name, value, key=job_id.encode())
        offset = await service.publish(queued(job_id))
        assert (await service.status(job_id, offset=offset))["start_time"].startswith("2023-11-14")
        assert (await service.get("ingest/recent_jobs"))["jobs"]

    @pytest.mark.parametrize(
        ("method", "route"),
        [
            ("GET", "ingest/status/{}"),
            ("GET", "ingest/{}/files"),
            ("GET", "ingest/{}/events"),
            ("POST", "ingest/{}/cancel"),
            ("POST", "ingest/{}/pause"),
            ("POST", "ingest/{}/resume"),
        ],
    )
    async def test_an_unknown_job_is_not_found(self, service: Service, job_id: str, method: str, route: str) -> None:
        response = await service.http.request(method, route.format(job_id))
        assert response.status_code == 404
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json() == {
            "type": "urn:darkroom:problem:not-found",
            "title": "There is no such thing",
            "status": 404,
            "detail": f"There is no job '{job_id}'.",
        }

    async def test_recent_jobs_come_the_latest_first(self, service: Service, job_id: str) -> None:
        ids = [f"{job_id}-{number}" for number in range(3)]
        for number, name in enumerate(ids):
            await service.publish(queued(name, at=START - number))  # by Kafka's clock, and nobody else's
            await service.status(name)
        answer = await service.get("ingest/recent_jobs", limit=3)
        assert [job["job_id"] for job in answer["jobs"]] == ids[::-1]

    async def test_recent_jobs_are_found_page_by_page(self, service: Service, job_id: str) -> None:
        ids = [f"{job_id}-{number}" for number in range(5)]
        for name in ids:
            await service.publish(queued(name))
            await service.status(name)
        found: list[str] = []
        cursor = None
        while True:
            page = await service.get("ingest/recent_jobs", limit=2, find=f"{job_id}-".upper(), cursor=cursor or "")
            found += [job["job_id"] for job in page["jobs"]]
            cursor = page["next"]
            if cursor is None:
                break
        assert found == ids[::-1]
        assert (await service.get("ingest/recent_jobs", find="no such folder")) == {"jobs": [], "next": None}
        refused = await service.http.get("ingest/recent_jobs", params={"cursor": "nobody"})
        assert refused.status_code == 422

    async def test_recent_jobs_are_chosen_by_state_and_collection(self, service: Service, job_id: str) -> None:
        ended, failing, other = (f"{job_id}-{name}" for name in ("ended", "failing", "other"))
        results: dict[str, Outcome] = {ended: "stored", failing: "failed"}
        for name, outcome in results.items():
            walked = (queued(name), scanning(name), seen(name, ["a.jpg"]))
            offset = await service.publish(*walked, *sealed(name, PARTITIONS), outcomes(name, {"a.jpg": outcome}))
            await service.status(name, offset=offset)
        await service.status(other, offset=await service.publish(queued(other, collection="other")))

        async def chosen(**filters: str) -> set[str]:
            answer = await service.get("ingest/recent_jobs", limit=200, find=job_id, **filters)
            return {job["job_id"] for job in answer["jobs"]}

        assert await chosen() == {ended, failing, other}
        assert await chosen(show="running") == {other}
        assert await chosen(show="errors") == {failing}
        assert await chosen(show="completed") == {ended}
        assert await chosen(collection="other") == {other}


class TestFiles:
    async def test_every_file_is_listed_once_while_outcomes_change_and_files_are_added(
        self, service: Service, job_id: str
    ) -> None:
        names = [f"{number:02}.jpg" for number in range(25)]
        await service.status(job_id, offset=await service.publish(queued(job_id), seen(job_id, names[:20])))
        found: list[str] = []
        cursor = None
        for page_number in itertools.count():
            page = await service.get(
                f"ingest/{job_id}/files", limit=6, **({"cursor": cursor} if cursor is not None else {})
            )
            found += [file["path"] for file in page["files"]]
            if page_number == 0:
                offset = await service.publish(
                    outcomes(job_id, {names[0]: "stored", names[7]: "failed"}), seen(job_id, names[20:])
                )
                await service.status(job_id, offset=offset)
            cursor = page["next"]
            if cursor is None:
                break
        assert found == [f"/photos/{name}" for name in names]

    async def test_files_by_outcome_have_reason_and_hash(self, service: Service, job_id: str) -> None:
        await service.status(job_id, offset=await service.publish(seen(job_id, [*SIX]), outcomes(job_id, SIX)))
        answer = await service.get(f"ingest/{job_id}/files", outcome="failed")
        [failed] = answer["files"]
        assert (failed["path"], failed["outcome"], failed["reason"]) == ("/photos/f.jpg", "failed", "cannot be decoded")
        assert len(failed["sha256"]) == 64
        assert answer["next"] is None

    @pytest.mark.parametrize(("name", "value"), [("cursor", "x"), ("cursor", "²"), ("outcome", "lost"), ("limit", 0)])
    async def test_wrong_parameters_are_refused(self, service: Service, job_id: str, name: str, value: str) -> None:
        await service.status(job_id, offset=await service.publish(queued(job_id)))
        response = await service.http.get(f"ingest/{job_id}/files", params={name: value})
        assert response.status_code == 422
        assert response.json()["detail"]


class TestRestart:
    async def test_jobs_are_there_at_once_and_what_happened_meanwhile_is_caught_up(
        self, own: Settings, job_id: str
    ) -> None:
        async with serving(own) as service:
            offset = await service.publish(queued(job_id), seen(job_id, [*SIX]))
            await service.status(job_id, offset=offset)
        offset = await service.publish(outcomes(job_id, {"a.jpg": "stored"}))
        async with serving(own) as service:
            assert (await service.get(f"ingest/status/{job_id}"))["processed_files"] == 1
            files = (await service.get(f"ingest/{job_id}/files", outcome="stored"))["files"]
            assert [file["path"] for file in files] == ["/photos/a.jpg"]

    async def test_a_deleted_view_is_built_again_and_choices_are_kept(
        self, own: Settings, job_id: str, collection: str
    ) -> None:
        async with serving(own) as service:
            await service.http.post("collections", json={"name": collection})
            await service.http.post("collections/select", json={"name": collection})
            await service.publish(queued(job_id), seen(job_id, [*SIX]), *sealed(job_id, PARTITIONS))
            before = await service.status(job_id, offset=await service.publish(outcomes(job_id, SIX)))
        for file in (own.darkroom_data / "api").glob("view.db*"):
            file.unlink()
        async with serving(own) as service:
            assert await service.get(f"ingest/status/{job_id}") == before
            assert len((await service.get(f"ingest/{job_id}/files"))["files"]) == 6
            assert await service.get("collections/active") == {"name": collection}

    async def test_a_view_of_another_cluster_is_built_again(self, own: Settings, job_id: str) -> None:
        """As when the broker's data was wiped: the stored offsets mean nothing there."""
        async with serving(own) as service:
            await service.status(job_id, offset=await service.publish(queued(job_id)))
        database = Database(own.darkroom_data / "api" / "view.db")
        await database.write(lambda connection: connection.execute("UPDATE cluster SET id = 'another'"))
        await database.write(
            lambda connection: connection.execute("INSERT INTO jobs (job_id, begun) VALUES ('ghost', 0)")
        )
        await database.close()
        async with serving(own) as service:
            assert (await service.get(f"ingest/status/{job_id}"))["status"] == "queued"
            assert (await service.http.get("ingest/status/ghost")).status_code == 404

    async def test_offsets_beyond_the_topics_end_mean_that_it_was_made_anew(self, own: Settings, job_id: str) -> None:
        async with serving(own) as service:
            await service.status(job_id, offset=await service.publish(queued(job_id)))
        database = Database(own.darkroom_data / "api" / "view.db")
        await database.write(lambda connection: connection.execute("UPDATE offsets SET last = last + 1000000"))
        await database.write(lambda connection: connection.execute("DELETE FROM jobs"))
        await database.close()
        async with serving(own) as service:
            assert (await service.get(f"ingest/status/{job_id}"))["status"] == "queued"


class TestPublishedStatus:
    """Between the fold of the events and what track has published, the newer one is served."""

    async def _published(self, service: Service, known_job: str, **fields: object) -> JobStatus:
        known = JobStatus.model_validate(await service.status(known_job))
        return known.model_copy(update=fields)

    async def test_on_equal_offsets_the_published_one_wins_and_the_next_event_overtakes_it(
        self, service: Service, job_id: str
    ) -> None:
        offset = await service.publish(queued(job_id), seen(job_id, [*SIX]))
        await service.status(job_id, offset=offset)
        published = await self._published(service, job_id, stalled="no end marker")
        await service.publish_status(job_id, published)

        async def stalled() -> bool:
            return bool((await service.status(job_id))["stalled"])

        await eventually(stalled)
        offset = await service.publish(outcomes(job_id, {"a.jpg": "stored"}))
        status = await service.status(job_id, offset=offset)
        assert (status["stalled"], status["processed_files"]) == (None, 1)

    async def test_an_older_published_one_is_not_served(self, service: Service, job_id: str) -> None:
        await service.status(job_id, offset=await service.publish(queued(job_id)))
        older = await self._published(service, job_id, message="old news")
        await service.status(job_id, offset=await service.publish(seen(job_id, [*SIX])))
        partition = await service.publish_status(job_id, older)
        # What comes after it in its partition is seen after it.
        marker = f"{job_id}-marker"
        await service.publish_status(marker, older.model_copy(update={"job_id": marker}), partition)
        await service.status(marker)
        assert (await service.status(job_id))["total_files"] == 6

    async def test_a_job_whose_events_are_gone_is_served_until_its_status_is_deleted(
        self, service: Service, job_id: str
    ) -> None:
        template = f"{job_id}-template"
        await service.status(template, offset=await service.publish(queued(template)))
        published = await self._published(service, template, job_id=job_id, status="completed", offset=10**9)
        await service.publish_status(job_id, published)
        assert (await service.status(job_id))["status"] == "completed"
        assert job_id in [job["job_id"] for job in (await service.get("ingest/recent_jobs", limit=200))["jobs"]]
        await service.publish_status(job_id, None)

        async def gone() -> bool:
            return (await service.http.get(f"ingest/status/{job_id}")).status_code == 404

        await eventually(gone)


class TestCommands:
    async def test_pause_resume_and_cancel_are_published_and_shown(self, service: Service, job_id: str) -> None:
        await service.status(job_id, offset=await service.publish(queued(job_id), seen(job_id, ["a.jpg"])))
        shown = []
        for command in ("pause", "resume", "cancel"):
            response = await service.http.post(f"ingest/{job_id}/{command}")
            assert response.status_code == 202, response.text
            shown.append(response.json()["status"])
        assert shown == ["paused", "running", "running"]
        assert (await service.status(job_id))["cancelling"] is True
        events = [JOB_EVENT.decode(message.value or b"") for message in await service.messages("job-event", job_id)]
        assert [event.type for event in events if isinstance(event, Command)] == ["pause", "resume", "cancel"]

    async def test_a_queued_job_is_cancelled_at_once(self, service: Service, job_id: str) -> None:
        await service.status(job_id, offset=await service.publish(queued(job_id)))
        response = await service.http.post(f"ingest/{job_id}/cancel")
        assert (response.status_code, response.json()["status"]) == (202, "cancelled")

    @pytest.mark.parametrize("command", ["cancel", "pause", "resume"])
    async def test_a_finished_job_takes_no_command(self, service: Service, job_id: str, command: str) -> None:
        offset = await service.publish(
            queued(job_id), seen(job_id, ["a.jpg"]), *sealed(job_id, PARTITIONS), outcomes(job_id, {"a.jpg": "stored"})
        )
        await service.status(job_id, offset=offset)
        response = await service.http.post(f"ingest/{job_id}/{command}")
        assert response.status_code == 409
        assert "completed" in response.json()["detail"]

    async def test_a_scan_cannot_be_closed(self, service: Service, job_id: str) -> None:
        """Its end marker would come before its files."""
        await service.status(job_id, offset=await service.publish(queued(job_id)))
        response = await service.http.post(f"ingest/{job_id}/close")
        assert response.status_code == 409
        assert "ends by itself" in response.json()["detail"]

    async def test_close_marks_the_end_on_every_partition_under_one_name(self, service: Service, job_id: str) -> None:
        for _ in range(2):
            assert (await service.http.post(f"ingest/{job_id}/close")).status_code == 202
        markers = await service.messages("raw-path", job_id)
        assert sorted(marker.partition for marker in markers) == sorted([*range(PARTITIONS)] * 2)
        assert {marker.value for marker in markers} == {None}
        assert {read_sentinel(marker.headers) for marker in markers} == {Sentinel(job_id, f"close-{job_id}", None)}


class TestEvents:
    async def test_changes_are_streamed_until_the_job_is_finished(self, service: Service, job_id: str) -> None:
        await service.status(job_id, offset=await service.publish(queued(job_id)))
        # The test's transport gives the answer when it is complete: that it is shows that the stream ends.
        stream = asyncio.create_task(service.http.get(f"ingest/{job_id}/events"))
        await service.status(
            job_id, offset=await service.publish(scanning(job_id), seen(job_id, ["a.jpg"]), *sealed(job_id, PARTITIONS))
        )
        await service.publish(outcomes(job_id, {"a.jpg": "stored"}))
        response = await asyncio.wait_for(stream, HANG_SECONDS)
        assert response.headers["content-type"].startswith("text/event-stream")
        blocks = [block.splitlines() for block in response.text.strip().split("\n\n") if not block.startswith(":")]
        assert {block[0] for block in blocks} == {"event: status"}
        documents = [JobStatus.model_validate_json(block[1].removeprefix("data: ")) for block in blocks]
        assert documents[0].status == "queued"
        assert documents[-1].status == "completed"
        assert [document.offset for document in documents] == sorted(document.offset for document in documents)
