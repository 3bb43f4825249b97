"""What ML is sent."""

from dataclasses import dataclass
from io import BytesIO

from PIL import Image


@dataclass(frozen=True, slots=True)
class ImageInput:
    """One image to embed; `unique_id` names it within its batch."""

    unique_id: str
    jpeg: bytes
    filename: str


def _grey() -> bytes:
    jpeg = BytesIO()
    Image.new("RGB", (64, 64), "grey").save(jpeg, "JPEG")
    return jpeg.getvalue()


# Nothing is wrong with this one: what a service makes of it tells of the service alone.
CONTROL = ImageInput("control", _grey(), "control.jpg")
