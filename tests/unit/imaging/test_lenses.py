"""Names of lenses that notes give by number: what exiftool calls each, and which of several with one number fit."""

import pytest

from imaging.lenses import LensNumber, Range, name, range_text


@pytest.mark.parametrize(
    ("maker", "number", "focal_length", "widest", "wanted"),
    [
        ("pentax", "8 215", 31.0, 4.2, "smc PENTAX-DA 18-135mm F3.5-5.6 ED AL [IF] DC WR"),
        ("pentax", "3 44", 10.0, 4.0, "Sigma AF 10-20mm F4-5.6 EX DC"),
        (
            "pentax",
            "3 44",
            None,
            None,
            "Sigma AF 10-20mm F4-5.6 EX DC or Sigma 12-24mm F4.5-5.6 EX DG or "
            "Sigma 17-70mm F2.8-4.5 DC Macro or Sigma 18-50mm F3.5-5.6 DC or Sigma 17-35mm F2.8-4 EX DG or "
            "Tamron 35-90mm F4-5.6 AF or Sigma AF 18-35mm F3.5-4.5 Aspherical",
        ),
        ("pentax", "8 255", 50.0, 4.4, "Sigma 50-200mm F4-5.6 DC OS"),
        ("pentax", "3 255", 190.0, 4.8, "Sigma DL Zoom 75-300mm F4-5.6 or Sigma 70-300mm F4-5.6 Macro"),
        # None of the lenses that share the number fits: what all of them are called.
        ("pentax", "3 255", 3_000.0, 4.8, "Sigma Lens (3 255)"),
        ("minolta", "25501", 50.0, 1.7, "Minolta AF 50mm F1.7"),
        ("olympus", "0 5 0", 14.0, 2.8, "Olympus Zuiko Digital 14-54mm F2.8-3.5"),
        ("samsung", "1", None, None, "Samsung NX 30mm F2 Pancake"),
        ("pentax", "99 99", 50.0, 2.0, None),
        ("unheard of", "1", 50.0, 2.0, None),
        ("e-mount", "65535", 29.0, 4.494, "Sony E PZ 16-50mm F3.5-5.6 OSS"),
        ("e-mount", "65535", 10.0, 4.0, "Sony E 10-18mm F4 OSS or Sony E PZ 10-20mm F4 G"),
        (
            "e-mount",
            "65535",
            50.0,
            1.8,
            "Sony E 50mm F1.8 OSS or Sony FE 50mm F1.8 or Sigma 50-100mm F1.8 DC HSM | A + MC-11",
        ),
        # Of all lenses of a mount many fit where only one of both is known.
        ("e-mount", "65535", 28.0, None, ""),
        ("e-mount", "65535", None, 4.59, ""),
        ("e-mount", "65535", 3_000.0, 4.0, ""),
    ],
    ids=lambda value: str(value)[:30],
)
def test_names(maker: str, number: str, focal_length: float | None, widest: float | None, wanted: str | None) -> None:
    assert name(LensNumber(maker, number), focal_length, widest) == wanted


def test_what_the_notes_say_of_the_f_number_goes_before_exif() -> None:
    assert name(LensNumber("pentax", "8 255", widest=4.4), 50.0, 2.8) == "Sigma 50-200mm F4-5.6 DC OS"


def test_the_range_that_the_lens_itself_tells_decides() -> None:
    lens = LensNumber("minolta", "128", range=Range(18, 250, 3.5, 6.3))
    assert name(lens, 50.0, None) == "Sigma 18-250mm F3.5-6.3 DC OS HSM"


def test_the_range_alone_decides_among_all_lenses_of_a_mount() -> None:
    assert name(LensNumber("e-mount", "65535", range=Range(30, 30, 3.5, 3.5)), None, None) == "Sony E 30mm F3.5 Macro"


@pytest.mark.parametrize(
    ("numbers", "wanted"),
    [
        ((18, 55, 3.5, 5.6), "18-55mm f/3.5-5.6"),
        ((50, 50, 1.8, 1.8), "50mm f/1.8"),
        ((4.25, 4.25, 1.6, 1.6), "4.25mm f/1.6"),
        ((18, 55, 0, 0), "18-55mm"),
        ((0, 0, 0, 0), None),
        ((18, 55), None),
        ((), None),
    ],
)
def test_ranges_as_text(numbers: tuple[float, ...], wanted: str | None) -> None:
    assert range_text(numbers) == wanted
