"""The producer of a stage: idempotent, so that a retry after a lost answer neither repeats nor reorders.

Faust asks for idempotence only together with `processing_guarantee="exactly_once"`, which loses data
(faust-streaming #136, #177, #323, #440, #517).
"""

from collections.abc import Mapping
from typing import Any

import faust
from faust.transport.drivers.aiokafka import Producer


class IdempotentProducer(Producer):
    """Faust's producer with idempotence switched on."""

    def _settings_extra(self) -> Mapping[str, Any]:
        return {"acks": "all", "enable_idempotence": True}


def make_idempotent(app: faust.App) -> None:
    """Give an app that has not started the idempotent producer."""
    # Not `producer_transport`: Faust makes the producer of an app from the transport of its consumer.
    app.transport.Producer = IdempotentProducer  # type: ignore[misc]
