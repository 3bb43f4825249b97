"""What is done to a picture and a text before a model sees them, and which of its outputs is the vector.

A family's way stands here as constants; what the model's own files say must agree with it, else they are refused:
wrong constants fail nobody's run, and find the wrong pictures. Files that were put into a folder by hand, of no
known family, are believed.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.errors import FatalError

Colour = tuple[float, float, float]
CONFIGS = ("preprocessor_config.json", "preprocess_cfg.json")  # of transformers, of OpenCLIP
TOLERANCE = 1e-4  # of constants that are written with fewer digits
INTERPOLATIONS = {"nearest": 0, "lanczos": 1, "bilinear": 2, "bicubic": 3}


@dataclass(frozen=True, slots=True)
class ImageWay:
    """From an RGB picture to pixels of shape (3, height, width), float32.

    `shorter`: the picture's shorter side is resized to that, and the middle is cut out. None: the picture is squashed
    to the size, whatever its shape.
    """

    height: int
    width: int
    shorter: int | None
    resample: Image.Resampling
    mean: Colour
    std: Colour

    def pixels(self, image: Image.Image) -> NDArray[np.float32]:
        """Return what the model sees."""
        values = np.asarray(self._sized(image), dtype=np.float32) / np.float32(255)
        normalised = (values - np.array(self.mean, np.float32)) / np.array(self.std, np.float32)
        return np.ascontiguousarray(normalised.transpose(2, 0, 1))

    def _sized(self, image: Image.Image) -> Image.Image:
        if self.shorter is None:
            return image.resize((self.width, self.height), self.resample)
        scale = self.shorter / min(image.size)
        width, height = (max(self.shorter, int(side * scale)) for side in image.size)
        left, top = (width - self.width) // 2, (height - self.height) // 2
        resized = image.resize((width, height), self.resample)
        return resized.crop((left, top, left + self.width, top + self.height))


@dataclass(frozen=True, slots=True)
class TextWay:
    """From a text to tokens. `start`, `end` and `pad` are tokens; `length` is the number of tokens, padded and cut."""

    length: int
    lower_case: bool
    start: str | None
    end: str
    pad: str


@dataclass(frozen=True, slots=True)
class Family:
    """What all models of a family share. `outputs`: names of what holds the vector, the first that is there."""

    name: str
    mean: Colour
    std: Colour
    squash: bool
    text: TextWay
    image_outputs: tuple[str, ...]
    text_outputs: tuple[str, ...]


FAMILIES = {
    # https://arxiv.org/abs/2502.14786, and big_vision's configs: lower case, 64 tokens of Gemma, an end, no start.
    "siglip": Family(
        name="siglip",
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        squash=True,
        text=TextWay(64, lower_case=True, start=None, end="<eos>", pad="<pad>"),
        image_outputs=("pooler_output", "image_embeds", "embedding"),
        text_outputs=("pooler_output", "text_embeds", "embedding"),
    ),
    # https://arxiv.org/abs/2103.00020: `pooler_output` is before the projection, and no vector to compare.
    "clip": Family(
        name="clip",
        mean=(0.48145466, 0.4578275, 0.40821073),
        std=(0.26862954, 0.26130258, 0.27577711),
        squash=False,
        text=TextWay(77, lower_case=True, start="<|startoftext|>", end="<|endoftext|>", pad="<|endoftext|>"),
        image_outputs=("image_embeds", "embedding"),
        text_outputs=("text_embeds", "embedding"),
    ),
}


def image_way(folder: Path, family: Family | None) -> ImageWay:
    """Read how a model's pictures are made, of its `vision` folder. Raises FatalError where that is not the family's.

    Also where there is no file that says it, or one that says it in another form.
    """
    file = next((folder / name for name in CONFIGS if (folder / name).is_file()), folder / CONFIGS[0])
    try:
        said = json.loads(file.read_bytes())
        way = _of_openclip(said) if "interpolation" in said else _of_transformers(said)
    except (OSError, ValueError, TypeError, KeyError, IndexError) as error:
        raise FatalError(f"{file} does not say how pictures are made ready: {error!r}") from error
    if family is None:
        return way
    for what, found, wanted in (("mean", way.mean, family.mean), ("std", way.std, family.std)):
        if not np.allclose(found, wanted, atol=TOLERANCE):
            raise FatalError(f"{file} does not fit: its {what} is {found}, and this family's is {wanted}.")
    if (way.shorter is None) != family.squash:
        how = {True: "squashed", False: "cut to their middle"}
        raise FatalError(
            f"{file} does not fit: pictures are {how[not family.squash]}, and this family's are {how[family.squash]}."
        )
    return replace(way, mean=family.mean, std=family.std)


def _of_transformers(said: dict[str, Any]) -> ImageWay:
    size, crop = said["size"], said.get("crop_size") if said.get("do_center_crop") else None
    shorter = None
    if isinstance(size, dict) and "shortest_edge" in size:
        shorter = int(size["shortest_edge"])
    elif crop is not None:
        shorter = min(_sides(size))
    height, width = _sides(crop if crop is not None else size if shorter is None else shorter)
    if shorter is not None and shorter < max(height, width):
        raise ValueError(f"a middle of {width} x {height} cannot be cut out of a side of {shorter}")
    has_colours = bool(said.get("do_normalize", "image_mean" in said))
    return ImageWay(
        height=height,
        width=width,
        shorter=shorter,
        resample=Image.Resampling(said.get("resample", Image.Resampling.BICUBIC)),
        mean=_colour(said["image_mean"]) if has_colours else (0.0, 0.0, 0.0),
        std=_colour(said["image_std"]) if has_colours else (1.0, 1.0, 1.0),
    )


def _of_openclip(said: dict[str, Any]) -> ImageWay:
    height, width = _sides(said["size"])
    return ImageWay(
        height=height,
        width=width,
        shorter=None if said.get("resize_mode", "shortest") == "squash" else max(height, width),
        resample=Image.Resampling(INTERPOLATIONS[said["interpolation"]]),
        mean=_colour(said["mean"]),
        std=_colour(said["std"]),
    )


def _sides(size: Any) -> tuple[int, int]:
    if isinstance(size, dict):
        return int(size["height"]), int(size["width"])
    if isinstance(size, list):
        return int(size[0]), int(size[-1])
    return int(size), int(size)


def _colour(values: list[float]) -> Colour:
    red, green, blue = map(float, values)
    return red, green, blue
