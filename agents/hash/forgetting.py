"""Forgets paths: hash's part. It tells prepare what each path was taken in with, and prepare has the row go then."""

import asyncio
import os
from collections.abc import Awaitable, Sequence
from typing import NamedTuple

from agents.hash.in_work import InWork
from agents.stage import StageApp
from core import failpoints
from rules.departures import Held
from rules.paths import to_wire
from streams.messages import Event
from streams.rejecting import or_reject
from streams.tasks import delivered
from streams.window import Window, writing_rows
from tables.fingerprints import Fingerprint, Fingerprints, read_row
from topics.erasure import (
    AnyForHash,
    ForgetPath,
    ForgetPaths,
    ForgetPicture,
    ForgetSource,
    LeftPath,
    RetirePath,
    headers_of,
)
from topics.image_outcome import IMAGE_OUTCOME
from topics.raw_path import RAW_PATH
from topics.record import Headers

ROWS_AT_ONCE = 1000


class _Leaves(NamedTuple):
    """A path of which something leaves: its row is `raised` until prepare is told, and `after` from then on."""

    path: bytes
    raised: Fingerprint
    after: Fingerprint
    sequence: int
    held: list[Held]


class PathForgetter:
    """Takes requests to forget paths; each message is one step."""

    def __init__(self, stage: StageApp, fingerprints: Fingerprints, in_work: InWork) -> None:
        self._stage = stage
        self._fingerprints = fingerprints
        self._in_work = in_work

    async def take(self, event: Event, asked: AnyForHash, window: Window) -> None:
        """Take one message."""
        match asked:
            case RetirePath():
                rows = self._fingerprints.retire(asked.path_bytes, asked.sha256, asked.collection, asked.untold)
                await window.add(event, delivered(rows))
            case ForgetPath():
                await self._add(event, window, self._forget_path(event, asked))
            case ForgetSource():
                await self._add(event, window, self._forget_source(event, asked))
            case ForgetPaths():
                await self._add(event, window, self._forget_paths(event, asked))

    async def _add(self, event: Event, window: Window, work: Awaitable[None]) -> None:
        await window.add(event, or_reject(work, lambda error: self._stage.reject(event, error)))

    async def _forget_path(self, event: Event, asked: ForgetPath) -> None:
        # What is being read has no row yet.
        await self._in_work.without(self._in_work.below(asked.path_bytes))
        with writing_rows(event):
            rows = self._fingerprints.within([asked.path_bytes], asked.after_key, ROWS_AT_ONCE)
        held = [
            (path, one)
            for path, row in rows
            for one in read_row(row).held
            if asked.collection in {None, one.collection}
        ]
        await self._send([ForgetPicture(sha256=one.sha256, collection=one.collection, at=asked.at) for _, one in held])
        failpoints.reach("forget-told")
        with writing_rows(event):
            retired = [
                row for path, one in held for row in self._fingerprints.retire(path, one.sha256, one.collection, 0)
            ]
        await delivered(retired)
        await self._go_on(event, asked, [path for path, _ in rows])

    async def _forget_source(self, event: Event, asked: ForgetSource) -> None:
        """Forget what a source alone holds, of some rows; what others hold too it holds no more."""
        token = f"forget-{asked.source}-{asked.at}"
        with writing_rows(event):
            rows = self._fingerprints.within([os.fsencode(asked.folder)], asked.after_key, ROWS_AT_ONCE)
            found = [one for path, row in rows if (one := _leaving(path, read_row(row), asked, token)) is not None]
            raised = [self._fingerprints.put(one.path, one.raised) for one in found]
        await delivered(raised)
        await self._send(
            [
                ForgetPicture(sha256=held.sha256, collection=held.collection, at=asked.at, left=_left(one))
                for one in found
                for held in one.held
            ]
        )
        failpoints.reach("forget-told")
        with writing_rows(event):
            after = [
                self._fingerprints.put(one.path, one.after)
                for one in found
                if self._fingerprints.get(one.path) == one.raised
            ]
        await delivered(after)
        await self._go_on(event, asked, [path for path, _ in rows])

    async def _forget_paths(self, event: Event, asked: ForgetPaths) -> None:
        with writing_rows(event):
            rows = self._fingerprints.within([b"/"], asked.after_key, ROWS_AT_ONCE)
            deliveries = [
                row
                for path, known in ((path, read_row(row)) for path, row in rows)
                for held in known.held
                if held.collection == asked.collection
                for row in self._fingerprints.retire(path, held.sha256, asked.collection, 0)
            ]
        await delivered(deliveries)
        await self._go_on(event, asked, [path for path, _ in rows])

    async def _go_on(
        self, event: Event, asked: ForgetPath | ForgetSource | ForgetPaths, paths: Sequence[bytes]
    ) -> None:
        if len(paths) == ROWS_AT_ONCE:
            headers = headers_of(asked.step_behind(paths[-1]))
            partition = event.message.partition
            await (await self._stage.send_raw(RAW_PATH.name, b"forget", None, headers, partition))

    async def _send(self, told: Sequence[ForgetPicture]) -> None:
        deliveries = [await self._stage.send(IMAGE_OUTCOME, one.sha256, one, Headers()) for one in told]
        await asyncio.gather(*deliveries)


def _leaving(path: bytes, known: Fingerprint, asked: ForgetSource, token: str) -> _Leaves | None:
    """Return what a source's end means for the row of a path; None: nothing."""
    is_raised = token in known.leaving_in
    leaves: list[Held] = []
    stays: list[Held] = []
    for one in known.held:
        others = tuple(by for by in one.by if by != asked.source)
        if one.collection != asked.collection or asked.source not in one.by:
            stays.append(one)
        elif others:
            stays.append(one._replace(by=others))
        else:
            leaves.append(one)
    if tuple(stays) == known.held:
        return None
    sequence = known.sequence - 1 if is_raised else known.sequence
    raised = known
    if leaves and not is_raised:
        raised = known.marked(token).model_copy(update={"sequence": sequence + 1})
    after = raised.without(token, tuple(stays))
    return _Leaves(path, raised, after, sequence, leaves)


def _left(one: _Leaves) -> LeftPath:
    shown, path_b64 = to_wire(one.path)
    return LeftPath(path=shown, path_b64=path_b64, sequence=one.sequence)
