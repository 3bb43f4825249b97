"""What was not taken in is told in one line, with a bound."""

from rules.kinds import MOST_KINDS, counted, kind_of, left_out_line, skipped_line


def test_a_kind_is_the_extension_or_another_reason() -> None:
    assert [kind_of(path, None) for path in ("/a/b.MOV", "/a/b.tar.gz", "/a.b/c", "/.hidden", "/a/b.jpg~")] == [
        ".mov", ".gz", "without extension", "without extension", ".jpg~",
    ]  # fmt: skip
    assert kind_of("/a/b.what is this", None) == "without extension"
    assert kind_of("/a/b.jpg", "job cancelled") == "cancelled"


def test_the_line() -> None:
    assert skipped_line(12, {".txt": 5, ".mov": 7, ".pdf": 0}) == "12 files skipped: .mov 7, .txt 5"
    assert skipped_line(1, {".txt": 1}) == "1 file skipped: .txt 1"
    assert skipped_line(3, {}) == "3 files skipped"  # of a job of version 0.1.0
    assert skipped_line(0, {".txt": 0}) == ""
    assert left_out_line(8, 3, more=False) == "left out: 8 files in 3 folders"
    assert left_out_line(1, 1, more=False) == "left out: 1 file in 1 folder"
    assert left_out_line(10_000, 1, more=True) == "left out: more than 10,000 files in 1 folder"
    assert left_out_line(0, 0, more=False) == ""


def test_many_kinds_take_no_more_room_and_their_sum_is_right() -> None:
    kinds: dict[str, int] = {}
    for number in range(100):
        kinds = counted(kinds, f".x{number}", 1)
    assert (len(kinds), sum(kinds.values())) == (MOST_KINDS + 1, 100)
    for number in range(100):
        kinds = counted(kinds, f".x{number}", -1)
    assert kinds == {}
