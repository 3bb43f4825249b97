"""Blocks of metadata that Pillow does not hand on as they are: of JPEG 2000, GIF and AVIF, and behind a JPEG."""

from typing import BinaryIO

from PIL import AvifImagePlugin, Image

from imaging import boxes, trailers

_UUIDS = {boxes.EXIF_UUID: "exif", boxes.XMP_UUID: "xmp", boxes.IPTC_UUID: "iptc"}
_GIF_XMP = b"\x21\xff\x0bXMP DataXMP"
_GIF_XMP_END = b"\x01\xff\xfe\xfd"
"""What follows the packet, so that readers who look for lengths in it find the end (XMP specification, part 3)."""
_MAX_GIF = 16 << 20


def hand_on(image: Image.Image, file: BinaryIO) -> None:
    """Put the blocks of a picture that Pillow opened from a file where Pillow puts those of other formats."""
    for name, block in _blocks(image, file).items():
        image.info.setdefault(name, block)


def exif_of_avif(image: Image.Image) -> bytes:
    """Return the EXIF block of an AVIF as the file has it; empty for another format, and where it has none.

    Pillow hands on one that it has written anew where the picture is turned in another way than EXIF says, and what is
    not ASCII is lost.
    """
    if not isinstance(image, AvifImagePlugin.AvifImageFile) or image._decoder is None:
        return b""
    *_, block, _, _ = image._decoder.get_info()
    return block or b""


def _blocks(image: Image.Image, file: BinaryIO) -> dict[str, bytes]:
    if image.format == "JPEG2000":
        found = {name: boxes.of_uuid(file, uuid) for uuid, name in _UUIDS.items()}
        return {name: block for name, block in found.items() if block}
    if image.format in ("JPEG", "MPO"):
        return {"iptc": trailers.iptc(file)}
    if image.format == "GIF":
        file.seek(0)
        _, mark, behind = file.read(_MAX_GIF).partition(_GIF_XMP)
        return {"xmp": behind.partition(_GIF_XMP_END)[0]} if mark else {}
    return {}
