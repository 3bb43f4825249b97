"""The routes by which the page offers a model: of our own ML service, and of one that chooses its model by itself."""

from pathlib import Path
from typing import Any

from core.settings import Settings
from tests.api.service import eventually, serving
from tests.ml.test_choosing import DEFAULT, data, hub  # noqa: F401 - fixtures
from tests.ml.test_service import service as ml_service
from tests.models.small_hub import SmallHub


async def test_of_another_service_nothing_is_offered(own: Settings) -> None:
    async with serving(own) as api:
        found = await api.get("models")
        assert (found["offered"], found["models"]) == (False, [])
        assert "ML_INFERENCE_SERVICE_URL" in found["reason"]
        for what in ("get", "use"):
            refused = await api.http.post(f"models/{DEFAULT}/{what}")
            assert (refused.status_code, refused.json()["detail"]) == (409, found["reason"])


async def test_a_model_is_fetched_and_used(own: Settings, data: Path, hub: SmallHub) -> None:  # noqa: F811
    with ml_service() as url:
        async with serving(own.model_copy(update={"ml_inference_service_url": url})) as api:
            found = await api.get("models")
            assert (found["offered"], found["reason"], found["default"]) == (True, None, DEFAULT)
            assert (await api.get("capabilities"))["text_search"] == "keywords"
            unknown = await api.http.post("models/nothing/get")
            assert (unknown.status_code, unknown.json()["detail"][:27]) == (404, "There is no model 'nothing'")
            begun = await api.http.post(f"models/{DEFAULT}/get")
            assert (begun.status_code, begun.json()["arrival"]["name"]) == (202, DEFAULT)

            async def arrived() -> dict[str, Any] | None:
                arrival: dict[str, Any] = (await api.get("models"))["arrival"]
                return arrival if arrival["state"] != "running" else None

            assert (await eventually(arrived))["state"] == "done"
            used = await api.http.post(f"models/{DEFAULT}/use")
            assert used.status_code == 200, used.text
            assert [one["name"] for one in used.json()["models"] if one["in_use"]] == [DEFAULT]
            assert (await api.get("capabilities"))["text_search"] == "semantic"
