"""From a request to a job that the API itself can see."""

import asyncio
from dataclasses import dataclass
from weakref import WeakValueDictionary

import structlog
from pydantic import ValidationError

from api.access.sources import allowed_source, real_roots, roots_around
from api.collections.model import CurrentModel
from api.jobs.publisher import Publisher
from api.kept import Kept
from api.view.view import JobView
from core.errors import KafkaUnavailableError, RequestError
from gateways.qdrant import BoundCollection, Qdrant
from gateways.targets import Targets
from rules.collections import check_name
from rules.sources import asked_job
from topics.files import Task
from topics.job_status import JobStatus
from topics.scan_request import ScanRequest
from topics.source import Source

log = structlog.get_logger()

VISIBLE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Submission:
    """A job that somebody asks for. `collection`: None for the active one. `is_keyed`: its id is an Idempotency-Key."""

    job_id: str
    collection: str | None
    caption: bool
    is_keyed: bool = False
    exclude: tuple[str, ...] = ()


class Submitter:
    """Checks requests and queues them."""

    def __init__(
        self,
        *,
        view: JobView,
        kept: Kept,
        publisher: Publisher,
        qdrant: Qdrant,
        targets: Targets,
        model: CurrentModel,
    ) -> None:
        self._view = view
        self._kept = kept
        self._publisher = publisher
        self._qdrant = qdrant
        self._targets = targets
        self._model = model
        # Two requests with one job id must not both find it free. A lock lasts as long as someone holds it.
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def submit_folders(self, submission: Submission, paths: list[str], *, must_be_folders: bool) -> JobStatus:
        """Queue a scan of these folders (or files) of this machine.

        Raises RequestError: 400 for a path that cannot be used, 409 for a job id in use, and as `target` does.
        """
        roots = await self._kept.roots()
        sources = await asyncio.to_thread(
            lambda: [allowed_source(path, roots, must_be_folder=must_be_folders) for path in paths]
        )
        return await self.submit(submission, sources, await asyncio.to_thread(roots_around, sources, roots))

    async def submit_reread(self, submission: Submission, name: str) -> JobStatus:
        """Queue a job that reads the files of a collection again, within the folders that the service may read.

        Raises CollectionMissingError; RequestError: 409 for a collection that others made, and as `submit`.
        """
        known = await self._ours(name)
        return await self._queue(submission, name, known.model_id, [], await self._readable(), reread=True)

    async def submit_reembed(self, submission: Submission, name: str, model: str, *, accept_failed: bool) -> JobStatus:
        """Queue a job that gives a collection vectors of another model, by its name or its id.

        Raises CollectionMissingError, MLUnavailableError; RequestError: 409 for a collection that others made, that is
        of that model or is being embedded anew already, 422 for a model that ML does not have; and as `submit`.
        """
        known = await self._ours(name)
        model_id = await self._model.named(model)
        if await self._view.status(submission.job_id) is None:
            async for job in self._view.unfinished():
                if (job.collection, job.task) == (name, "reembed"):
                    raise RequestError(
                        f"Job {job.job_id} is embedding {name!r} anew: wait for its end, or cancel it.", 409
                    )
            if known.model_id == model_id and await self._qdrant.leaving(name) is None:
                raise RequestError(f"Collection {name!r} holds vectors of {model_id} already.", 409)
        roots = await self._readable()
        return await self._queue(submission, name, model_id, [], roots, task="reembed", accept_failed=accept_failed)

    async def submit_caption(self, submission: Submission, name: str) -> JobStatus:
        """Queue a job that asks ML for the captions that pictures of a collection lack.

        Raises CollectionMissingError, MLUnavailableError; RequestError: 409 for a collection that others made, or an ML
        that writes none; and as `submit`.
        """
        known = await self._ours(name)
        offered = await self._model.ask()
        if offered.blip_model_loaded is False:
            raise RequestError(
                f"The model that ML runs, {offered.model_id}, writes no captions. `darkroom models get captions` "
                "fetches one that does.",
                409,
            )
        return await self._queue(submission, name, known.model_id, [], await self._readable(), task="caption")

    async def _ours(self, name: str) -> BoundCollection:
        """Return a collection of ours, with all indexes."""
        known = await self._qdrant.existing_collection(name)
        if known.model_id is None:
            raise RequestError(f"Collection {name!r} was made by another program: nothing is known of its files.", 409)
        # One of an older version lacks indexes. ML is not asked: it sees what has changed, and can be waited for.
        return await self._targets.ensure(name)

    async def _readable(self) -> list[str]:
        """Return the folders in which files of a collection may be read."""
        return await asyncio.to_thread(real_roots, await self._kept.readable_roots())

    async def submit_source(self, source: Source) -> JobStatus:
        """Queue a look at a source. Raises as `submit` does."""
        submission = Submission(
            asked_job(source.name), source.collection, source.caption, exclude=tuple(source.exclude)
        )
        collection, model_id = await self.target(submission)
        # Who published it without roots has its files bound to those of the workers.
        return await self._queue(submission, collection, model_id, [source.folder], source.roots, source=source.name)

    async def make_target(self, collection: str) -> None:
        """Make a collection for what is to come. Raises as `target` does."""
        await self.target(Submission("", collection, caption=False))

    async def target(self, submission: Submission) -> tuple[str, str]:
        """Return the collection, created if it is new, and the model id: the collection's, where ML can run that.

        Raises RequestError: 422 for a wrong name, 409 when the collection is of another model; MLUnavailableError,
        QdrantUnavailableError.
        """
        name = submission.collection or await self._kept.active_collection()
        check_name(name)
        model = await self._model.ask()
        known = await self._qdrant.collection(name)
        if known is not None and known.model_id in {one.model_id for one in model.models}:
            return name, (await self._targets.ensure(name)).model_id
        return name, (await self._targets.ensure(name, model.model_id, model.embedding_dim)).model_id

    async def submit(self, submission: Submission, sources: list[str], roots: list[str]) -> JobStatus:
        """Queue a job for sources that have been checked; return when it shows in the API's own view.

        Its files must still lie in one of `roots`, absolute paths without links, when they are read.
        """
        collection, model_id = await self.target(submission)
        return await self._queue(submission, collection, model_id, sources, roots)

    async def _queue(
        self,
        submission: Submission,
        collection: str,
        model_id: str,
        sources: list[str],
        roots: list[str] | None,
        *,
        reread: bool = False,
        task: Task | None = None,
        accept_failed: bool = False,
        source: str | None = None,
    ) -> JobStatus:
        try:
            request = ScanRequest(
                job_id=submission.job_id,
                collection=collection,
                sources=sources,
                caption=submission.caption,
                model_id=model_id,
                roots=roots,
                reread=reread,
                task=task,
                accept_failed=accept_failed,
                source=source,
                exclude=list(submission.exclude),
            )
        except ValidationError as error:  # more paths than fit into a message
            why = error.errors()[0]["msg"].removeprefix("Value error, ")
            raise RequestError(f"The job cannot be queued: {why}.", 422) from error
        async with self._locks.setdefault(request.job_id, asyncio.Lock()):
            if known := await self._known(request, is_keyed=submission.is_keyed):
                return known
            offset = await self._publisher.submit(request)
            log.info("job-submitted", job_id=request.job_id, collection=collection, sources=len(sources))
            try:
                return await self._view.wait_for(request.job_id, offset, VISIBLE_SECONDS)
            except TimeoutError as error:
                raise KafkaUnavailableError(
                    f"Job {request.job_id} is queued, but its status cannot be read yet: "
                    f"Kafka {await self._view.problem() or 'is slow'}."
                ) from error

    async def _known(self, request: ScanRequest, *, is_keyed: bool) -> JobStatus | None:
        """Return the job if this very request was queued before. Raises RequestError if another has its id."""
        status = await self._view.status(request.job_id)
        if status is None:
            return None
        folded = await self._view.folded(request.job_id)
        asked = await self._view.request(request.job_id)
        # A job that is finished may be known by its status alone, which does not say what it left out.
        exclude = request.exclude if asked.exclude is None else asked.exclude
        model_id = status.model_id if request.task == "reembed" else request.model_id
        if (status.collection, asked.sources, status.caption, status.reread, status.task, model_id, exclude) == (
            request.collection,
            request.folders,
            request.caption,
            request.reread,
            request.task,
            request.model_id,
            request.exclude,
        ):
            return status
        if folded is not None and folded.queued_at is None and status.collection == request.collection:
            return None  # its scan request was published, but not that it is queued: see Publisher.submit
        if is_keyed:
            raise RequestError("This Idempotency-Key belongs to another request: choose a new one.", 422)
        raise RequestError(
            f"The job id {request.job_id!r} belongs to another request: choose a new one, or leave it out.", 409
        )
