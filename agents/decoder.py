"""Decodes a file whose content is new into an ml-request; used by prepare, for owners of claims."""

import asyncio
import base64

from agents.roots import allowed_roots
from agents.stage import StageApp
from core import failpoints
from core.errors import DrainingError, FatalError, FileChangedError, FileError
from gateways.decoding import prepare
from imaging.hashing import FileStamp
from imaging.prepared import Prepared
from streams.item import Item
from topics.hashed_file import HashedFile
from topics.image_outcome import FailedFile
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
        prepared = await self.prepare(item)
        if prepared is not None:
            await self.send(item, prepared)

    async def prepare(self, item: Item[HashedFile]) -> Prepared | None:
        """Decode a file; None where it ended in another way, and what follows from that is delivered."""
        file = item.record
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
