"""The model of a file's job, which hash has to know before the file goes on."""

from agents.collections import WritableCollections
from agents.stage import StageApp
from topics.raw_path import RawPath


class Models:
    """Finds it: in the job's status, else in the file's collection."""

    def __init__(self, stage: StageApp, collections: WritableCollections) -> None:
        self._stage = stage
        self._jobs = stage.services.jobs
        self._collections = collections

    async def with_model(self, file: RawPath) -> RawPath:
        """Return a file with the model of its job: a collection that is not there yet is made.

        The scan stage makes it for its own jobs. A program that publishes here may name a collection that has to be
        made, or one of another model: the file fails for that here, as a stage behind would wait for ML in vain.
        """
        status = self._jobs.status(file.job_id)
        named = file.model_id, file.collection
        if file.model_id is not None and status is not None and (status.model_id, status.collection) == named:
            return file
        model_id = await self._stage.persist(
            [file.job_id], lambda: self._collections.ensure(file.job_id, file.collection, file.model_id)
        )
        return file if file.model_id == model_id else file.model_copy(update={"model_id": model_id})

    async def with_known_model(self, file: RawPath) -> RawPath | None:
        """Return a file with its own model, or that of its collection; None where there is no such collection."""
        if file.model_id is not None:
            return file
        known = await self._stage.persist([file.job_id], lambda: self._collections.known(file.job_id, file.collection))
        if known is None or known.model_id is None:
            return None
        return file.model_copy(update={"model_id": known.model_id})
