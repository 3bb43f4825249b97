"""Decides on dead letters: publishes them again, or drops them, and marks them so."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import get_args

import structlog

from api.jobs.publisher import Outgoing, Publisher
from api.jobs.succession import Succession
from api.schemas.replay import DeadLetterChoice, Decided, Refusal, ReplayChoice
from api.view.dead_letters import DeadLetterFilter, WholeDeadLetter, texts_of
from api.view.view import JobView
from core.errors import KafkaUnavailableError
from rules.dead_letters import OfAMoment, why_not_again
from topics import erasure, sweep
from topics.dead_letter import DEAD_LETTER, Decision, Mark
from topics.image_outcome import OfDepartures, OfErasures
from topics.record import Record
from topics.replay import Place, replay_headers
from topics.topology import INPUTS

NAMED_REFUSALS = 1000

log = structlog.get_logger()


def _kinds(*records: type[Record]) -> frozenset[str]:
    return frozenset(record.model_fields["kind"].default for record in records)


# Messages without a value say in a header what they ask for.
_HEADERS: dict[str, OfAMoment] = {erasure.HEADER: "forget", sweep.HEADER: "sync", sweep.KNOWN: "sync"}
_OF_SYNCS = _kinds(*get_args(OfDepartures))
_OF_ERASURES = _kinds(*get_args(OfErasures), erasure.Erase)


class DeadLetters:
    """The only one to decide on letters; one request at a time, so that none is published twice."""

    def __init__(self, view: JobView, publisher: Publisher, max_attempts: int) -> None:
        self._view = view
        self._letters = view.letters
        self._publisher = publisher
        self._max_attempts = max_attempts
        self._lock = asyncio.Lock()

    async def replay(self, choice: ReplayChoice) -> Decided:
        """Publish letters to the topics that restart them. Raises KafkaUnavailableError."""

        def refuse(letter: WholeDeadLetter) -> str | None:
            if letter.restart_topic and letter.restart_topic not in INPUTS:
                return f"{letter.restart_topic!r} is no topic that restarts anything."
            return why_not_again(
                letter.state,
                letter.attempt,
                letter.restart_topic,
                of=_of_a_moment(letter),
                is_sentinel=letter.is_sentinel,
                max_attempts=self._max_attempts,
                force=choice.force,
            )

        return await self._decide(choice, "replayed", refuse)

    async def drop(self, choice: DeadLetterChoice) -> Decided:
        """Mark letters as not to be replayed. Raises KafkaUnavailableError."""
        return await self._decide(
            choice, "dropped", lambda letter: None if letter.state == "open" else f"It was {letter.state} already."
        )

    async def forget(self, is_meant: Callable[[WholeDeadLetter], bool], *, dry_run: bool) -> int:
        """Have letters forgotten that are about what is; return how many these are. Raises KafkaUnavailableError."""
        count = 0
        async with self._lock:
            await self._letters.catch_up()
            async for page in self._letters.pages(DeadLetterFilter()):
                meant = [letter for letter in page if is_meant(letter)]
                count += len(meant)
                if not dry_run:
                    await self._publisher.publish_all([_mark(letter, "forgotten") for letter in meant])
        return count

    async def _decide(
        self, choice: DeadLetterChoice, decision: Decision, refuse: Callable[[WholeDeadLetter], str | None]
    ) -> Decided:
        decided = Decided()
        succession = Succession(self._view, self._publisher)
        async with self._lock:
            await self._letters.catch_up()
            async for page in self._chosen(choice, decided):
                taken = []
                for letter in page:
                    if reason := refuse(letter):
                        _refuse(decided, letter.id, reason)
                    else:
                        taken.append(letter)
                # A letter whose mark is lost is replayed again at worst, which changes nothing.
                if decision == "replayed":
                    await self._publisher.publish_all([await _restart(letter, succession) for letter in taken])
                await self._publisher.publish_all([_mark(letter, decision) for letter in taken])
                decided.done += len(taken)
            await succession.close()
            decided.jobs = succession.jobs
            # What was done is done, whether or not it shows at once.
            with suppress(KafkaUnavailableError):
                await self._letters.catch_up()
        log.info("dead-letters-decided", decision=decision, done=decided.done, refused=decided.refused)
        return decided

    async def _chosen(self, choice: DeadLetterChoice, decided: Decided) -> AsyncIterator[Sequence[WholeDeadLetter]]:
        if not choice.ids:
            async for page in self._letters.pages(choice.filter):
                yield page
            return
        for letter_id in dict.fromkeys(choice.ids):
            letter = await self._letters.get(letter_id)
            if letter is None:
                _refuse(decided, letter_id, "There is no such dead letter (any more).")
            else:
                yield [letter]


def _of_a_moment(letter: WholeDeadLetter) -> OfAMoment | None:
    """Tell what a letter asks for that no stage does for a replay; None: it may be replayed."""
    if letter.value is None:
        asked = (_HEADERS[name] for name, _ in letter.headers if name in _HEADERS)
        return next(asked, None)
    said = texts_of(letter.value)
    kind = said.get("kind")
    if kind in _OF_SYNCS:
        return "sync"
    if kind not in _OF_ERASURES:
        return None
    return "purge" if "purge" in {kind, said.get("why")} else "forget"


def _refuse(decided: Decided, letter_id: str, reason: str) -> None:
    decided.refused += 1
    if len(decided.refusals) < NAMED_REFUSALS:
        decided.refusals.append(Refusal(id=letter_id, reason=reason))


async def _restart(letter: WholeDeadLetter, succession: Succession) -> Outgoing:
    place = Place(DEAD_LETTER, letter.partition, letter.offset)
    as_it_was = Outgoing(letter.restart_topic, letter.key, letter.value, letter.headers)
    message = await succession.hand_over(as_it_was, letter.job_id)
    headers = replay_headers(message.headers, place, letter.attempt + 1, letter.restart_topic)
    return replace(message, headers=headers)


def _mark(letter: WholeDeadLetter, decision: Decision) -> Outgoing:
    mark = Mark(decision, letter.offset)
    return Outgoing(DEAD_LETTER, letter.key, None, mark.headers(), letter.partition)
