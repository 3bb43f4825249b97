"""How many images go into one request."""

import pytest

from gateways.ml import Capabilities
from rules.batching import batch_size, halves

ML_SAYS = Capabilities(model_id="m", safe_clip_batch=32, safe_blip_batch=8)


@pytest.mark.parametrize(
    ("setting", "caption", "size", "warns"),
    [
        (None, False, 32, False),
        (None, True, 8, False),
        (16, False, 16, False),
        (16, True, 16, True),
        (32, False, 32, False),
        (33, False, 33, True),
    ],
)
def test_the_setting_overrides_and_ml_bounds_what_is_not_set(
    setting: int | None, caption: bool, size: int, warns: bool
) -> None:
    chosen, warning = batch_size(setting, ML_SAYS, caption)
    assert (chosen, warning is not None) == (size, warns)


def test_the_warning_has_both_numbers_and_the_way_out() -> None:
    _, warning = batch_size(64, ML_SAYS, caption=False)
    assert warning is not None
    assert "ML_INFERENCE_BATCH_SIZE is 64" in warning
    assert "32" in warning


def test_halves_keep_every_item_in_order() -> None:
    assert halves([1, 2, 3, 4, 5]) == ([1, 2, 3], [4, 5])
    assert halves([1, 2]) == ([1], [2])


def test_one_item_stands_alone() -> None:
    with pytest.raises(ValueError, match="cannot be split"):
        halves(["only"])
