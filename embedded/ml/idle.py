"""What takes memory, and is not always wanted."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Made = TypeVar("Made")


class Idle(Generic[Made]):
    """Something that takes memory: it is made at its first use, and given up when nobody has used it for a while."""

    def __init__(self, make: Callable[[], Made], seconds: float) -> None:
        self._make = make
        self._seconds = seconds
        self._lock = threading.Lock()
        self._made: Made | None = None
        self._timer: threading.Timer | None = None

    @property
    def is_there(self) -> bool:
        """Whether it takes memory now."""
        return self._made is not None

    def get(self) -> Made:
        """Return it, for one use."""
        with self._lock:
            if self._made is None:
                self._made = self._make()
            if self._timer is not None:
                self._timer.cancel()
            self._timer = threading.Timer(self._seconds, self._give_up)
            self._timer.daemon = True
            self._timer.start()
            return self._made

    def _give_up(self) -> None:
        with self._lock:
            if threading.current_thread() is self._timer:
                self._made = self._timer = None
