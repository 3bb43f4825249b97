"""What is known about a picture, in the field names of a point's payload: EXIF, XMP, IPTC and PNG put together."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from imaging import exif as exif_fields
from imaging import texts
from imaging.captions import Captions, distinct, stars_of_percent
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
    """ISO 8601, as the camera's clock showed it: with fractions of a second, and with the offset from UTC, where the
    file knows them. Where it knows no more, a day, a month or a year."""
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
    """EXIF value 1 to 8, as stored in the file; `width`, `height` and all pixels made from it are upright. XMP's, where
    only that has one, turns nothing."""
    gps: Gps | None = None
    rating: float | None = None
    """Stars from 0 to 5; -1 for rejected."""
    label: str | None = None
    """The name of a colour, as the program that set it writes it."""
    people: list[str] | None = None
    """Names of those who are marked in the picture."""
    tags: list[str] | None = None
    title: str | None = None
    description: str | None = None
    damaged: bool | None = None
    """True where some of the pixels are not those that were taken, as the file is damaged."""


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
    damaged: bool = False,
) -> Metadata:
    """Put together what the parts of a file say. EXIF goes before the others where both know, but for texts."""
    position = exif_fields.position(exif) or captions.position
    return Metadata(
        width=width,
        height=height,
        format=format_name,
        mode=mode,
        file_size=file_size,
        taken_at=_taken_at(exif, captions),
        camera_make=exif_fields.name(exif.main.get(exif_fields.MAKE)) or captions.make,
        camera_model=exif_fields.name(exif.main.get(exif_fields.MODEL)) or captions.model,
        lens=exif_fields.lens(exif)
        or captions.lens
        or exif_fields.lens_of_maker(exif)
        or exif_fields.lens_range(exif)
        or captions.lens_range,
        iso=exif_fields.iso(exif) or captions.iso,
        aperture=exif_fields.aperture(exif) or captions.aperture,
        exposure_time=exif_fields.exposure_time(exif) or captions.exposure_time,
        focal_length=exif_fields.focal_length(exif) or captions.focal_length,
        orientation=orientation or captions.orientation,
        gps=Gps(lat=position[0], lon=position[1]) if position else None,
        damaged=damaged or None,
        rating=_rating(exif, captions),
        label=captions.label,
        people=list(captions.people) or None,
        tags=list(distinct((*captions.tags, *_windows_keywords(exif)))) or None,
        title=captions.title or exif_fields.wide_text(exif.main.get(exif_fields.XP_TITLE)),
        description=_description(exif, captions),
    )


def _taken_at(exif: Exif, captions: Captions) -> str | None:
    """When it was taken, else when it was made a file of, else when the file was changed."""
    return (
        exif_fields.taken_at(exif)
        or captions.original
        or exif_fields.digitised_at(exif)
        or captions.digitised
        or exif_fields.changed_at(exif)
    )


def _rating(exif: Exif, captions: Captions) -> float | None:
    known = (
        captions.rating,
        exif_fields.rating(exif),
        captions.windows_rating,
        stars_of_percent(exif_fields.number(exif.get(exif_fields.RATING_PERCENT))),
        exif.maker.rating,
    )
    return next((stars for stars in known if stars is not None and -1 <= stars <= 5), None)


def _description(exif: Exif, captions: Captions) -> str | None:
    return (
        captions.description
        or texts.written(exif_fields.text(exif.main.get(exif_fields.DESCRIPTION)))
        or exif_fields.comment(exif)
        or exif_fields.wide_text(exif.main.get(exif_fields.XP_COMMENT))
        or exif_fields.wide_text(exif.main.get(exif_fields.XP_SUBJECT))
        or captions.comment
    )


def _windows_keywords(exif: Exif) -> list[str]:
    return (exif_fields.wide_text(exif.main.get(exif_fields.XP_KEYWORDS)) or "").split(";")
