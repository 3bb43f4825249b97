"""The gateway against a service that misbehaves in every way we know."""

import asyncio
import math
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from core.errors import FatalError, MLOutOfMemoryError, MLRejectedError, MLUnavailableError
from gateways.ml import ML, Embedded, ImageInput, Refused
from gateways.ml.images import CONTROL
from tests.deadlines import HANG_SECONDS
from tests.ml.stub import Behaviour, Stub, serving, vector_of

IMAGES = [ImageInput(f"id-{n}", f"bytes of {n}".encode(), f"{n}.jpg") for n in range(5)]


# One service for all tests here: stopping one takes uvicorn 0.2 s.
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service() -> AsyncIterator[Stub]:
    async with serving(Stub()) as stub:
        yield stub


@pytest.fixture
def stub(service: Stub) -> Stub:
    service.forget()
    return service


@pytest_asyncio.fixture(loop_scope="module")
async def ml(stub: Stub) -> AsyncIterator[ML]:
    ml = ML(stub.url, timeout=HANG_SECONDS)
    yield ml
    await ml.close()


async def embed(ml: ML, *, caption: bool = False) -> dict[str, Embedded | Refused]:
    return await ml.embed(IMAGES, caption=caption, dimension=512)


def refused(answers: dict[str, Embedded | Refused]) -> list[str]:
    return [unique_id for unique_id, answer in answers.items() if isinstance(answer, Refused)]


class TestEmbed:
    @pytest.mark.parametrize("reverse", [False, True])
    async def test_each_image_gets_its_own_vector_whatever_the_order(self, stub: Stub, ml: ML, reverse: bool) -> None:
        stub.behaviour = Behaviour(reverse=reverse)
        answers = await embed(ml, caption=True)
        assert answers.keys() == {image.unique_id for image in IMAGES}
        for image in IMAGES:
            answer = answers[image.unique_id]
            assert isinstance(answer, Embedded)
            assert answer.vector == pytest.approx(vector_of(image.jpeg))
            assert answer.caption == f"A picture called {image.filename}"

    async def test_a_batch_is_one_request_with_captions_only_when_asked(self, stub: Stub, ml: ML) -> None:
        answers = await embed(ml, caption=False)
        assert [(len(batch.images), batch.caption) for batch in stub.batches] == [(5, False)]
        assert {answer.caption for answer in answers.values() if isinstance(answer, Embedded)} == {None}

    async def test_another_model_is_named_where_the_service_has_it(self, stub: Stub, ml: ML) -> None:
        await ml.capabilities("stub-2")
        await ml.embed(IMAGES, caption=False, dimension=512, model_id="stub-2")
        stub.behaviour = Behaviour(models={"stub-2": 24})
        told = await ml.capabilities("stub-2")
        assert (told.model_id, told.embedding_dim) == ("stub-2", 24)
        answers = await ml.embed(IMAGES, caption=False, dimension=24, model_id="stub-2")
        assert [batch.model_id for batch in stub.batches] == [None, "stub-2"]
        for image in IMAGES:
            answer = answers[image.unique_id]
            assert isinstance(answer, Embedded)
            assert answer.vector == pytest.approx(vector_of(image.jpeg, 24, "stub-2"))
        assert await ml.embed_text("red", dimension=24, model_id="stub-2") == vector_of(b"red", 24, "stub-2")

    @pytest.mark.parametrize("models", [{}, {"stub-2": 24}], ids=["a service of one model", "a service of several"])
    async def test_captions_alone_need_no_vector(self, stub: Stub, ml: ML, models: dict[str, int]) -> None:
        stub.behaviour = Behaviour(models=models)
        await ml.capabilities()
        answers = await ml.caption(IMAGES)
        assert [answer.caption for answer in answers.values() if isinstance(answer, Embedded)] == [
            f"A picture called {image.filename}" for image in IMAGES
        ]
        assert [(batch.caption, batch.embed) for batch in stub.batches] == [(True, not models)]

    async def test_no_images_cost_no_request(self, stub: Stub, ml: ML) -> None:
        assert await ml.embed([], caption=True, dimension=512) == {}
        assert stub.batches == []

    @pytest.mark.parametrize("fault", ["fail_images", "nan_images", "short_images"])
    async def test_one_bad_answer_fails_its_image_alone(self, stub: Stub, ml: ML, fault: str) -> None:
        stub.behaviour = Behaviour.model_validate({fault: ["id-2"]})
        assert refused(await embed(ml)) == ["id-2"]

    @pytest.mark.parametrize(
        "bad",
        [[0.0] * 512, [None] * 512, ["0.1"] * 512, [1e300] * 512, [[0.1]] * 512, None],
        ids=["zeros", "nulls", "texts", "too large for float32", "nested", "missing"],
    )
    async def test_a_vector_that_qdrant_could_not_use_is_refused(self, stub: Stub, ml: ML, bad: object) -> None:
        results = [{"unique_id": image.unique_id, "embedding": vector_of(image.jpeg)} for image in IMAGES]
        results[3]["embedding"] = bad  # type: ignore[assignment]  # What is wrong with it is the point.
        stub.behaviour = Behaviour.answering({"results": results})
        assert refused(await embed(ml)) == ["id-3"]

    @pytest.mark.parametrize("fault", [{"drop_results": 1}, {"strange_results": 1}, {"body": "<html>", "status": 200}])
    async def test_an_answer_that_does_not_fit_the_question_is_not_used(
        self, stub: Stub, ml: ML, fault: dict[str, object]
    ) -> None:
        stub.behaviour = Behaviour.model_validate(fault)
        with pytest.raises(MLUnavailableError, match="nonsense"):
            await embed(ml)

    async def test_two_results_for_one_image_and_none_for_another_are_nonsense(self, stub: Stub, ml: ML) -> None:
        stub.behaviour = Behaviour(drop_results=1, repeat_results=1)
        with pytest.raises(MLUnavailableError, match="nonsense"):
            await embed(ml)

    @pytest.mark.parametrize("count", [1, 2])
    async def test_pictures_that_fail_and_have_no_good_neighbour_fail_all_the_same(
        self, stub: Stub, ml: ML, count: int
    ) -> None:
        stub.behaviour = Behaviour(short_images=[image.unique_id for image in IMAGES], reverse=True)
        answers = await ml.embed(IMAGES[:count], caption=False, dimension=512)
        assert refused(answers) == [image.unique_id for image in IMAGES[:count]]

    @pytest.mark.parametrize("count", [1, 5])
    async def test_another_dimension_for_all_means_another_model(self, stub: Stub, ml: ML, count: int) -> None:
        stub.behaviour = Behaviour(dimension=768)
        with pytest.raises(MLUnavailableError, match=r"768 dimensions instead of 512: its model changed"):
            await ml.embed(IMAGES[:count], caption=False, dimension=512)

    async def test_another_dimension_fails_no_picture_where_the_service_takes_no_more_of_them(
        self, stub: Stub, ml: ML
    ) -> None:
        """There it cannot be asked what it makes of another picture."""
        stub.behaviour = Behaviour(dimension=768, reject_batch_with=[CONTROL.unique_id])
        with pytest.raises(MLUnavailableError, match="its model changed"):
            await ml.embed(IMAGES[:1], caption=False, dimension=512)

    @pytest.mark.parametrize("status", [500, 502, 503, 429, 401, 404])
    async def test_a_service_in_trouble_is_waited_for(self, stub: Stub, ml: ML, status: int) -> None:
        stub.behaviour = Behaviour(status=status, body="upstream is sad")
        with pytest.raises(MLUnavailableError, match=f"{status}.*upstream is sad"):
            await embed(ml)

    @pytest.mark.parametrize(
        ("status", "body"), [(413, ""), (507, ""), (500, "CUDA out of memory"), (503, "torch.OutOfMemoryError")]
    )
    async def test_too_much_at_once_is_told_apart(self, stub: Stub, ml: ML, status: int, body: str) -> None:
        stub.behaviour = Behaviour(status=status, body=body)
        with pytest.raises(MLOutOfMemoryError, match=str(status)):
            await embed(ml)

    async def test_out_of_memory_goes_away_with_a_smaller_batch(self, stub: Stub, ml: ML) -> None:
        stub.behaviour = Behaviour(oom_above=3)
        with pytest.raises(MLOutOfMemoryError):
            await embed(ml)
        assert len(await ml.embed(IMAGES[:3], caption=False, dimension=512)) == 3

    async def test_a_refused_batch_is_rejected(self, stub: Stub, ml: ML) -> None:
        stub.behaviour = Behaviour(reject_batch_with=["2.jpg"])
        with pytest.raises(MLRejectedError, match="cannot read one of the images"):
            await embed(ml)

    async def test_a_service_that_hangs_is_given_up_after_the_timeout(self, stub: Stub) -> None:
        stub.behaviour = Behaviour(hang=True)
        ml = ML(stub.url, timeout=0.3)
        with pytest.raises(MLUnavailableError, match="ReadTimeout"):
            await embed(ml)
        await ml.close()

    async def test_a_service_that_is_away_comes_back_for_the_same_client(self) -> None:
        async with serving(Stub()) as stub:
            ml = ML(stub.url, timeout=HANG_SECONDS)
            assert len(await embed(ml)) == 5
        with pytest.raises(MLUnavailableError, match="cannot be reached"):
            await embed(ml)
        async with serving(Stub(), port=int(stub.url.rsplit(":", 1)[1])):
            assert len(await embed(ml)) == 5
        await ml.close()

    async def test_another_model_shows(self, stub: Stub, ml: ML) -> None:
        expected = (await ml.capabilities()).model_id
        assert {answer.model_id for answer in (await embed(ml)).values() if isinstance(answer, Embedded)} == {expected}
        stub.behaviour = Behaviour(model_name="stub-2")
        assert {answer.model_id for answer in (await embed(ml)).values() if isinstance(answer, Embedded)} == {"stub-2"}

    async def test_the_event_loop_is_not_held_up_by_a_large_batch(self, stub: Stub) -> None:
        """64 images at the hard limit of a rendition, to a service that is down.

        Measured in CPU time of the loop's thread: what other processes do to this machine comes and goes.
        """
        images = [ImageInput(f"id-{n}", bytes([n]) * 65_536, f"{n}.jpg") for n in range(64)]
        ml = ML("http://127.0.0.1:1", timeout=5)
        held_up: list[float] = []

        async def watch() -> None:
            while True:
                before = time.thread_time()
                await asyncio.sleep(0.001)
                held_up.append(time.thread_time() - before)

        watching = asyncio.create_task(watch())
        await asyncio.sleep(0)
        with pytest.raises(MLUnavailableError):
            await ml.embed(images, caption=False, dimension=512)
        watching.cancel()
        await ml.close()
        assert 0 < max(held_up) < 0.1

    async def test_one_image_for_a_search(self, stub: Stub, ml: ML) -> None:
        assert await ml.embed_image(b"picture", dimension=512) == pytest.approx(vector_of(b"picture"))
        stub.behaviour = Behaviour(fail_images=["query.jpg"])
        with pytest.raises(MLRejectedError, match="told to fail"):
            await ml.embed_image(b"picture", dimension=512)


class TestCapabilities:
    async def test_what_the_service_says_is_used(self, stub: Stub, ml: ML) -> None:
        stub.behaviour = Behaviour(model_id="clip-1", safe_clip_batch=7, safe_blip_batch=3, dimension=768)
        told = await ml.capabilities()
        assert (told.model_id, told.safe_clip_batch, told.safe_blip_batch) == ("clip-1", 7, 3)
        assert (told.embedding_dim, told.supports_text) == (768, True)

    async def test_what_it_leaves_out_gets_the_defaults(self, stub: Stub) -> None:
        stub.behaviour = Behaviour.answering({"clip_model_loaded": True})
        ml = ML(stub.url, timeout=HANG_SECONDS, default_model_id="from-the-setting")
        told = await ml.capabilities()
        assert (told.model_id, told.safe_clip_batch, told.embedding_dim) == ("from-the-setting", 32, 512)
        await ml.close()

    async def test_a_service_without_a_model_id_takes_the_setting_and_its_own_names_do_not_confuse(
        self, stub: Stub
    ) -> None:
        stub.behaviour = Behaviour(model_id=None, model_name="ViT-B/32")
        ml = ML(stub.url, timeout=HANG_SECONDS, default_model_id="from-the-setting")
        assert (await ml.capabilities()).model_id == "from-the-setting"
        assert {answer.model_id for answer in (await embed(ml)).values() if isinstance(answer, Embedded)} == {None}
        await ml.close()

    async def test_no_model_id_at_all_says_what_to_set(self, stub: Stub, ml: ML) -> None:
        stub.behaviour = Behaviour(model_id=None)
        with pytest.raises(FatalError, match="set ML_MODEL_ID"):
            await ml.capabilities()

    @pytest.mark.parametrize("body", ["[]", '{"safe_clip_batch": 0, "model_id": "m"}', "oops"])
    async def test_nonsense_is_not_believed(self, stub: Stub, ml: ML, body: str) -> None:
        stub.behaviour = Behaviour(status=200, body=body)
        with pytest.raises(MLUnavailableError, match="nonsense"):
            await ml.capabilities()


class TestText:
    async def test_a_text_gets_its_vector(self, stub: Stub, ml: ML) -> None:
        assert await ml.embed_text("red roof", dimension=512) == pytest.approx(vector_of(b"red roof"))
        assert stub.texts == ["red roof"]

    async def test_no_text_encoder_is_none(self, stub: Stub, ml: ML) -> None:
        stub.behaviour = Behaviour(supports_text=False)
        assert await ml.embed_text("red roof", dimension=512) is None

    async def test_a_useless_vector_is_not_searched_with(self, stub: Stub, ml: ML) -> None:
        stub.behaviour = Behaviour.answering({"embedding": [math.pi] * 3})
        with pytest.raises(MLUnavailableError, match="3 dimensions instead of 512"):
            await ml.embed_text("red roof", dimension=512)


class TestConnection:
    async def test_health(self, stub: Stub, ml: ML) -> None:
        assert await ml.healthy()
        stub.behaviour = Behaviour(status=503)
        assert not await ml.healthy()

    async def test_health_of_a_service_that_is_away(self) -> None:
        ml = ML("http://127.0.0.1:1", timeout=5)
        assert not await ml.healthy()
        await ml.close()

    @pytest.mark.parametrize("url", ["", "localhost:8001", "http://"])
    async def test_a_url_that_cannot_be_one_names_the_setting(self, url: str) -> None:
        with pytest.raises(FatalError, match="ML_INFERENCE_SERVICE_URL"):
            ML(url, timeout=5)
