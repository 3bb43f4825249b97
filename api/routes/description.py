"""What the messages on Kafka look like; /openapi.json says the same of HTTP."""

from functools import cache
from typing import Any

from fastapi import APIRouter

from topics.asyncapi import document

router = APIRouter(tags=["system"])


@router.get("/asyncapi.json")
async def asyncapi() -> dict[str, Any]:
    """Describe all topics, their keys, headers and values (AsyncAPI 3)."""
    return _document()


@cache
def _document() -> dict[str, Any]:
    return document()
