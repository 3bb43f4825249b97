"""Bodies of requests and answers about pictures that are gone, or are to be forgotten."""

from typing import Annotated

from pydantic import BaseModel, Field

from api.schemas.body import Body


class GonePicture(BaseModel):
    """A picture whose last file has left."""

    id: str
    sha256: str
    filename: str
    path: str = Field(description="The last that it had.")
    gone_at: str = Field(description="When that left: ISO 8601.")
    purge_at: str | None = Field(description="When it is purged: ISO 8601 in UTC; null: never by itself.")
    kept: bool = Field(description="Whether someone wanted it kept longer.")


class GonePicturesAnswer(BaseModel):
    """A page of them, those that have gone last first. `next` is the cursor of the following page."""

    images: list[GonePicture]
    total: int
    next: str | None


class KeepBody(Body):
    """How much longer a picture that is gone is kept."""

    days: Annotated[int, Field(ge=1, le=36_500)] | None = Field(
        description="So many days more than is planned now; null: for good."
    )
