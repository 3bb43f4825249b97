"""`python -m agents [STAGE,STAGE…]`: one worker process, of all stages where none is named.

Each decode process imports this module once more, as multiprocessing does: so it imports nothing by itself.
"""

import sys


def main() -> None:
    """Run until SIGTERM or SIGINT. Exit with 1 and a message where the worker cannot start."""
    import agents.worker  # noqa: PLC0415 - see above
    from core import settings  # noqa: PLC0415 - see above
    from core.errors import FatalError  # noqa: PLC0415 - see above

    stages = tuple(sys.argv[1].split(",")) if len(sys.argv) > 1 else settings.STAGES
    try:
        sys.exit(agents.worker.run(settings.load(), stages))  # type: ignore[arg-type]
    except FatalError as error:
        sys.exit(f"The worker cannot start: {error}")


if __name__ == "__main__":
    main()
