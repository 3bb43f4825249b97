"""Files that were lost on their way begin again: of a job over a collection, with what the collection tells of them."""

from types import SimpleNamespace
from typing import Any

import pytest

from api.jobs.restarting import begin_again
from api.view.reading import UnfinishedFile
from api.view.requests import JobRequest
from rules.identity import file_id
from rules.watchdog import JobSample
from tables.job import Job
from topics.raw_path import RawPath

PATH = "/photos/a.jpg"
LOOKED = JobSample(
    idle_seconds=99, seen=1, unfinished=1, walk_begun=True, sealed=True, is_held=False, stalled=None, restarts=0
)


class OneJob:
    """The view of one job with a file that was lost, and what is published because of it."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.published: list[Any] = []
        self.held_by: list[str | None] = []
        pages = [[UnfinishedFile(1, file_id(job.job_id, "c", PATH.encode()), PATH, None)], []]
        self.view: Any = SimpleNamespace(
            folded=self._folded, request=self._request, unfinished_files=lambda *_, **__: self._page(pages)
        )

    async def _folded(self, _job_id: str) -> Job:
        return self.job

    async def _request(self, _job_id: str) -> JobRequest:
        return JobRequest(sources=["/photos"])

    async def _page(self, pages: list[list[UnfinishedFile]]) -> list[UnfinishedFile]:
        return pages.pop(0)

    async def restarted(self, _job_id: str, _files: int, _attempt: int) -> int:
        return 7

    async def reread(self, job: Job, _roots: list[str], attempt: int) -> None:
        self.published.append((job.job_id, attempt))

    async def skip(self, _job: Job, files: list[UnfinishedFile]) -> None:
        self.published.extend((file.path, "skipped") for file in files)

    async def restart(self, files: list[RawPath], attempt: int) -> None:
        self.published.extend((file.path, attempt) for file in files)
        self.held_by = [file.source for file in files]


@pytest.mark.parametrize(
    ("known", "published"),
    [
        ({"reread": True}, ("j", 2)),
        ({"task": "reembed"}, ("j", 2)),
        # The scan takes no file of it any more, so nothing else would end the one that was lost.
        ({"reread": True, "cancelled": True}, (PATH, 2)),
        ({}, (PATH, 2)),
        # The file is of another collection than its job.
        ({"collection": "d"}, None),
        ({"collection": "d", "cancelled": True}, (PATH, "skipped")),
    ],
    ids=["reread", "task", "cancelled reread", "folders", "of another job", "of another job, cancelled"],
)
async def test_what_begins_again(known: dict[str, Any], published: tuple[str, Any] | None) -> None:
    one = OneJob(Job(**{"job_id": "j", "collection": "c", **known}))
    publisher: Any = one
    assert await begin_again(one.view, publisher, "j", LOOKED) == 7
    assert one.published == ([] if published is None else [published])


async def test_what_begins_again_is_held_by_its_source() -> None:
    one = OneJob(Job(job_id="j", collection="c", source="home"))
    publisher: Any = one
    await begin_again(one.view, publisher, "j", LOOKED)
    assert one.held_by == ["home"]
