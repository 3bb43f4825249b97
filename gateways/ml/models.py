"""The models that an ML service of Darkroom's own can run, as it tells of them."""

from typing import Literal

from pydantic import BaseModel, Field


class Model(BaseModel):
    """A model. `bytes` are of disk."""

    name: str
    gives: Literal["colours", "meaning", "captions"] = Field(
        description="Vectors that compare colours, or what pictures show; or captions, beside a model that does."
    )
    about: str
    here: bool = Field(description="Whether it was fetched, whole.")
    in_use: bool
    partly: int = Field(description="Bytes that an earlier try has brought.")
    bytes: int | None = Field(description="Of all its files; null: known once it was fetched.")
    memory_bytes: int | None = Field(description="What it took when it was tried here.")
    ms_per_image: float | None = Field(description="What a picture took when it was tried here, in milliseconds.")
    dimension: int | None
    languages: str
    licence: str
    verified: bool = Field(description="Whether the hashes of all its files are known to Darkroom.")


class Arrival(BaseModel):
    """A model on its way, or the last one that was: `done` of `total` bytes are here."""

    name: str
    state: Literal["running", "done", "failed"]
    total: int
    done: int
    note: str = Field(description="What is waited for.")
    message: str = Field(description="Why it failed, and what to do.")


class ModelsAnswer(BaseModel):
    """Which models there are."""

    default: str = Field(description="The name of the one to begin with.")
    fixed: str | None = Field(description="Why no other can be used than the one that runs; null: any can.")
    models: list[Model]
    arrival: Arrival | None
    loading: str | None = Field(description="The name of the model that is about to take over.")
