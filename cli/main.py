"""Entry of the `darkroom` command.

Worker processes import this module again when they start, so it imports nothing itself.
"""


def main() -> None:
    """Run the command that was given, and end the process with its exit code."""
    from cli.app import run  # noqa: PLC0415 - see above

    run()
