"""Asks a part whether it answers. Each returns False where it does not, and raises nothing."""

from collections.abc import Sequence

import httpx
from aiokafka.errors import KafkaError

from core.tls import authorities
from embedded import ports
from gateways.kafka import groups
from gateways.kafka.client import Connection, answers
from gateways.kafka.connection import ClientOptions

TIMEOUT_SECONDS = 2.0


async def http_answers(url: str) -> bool:
    """Tell whether a URL answers with a 2xx status."""
    try:
        # Our own parts are on this host, where no proxy leads.
        async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS, trust_env=False, verify=authorities(url)) as client:
            return (await client.get(url)).is_success
    except httpx.HTTPError:
        return False


async def broker_answers(port: int) -> bool:
    """Tell whether a Kafka broker on this host answers a request for its metadata."""
    # A closed port is found out without the client, which would log each refusal as an error.
    return ports.is_open(port) and await brokers_answer({"bootstrap_servers": f"127.0.0.1:{port}"})


async def brokers_answer(kafka: ClientOptions) -> bool:
    """Tell whether any of the brokers answers a request for its metadata."""
    return await answers(kafka, TIMEOUT_SECONDS)


class JoinedGroups:
    """Tells whether the process that was started last works in all of its consumer groups, or once did and is in them.

    After a kill the broker counts the dead process as a member until its session times out. So only a
    member counts that was not there in the days of the process before, nor right after this one's start.
    Of a process that has worked, a rebalance says nothing, nor does a broker that does not answer: only that the
    broker has thrown it out.
    """

    def __init__(self, kafka: Connection, names: Sequence[str]) -> None:
        self._kafka = kafka
        self._names = names
        self._pid: int | None = None
        self._has_worked = False
        self._members: frozenset[str] = frozenset()
        self._old: frozenset[str] = frozenset()

    async def __call__(self, pid: int) -> bool:
        """Ask the broker about the process with this id."""
        try:
            async with self._kafka.asking() as client:
                found = await groups.describe(client, self._names)
        except (KafkaError, OSError):
            if pid == self._pid and self._has_worked:
                return True
            found = {}
        members = frozenset(member for group in found.values() for member in group.members)
        if pid != self._pid:
            self._pid, self._old, self._has_worked = pid, self._members | members, False
        self._members |= members
        if self._has_worked:
            return all(name in found and not found[name].members.keys() <= self._old for name in self._names)
        self._has_worked = all(name in found and found[name].works_with_others_than(self._old) for name in self._names)
        return self._has_worked
