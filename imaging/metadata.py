"""What is known about a picture, in the field names of a point's payload."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from imaging import exif as exif_fields
from imaging.captions import Captions
from imaging.exif import Exif


class Gps(BaseModel):
    """Where a picture was taken, WGS 84 degrees, north and east positive."""

    model_config = ConfigDict(frozen=True)

    lat: Annotated[float, Field(ge=-90, le=90)]
    lon: Annotated[float, Field(ge=-180, le=180)]


class Metadata(BaseModel):
    """Facts about one content. A field that the file does not know, or states wrongly, is None."""

    model_config = ConfigDict(frozen=True)

    width: int
    """Pixels of the upright picture at full size, as is `height`."""
    height: int
    format: str
    mode: str
    file_size: int
    """Bytes."""
    taken_at: str | None = None
    """ISO 8601; with the offset from UTC where the file knows it, else the camera's local time."""
    camera_make: str | None = None
    camera_model: str | None = None
    lens: str | None = None
    iso: int | None = None
    aperture: float | None = None
    """f-number."""
    exposure_time: float | None = None
    """Seconds."""
    focal_length: float | None = None
    """Millimetres."""
    orientation: int | None = None
    """EXIF value 1 to 8, as stored in the file; `width`, `height` and all pixels made from it are upright."""
    gps: Gps | None = None
    tags: list[str] | None = None
    title: str | None = None
    description: str | None = None


def describe(
    exif: Exif,
    captions: Captions,
    *,
    width: int,
    height: int,
    format_name: str,
    mode: str,
    orientation: int | None,
    file_size: int,
) -> Metadata:
    """Put together what the parts of a file say. EXIF goes before XMP where both know, but for texts."""
    position = exif_fields.position(exif)
    return Metadata(
        width=width,
        height=height,
        format=format_name,
        mode=mode,
        file_size=file_size,
        taken_at=exif_fields.taken_at(exif) or captions.taken_at,
        camera_make=exif_fields.text(exif.main.get(exif_fields.MAKE)),
        camera_model=exif_fields.text(exif.main.get(exif_fields.MODEL)),
        lens=exif_fields.text(exif.camera.get(exif_fields.LENS_MODEL)) or captions.lens,
        iso=exif_fields.iso(exif),
        aperture=exif_fields.aperture(exif),
        exposure_time=exif_fields.exposure_time(exif),
        focal_length=exif_fields.focal_length(exif),
        orientation=orientation,
        gps=Gps(lat=position[0], lon=position[1]) if position else None,
        tags=list(captions.tags) or None,
        title=captions.title,
        description=captions.description or exif_fields.text(exif.main.get(exif_fields.DESCRIPTION)),
    )
