"""`ml-request`: a small rendition to be embedded. Never the original image."""

from pydantic import Base64Bytes

from imaging.metadata import Metadata
from topics.content import Content
from topics.files import HashedFileOfJob
from topics.record import Topic


class MLRequest(HashedFileOfJob):
    """A decoded picture: JPEG rendition (longest side ≤ 512 px), JPEG thumbnail (fits 200 x 200), metadata."""

    metadata: Metadata
    thumbnail_base64: str
    rendition_base64: Base64Bytes  # bytes here, base64 on the wire
    read_at: float | None = None  # as in topics.content
    # Of a content that is embedded: a caption alone is asked for, of what is kept, and this gets it.
    known: Content | None = None


# No more than ML takes at once, even a slow one: a kill repeats the requests to ML that were on their way, and those
# alone, as long as each of them has whole messages.
MOST_FILES = 8

ML_REQUEST: Topic[MLRequest] = Topic(
    "ml-request", key="sha256", record=MLRequest, has_bundles=True, most_files=MOST_FILES, brings_files=True
)
