"""Files of one folder and of many, through links or not, are inside or outside together as they are alone."""

import os
from pathlib import Path

from imaging.files import outside_of, outside_of_all


def test_many_are_judged_as_each_alone(tmp_path: Path) -> None:
    allowed, other = tmp_path / "allowed", tmp_path / "other"
    for folder in (allowed / "a" / "b", allowed / "c", other / "d"):
        folder.mkdir(parents=True)
        (folder / "1.jpg").touch()
        (folder / "2.jpg").touch()
    (allowed / "out").symlink_to(other)
    (allowed / "in").symlink_to(allowed / "a")
    (other / "back").symlink_to(allowed / "c")
    (allowed / "c" / "out.jpg").symlink_to(other / "d" / "1.jpg")
    (allowed / "c" / "in.jpg").symlink_to(allowed / "c" / "1.jpg")
    (allowed / "c" / "nothing.jpg").symlink_to(tmp_path / "nothing.jpg")
    (allowed / "c" / "round").symlink_to(allowed / "c" / "round")
    paths = [
        os.fsencode(path)
        for path in (
            *(
                allowed / name / file
                for name in ("a/b", "c", "in/b", "out/d", "not/there")
                for file in ("1.jpg", "2.jpg")
            ),
            *(other / name / "1.jpg" for name in ("d", "back")),
            *(allowed / "c" / name for name in ("out.jpg", "in.jpg", "nothing.jpg", "round/1.jpg")),
            Path("/1.jpg"),
        )
    ]
    for roots in ((os.fsencode(allowed),), (os.fsencode(other), os.fsencode(allowed / "a")), (b"/",), (), None):
        alone = [str(outside_of(path, roots)) for path in paths]
        assert [str(error) for error in outside_of_all(paths, roots)] == alone
    outside = [error is not None for error in outside_of_all(paths, (os.fsencode(allowed),))]
    assert outside == [False] * 6 + [True] * 2 + [False] * 2 + [True, False] + [True, False, True, False] + [True]
