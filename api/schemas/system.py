"""What the service says of itself."""

from typing import Literal

from pydantic import BaseModel, ConfigDict


class Health(BaseModel):
    """The process runs."""

    status: Literal["ok"] = "ok"


class PartState(BaseModel):
    """Whether a part can be used; `detail` says what is wrong, or null."""

    ready: bool
    detail: str | None


class Readiness(BaseModel):
    """Whether requests can be served. ML may be away: jobs wait for it."""

    ready: bool
    parts: dict[Literal["kafka", "qdrant", "stages", "ml"], PartState]


class Limits(BaseModel):
    """What is accepted; bytes and pixels are for one file."""

    max_file_bytes: int
    max_image_pixels: int
    upload_max_files: int


class PreviewCapabilities(BaseModel):
    """Previews that can be asked for: `sides` in pixels. `version`: how they are rendered now; see their `v`."""

    sides: list[int]
    version: str


class OfferedModel(BaseModel):
    """A model that the ML service can run: the name that people give it, and the id that its vectors have."""

    model_config = ConfigDict(protected_namespaces=())

    name: str
    model_id: str


class MLCapabilities(BaseModel):
    """What the ML service said last; batches in images. `models`: what a collection can be embedded anew with."""

    model_config = ConfigDict(protected_namespaces=())

    model_id: str
    embedding_dim: int
    supports_text: bool
    safe_clip_batch: int
    safe_blip_batch: int
    models: list[OfferedModel]


class ServiceCapabilities(BaseModel):
    """What this service can do now. `ml` is null while the ML service is not known."""

    extensions: list[str]
    limits: Limits
    previews: PreviewCapabilities
    ml: MLCapabilities | None
    text_search: Literal["semantic", "keywords"]
    partitions: int
