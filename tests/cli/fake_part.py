"""A part for tests, run as a script: it listens on a port, and writes down when it starts and when it is stopped.

python tests/cli/fake_part.py NAME PORT JOURNAL [die|deaf|child|slow]
"""

import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

name, port, journal, *manner = sys.argv[1:]


def note(what: str) -> None:
    with Path(journal).open("a") as file:
        file.write(f"{what} {name}\n")


note("start")
print(f"{name} says hello", flush=True)  # noqa: T201 - this is its log
if "die" in manner:
    sys.exit("no luck today")
if "child" in manner:
    # A child of its own, as a worker has; its pid is in the journal.
    child = subprocess.Popen(["sleep", "1000"])
    note(f"child {child.pid}")
if "deaf" in manner:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
else:

    def stop(*_: object) -> None:
        note("stop")
        sys.exit(0)

    signal.signal(signal.SIGTERM, stop)
if "slow" in manner:
    time.sleep(0.7)
server = socket.create_server(("127.0.0.1", int(port)))
threading.Event().wait()
