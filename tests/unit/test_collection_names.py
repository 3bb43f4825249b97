import pytest

from core.errors import RequestError
from rules.collections import check_name


@pytest.mark.parametrize("name", ["a", "photos", "Photos_2024.v1-b", "0", "x" * 64])
def test_good_names(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize("name", ["", ".", "..", ".a", "-a", "_a", "a/b", "a b", "a\n", "é", "a\0", "x" * 65, "../a"])
def test_bad_names(name: str) -> None:
    with pytest.raises(RequestError, match="cannot name a collection") as error:
        check_name(name)
    assert error.value.status == 422
