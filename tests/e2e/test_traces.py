"""Traces: one photograph can be followed from scan to point, by a receiver that speaks OTLP over HTTP."""

import asyncio
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests import pictures
from tests.deadlines import HANG_SECONDS
from tests.pipeline import Pipeline, account
from tests.worker import Worker


class Receiver:
    """Keeps every span that it is sent, as a dictionary."""

    def __init__(self) -> None:
        self.spans: list[dict[str, Any]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.take(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def take(self, request: ExportTraceServiceRequest) -> None:
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                self.spans += [
                    {
                        "service": {a.key: a.value.string_value for a in resource.resource.attributes}["service.name"],
                        "name": span.name,
                        "trace": span.trace_id.hex(),
                        "id": span.span_id.hex(),
                        "parent": span.parent_span_id.hex(),
                        "links": [link.trace_id.hex() for link in span.links],
                        "error": span.status.code == 2,
                        "seconds": (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9,
                        **{a.key: a.value.string_value for a in span.attributes},
                    }
                    for span in scope.spans
                ]


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    thread = threading.Thread(target=receiver.server.serve_forever, args=(0.05,))
    thread.start()
    yield receiver
    receiver.server.shutdown()
    receiver.server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def worker_settings(receiver: Receiver) -> dict[str, object]:
    return {
        "otel_exporter_otlp_endpoint": receiver.url,
        "otel_service_name": "darkroom-test",
        "otel_bsp_schedule_delay": 200,  # OpenTelemetry's own: milliseconds between two exports
    }


async def spans_of(receiver: Receiver, job_id: str, name: str, *, at_least: set[str]) -> list[dict[str, Any]]:
    """Return the trace of the photograph with this file name, once it has all these spans."""
    deadline = time.monotonic() + HANG_SECONDS
    while True:
        roots = [
            s
            for s in receiver.spans
            if s.get("darkroom.job_id") == job_id and s.get("darkroom.path", "").endswith(name)
        ]
        found = [s for s in receiver.spans if roots and s["trace"] == roots[0]["trace"]]
        if at_least <= {span["name"] for span in found}:
            return found
        assert time.monotonic() < deadline, [span["name"] for span in found]
        await asyncio.sleep(0.1)


async def test_a_photograph_is_followed_from_scan_to_point(
    pipeline: Pipeline, collection: str, tmp_path: Path, receiver: Receiver, worker: Worker
) -> None:
    paths = pictures.write(tmp_path, range(7700, 7708), prefix="p")
    (tmp_path / "p-broken.jpg").write_bytes(b"no picture")
    job_id = await pipeline.scan(tmp_path, collection=collection)
    account(await pipeline.bus.finished(job_id))
    # More files than partitions: some were in one message.
    assert [one for one in pipeline.bus.of_job("raw-path", job_id, whole=True) if "files" in dict(one.headers)]
    flow = ["send raw-path", "process raw-path", "process hashed-file", "process ml-request", "process db-write"]
    traces = set()
    for name in (path.name for path in paths):
        spans = await spans_of(receiver, job_id, name, at_least={*flow, "process image-outcome"})
        by_name = {span["name"]: span for span in spans}
        assert by_name[flow[0]]["parent"] == ""
        for before, after in pairwise(flow):
            assert by_name[after]["parent"] == by_name[before]["id"], after
            assert by_name[after]["darkroom.job_id"] == job_id
            assert by_name[after]["seconds"] > 0
        assert not any(span["error"] for span in spans)
        assert {span["service"] for span in spans} == {"darkroom-test"}
        traces.add(spans[0]["trace"])
    assert len(traces) == len(paths), "each photograph has a trace of its own"
    # A call for a batch is in the trace of its first photograph, and linked to those of the others.
    for call in ("embed images", "upsert points"):
        calls = [s for s in receiver.spans if s["name"] == call and s["trace"] in traces]
        assert {trace for s in calls for trace in (s["trace"], *s["links"])} == traces, call

    broken = await spans_of(receiver, job_id, "p-broken.jpg", at_least={"process hashed-file"})
    assert [span["name"] for span in broken if span["error"]] == ["process hashed-file"]
    (letter,) = pipeline.bus.of_job("dead-letter", job_id)
    assert dict(letter.headers)["traceparent"].decode().split("-")[1] == broken[0]["trace"]


async def test_what_another_program_publishes_goes_on_with_its_own_trace(
    pipeline: Pipeline, collection: str, tmp_path: Path, receiver: Receiver, worker: Worker
) -> None:
    (path,) = pictures.write(tmp_path, range(7710, 7711))
    trace = "0af7651916cd43dd8448eb211c80319c"
    job_id = f"job-{collection}"
    await pipeline.bus.publish(
        "raw-path",
        str(path),
        {"job_id": job_id, "collection": collection, "path": str(path)},
        [("traceparent", f"00-{trace}-b7ad6b7169203331-01".encode())],
    )
    deadline = time.monotonic() + HANG_SECONDS
    while "process db-write" not in {s["name"] for s in receiver.spans if s["trace"] == trace}:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)
    (first,) = [s for s in receiver.spans if s["trace"] == trace and s["name"] == "process raw-path"]
    assert first["parent"] == "b7ad6b7169203331"
    assert httpx.get(f"{pipeline.ml.url}/health").is_success
