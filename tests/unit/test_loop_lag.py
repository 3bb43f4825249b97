"""A loop that is blocked is told of."""

import asyncio
import time

from structlog.testing import capture_logs

from core.loop_lag import INTERVAL_SECONDS, LoopLag


async def test_a_blocked_loop_is_logged_with_how_long() -> None:
    lag = LoopLag()
    with capture_logs() as lines:
        lag.start()
        await asyncio.sleep(INTERVAL_SECONDS / 2)
        time.sleep(0.3)  # noqa: ASYNC251 - this is what must be noticed
        await asyncio.sleep(2 * INTERVAL_SECONDS)
        await lag.stop()
    assert [line["event"] for line in lines] == ["event-loop-lag"]
    assert lines[0]["seconds"] == round(lag.longest, 3)
    assert lag.longest > 0.2
