"""Decodes a file whose content is new into an ml-request; used by prepare, for owners of claims.

Where a file is gone, and its picture is to be embedded anew or to get a caption, what is kept of it does: the
thumbnail that its point has.
"""

import asyncio
import base64

from agents.rereading import taken_over
from agents.roots import allowed_roots
from agents.stage import StageApp
from core import failpoints
from core.errors import DrainingError, FatalError, FileChangedError, FileError
from gateways.decoding import prepare
from imaging.hashing import FileStamp
from imaging.prepared import Prepared
from rules.claims.claim import Known
from rules.identity import point_id
from streams.item import Item
from topics.content import Content
from topics.db_write import DB_WRITE, DBWrite
from topics.hashed_file import HashedFile
from topics.image_outcome import Embedded, FailedFile
from topics.ml_request import ML_REQUEST, MLRequest
from topics.raw_path import RAW_PATH, RawPath
from topics.record import Headers

# A file that differs from what was hashed is hashed again, so often.
MAX_ATTEMPTS = 5


class Decoder:
    """Ends each file in one of four ways: sent to ML, hashed again, failed alone, or failed with its content."""

    def __init__(self, stage: StageApp) -> None:
        self._stage = stage

    async def decode(self, item: Item[HashedFile]) -> None:
        """Decode the owner of a claim and wait until what follows from it is delivered."""
        if item.record.task == "caption":
            # What is known of the content was lost, but for its point.
            kept = await self._kept(item)
            if kept is not None:
                await self.send_for_caption(item, kept)
            return
        prepared = await self.prepare(item)
        if prepared is None:
            return
        known = taken_over(item.record.former, prepared, item.event.message.timestamp)
        if known is None:
            await self.send(item, prepared)
        else:
            await self.send_known(item, known)

    async def prepare(self, item: Item[HashedFile]) -> Prepared | None:
        """Decode a file; None where it ended in another way, and what follows from that is delivered."""
        file = item.record
        if file.kept:
            kept = await self._kept(item)
            if kept is None:
                return None
            thumbnail = base64.b64decode(kept.thumbnail_base64)
            return Prepared(kept.metadata, thumbnail, rendition=thumbnail)
        settings = self._stage.services.settings
        try:
            return await self._stage.services.cpu.run_for_file(
                file.size,
                prepare,
                file.path_bytes,
                FileStamp(file.size, file.mtime_ns, file.ctime_ns),
                file.sha256,
                max_pixels=settings.max_image_pixels,
                max_bytes=settings.max_file_bytes,
                roots=allowed_roots(file.roots, settings),
                salvage_damaged=settings.salvage_damaged,
            )
        except FileChangedError as error:
            await self._hash_again(item, error)
        except FileError as error:
            await self._stage.fail_file(item, error)
        except (DrainingError, FatalError):
            raise
        except Exception as error:
            await self._stage.fail_content(item, error)
        return None

    async def send(self, item: Item[HashedFile], prepared: Prepared) -> None:
        """Send what was decoded to ML, and wait until that is delivered."""
        file, headers = item.record, item.headers
        request = MLRequest(
            **file.file_fields(),
            metadata=prepared.metadata,
            thumbnail_base64=base64.b64encode(prepared.thumbnail).decode(),
            rendition_base64=base64.b64encode(prepared.rendition),
            read_at=item.event.message.timestamp,
        )
        failpoints.reach("prepare-claimed")
        await self._stage.send_file(ML_REQUEST, file.sha256, request, file.headers(headers))
        failpoints.reach("prepare-sent")
        self._stage.handed_on(file, headers)

    async def send_for_caption(self, item: Item[HashedFile], known: Content) -> None:
        """Have ML describe what is kept of a content that is embedded, and wait until that is delivered."""
        request = MLRequest(
            **item.record.file_fields(),
            metadata=known.metadata,
            thumbnail_base64="",
            rendition_base64=known.thumbnail_base64.encode(),
            known=known,
        )
        await self._stage.send_file(ML_REQUEST, request.sha256, request, request.headers(item.headers))
        self._stage.handed_on(item.record, item.headers)

    async def send_known(self, item: Item[HashedFile], content: Content) -> None:
        """Have a file stored whose content ML need not see, tell that it is known, and wait until that is delivered."""
        write, headers = point_of(item.record, "cached", content), item.headers
        await self._stage.send_file(DB_WRITE, write.sha256, write, write.headers(headers))
        failpoints.reach("edit-written")
        await self._stage.conclude(Embedded(**write.file_fields(), content=content), headers)
        self._stage.handed_on(write, headers)

    async def _kept(self, item: Item[HashedFile]) -> Content | None:
        """Return what the point of a file tells of its content; without a picture, the file fails."""
        file, qdrant = item.record, self._stage.services.qdrant

        async def read() -> Content:
            for info in await qdrant.generations(file.collection):
                point = await qdrant.point(info.at, point_id(file.sha256))
                if point is not None and point.payload.get("thumbnail_base64"):
                    content = Content.of_point(point.vector, point.payload)
                    base64.b64decode(content.thumbnail_base64, validate=True)
                    return content
            raise FileError(f"{file.path} is gone, and no picture of it is kept.")

        try:
            return await self._stage.persist([file.job_id], read)
        except FileError as error:
            await self._stage.fail_file(item, error)
        except (DrainingError, FatalError):
            raise
        except Exception as error:
            await self._stage.fail_file(item, FileError(f"{file.path} is gone, and its point cannot be used: {error}"))
        return None

    async def _hash_again(self, item: Item[HashedFile], error: FileChangedError) -> None:
        file, headers = item.record, item.headers
        if headers.attempt >= MAX_ATTEMPTS:
            await self._stage.fail_file(item, error)
            return
        again = RawPath(**file.model_dump(include=set(RawPath.model_fields) - {"size", "mtime_ns"}))
        sent = file.headers(Headers(attempt=headers.attempt + 1, replay=headers.replay))
        await asyncio.sleep(1)  # it may still be written
        await (await self._stage.send(RAW_PATH, file.path_bytes, again, sent))
        # No outcome yet: this file goes on under its new content. The claim on the old one passes on.
        await self._stage.conclude(FailedFile(**file.file_fields(), reason=str(error)), headers)


def point_of(file: HashedFile, outcome: Known, content: Content) -> DBWrite:
    """Return what has a file stored whose content is known; an edit of metadata alone names what it was before."""
    former = file.former
    is_same_picture = former is not None and former.rendition_sha256 == content.rendition_sha256
    return DBWrite(
        **file.file_fields(),
        point_id=point_id(file.sha256),
        outcome=outcome,
        content=content,
        former=former.sha256 if former is not None and is_same_picture else None,
    )
