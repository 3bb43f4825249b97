"""Ignore files mean what they mean to git, on trees and patterns by chance."""

import os
import random
import subprocess
from pathlib import Path

import pytest

from agents.leaving_out import Chosen
from agents.scan.walking import Found, Refused, walk

NAMES = [
    "a", "b", "A", "foo", "bar", "build", "{a}", "b.tif", "foo.jpg", "a.jpg", "a.jpg.jpg", "x y.jpg", "trail .jpg",
    "[a].jpg", "a*b.jpg", "#c.jpg", "!d.jpg", "e\\f.jpg", "q?.jpg", ".h.jpg", "-x.jpg", "é.jpg", "tab\t",
]  # fmt: skip
PATTERNS = [
    "*", "**", "/*", "*/", "**/", "/**", "!*/", "!**", "*/*", "!*/*/a.jpg", "a", "/a", "a/", "!a", "a/b", "a/**",
    "**/a", "/**/a", "**/a/b", "a/**/b", "a/*/", "foo/**/", "**/foo/**", "*a*/**", "foo*", "*/foo", "!foo/bar", "*.jpg",
    "!*.jpg", "**/*.jpg", "*.JPG", "#c.jpg", "\\#c.jpg", "\\!d.jpg", "!\\!d.jpg", "[ab].jpg", "[!a]*.jpg", "[^a]*",
    "\\[a].jpg", "[a", "[]a].jpg", "[\\]]*", "[]-]*", "[\\!]*", "[a\\-c]*", "[a-c]*", "[[:alpha:]]*",
    "[[:digit:][:punct:]]*", "a[^[:upper:]]*", "[[:alpha:]a-]*", "a\\*b.jpg", "a*b*", "trail .jpg  ", "trail\\ .jpg",
    "x y.jpg", "e\\\\f.jpg", "q?.jpg", "?", "??", ".*", "!.h*", "a//b", "/", "//", "", "   ", "\t", "a\t", "tab\t",
    "é*", "{a}", "! a", "./a", "a/.", "../a",
]  # fmt: skip


def _grow(folder: Path, chance: random.Random, depth: int = 0) -> None:
    for name in chance.sample(NAMES, chance.randint(2, 6)):
        if not name.endswith(".jpg") and depth < 3 and chance.random() < 0.8:
            (folder / name).mkdir()
            _grow(folder / name, chance, depth + 1)
        else:
            (folder / name).write_bytes(b"\xff\xd8\xff\xe0")


@pytest.mark.system
@pytest.mark.parametrize("seed", range(30))
def test_a_tree(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    _grow(tmp_path, chance)
    folders = sorted(path for path in tmp_path.rglob("*") if path.is_dir())
    for folder in (tmp_path, *chance.sample(folders, min(2, len(folders)))):
        lines = chance.choice(["\n", "\r\n"]).join(chance.choices(PATTERNS, k=chance.randint(1, 4)))
        for name in (".gitignore", ".darkroomignore"):
            (folder / name).write_text(chance.choice(["", "\n"]).join([lines, ""]), newline="")
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--others", "--exclude-per-directory=.gitignore"],
        cwd=tmp_path, capture_output=True, check=True,
    )  # fmt: skip
    of_git = {path for path in listed.stdout.split(b"\0") if path and not path.endswith(b"ignore")}
    walked = list(walk(os.fsencode(tmp_path), None, Chosen()))
    assert not [one for one in walked if isinstance(one, Refused) and not one.path.endswith(b".gitignore")]
    assert {os.path.relpath(one.path, os.fsencode(tmp_path)) for one in walked if isinstance(one, Found)} == of_git
