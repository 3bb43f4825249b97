import pytest

from core.errors import RequestError
from rules.collections import (
    check_name,
    check_stored_name,
    generation,
    in_qdrant,
    is_address,
    paths_collection,
    public_name,
)


@pytest.mark.parametrize("name", ["a", "photos", "Photos_2024.v1-b", "0", "x" * 64])
def test_good_names(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize("name", ["", ".", "..", ".a", "-a", "_a", "a/b", "a b", "a\n", "é", "a\0", "x" * 65, "../a"])
def test_bad_names(name: str) -> None:
    with pytest.raises(RequestError, match="cannot name a collection") as error:
        check_name(name)
    assert error.value.status == 422


@pytest.mark.parametrize("number", [1, 2, 11, 21])
def test_a_generation_has_an_address_that_no_user_can_give(number: int) -> None:
    address = generation("photos", number)
    with pytest.raises(RequestError):
        check_name(address)
    assert (is_address(address), is_address("photos"), public_name(address)) == (True, False, "photos")
    # The first one has the name that it was made with.
    assert in_qdrant(address) == ("photos" if number == 1 else address)
    check_stored_name(in_qdrant(address))
    check_stored_name(paths_collection(in_qdrant(address)))


@pytest.mark.parametrize("name", ["../a", "a~x", "a~0", "a~2~3", "~2", "a~paths~2~"])
def test_nothing_else_can_stand_beside_a_collection(name: str) -> None:
    with pytest.raises(RequestError):
        check_stored_name(name)
