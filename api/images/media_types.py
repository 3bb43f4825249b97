"""Media types of the files that we serve; everything else is plain bytes, so that no browser runs it."""

from pathlib import PurePath

_MEDIA_TYPES = {
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "jfif": "image/jpeg",
    "jpe": "image/jpeg",
    "mpo": "image/jpeg",
    "hif": "image/heic",
    "heics": "image/heic",
    "jp2": "image/jp2",
    "jxl": "image/jxl",
    "psd": "image/vnd.adobe.photoshop",
    "psb": "image/vnd.adobe.photoshop",
    "png": "image/png",
    "bmp": "image/bmp",
    "gif": "image/gif",
    "tif": "image/tiff",
    "tiff": "image/tiff",
    "webp": "image/webp",
    "heic": "image/heic",
    "heif": "image/heif",
    "avif": "image/avif",
    "dng": "image/x-adobe-dng",
    "cr2": "image/x-canon-cr2",
    "cr3": "image/x-canon-cr3",
    "nef": "image/x-nikon-nef",
    "arw": "image/x-sony-arw",
    "rw2": "image/x-panasonic-rw2",
    "orf": "image/x-olympus-orf",
    "raf": "image/x-fuji-raf",
    "pef": "image/x-pentax-pef",
    "srw": "image/x-samsung-srw",
    "kdc": "image/x-kodak-kdc",
}


def media_type(name: str) -> str:
    """Return the media type that goes with a file name's extension."""
    return _MEDIA_TYPES.get(PurePath(name).suffix[1:].lower(), "application/octet-stream")
