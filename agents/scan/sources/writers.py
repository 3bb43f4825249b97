"""Whether somebody has a file open for writing: asked of the kernel, which tells by a read lease.

Where it does not tell (a file of somebody else, a file system without leases), nobody is known to.
"""

import fcntl
import os
import signal

_F_SETSIG = 10
"""fcntl(2): which signal says that a lease is in somebody's way. Python has no name for it."""


def is_open_for_writing(path: bytes) -> bool:
    """Tell whether a file is open for writing. Never writes, nor waits. Blocks on the disk alone."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        # Whoever opens it for writing in this very moment has the lease taken from us; the default signal would end us.
        fcntl.fcntl(descriptor, _F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False
