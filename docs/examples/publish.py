"""Publish the JPEGs below a folder to Darkroom as one job: python docs/examples/publish.py FOLDER COLLECTION."""

import asyncio
import json
import os
import sys
import uuid
from collections.abc import Iterable
from pathlib import Path

import httpx
from aiokafka import AIOKafkaProducer

KAFKA = os.environ.get("KAFKA_BROKERS", "127.0.0.1:9094")
DARKROOM = os.environ.get("DARKROOM_URL", "http://127.0.0.1:8002")


async def publish(folder: Path, paths: Iterable[Path], collection: str, job_id: str) -> None:
    """Send one message a file, and wait until Kafka has them all."""
    async with AIOKafkaProducer(bootstrap_servers=KAFKA) as producer:
        deliveries = []
        for path in paths:
            file = {"job_id": job_id, "collection": collection, "path": str(path), "roots": [str(folder)]}
            deliveries.append(await producer.send("raw-path", json.dumps(file).encode(), key=str(path).encode()))
        await asyncio.gather(*deliveries)


job_id = f"example-{uuid.uuid4().hex}"
folder = Path(sys.argv[1]).resolve()
asyncio.run(publish(folder, folder.rglob("*.jpg"), sys.argv[2], job_id))
# Only now: the end marker must come behind the files.
httpx.post(f"{DARKROOM}/api/v1/ingest/{job_id}/close").raise_for_status()
sys.stdout.write(f"{job_id}\n")
