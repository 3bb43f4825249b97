"""One Kafka, one Qdrant and one ML stub for all tests of a process; a test uses its own job ids and collections.

`make test` runs the files in several processes, those that share parts of their own in one, and what takes longest
first. A test marked `alone` measures time, and has the machine to itself.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import certifi
import httpx
import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from embedded.ports import free_port
from tests import parts
from tests.bus import PARTITIONS
from tests.deadlines import HANG_SECONDS

TEMPORARY_BYTES = 8 << 30  # more than what tests write at a time

# The sentinels of a job, and what a start restores, grow with the square of the partitions and with them.
os.environ["KAFKA_PARTITIONS"] = str(PARTITIONS)


def _memory() -> str:
    """Return a folder in memory, where there is room: what tests write need not outlive them.

    On a disk a new collection takes seconds, as each of its many small files is synced, and so does much else.
    """
    memory = Path("/dev/shm")
    has_room = memory.is_dir() and shutil.disk_usage(memory).free > TEMPORARY_BYTES
    return str(memory) if has_room else tempfile.gettempdir()


# To all processes that tests start, too.
os.environ.setdefault("TMPDIR", _memory())
tempfile.tempdir = None  # may have been looked up before


def _one_authority() -> str:
    """Return a file with one certificate. An HTTP client reads all authorities of the world, be it for plain HTTP."""
    first, end, _ = Path(certifi.where()).read_text(encoding="utf-8").partition("-----END CERTIFICATE-----")
    file = Path(tempfile.gettempdir()) / "darkroom-tests-authority.pem"
    own = file.with_suffix(f".{os.getpid()}")
    own.write_text(f"{first}{end}\n", encoding="utf-8")
    own.replace(file)
    return str(file)


os.environ.setdefault("SSL_CERT_FILE", _one_authority())

ROOM = Path(__file__)
# Held by whoever goes in next: one that waits to be alone is not overtaken.
DOOR = Path(__file__).with_name("__init__.py")

STORE = pytest.StashKey[parts.Part]()

# Each has fixtures of its package: a broker, a worker, a browser.
SHARING = {"tests/web", "tests/replay", "tests/watchdog"}
# In this order. The last processes to end have short files left.
LONGEST = (
    *("tests/web/", "tests/replay/", "tests/e2e/test_up.py", "tests/watchdog/", "tests/hostile/", "tests/chaos/"),
    *("tests/unit/test_sync_sequences.py", "tests/unit/test_watched_source.py"),
    *("tests/e2e/", "tests/kafka/", "tests/security/", "tests/agents/", "tests/api/", "tests/qdrant/", "tests/cli/"),
)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Run a test beside those of the other processes, or alone. The wait is no part of its timeout."""
    with DOOR.open() as door, ROOM.open() as room:
        fcntl.flock(door, fcntl.LOCK_EX)
        fcntl.flock(room, fcntl.LOCK_EX if item.get_closest_marker("alone") else fcntl.LOCK_SH)
        fcntl.flock(door, fcntl.LOCK_UN)
        return (yield)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put what takes longest first, and files with a test that runs alone at the end: it keeps all others waiting."""
    alone = {item.path for item in items if item.get_closest_marker("alone")}

    def place(item: pytest.Item) -> int:
        of_longest = next((n for n, begin in enumerate(LONGEST) if item.nodeid.startswith(begin)), len(LONGEST))
        return len(LONGEST) + 1 if item.path in alone else of_longest

    items.sort(key=place)


class OneFolder(LoadFileScheduling):  # type: ignore[misc]  # xdist has no types
    """Gives a process one file after the other, and folders whose files share parts as one."""

    def _split_scope(self, nodeid: str) -> str:
        folder = "/".join(nodeid.split("/")[:2])
        return folder if folder in SHARING else str(super()._split_scope(nodeid))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> OneFolder:
    return OneFolder(config, log)


@pytest.fixture(scope="module", autouse=True)
def forgotten_collections(request: pytest.FixtureRequest) -> Iterator[None]:
    """Remove what a file's tests have left in the vector store: 50 MiB a collection, which may lie in memory."""
    yield
    if STORE in request.session.stash:
        with httpx.Client(base_url=request.session.stash[STORE].url, timeout=HANG_SECONDS) as rest:
            for found in rest.get("/collections").json()["result"]["collections"]:
                rest.delete(f"/collections/{found['name']}")


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[parts.Part]:
    """Give a broker; `kafka.address` is for KAFKA_BROKERS."""
    with parts.running_kafka(tmp_path_factory.mktemp("kafka")) as part:
        yield part


@pytest.fixture(scope="session")
def qdrant(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[parts.Part]:
    """Give a vector store; `qdrant.url` is for QDRANT_URL."""
    with parts.running_qdrant(tmp_path_factory.mktemp("qdrant")) as part:
        request.session.stash[STORE] = part
        yield part


@pytest.fixture(scope="session")
def ml(tmp_path_factory: pytest.TempPathFactory) -> Iterator[parts.Part]:
    """Give the ML stub (tests.ml.stub); `ml.url` is for ML_INFERENCE_SERVICE_URL."""
    folder: Path = tmp_path_factory.mktemp("ml")
    port = free_port()
    with parts.running("ML", parts.ml_stub_arguments(port), port, folder / "log") as part:
        yield part
