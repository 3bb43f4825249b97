"""What /openapi.json says beyond what the framework finds out by itself."""

from typing import Any

from fastapi import FastAPI

from api.problems import MEDIA_TYPE

DESCRIPTION = """\
Photographs become searchable points.

Submit folders or files (`/ingest`), follow their job, then list, filter and search pictures.
Answers that come in pages have `next`: send it as `cursor` for the following page; null: there is none. What comes and
goes meanwhile neither repeats nor hides anything else.

Errors are problem details (RFC 9457, `application/problem+json`): `type` is for programs, `detail` for people.
The messages on Kafka are described in `/asyncapi.json`.
"""
TAGS = [
    {"name": "ingest", "description": "Asking for jobs: folders of the service's machine, and files that are sent."},
    {"name": "jobs", "description": "Looking at jobs and steering them."},
    {"name": "dead letters", "description": "What could not be done, and trying it again."},
    {"name": "replay", "description": "Doing again what topics and collections hold, in the background."},
    {"name": "collections", "description": "Collections of pictures; each is bound to the model of its vectors."},
    {"name": "images", "description": "The stored pictures."},
    {"name": "search", "description": "Search by text, by picture, and for more like a stored one."},
    {"name": "duplicates", "description": "Pictures that look alike, and contents with several copies."},
    {"name": "archive", "description": "Moving files out of the way, and back."},
    {"name": "system", "description": "Whether the service runs, whether it can work, and what it can do."},
]  # fmt: skip
_PROBLEM = {"$ref": "#/components/schemas/Problem"}


def describe_errors(app: FastAPI) -> None:
    """Have the description of `app` say that problems come as `application/problem+json`."""
    made = app.openapi

    def openapi() -> dict[str, Any]:
        described = made()
        for path in described["paths"].values():
            for operation in path.values():
                for response in operation["responses"].values():
                    content = response.get("content", {})
                    for media_type in [name for name, one in content.items() if one.get("schema") == _PROBLEM]:
                        content[MEDIA_TYPE] = content.pop(media_type)
        return described

    app.openapi = openapi  # type: ignore[method-assign]  # the documented way
