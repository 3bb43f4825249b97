"""How `darkroom models eval` measures a model: pictures and texts go the way of the pipeline, without its parts."""

import asyncio
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from agents.leaving_out import Chosen
from agents.scan.walking import Found, Refused, walk
from core.errors import FatalError, RejectedError
from core.settings import Settings
from embedded.ml.inference import picture
from embedded.ml.model import Model
from gateways.cpu import Cpu
from gateways.decoding import prepare
from imaging.hashing import hash_file
from rules.leaving_out import Patterns
from rules.paths import is_within, normal, readable
from rules.recall import Caption, Fault, captions, ranks, recall

AT_ONCE = 32  # pictures that are decoded while as many are embedded
TOLD = 10  # lines with faults


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be found: texts with the paths of their pictures, among `paths`, those with texts first."""

    texts: list[tuple[Caption, bytes]]
    paths: list[bytes]
    left_out: dict[bytes, str]


@dataclass(slots=True)
class _Seen:
    """Pictures by their content: of equal ones there is one, as in a collection."""

    settings: Settings
    model: Model
    numbers: dict[str, int] = field(default_factory=dict)
    by_path: dict[bytes, int] = field(default_factory=dict)
    vectors: list[Any] = field(default_factory=list)
    refused: dict[bytes, str] = field(default_factory=dict)


def read_task(folder: Path, file: Path, settings: Settings) -> Task:
    """Read which texts are to find which pictures of a folder. Raises FatalError that names lines that are wrong."""
    source = normal(os.fsencode(folder.absolute()))
    chosen = Chosen(settings=Patterns(settings.scan_exclude), named=frozenset([source]))
    walked = list(walk(source, None, chosen))
    there = [one.path for one in walked if isinstance(one, Found)]
    refused = {one.path: one.reason for one in walked if isinstance(one, Refused)}
    try:
        lines = file.read_bytes().splitlines()
    except OSError as error:
        raise FatalError(f"{file} cannot be read: {error.strerror}.") from error
    texts, faults, known = [], [], set(there)
    for said in captions(lines):
        if isinstance(said, Fault):
            faults.append(said)
            continue
        path = normal(os.path.join(source, os.fsencode(said.file)))  # noqa: PTH118 - bytes
        if path in known:
            texts.append((said, path))
        else:
            faults.append(Fault(said.line, f"{said.file}: {_why_not(path, source, refused)}"))
    if faults:
        more = f"\nand {len(faults) - TOLD} more lines." if len(faults) > TOLD else ""
        told = "\n".join(f"line {fault.line}: {fault.reason}" for fault in faults[:TOLD])
        raise FatalError(f"{file} cannot be used:\n{told}{more}")
    if not texts:
        raise FatalError(f'{file} has no texts: each line is to look like {{"file": "a.jpg", "text": "a dog"}}.')
    first = dict.fromkeys(path for _, path in texts)
    failed = {one.path: one.reason for one in walked if isinstance(one, Refused) and one.outcome == "failed"}
    return Task(texts, [*first, *(path for path in there if path not in first)], failed)


def measure(task: Task, model: Model, settings: Settings, advance: Callable[[int], None]) -> dict[str, Any]:
    """Let each text look for its picture; `advance` is told of pictures as they are done.

    Raises FatalError where a picture that a text is about cannot be used.
    """
    seen = _Seen(settings, model)
    asyncio.run(_look(task, seen, advance))
    texts = np.array([model.embed_text(caption.text) for caption, _ in task.texts])
    places = ranks(np.concatenate(seen.vectors), texts, [seen.by_path[path] for _, path in task.texts])
    left_out = task.left_out | seen.refused
    return {
        "pictures": len(seen.numbers),
        "texts": len(task.texts),
        "recall": {str(first): round(share, 4) for first, share in recall(places).items()},
        "places": [
            {"line": caption.line, "file": caption.file, "text": caption.text, "place": place}
            for (caption, _), place in zip(task.texts, places, strict=True)
        ],
        "left_out": [{"file": readable(path), "reason": reason} for path, reason in left_out.items()],
    }


async def _look(task: Task, seen: _Seen, advance: Callable[[int], None]) -> None:
    lines = {path: caption.line for caption, path in reversed(task.texts)}
    cpu = Cpu(
        seen.settings.cpu_processes,
        timeout=seen.settings.file_timeout_seconds,
        memory=seen.settings.file_memory_bytes,
        preload=["imaging.decoding"],
    )
    embedding: asyncio.Task[None] | None = None
    try:
        for first in range(0, len(task.paths), AT_ONCE):
            paths = task.paths[first : first + AT_ONCE]
            decoded = await asyncio.gather(*(_decode(path, cpu, seen) for path in paths))
            if embedding is not None:
                await embedding
            for path, found in zip(paths, decoded, strict=True):
                if isinstance(found, RejectedError) and path in lines:
                    raise FatalError(f"The picture of line {lines[path]} cannot be used: {found}")
            embedding = asyncio.create_task(_embed(paths, decoded, seen, advance))
        if embedding is not None:
            await embedding
    finally:
        cpu.close()


async def _decode(path: bytes, cpu: Cpu, seen: _Seen) -> tuple[str, bytes] | RejectedError:
    """Return the hash of a file, and the picture that ML would get of it."""
    limit = seen.settings.max_file_bytes
    try:
        sha256, stamp = await cpu.run(hash_file, path, max_bytes=limit)
        prepared = await cpu.run(
            prepare,
            path,
            stamp,
            sha256,
            max_pixels=seen.settings.max_image_pixels,
            max_bytes=limit,
            salvage_damaged=seen.settings.salvage_damaged,
        )
    except RejectedError as error:
        return error
    return sha256, prepared.rendition


async def _embed(
    paths: Sequence[bytes],
    decoded: Sequence[tuple[str, bytes] | RejectedError],
    seen: _Seen,
    advance: Callable[[int], None],
) -> None:
    new: list[Image.Image] = []
    for path, found in zip(paths, decoded, strict=True):
        if isinstance(found, RejectedError):
            seen.refused[path] = str(found)
            continue
        sha256, rendition = found
        if sha256 not in seen.numbers:
            image = picture(rendition)
            assert isinstance(image, Image.Image)  # noqa: S101 - a JPEG of our own
            seen.numbers[sha256] = len(seen.numbers)
            new.append(image)
        seen.by_path[path] = seen.numbers[sha256]
    if new:
        seen.vectors.append(await asyncio.to_thread(seen.model.embed, new))
    advance(len(paths))


def _why_not(path: bytes, source: bytes, refused: dict[bytes, str]) -> str:
    if not is_within(path, (source,)):
        return f"it does not lie in {readable(source)}"
    if path in refused:
        return refused[path]
    if not os.path.lexists(path):
        return f"there is no such file in {readable(source)}"
    return "a scan would leave it out"
