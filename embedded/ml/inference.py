"""From the images of a request to its results, as plain functions for a thread. One bad image fails alone."""

import base64
import io
from typing import Any

from PIL import Image, ImageOps
from pydantic import BaseModel

from embedded.ml.model import Model
from embedded.ml.parallel import in_parallel

MAX_IMAGE_SIDE = 4096  # pixels; a larger image is refused before it is decoded
WORKING_SIDE = 512  # pixels; what is kept of an image while its batch is in work


class ImageRequest(BaseModel):
    """One image of a request."""

    unique_id: str
    image_base64: str
    filename: str = ""


class BatchRequest(BaseModel):
    """The body of a request to embed."""

    images: list[ImageRequest]


def results(model: Model, images: list[ImageRequest], *, caption: bool, embed: bool) -> list[dict[str, Any]]:
    """Embed and caption a batch: one result for each image, in the same order. Raises MemoryError."""
    pictures = in_parallel(_read, (image.image_base64 for image in images))
    readable = [picture for picture in pictures if isinstance(picture, Image.Image)] if embed else []
    vectors = iter(model.embed(readable)) if readable else iter(())
    answers = []
    for image, picture in zip(images, pictures, strict=True):
        answer = _unanswered(model, image)
        if isinstance(picture, str):
            answer["error"] = picture
        else:
            if embed:
                vector = next(vectors)
                answer |= {"embedding": vector.tolist(), "embedding_shape": [len(vector)]}
            if caption and model.caption_model_id:
                answer["caption"] = model.caption(picture)
        answers.append(answer)
    return answers


def _unanswered(model: Model, image: ImageRequest) -> dict[str, Any]:
    return {
        "unique_id": image.unique_id,
        "filename": image.filename,
        "embedding": None,
        "embedding_shape": None,
        "caption": None,
        "error": None,
        "model_name_clip": model.model_id,
        "model_name_blip": model.caption_model_id,
        "device_used": model.device,
    }


def _read(image_base64: str) -> Image.Image | str:
    try:
        content = base64.b64decode(image_base64, validate=True)
    except ValueError as error:
        return f"the image cannot be decoded: {error}"
    return picture(content)


def picture(content: bytes) -> Image.Image | str:
    """Decode an image, upright and in RGB; or say why it cannot be."""
    try:
        image = Image.open(io.BytesIO(content))
        if max(image.size) > MAX_IMAGE_SIDE:
            return f"the image has {image.width} x {image.height} pixels, more than {MAX_IMAGE_SIDE} on a side"
        image.thumbnail((WORKING_SIDE, WORKING_SIDE))
        upright = ImageOps.exif_transpose(image)
        if upright.has_transparency_data:
            white = Image.new("RGBA", upright.size, "white")
            upright = Image.alpha_composite(white, upright.convert("RGBA"))
        return upright.convert("RGB")
    except MemoryError:
        raise
    except Exception as error:  # Decoders raise nearly everything for broken bytes.
        return f"the image cannot be decoded: {error}"
