"""The real photographs, end to end."""

import io
from base64 import b64decode
from collections import Counter
from hashlib import sha256
from typing import Any

import pytest
from PIL import Image

from imaging.formats import is_listed
from rules.identity import point_id
from tests.photos import PHOTOS, photo
from tests.pipeline import Pipeline

# Width and height of the upright picture, orientation as stored, date, position: what exiftool says of the files.
KNOWN: dict[str, dict[str, Any]] = {
    "jpg/orientation/landscape_6.jpg": {"width": 600, "height": 450, "orientation": 6},
    "jpg/orientation/portrait_8.jpg": {"width": 450, "height": 600, "orientation": 8},
    "jpg/gps/DSCN0010.jpg": {
        "width": 640,
        "height": 480,
        "orientation": 1,
        "taken_at": "2008-10-22T16:28:39",
        "gps": {"lat": pytest.approx(43.467448, abs=1e-5), "lon": pytest.approx(11.885127, abs=1e-5)},
    },
    "jpg/Canon_40D.jpg": {
        "width": 100,
        "height": 68,
        "camera_model": "Canon EOS 40D",
        "taken_at": "2008-05-30T15:56:01",
    },
}


async def test_a_folder_of_photographs_ends_with_one_point_for_each_content(
    pipeline: Pipeline, collection: str
) -> None:
    assert PHOTOS.is_dir(), f"The test photographs are not at {PHOTOS}"
    files = [path for path in PHOTOS.rglob("*") if path.is_file()]
    listed = [path for path in files if is_listed(bytes(path))]
    contents = Counter(sha256(path.read_bytes()).hexdigest() for path in listed)

    status = await pipeline.run(PHOTOS, collection=collection)

    assert status["total_files"] == len(files)
    assert status["outcomes"]["skipped"] == len(files) - len(listed)
    points = await pipeline.points(collection)
    stored = {point["file_hash"] for point in points.values()}
    failed = {value["path"] for value in pipeline.bus.values("dead-letter")}
    unreadable = {sha256(path.read_bytes()).hexdigest() for path in listed if str(path) in failed}
    assert stored | unreadable == set(contents)
    assert not stored & unreadable
    assert len({point["file_hash"] for point in points.values()}) == status["outcomes"]["stored"]
    for name, fields in KNOWN.items():
        payload = points[str(photo(name))]
        assert {field: payload.get(field) for field in fields} == fields, name
    whole = await pipeline.qdrant.point(collection, point_id(points[str(photo("jpg/Canon_40D.jpg"))]["file_hash"]))
    assert whole is not None
    with Image.open(io.BytesIO(b64decode(whole.payload["thumbnail_base64"]))) as thumbnail:
        assert (thumbnail.format, max(thumbnail.size)) == ("JPEG", 100)  # the original is no larger
