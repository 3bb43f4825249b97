"""What /openapi.json says beyond what the framework finds out by itself."""

from typing import Any

from fastapi import FastAPI

from api.http.problems import MEDIA_TYPE

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
    {"name": "sources", "description": "Folders that are kept in step with a collection."},
    {"name": "jobs", "description": "Looking at jobs and steering them."},
    {"name": "dead letters", "description": "What could not be done, and trying it again."},
    {"name": "replay", "description": "Doing again what topics and collections hold, in the background."},
    {"name": "collections", "description": "Collections of pictures; each is bound to the model of its vectors."},
    {"name": "images", "description": "The stored pictures."},
    {"name": "forgetting", "description": "Pictures that are gone, and those that are to be forgotten."},
    {"name": "search", "description": "Search by text, by picture, and for more like a stored one."},
    {"name": "models", "description": "Models that know what a picture shows: fetching one, and using it."},
    {"name": "duplicates", "description": "Pictures that look alike, and contents with several copies."},
    {"name": "archive", "description": "Moving files out of the way, and back."},
    {"name": "session", "description": "Letting a browser in: a cookie in place of the key."},
    {"name": "system", "description": "Whether the service runs, whether it can work, and what it can do."},
]  # fmt: skip
PARAMETERS = {
    "job_id": "The id that the submit answered, or that a program has published files under.",
    "image_id": "The id of a picture: a UUID that follows from its content, the same in every collection.",
    "name": "The collection.",
    "source": "The name of a source.",
    "collection": "Default: the active one.",
    "archive_id": "The id that the archiving answered.",
    "report_id": "The id that the search for duplicates answered.",
    "run_id": "The id that the request which began it answered.",
    "letter_id": "Partition and offset of the letter, such as `3-1207`.",
    "limit": "So many in a page, at most.",
    "per_page": "So many in a page, at most.",
    "count": "So many, at most.",
    "cursor": "`next` of the page before; left out: the first page.",
}
"""What parameters mean wherever they are not described in their place."""
_ID = "0b1f5c1e-7f5a-5b39-9a5e-3f1d0c7a2b11"
_JOB = "5f0c7f0e8a3b4c1d9e2f6a7b8c9d0e1f"
_PICTURE = {
    "filename": "IMG_2041.jpg", "full_path": "/photos/2024/IMG_2041.jpg", "paths": ["/photos/2024/IMG_2041.jpg"],
    "file_hash": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "width": 4032, "height": 3024,
    "format": "JPEG", "mode": "RGB", "file_size": 3145728, "taken_at": "2024-05-04T10:20:30+02:00",
    "camera_make": "Canon", "camera_model": "Canon EOS R5", "iso": 200, "aperture": 2.8,
    "gps": {"lat": 48.8606, "lon": 2.3376}, "caption": "a red roof by the sea", "model_id": "clip-vit-b-32",
    "job_id": _JOB, "ingested_at": "2024-05-05T08:00:00+00:00",
}  # fmt: skip
_STORAGE = {"vectors_on_disk": True, "payload_on_disk": True, "quantization": "int8", "warnings": []}
EXAMPLES: dict[str, dict[str, Any]] = {
    "ScanBody": {"directory_path": "/photos/2024", "collection": "holidays"},
    "RootBody": {"path": "/photos"},
    "SourceBody": {"folder": "/photos", "collection": "home", "every_seconds": 21600, "exclude": ["private/"]},
    "SourceChangeBody": {"every_seconds": 3600, "watch": True},
    "Submitted": {"job_id": _JOB, "status": "queued", "message": "Waits for a worker."},
    "CollectionBody": {"name": "holidays"},
    "NewCollectionBody": {"name": "holidays", "storage": {"vectors_on_disk": True, "quantization": "int8"}},
    "StorageBody": {"vectors_on_disk": True, "quantization": "int8"},
    "Collection": {
        "name": "holidays",
        "points": 1204,
        "gone": 3,
        "dimension": 512,
        "model_id": "clip-vit-b-32",
        "storage": _STORAGE,
    },
    "KeepBody": {"days": 30},
    "KeepManyBody": {"all": True, "days": 30},
    "ChoiceBody": {"ids": [_ID]},
    "ForgetBody": {"path": "/photos/2024/IMG_2041.jpg", "dry_run": True},
    "UnforgetBody": {"path": "/photos/2024/IMG_2041.jpg"},
    "MergeBody": {"sources": ["2023", "2024"], "target": "holidays"},
    "FromSelectionBody": {"name": "best", "ids": [_ID], "source": "holidays"},
    "CacheClearBody": {"collection": "holidays"},
    "ReembedBody": {"model": "siglip2-base-patch16-224"},
    "RebuildBody": {"collection": "holidays"},
    "ReplayBody": {"topic": "raw-path", "since": "2024-05-04T00:00:00Z", "dry_run": True},
    "ReplayChoice": {"error_class": "ContentError"},
    "DeadLetterChoice": {"ids": ["3-1207"]},
    "SearchBody": {"query": "a red roof by the sea", "filters": {"taken_at": {"gte": "2023", "lte": "2024"}}},
    "SimilarBody": {"collection": "holidays", "threshold": 0.97},
    "DuplicatesBody": {"collection": "holidays"},
    "KeyBody": {"key": "the value of DARKROOM_API_KEY"},
    "SelectionBody": {"collection": "holidays", "ids": [_ID]},
    "Images": {"images": [{"id": _ID, "payload": _PICTURE}], "total": 1204, "next": "1204.eyJzb3J0IjogbnVsbH0="},
    "SearchResults": {
        "results": [{"id": _ID, "score": 0.83, "filename": "IMG_2041.jpg", "payload": _PICTURE}],
        "total": 1204,
        "mode": "semantic",
    },
}
"""Of bodies and answers, by the name of their schema."""
_PROBLEM = {"$ref": "#/components/schemas/Problem"}


def describe(app: FastAPI) -> None:
    """Have the description of `app` name the media type of problems, and show examples."""
    made = app.openapi

    def openapi() -> dict[str, Any]:
        described = made()
        for path in described["paths"].values():
            for operation in path.values():
                for parameter in operation.get("parameters", ()):
                    parameter.setdefault("description", PARAMETERS.get(parameter["name"], ""))
                for response in operation["responses"].values():
                    content = response.get("content", {})
                    for media_type in [name for name, one in content.items() if one.get("schema") == _PROBLEM]:
                        content[MEDIA_TYPE] = content.pop(media_type)
        for name, example in EXAMPLES.items():
            described["components"]["schemas"][name]["examples"] = [example]
        return described

    app.openapi = openapi  # type: ignore[method-assign]  # the documented way
