"""Searches of a large library: by words, by a vector, by both, each with and without filters.

On the Qdrant of QDRANT_URL a million points, else on an embedded one 30,000; SEARCH_POINTS says another number.
"""

import asyncio
import os
import re
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import quantiles
from typing import Any, cast

import httpx
import psutil
from rich.console import Console

from api.collections.words import Words
from api.images.searching import Mode, Searcher
from benchmarks.library import DIMENSION, Library
from benchmarks.measure import Result
from benchmarks.running import ROOT, until_answers
from core import settings as environment
from core.settings import Settings, reveal
from embedded import ports
from gateways.ml import Capabilities
from gateways.qdrant import Point, Qdrant
from gateways.targets import Targets

progress = Console(stderr=True)

POINTS = 1_000_000
POINTS_EMBEDDED = 30_000
POINTS_AT_ONCE = 500
SEARCHES = 40
PAGE = 20
MODEL = "bench"
INDEXED_SECONDS = 3600.0
MOST_SECONDS = 0.15
"""Of 95 in 100 searches with filters, on a Qdrant of its own."""

KINDS: dict[str, Mode] = {"words": "keywords", "a vector": "semantic", "both": "auto"}
FILTERS: tuple[dict[str, Any], ...] = (
    {"camera_make": "Canon"},
    {"taken_at": {"gte": "2015", "lte": "2019"}},
    {"rating": {"gte": 4}},
    {"camera_make": "FUJIFILM", "taken_at": "2020"},
)


async def run(result: Result, folder: Path, rounds: int) -> None:
    """Seconds of the first page of a search, as the API makes it; and memory, as far as Qdrant tells it."""
    settings = environment.load()
    is_real = bool(settings.qdrant_address)
    points = int(os.environ.get("SEARCH_POINTS") or (POINTS if is_real else POINTS_EMBEDDED))
    collection = f"bench-{uuid.uuid4().hex[:12]}"
    async with (
        _server(settings, folder) as server,
        Qdrant(server.url, api_key=reveal(settings.qdrant_api_key), timeout=300) as qdrant,
    ):
        library, empty = Library(), await server.memory()
        try:
            targets = Targets(qdrant, settings, _Model(library).capabilities)
            some = (library.points(at, min(POINTS_AT_ONCE, points - at)) for at in range(0, points, POINTS_AT_ONCE))
            result.raw["kept"] = await _fill(qdrant, server, targets, collection, some)
            full = await server.memory()
            await _measure(result, qdrant, library, collection, rounds, is_real=is_real)
        finally:
            await qdrant.delete_collection(collection)
    result.raw |= {"points": points, "qdrant": "of QDRANT_URL" if is_real else "embedded"}
    if full is not None and empty is not None:
        result.add("memory of Qdrant for a picture", "KB", [(full - empty) / points / 1000])


async def _fill(
    qdrant: Qdrant, server: "_Server", targets: Targets, collection: str, points: Iterable[list[Point]]
) -> dict[str, Any]:
    """Store the points, and wait until they are indexed; return how they are kept, and how long it took."""
    begin, count = time.perf_counter(), 0
    made = await targets.ensure(collection, MODEL, DIMENSION)
    for some in points:
        await qdrant.upsert(collection, some)
        count += len(some)
        if count % 50_000 == 0:
            progress.print(f"{count:,} points after {time.perf_counter() - begin:.0f} s")
    stored = time.perf_counter() - begin
    async with asyncio.timeout(INDEXED_SECONDS):
        while not await server.is_indexed(collection):  # noqa: ASYNC110 - it has no way to say when it is
            await asyncio.sleep(1.0)
    return {
        "vectors_on_disk": made.storage.vectors_on_disk,
        "payload_on_disk": made.storage.payload_on_disk,
        "quantization": made.storage.quantization,
        "seconds_to_store": stored,
        "seconds_to_index": time.perf_counter() - begin - stored,
    }


async def _measure(
    result: Result, qdrant: Qdrant, library: Library, collection: str, rounds: int, *, is_real: bool
) -> None:
    model = _Model(library)
    # A search by text asks nothing else of these two.
    searcher = Searcher(qdrant, cast("Any", model), cast("Any", None), Words(qdrant))
    # What the first search of a process makes sure of: that there are indexes, and words beside all pictures.
    await searcher.by_text(collection, "warm", **_wanted("auto", {}))
    for kind, mode in KINDS.items():
        for is_filtered in (False, True):
            p50, p95, found = [], [], 0
            for number in range(rounds):
                seconds = []
                for at, query in zip(range(SEARCHES), library.queries(number), strict=False):
                    filters = FILTERS[at % len(FILTERS)] if is_filtered else {}
                    begin = time.perf_counter()
                    page = await searcher.by_text(collection, query, **_wanted(mode, filters))
                    seconds.append(time.perf_counter() - begin)
                    found += bool(page.hits)
                cuts = quantiles(seconds, n=100, method="inclusive")
                p50.append(cuts[49])
                p95.append(cuts[94])
            if found < SEARCHES * rounds / 2:
                raise RuntimeError(f"Only {found} searches by {kind} found anything.")
            name = f"by {kind}{', with filters' if is_filtered else ''}"
            result.add(f"{name}, p50", "s", p50)
            bound = MOST_SECONDS if is_real and is_filtered else None
            result.add(f"{name}, p95", "s", p95, bound, "at most")


def _wanted(mode: Mode, filters: dict[str, Any]) -> Any:
    return {"limit": PAGE, "offset": 0, "cursor": None, "filters": filters, "mode": mode, "min_score": None}


class _Model:
    """Stands for ML: a text has a vector at once."""

    def __init__(self, library: Library) -> None:
        self._library = library

    async def capabilities(self, model_id: str | None = None) -> Capabilities:  # noqa: ARG002 - as ML's is called
        """Name a model that knows text."""
        return Capabilities(MODEL, embedding_dim=DIMENSION, supports_text=True)

    async def embed_text(self, text: str, *, dimension: int, model_id: str | None = None) -> list[float]:  # noqa: ARG002
        """Return the vector of a group of pictures, the same for the same text."""
        return self._library.near(sum(text.encode()))


class _Server:
    """The Qdrant that is measured; `process` where it is one of this machine."""

    def __init__(self, url: str, key: str | None, process: psutil.Process | None = None) -> None:
        self.url = url
        self._headers = {"api-key": key} if key else {}
        self._process = process

    async def memory(self) -> float | None:
        """Return the bytes that it holds, or None where it does not tell."""
        if self._process is not None:
            return float(self._process.memory_info().rss)
        found = re.search(r"^memory_resident_bytes (\S+)$", (await self._get("/metrics")).text, re.MULTILINE)
        return float(found[1]) if found else None

    async def is_indexed(self, collection: str) -> bool:
        """Tell whether nothing is built any more."""
        answer = await self._get(f"/collections/{collection}")
        return bool(answer.raise_for_status().json()["result"]["status"] == "green")

    async def _get(self, path: str) -> httpx.Response:
        async with httpx.AsyncClient(base_url=self.url, headers=self._headers, timeout=60) as http:
            return await http.get(path)


@asynccontextmanager
async def _server(settings: Settings, folder: Path) -> AsyncIterator[_Server]:
    """Give the Qdrant of the settings, or an embedded one of this case's own."""
    if settings.qdrant_address:
        yield _Server(settings.qdrant_address, reveal(settings.qdrant_api_key))
        return
    port = ports.free_port()
    command = [sys.executable, "-m", "embedded.qdrant", "--data", str(folder / "qdrant"), "--port", str(port)]
    process = subprocess.Popen(command, cwd=ROOT)
    try:
        url = f"http://127.0.0.1:{port}"
        await until_answers(f"{url}/readyz")
        yield _Server(url, None, psutil.Process(process.pid))
    finally:
        process.terminate()
        process.wait(60)
