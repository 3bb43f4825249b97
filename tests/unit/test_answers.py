"""What ML answered is not asked again: while it is asked, and for a while after."""

import asyncio
from array import array

from agents.embed.answers import Answer, Answers, Question
from tests.deadlines import HANG_SECONDS

ANSWER = Answer(array("d", [1.0, 2.0]), "a picture")


def question(name: str, *, model: str = "m-1", caption: bool = False) -> Question:
    return Question("file", name, model, caption)


async def test_an_equal_question_gets_the_same_answer_before_and_after_it_is_there() -> None:
    answers = Answers()
    assert answers.earlier(question("a")) is None
    answers.ask(question("a"))
    before = answers.earlier(question("a"))
    assert before is not None
    assert not before.done()
    answers.answer(question("a"), ANSWER)
    after = answers.earlier(question("a"))
    assert after is not None
    assert await asyncio.wait_for(before, HANG_SECONDS) == await asyncio.wait_for(after, HANG_SECONDS) == ANSWER


async def test_another_model_or_a_caption_is_another_question() -> None:
    answers = Answers()
    answers.ask(question("a"))
    assert answers.earlier(question("a", model="m-2")) is None
    assert answers.earlier(question("a", caption=True)) is None


async def test_what_ml_could_not_answer_may_be_asked_again() -> None:
    answers = Answers()
    answers.ask(question("a"))
    waiting = answers.earlier(question("a"))
    answers.answer(question("a"), None)
    assert waiting is not None
    assert await asyncio.wait_for(waiting, HANG_SECONDS) is None
    assert answers.earlier(question("a")) is None


async def test_the_oldest_answers_are_forgotten_and_no_open_question_is() -> None:
    answers = Answers(limit=2)
    for name in "abc":
        answers.ask(question(name))
        if name != "a":
            answers.answer(question(name), ANSWER)
    assert answers.earlier(question("a")) is not None
    answers.answer(question("a"), ANSWER)
    for name in "de":
        answers.ask(question(name))
        answers.answer(question(name), ANSWER)
    assert answers.earlier(question("b")) is None
    assert answers.earlier(question("e")) is not None


async def test_answers_are_kept_up_to_a_number_of_bytes() -> None:
    large = Answer(array("d", [0.5] * 1000), None)
    answers = Answers(max_bytes=3 * large.size)
    for name in "abcd":
        answers.ask(question(name))
        answers.answer(question(name), large)
    assert [name for name in "abcd" if answers.earlier(question(name))] == ["b", "c", "d"]
    # One that is still with ML is kept: somebody waits for it.
    answers.ask(question("e"))
    for name in "bcd":
        answers.earlier(question(name))
    answers.ask(question("f"))
    answers.answer(question("f"), large)
    assert answers.earlier(question("e"))
