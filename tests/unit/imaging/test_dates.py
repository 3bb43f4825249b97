"""Dates as cameras and programs write them, down to the forms that no standard knows."""

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imaging.dates import iso_8601


@pytest.mark.parametrize(
    ("date", "wanted"),
    [
        ("2021:04:11 15:47:53", "2021-04-11T15:47:53"),
        ("2021:04:11 15:47:53\0", "2021-04-11T15:47:53"),
        ("2004: 6: 5 10: 7: 5", "2004-06-05T10:07:05"),
        ("2004:6:5 1:2:3", "2004-06-05T01:02:03"),
        ("2002/07/13 15:58:28", "2002-07-13T15:58:28"),
        ("2021:04:11 15:47", "2021-04-11T15:47:00"),
        ("2021-04-11T15:47:53.25+02:00", "2021-04-11T15:47:53.25+02:00"),
        ("2021-04-11T15:47:53.120Z", "2021-04-11T15:47:53.12+00:00"),
        ("2021-04-11T15:47:53 +9:00", "2021-04-11T15:47:53+09:00"),
        ("2021-04-11T15:47:53-0930", "2021-04-11T15:47:53-09:30"),
        ("2021-04-11T15:47:53+99:00", "2021-04-11T15:47:53"),
        ("20040605", "2004-06-05"),
        ("20040605 100705+0200", "2004-06-05T10:07:05+02:00"),
        ("20040605T100705Z", "2004-06-05T10:07:05+00:00"),
        ("2004-06-05", "2004-06-05"),
        ("2004: 6: 5", "2004-06-05"),
        ("2004:06:05   :  :  ", "2004-06-05"),
        ("2004-06", "2004-06"),
        ("2004:06:00 00:00:00", "2004-06"),
        ("20040600", "2004-06"),
        ("2004", "2004"),
        ("20040000", "2004"),
        ("0001:01:01 00:00:00", "0001-01-01T00:00:00"),
        ("9999:12:31 23:59:59", "9999-12-31T23:59:59"),
        ("Sat, 5 Jun 2004 10:07:05 +0200", "2004-06-05T10:07:05+02:00"),
        ("Sat, 05 Jun 2004 10:07:05 GMT", "2004-06-05T10:07:05+00:00"),
        ("Sat Jun  5 10:07:05 2004", "2004-06-05T10:07:05"),
        ("0000:00:00 00:00:00", None),
        ("    :  :     :  :  ", None),
        ("2021:02:30 10:00:00", None),
        ("2021:02:20 25:00:00", None),
        ("2021:13:01", None),
        ("yesterday", None),
        ("٢٠٢١:04:11", None),
        ("1" * 1000, None),
        ("", None),
        (None, None),
    ],
)
def test_forms(date: str | None, wanted: str | None) -> None:
    assert iso_8601(date) == wanted


@pytest.mark.parametrize(
    ("offset", "fraction", "wanted"),
    [
        (None, None, ""),
        ("-05:00", None, "-05:00"),
        ("Z", "25", ".25+00:00"),
        ("+09:00", "007", ".007+09:00"),
        ("+9:00", None, "+09:00"),
        ("-3", None, "-03:00"),
        ("   :  ", "  5 ", ".5"),
        ("+99:00", "000", ""),
        ("nonsense", "nonsense", ""),
        (None, "123456789", ".123456"),
    ],
)
def test_what_other_fields_add(offset: str | None, fraction: str | None, wanted: str) -> None:
    assert iso_8601("2021:04:11 15:47:53", offset, fraction) == "2021-04-11T15:47:53" + wanted


@given(st.datetimes())
def test_every_time_that_there_is_is_read(time: datetime) -> None:
    written = f"{time:%m:%d %H:%M:%S}"
    found = iso_8601(f"{time.year:04}:{written}", fraction=f"{time.microsecond:06}")
    assert found is not None
    assert datetime.fromisoformat(found) == time


@given(st.text(max_size=40))
def test_rubbish_never_raises(text: str) -> None:
    iso_8601(text, text, text)
