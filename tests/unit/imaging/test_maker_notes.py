"""Lens, ISO speed and rating that only the maker's notes know; the notes are made as the cameras lay them out."""

import struct
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imaging import exif
from tests.unit.imaging import blocks
from tests.unit.imaging.blocks import Entry, ascii_text, directory, long, rational, short, undefined, with_notes


def offsets_from_block(make: bytes, head: bytes, entries: list[Entry], order: str = "<") -> bytes:
    """Notes whose offsets count from the start of the EXIF block, as most makers'."""

    def note(at: int) -> bytes:
        return head + directory(entries, at + len(head), order)

    return with_notes(make, note(blocks.place_of_notes(make, note(0), order)), order=order)


def offsets_from_note(make: bytes, head: bytes, entries: list[Entry], order: str = "<") -> bytes:
    return with_notes(make, head + directory(entries, len(head), order))


CANON_ZOOM = [0] * 16 + [17] + [0] * 6 + [5500, 1800, 100] + [0] * 10
CANON_SHOT = [0, 64, 160, 0]


def nikon(order: str) -> bytes:
    head = b"II*\0\x08\0\0\0" if order == "<" else b"MM\0*\0\0\0\x08"
    lens = rational(132, (180, 10), (700, 10), (35, 10), (45, 10), order=order)
    note = b"Nikon\0\x02\x10\0\0" + head + directory([short(2, 0, 640, order=order), lens], 8, order)
    return with_notes(b"NIKON CORPORATION", note)


def olympus() -> bytes:
    """The directory of the equipment lies behind the main one, and counts from the note as that does."""
    head = b"OLYMPUS\0II\x03\0"
    main = directory([long(0x2010, 12 + 2 + 12 + 4)], 12)
    equipment = directory([ascii_text(0x203, b"OLYMPUS M.14-42mm F3.5-5.6 II R")], len(head) + len(main))
    return with_notes(b"OLYMPUS IMAGING CORP.", head + main + equipment)


def numbered_olympus() -> bytes:
    head = b"OLYMPUS\0II\x03\0"
    main = directory([long(0x2010, 12 + 2 + 12 + 4)], 12)
    equipment = directory([(0x201, 1, 6, bytes([0, 0, 5, 0, 0, 0]))], len(head) + len(main))
    return with_notes(b"OLYMPUS", head + main + equipment)


def old_olympus() -> bytes:
    """The first E-System cameras: the directory itself as a value, which names focal lengths and apertures only."""

    def note(at: int) -> bytes:
        place = at + 8 + 2 + 12 + 4
        sizes = [short(0x207, 14), short(0x208, 54), short(0x20A, 760), short(0x206, 925)]
        return b"OLYMP\0\x01\0" + directory([undefined(0x2010, directory(sizes, place))], at + 8)

    make = b"OLYMPUS CORPORATION"
    return with_notes(make, note(blocks.place_of_notes(make, note(0))))


SONY = b"SONY DSC \0\0\0"
DA_18_135 = "smc PENTAX-DA 18-135mm F3.5-5.6 ED AL [IF] DC WR"
SHORT_DATA = bytes(14) + bytes([0x80 | 70]) + bytes(2)
"""What a lens told a camera of Pentax: 2 ** (69 / 32) = f/4.46 wide open."""


def pentax(lens: bytes, told: bytes = b"") -> bytes:
    entries = [(0x3F, 1, len(lens), lens), *([undefined(0x207, told)] if told else [])]
    return offsets_from_note(b"PENTAX", b"PENTAX \0II", entries)


def dng(note: bytes) -> bytes:
    """A DNG has the notes in its main directory; what a camera wrote is as in a JPEG."""
    return blocks.exif([ascii_text(271, b"PENTAX"), undefined(50740, note)], [])


def converted_dng() -> bytes:
    """Adobe moves the notes, and says where they lay: their offsets count from there."""
    first = 700
    note = directory([ascii_text(149, b"EF35mm f/2 IS USM")], first)
    moved = b"Adobe\0MakN" + (len(note) + 6).to_bytes(4) + b"II" + first.to_bytes(4) + note
    return blocks.exif([ascii_text(271, b"Canon"), undefined(50740, moved)], [])


def phase_one() -> bytes:
    name = b"Mamiya LS 80mm f/2.8 D\0"
    head = b"IIIITwaR" + (12).to_bytes(4, "little")
    entries = b"".join(number.to_bytes(4, "little") for number in (1, 0, 0x412, 1, len(name), 12 + 8 + 16))
    return with_notes(b"Phase One", head + entries + name)


def kodak(at: int, speed: int, start: bytes, order: str) -> bytes:
    note = bytearray(start.ljust(200, b"\x01"))
    note[at : at + 2] = speed.to_bytes(2, "big" if order == ">" else "little")
    return with_notes(b"EASTMAN KODAK COMPANY", bytes(note))


@pytest.mark.parametrize(
    ("block", "lens", "iso"),
    [
        (lambda: offsets_from_block(b"Canon", b"", [short(1, *CANON_ZOOM)]), "18.0 - 55.0 mm", 100),
        (lambda: offsets_from_block(b"Canon", b"", [ascii_text(149, b"EF35mm f/2 IS USM")]), "EF35mm f/2 IS USM", None),
        (
            lambda: offsets_from_block(
                b"Canon", b"", [short(1, *[0] * 16, 15, order=">"), short(4, *CANON_SHOT, order=">")], ">"
            ),
            None,
            400,
        ),
        (lambda: offsets_from_block(b"Canon", b"", [short(1, *[0] * 16, 0x4000 | 3200)]), None, 3200),
        (lambda: nikon("<"), "18-70mm f/3.5-4.5", 640),
        (lambda: nikon(">"), "18-70mm f/3.5-4.5", 640),
        (olympus, "OLYMPUS M.14-42mm F3.5-5.6 II R", None),
        (old_olympus, "14-54mm f/2.8-3.5", None),
        (lambda: offsets_from_block(b"PENTAX", b"AOC\0MM", [short(20, 15, order=">")], ">"), None, 800),
        (lambda: offsets_from_note(b"PENTAX", b"PENTAX \0II", [short(20, 260)]), None, 100),
        (lambda: offsets_from_block(b"CASIO COMPUTER CO.,LTD", b"", [short(20, 64)]), None, 64),
        (lambda: offsets_from_block(b"CASIO", b"QVC\0\0\0", [short(20, 9, order=">")], ">"), None, 200),
        (lambda: offsets_from_block(b"CASIO", b"QVC\0\0\0", [short(0x3014, 50, order=">")], ">"), None, 50),
        (
            lambda: offsets_from_block(b"Panasonic", b"Panasonic\0\0\0", [ascii_text(81, b"LUMIX G VARIO 14-45")]),
            "LUMIX G VARIO 14-45",
            None,
        ),
        (lambda: kodak(0x68, 140, b"KDK INFO", ">"), None, 140),
        (lambda: kodak(0x68, 140, b"KDK0100 ", "<"), None, 140),
        (lambda: kodak(0x34, 80, b"IIII\x03\0", "<"), None, 80),
        (lambda: kodak(0x4E, 100, b"\1" * 12 + b"\x07", ">"), None, 100),
        (lambda: kodak(0x1E, 160, b"\0\x1a\x18\0", ">"), None, 160),
        (lambda: offsets_from_block(b"Canon", b"", [short(1, *[0] * 16, 0x7FFF)]), None, None),
        (lambda: pentax(b"\x08\xd7"), "smc PENTAX-DA 18-135mm F3.5-5.6 ED AL [IF] DC WR", None),
        (lambda: pentax(b"\x08\xff", bytes(15) + SHORT_DATA + bytes(48)), "Sigma 50-200mm F4-5.6 DC OS", None),
        (lambda: pentax(b"\x08\xff", bytes(12) + SHORT_DATA + bytes(62)), "Sigma 50-200mm F4-5.6 DC OS", None),
        (
            lambda: pentax(b"\x08\xff", b"\1" * 4 + b"\1" * 14 + SHORT_DATA[14:] + b"\1" * 48),
            "Sigma 50-200mm F4-5.6 DC OS",
            None,
        ),
        (
            lambda: pentax(b"\x08\xff", b"\1" * 3 + b"\1" * 14 + SHORT_DATA[14:] + b"\xff" * 16),
            "Sigma 50-200mm F4-5.6 DC OS",
            None,
        ),
        (lambda: pentax(b"\0\0"), None, None),
        (lambda: pentax(b"\x08"), None, None),
        (lambda: dng(b"PENTAX \0II" + directory([(0x3F, 1, 2, b"\x08\xd7")], 10)), DA_18_135, None),
        (converted_dng, "EF35mm f/2 IS USM", None),
        (phase_one, "Mamiya LS 80mm f/2.8 D", None),
        (lambda: offsets_from_block(b"KONICA MINOLTA", b"", [long(0x10C, 25501)]), "Minolta AF 50mm F1.7", None),
        (lambda: offsets_from_block(b"SONY", SONY, [long(0xB027, 2550)]), "Minolta AF 50mm F1.7", None),
        (
            lambda: offsets_from_block(
                b"SONY", SONY, [long(0xB027, 128), (0xB02A, 1, 8, bytes.fromhex("0100180250356300"))]
            ),
            "Sigma 18-250mm F3.5-6.3 DC OS HSM",
            None,
        ),
        # A lens of no mount's number, on a camera that does not say that it has the E-mount.
        (lambda: offsets_from_block(b"SONY", SONY, [long(0xB027, 65535)]), None, None),
        (lambda: offsets_from_block(b"SAMSUNG", b"", [short(0xA003, 1)]), "Samsung NX 30mm F2 Pancake", None),
        (numbered_olympus, "Olympus Zuiko Digital 14-54mm F2.8-3.5", None),
        (lambda: with_notes(b"Unheard of", b"whatever it holds"), None, None),
    ],
)
def test_what_the_notes_say(block: Callable[[], bytes], lens: str | None, iso: int | None) -> None:
    found = exif.parse(block())
    assert (exif.lens_of_maker(found), exif.iso(found)) == (lens, iso)


@pytest.mark.parametrize(
    ("model", "focal_length", "wanted"),
    [
        (b"ILCE-6000\0", 29.0, "Sony E PZ 16-50mm F3.5-5.6 OSS"),
        (b"NEX-5\0", 29.0, "Sony E PZ 16-50mm F3.5-5.6 OSS"),
        (b"ILCE-6000\0", 0.0, None),  # a lens that tells the camera nothing
        (b"SLT-A77V\0", 29.0, None),
        (b"DSC-RX100\0", 29.0, None),
    ],
)
def test_e_mount_lenses_without_a_name(model: bytes, focal_length: float, wanted: str | None) -> None:
    found = exif.parse(offsets_from_block(b"SONY", SONY, [long(0xB027, 65535)]))
    camera = {exif.FOCAL_LENGTH: focal_length, 37381: 4.336}
    assert exif.lens_of_maker(replace(found, main={exif.MODEL: model}, camera=camera)) == wanted


EXIF_SAYS = [rational(33434, (1, 180)), rational(33437, (67, 10))]


@pytest.mark.parametrize(
    ("start", "order", "aperture_at", "time_at", "unit"),
    [
        (b"KDK INFO", ">", 0x26, 0x28, 1e5),
        (b"KDK0100 ", "<", 0x26, 0x28, 1e5),
        (b"\1" * 12 + b"\x07", ">", 0x3C, 0x38, 1e5),
        (b"\0\x1a\x18\0", ">", 0x1C, 0x14, 1e5),
        (b"IIII\x03\0", "<", 0x0C, 0x10, 1e6),
    ],
    ids=["KDK INFO", "KDK", "with a year", "CX", "IIII"],
)
def test_what_a_kodak_measured_goes_before_what_it_rounded(
    start: bytes, order: str, aperture_at: int, time_at: int, unit: float
) -> None:
    note = bytearray(start.ljust(200, b"\0"))
    struct.pack_into(f"{order}H", note, aperture_at, 673)
    struct.pack_into(f"{order}I", note, time_at, round(0.00464 * unit))
    found = exif.parse(with_notes(b"EASTMAN KODAK COMPANY", bytes(note), EXIF_SAYS))
    assert exif.aperture(found) == 6.73
    assert exif.exposure_time(found) == pytest.approx(0.00464)


@pytest.mark.parametrize(
    "note", [b"KDK INFO".ljust(200, b"\0"), b"KDK INFO", b"KDK INFO".ljust(200, b"\xff")], ids=["zeros", "cut", "ones"]
)
def test_what_a_kodak_cannot_have_measured_is_none(note: bytes) -> None:
    found = exif.parse(with_notes(b"EASTMAN KODAK COMPANY", note, EXIF_SAYS))
    assert (exif.aperture(found), exif.exposure_time(found)) == (6.7, 1 / 180)


@pytest.mark.parametrize(
    ("note", "wanted"),
    [
        (b"\x01\xf1\3\0".ljust(0x16, b"\0") + struct.pack("<6H", 5, 30, 10, 3, 16, 2020), "2020-03-16T10:30:05"),
        (b"RECONYXUF\0".ljust(0x3B, b"\0") + struct.pack("<5BH", 5, 30, 10, 16, 3, 2020), "2020-03-16T10:30:05"),
        (b"RECONYXH2\0".ljust(0x3E, b"\0") + struct.pack("<6H", 5, 30, 10, 16, 3, 2020), "2020-03-16T10:30:05"),
        (b"RECONYXH2\0".ljust(0x3E, b"\0") + bytes(12), None),
        (b"RECONYXH2\0", None),
    ],
    ids=["first", "UltraFire", "HyperFire 2", "zeros", "cut"],
)
def test_dates_of_trail_cameras(note: bytes, wanted: str | None) -> None:
    assert exif.taken_at(exif.parse(with_notes(b"RECONYX", note))) == wanted


def test_ratings() -> None:
    sony = offsets_from_block(b"SONY", b"SONY DSC \0\0\0", [long(0x2002, 4)])
    assert exif.parse(sony).maker.rating == 4
    fujifilm = offsets_from_note(b"FUJIFILM", b"FUJIFILM\x0c\0\0\0", [long(0x1431, 3)])
    assert exif.parse(fujifilm).maker.rating == 3


def test_notes_that_a_program_moved_are_read_by_what_canon_wrote_behind_them() -> None:
    """The offsets within are those of before; the note's last eight bytes say where it lay then."""
    before = 5_000
    note = directory([short(1, *CANON_ZOOM)], before) + b"II*\0" + before.to_bytes(4, "little")
    assert exif.parse(with_notes(b"Canon", note)).maker.lens == "18.0 - 55.0 mm"


def test_exif_goes_before_the_notes() -> None:
    note = b"KDK INFO".ljust(0x68, b"\0") + b"\0\x8c" + b"\0" * 40
    assert exif.iso(exif.parse(with_notes(b"KODAK", note, [short(34855, 400)]))) == 400


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_damaged_notes_never_raise(data: st.DataObject) -> None:
    maker = data.draw(st.sampled_from([lambda: nikon("<"), olympus, old_olympus, converted_dng, phase_one]))
    block = bytearray(maker())
    for _ in range(data.draw(st.integers(1, 10))):
        block[data.draw(st.integers(30, len(block) - 1))] = data.draw(st.integers(0, 255))
    found = exif.parse(bytes(block))
    exif.lens_of_maker(found)
    exif.iso(found)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([b"Canon", b"NIKON", b"CASIO", b"PENTAX", b"SONY", b"KODAK"]), st.binary(max_size=300))
def test_rubbish_notes_never_raise(make: bytes, note: bytes) -> None:
    exif.iso(exif.parse(with_notes(make, note)))
