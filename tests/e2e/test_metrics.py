"""The metrics of a running system: what an operator sees there is what happened, and dashboards ask for what exists."""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from core.settings import Settings
from embedded.ports import free_port
from tests import pictures
from tests.api.service import Service, serving
from tests.deadlines import HANG_SECONDS
from tests.parts import ROOT, Part
from tests.pipeline import Pipeline, account
from tests.worker import Worker

DEPLOY = ROOT / "deploy"
PORT = free_port()
# What is in a PromQL expression beside metrics and labels.
LANGUAGE = {
    "sum",
    "max",
    "min",
    "by",
    "or",
    "rate",
    "increase",
    "and",
    "on",
    "le",
    "histogram_quantile",
    "label_replace",
}


@pytest.fixture(scope="module")
def worker_settings() -> dict[str, object]:
    return {"metrics_port": PORT}


@pytest.fixture
async def service(kafka: Part, qdrant: Part, ml: Part, tmp_path: Path) -> AsyncIterator[Service]:
    settings = Settings(
        kafka_brokers=kafka.address,
        qdrant_url=qdrant.url,
        ml_inference_service_url=ml.url,
        darkroom_data=tmp_path / "api-data",
        stalled_after_seconds=1.5,  # so that the watchdog looks twice a second
    )
    async with serving(settings) as running:
        yield running


class Scrape:
    """What one `/metrics` says."""

    def __init__(self, text: str) -> None:
        self.families: list[Metric] = list(text_string_to_metric_families(text))
        self.samples = [sample for family in self.families for sample in family.samples]

    def value(self, name: str, **labels: str) -> float:
        return sum(s.value for s in self.samples if s.name == name and labels.items() <= s.labels.items())

    def has(self, name: str) -> bool:
        return any(sample.name == name for sample in self.samples)


def of_worker(worker: Worker) -> Scrape:
    (started,) = [line for line in worker.lines() if line["event"] == "worker-started"]
    response = httpx.get(started["metrics"])
    assert response.headers["content-type"].startswith("text/plain")
    return Scrape(response.text)


async def of_api(service: Service) -> Scrape:
    response = await service.http.get("http://127.0.0.1/metrics")
    assert response.status_code == 200
    return Scrape(response.text)


async def test_what_is_shown_is_what_happened_and_all_that_the_dashboards_ask_for(
    pipeline: Pipeline, collection: str, tmp_path: Path, worker: Worker, service: Service
) -> None:
    before = of_worker(worker)
    folder = tmp_path / "photos"
    pictures.write(folder, range(8800, 8806))
    (folder / "copy.jpg").write_bytes(pictures.jpeg(8800))
    (folder / "broken.jpg").write_bytes(b"no picture")
    # Once with ML away: a stage that waits shows it.
    httpx.post(f"{pipeline.ml.url}/control", json={"status": 503}).raise_for_status()
    job_id = await pipeline.scan(folder, collection=collection)
    deadline = time.monotonic() + HANG_SECONDS
    while not of_worker(worker).value("darkroom_service_retries_total", target="ml"):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)
    httpx.post(f"{pipeline.ml.url}/control", json={}).raise_for_status()
    status = account(await pipeline.bus.finished(job_id))
    await pipeline.run(folder, collection=collection)

    def grown(name: str, **labels: str) -> float:
        return after.value(name, **labels) - before.value(name, **labels)

    after = of_worker(worker)
    for outcome, files in status["outcomes"].items():
        if outcome in {"stored", "duplicate"}:
            assert grown("darkroom_files_total", outcome=outcome) == files, outcome
    assert grown("darkroom_files_total", outcome="unchanged") == 7
    assert grown("darkroom_files_total", outcome="failed", stage="prepare") == 2
    assert grown("darkroom_dead_letters_total", error="ContentError") == 2
    assert grown("darkroom_cache_lookups_total", cache="known_images", result="hit") >= 7
    assert grown("darkroom_cache_lookups_total", cache="fingerprints", result="hit") == 8
    assert grown("darkroom_cache_lookups_total", cache="fingerprints", result="miss") == 8
    assert grown("darkroom_batch_items_sum", stage="embed") == 6
    for step in ("read", "hash", "decode", "metadata", "thumbnail"):
        assert grown("darkroom_step_duration_seconds_count", step=step) >= 6, step
        assert grown("darkroom_step_duration_seconds_sum", step=step) > 0, step
    for stage, topic in (("hash", "raw-path"), ("embed", "ml-request"), ("store", "db-write"), ("track", "job-event")):
        labels = {"messaging_consumer_group_name": f"darkroom-{stage}", "messaging_destination_name": topic}
        assert grown("messaging_process_duration_seconds_count", **labels) > 0, stage
    assert grown("darkroom_ml_request_duration_seconds_count", operation="batch_embed_and_caption", result="ok") > 0
    assert grown("darkroom_qdrant_request_duration_seconds_count", operation="PUT collections points", result="ok") > 0
    assert grown("darkroom_event_loop_lag_seconds_count") > 0

    labels = {"http_route": "/api/v1/ingest/status/{job_id}", "http_response_status_code": "404"}
    unknown = (await of_api(service)).value("http_server_request_duration_seconds_count", **labels)
    await service.http.get("ingest/status/nobody")
    shown = await of_api(service)
    assert shown.value("darkroom_event_loop_lag_seconds_count") > 0
    deadline = time.monotonic() + HANG_SECONDS
    # The first look of the watchdog tells both, one after the other.
    while shown.value("darkroom_stage_up") != 6 or not shown.has("darkroom_jobs_unfinished"):
        assert time.monotonic() < deadline
        shown = await of_api(service)
    assert shown.value("http_server_request_duration_seconds_count", **labels) == unknown + 1
    lag = [sample for sample in shown.samples if sample.name == "kafka_consumergroup_lag"]
    assert {sample.labels["consumergroup"] for sample in lag} == {
        f"darkroom-{stage}" for stage in ("scan", "hash", "prepare", "embed", "store", "track")
    }

    samples = after.samples + shown.samples
    exist = {sample.name for sample in samples}
    # Prometheus adds these to whatever it scrapes.
    labels_exist = {label for sample in samples for label in sample.labels} | {"instance", "job"}
    missing = {
        f"{where}: {word}" for where, expression in expressions() for word in words(expression, exist | labels_exist)
    }
    assert missing == set()


def expressions() -> Iterator[tuple[str, str]]:
    """Return every PromQL expression that we ship, and where it stands."""
    dashboard = json.loads((DEPLOY / "grafana" / "darkroom.json").read_text())
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"]
    for group in yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text())["groups"]:
        for rule in group["rules"]:
            yield rule["alert"], rule["expr"]


def words(expression: str, known: set[str]) -> list[str]:
    """Return the names in an expression that are neither language nor known."""
    bare = re.sub(r'"[^"]*"|\[[^]]*\]', " ", expression)
    return [word for word in re.findall(r"[a-zA-Z_][a-zA-Z0-9_]*", bare) if word not in LANGUAGE | known]


def test_the_names_in_an_expression_are_found() -> None:
    known = {"good", "stage"}
    assert words('sum by (stage) (rate(good{stage=~"x y"}[5m])) / bad_total > 0.5', known) == ["bad_total"]


def test_every_alert_says_what_to_do() -> None:
    (group,) = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text())["groups"]
    for rule in group["rules"]:
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert rule["annotations"].keys() == {"summary", "description"}, rule["alert"]


def test_every_metric_is_in_a_dashboard() -> None:
    asked = " ".join(expression for _, expression in expressions())
    from core.metrics import REGISTRY

    ours: list[Any] = [m.name for m in REGISTRY.collect() if not m.name.startswith(("python_", "process_"))]
    assert [name for name in ours if name not in asked] == []
