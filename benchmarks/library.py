"""A made-up library of photographs, as points: names, places, cameras, tags and captions as people have them.

Words are as frequent as in a language (Zipf), folders and cameras as in a library of years, and vectors lie in groups.
"""

import random
from array import array
from collections.abc import Iterator
from itertools import accumulate

import numpy as np

from gateways.qdrant import Point
from rules.identity import point_id
from rules.payload import merge
from rules.search.lookup import WORDS, lookup

DIMENSION = 512
GROUPS = 500
_SPREAD = 0.7
"""Of a group, beside a length of 1: two pictures of it have a cosine of about 0.67."""

_CAMERAS = (
    ("Canon", "Canon EOS 5D Mark IV", "EF24-70mm f/2.8L II USM", 6),
    ("Canon", "Canon EOS R5", "RF70-200mm F2.8 L IS USM", 3),
    ("NIKON CORPORATION", "NIKON D850", "AF-S NIKKOR 50mm f/1.8G", 4),
    ("FUJIFILM", "X-T4", "XF50mmF2 R WR", 3),
    ("SONY", "ILCE-7M3", "FE 85mm F1.8", 3),
    ("Apple", "iPhone 12 Pro", "iPhone 12 Pro back triple camera 4.2mm f/1.6", 8),
)
_SYLLABLES = ("ba", "ce", "dor", "fi", "gan", "hul", "ja", "ken", "lo", "mir", "na", "os", "pel", "qua", "ri", "sun")
_PEOPLE = ("Ann Lee", "Zoë Müller", "Bob Stone", "Ines García", "Jürgen Groß", "Akira Sato", "Lena Fischer")
_FOLDERS = ("Iceland", "Family", "Garden", "Work", "Lisbon", "Concert", "Birthday", "Mountains", "Birds", "Wedding")


class Library:
    """Photographs by their number: the same number is the same photograph."""

    def __init__(self, seed: int = 7) -> None:
        chance = random.Random(seed)
        self.words = sorted({"".join(chance.choices(_SYLLABLES, k=chance.randint(2, 4))) for _ in range(9000)})
        chance.shuffle(self.words)
        self._weights = list(accumulate(1 / rank for rank in range(1, len(self.words) + 1)))
        self._groups = np.random.default_rng(seed).standard_normal((GROUPS, DIMENSION), dtype=np.float32)
        self._groups /= np.linalg.norm(self._groups, axis=1, keepdims=True)

    def _words(self, chance: random.Random, count: int) -> list[str]:
        return chance.choices(self.words, cum_weights=self._weights, k=count)

    def points(self, first: int, count: int) -> list[Point]:
        """Return the photographs from a number on, with the words that they are found by."""
        noise = np.random.default_rng(first).standard_normal((count, DIMENSION), dtype=np.float32)
        numbers = range(first, first + count)
        vectors = self._groups[[number % GROUPS for number in numbers]] + noise * (_SPREAD / DIMENSION**0.5)
        return [
            Point(point_id(f"{number:064x}"), array("f", vector.tobytes()), self._payload(number))
            for number, vector in zip(numbers, vectors, strict=True)
        ]

    def near(self, number: int) -> list[float]:
        """Return a vector near to one of the groups, as that of a text may be."""
        noise = np.random.default_rng(-number % 2**32).standard_normal(DIMENSION, dtype=np.float32)
        found: list[float] = (self._groups[number % GROUPS] + noise * (_SPREAD / DIMENSION**0.5)).tolist()
        return found

    def queries(self, seed: int) -> Iterator[str]:
        """Yield what people may look for, without end: frequent words and rare ones, beginnings, names, settings."""
        chance = random.Random(seed)
        while True:
            word, other = self._words(chance, 2)
            yield chance.choice(
                (
                    f"{word} {other}",
                    f"{word} in the {other}",
                    word[: max(3, len(word) - 2)],
                    f"{word} -{other}",
                    f"{chance.choice(_PEOPLE).split()[0].lower()} {word}",
                    f"IMG_{chance.randrange(100)}",
                    f"{chance.choice(_FOLDERS).lower()} {chance.randint(2012, 2023)} {word}",
                    f"{word} canon iso 100",
                    f"{word} october {chance.randint(2012, 2023)}",
                )
            )

    def _payload(self, number: int) -> dict[str, object]:
        chance = random.Random(number)
        make, model, lens, _ = chance.choices(_CAMERAS, [one[3] for one in _CAMERAS])[0]
        year, folder = chance.randint(2010, 2024), chance.choice(_FOLDERS)
        path = f"/photos/{year}/{folder}/{'IMG' if make == 'Canon' else 'DSC'}_{number:06d}.jpg"
        payload: dict[str, object] = {
            "filename": path.rpartition("/")[2],
            "full_path": path,
            "paths": [path],
            "file_hash": f"{number:064x}",
            "file_size": chance.randint(1 << 20, 1 << 23),
            "format": "JPEG",
            "width": 6000,
            "height": 4000,
            "camera_make": make,
            "camera_model": model,
            "lens": lens,
            "iso": chance.choice((100, 200, 400, 800, 1600)),
            "aperture": chance.choice((1.8, 2.8, 4.0, 5.6, 8.0)),
            "exposure_time": chance.choice((0.004, 0.008, 0.016, 0.001)),
            "focal_length": chance.choice((24.0, 35.0, 50.0, 85.0, 200.0)),
            "taken_at": f"{year}-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}T{chance.randint(10, 21)}:30:00",
            "caption": "a " + " ".join(self._words(chance, 9)),
        }
        if chance.random() < 0.4:
            payload["tags"] = list(dict.fromkeys(self._words(chance, 3)))
        if chance.random() < 0.2:
            payload["people"] = [chance.choice(_PEOPLE)]
        if chance.random() < 0.1:
            payload["title"] = " ".join(self._words(chance, 3))
        if chance.random() < 0.15:
            payload["rating"] = float(chance.randint(1, 5))
        if chance.random() < 0.5:
            payload["gps"] = {"lat": chance.uniform(36, 66), "lon": chance.uniform(-22, 30)}
        merged = merge({}, payload)
        return merged | {WORDS: lookup(merged)}
