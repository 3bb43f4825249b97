"""The dead letters as the routes see them."""

from collections.abc import AsyncIterator
from functools import partial

from api.view import dead_letters
from api.view.database import Database
from api.view.dead_letters import DeadLetterFilter, DeadLetterRow, WholeDeadLetter
from api.view.feed import Feed
from topics.dead_letter import DEAD_LETTER

# A letter may have a megabyte.
WHOLE_AT_ONCE = 50


class DeadLetterView:
    """What is known of all dead letters that Kafka still has."""

    def __init__(self, reader: Database, feed: Feed) -> None:
        self._reader = reader
        self._feed = feed

    async def find(
        self, wanted: DeadLetterFilter, *, limit: int, cursor: str | None
    ) -> tuple[list[DeadLetterRow], str | None]:
        """Return a page, the newest first, and the cursor of the next. Raises RequestError(422) for a wrong cursor."""
        return await self._reader.read(
            lambda connection: dead_letters.find(connection, wanted, limit=limit, cursor=cursor)
        )

    async def count(self, wanted: DeadLetterFilter) -> int:
        """Return how many letters match."""
        return await self._reader.read(lambda connection: dead_letters.count(connection, wanted))

    async def get(self, letter_id: str) -> WholeDeadLetter | None:
        """Return one letter; None where there is none."""
        return await self._reader.read(lambda connection: dead_letters.get(connection, letter_id))

    async def pages(self, wanted: DeadLetterFilter) -> AsyncIterator[list[WholeDeadLetter]]:
        """Give all letters with their contents, a few at a time; those that come meanwhile are not among them."""
        cursor: str | None = None
        while True:
            page, cursor = await self._reader.read(
                partial(dead_letters.find_whole, wanted=wanted, limit=WHOLE_AT_ONCE, cursor=cursor)
            )
            if page:
                yield page
            if cursor is None:
                return

    async def catch_up(self) -> None:
        """Wait until the view has every letter, and every mark, that Kafka has now. Raises KafkaUnavailableError."""
        await self._feed.catch_up(DEAD_LETTER, "dead letters")
