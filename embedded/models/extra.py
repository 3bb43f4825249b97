"""The extra `models`: packages that only models with weights need."""

from collections.abc import Iterator
from contextlib import contextmanager

from core.errors import FatalError


@contextmanager
def needs_extra() -> Iterator[None]:
    """Say which package is missing, and how it comes, where an import inside the block finds none: FatalError."""
    try:
        yield
    except ImportError as error:
        raise FatalError(
            f"This needs the extra `models`, and {error.name} is missing: pip install -c constraints.txt -e '.[models]'"
        ) from error
