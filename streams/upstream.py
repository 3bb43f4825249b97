"""What Darkroom uses of Faust, mode, aiokafka and Faust's store that is private there, and what it replaces of theirs.

An upgrade may move any of it without a word, and a mend that replaces nothing any more breaks a promise in silence. So
all of it is named here, and looked for when a worker starts. `tests/unit/test_upstream.py` holds the list complete.
"""

from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.metadata import version
from opcode import opmap
from types import FunctionType
from typing import Any

import structlog

from core.errors import FatalError

# Those of constraints.txt, with which this list was made.
VERSIONS = {"aiokafka": "0.14.0", "faust-streaming": "0.15.3", "mode-streaming": "0.7.1", "rocksdict": "0.3.29"}
_PACKAGES = {"aiokafka": "aiokafka", "faust": "faust-streaming", "mode": "mode-streaming", "rocksdict": "rocksdict"}

USED: dict[str, tuple[str, ...]] = {
    # streams/app.py
    "faust.tables:TableManager": ("_recovery", "_update_channels", "on_start", "recovery"),
    # streams/consumer.py, streams/lost_ends.py
    "faust.transport.drivers.aiokafka:Consumer": (
        "_acked",
        "_buffered_partitions",
        "_committed_offset",
        "_gap",
        "_get_active_partitions",
        "_is_changelog_tp",
        "_new_consumer_thread",
        "_new_offset",
        "_read_offset",
        "_seek",
        "_thread",
        "commit",
        "getmany",
        "maybe_wait_for_commit_to_finish",
        "on_partitions_revoked",
        "perform_seek",
        "resume_flow",
        "seek_wait",
    ),
    # streams/consumer_thread.py
    "faust.transport.drivers.aiokafka:AIOKafkaConsumerThread": (
        "__post_init__",
        "_commit",
        "_create_worker_consumer",
        "_ensure_consumer",
        "_fetch_records",
        "assignment",
        "call_thread",
        "on_start",
    ),
    "aiokafka.consumer.fetcher:Fetcher": ("_proc_fetch_request", "_select_read_replica"),
    "aiokafka.consumer.subscription_state:Assignment": ("state_value", "tps"),
    "aiokafka.consumer.subscription_state:TopicPartitionState": ("has_valid_position", "position"),
    "aiokafka.protocol.fetch:FetchRequest": ("_isolation_level", "_max_wait_ms", "_min_bytes"),
    # streams/producer.py
    "faust.transport.drivers.aiokafka:Producer": ("_producer", "on_start", "on_stop"),
    "aiokafka:AIOKafkaProducer": ("_sender",),
    "aiokafka.producer.sender:Sender": ("_in_flight", "_send_produce_req"),
    # streams/recovery.py
    "faust.tables.recovery:Recovery": (
        "_build_offsets",
        "active_highwaters",
        "active_offsets",
        "flush_buffers",
        "need_recovery",
        "tp_to_table",
    ),
    # streams/database.py
    "faust.stores.rocksdb:RocksDBOptions": ("as_options",),
    # streams/rows.py, streams/noting.py
    "faust:Table": ("apply_changelog_batch",),
    "faust.stores.rocksdb:Store": (
        "_db_for_partition",
        "_dbs",
        "partition_path",
        "persisted_offset",
        "rocksdb_options",
        "set_persisted_offset",
    ),
    # streams/window.py
    "faust.streams": ("_current_event",),
    # gateways/kafka
    "aiokafka:AIOKafkaConsumer": (
        "_client",
        "_coordinator",
        "_fetch_max_wait_ms",
        "_fetcher",
        "_isolation_level",
        "_subscription",
        "commit",
    ),
    "aiokafka.admin:AIOKafkaAdminClient": ("_send_request",),
    "aiokafka.client:AIOKafkaClient": ("send",),
    "aiokafka.consumer.group_coordinator:GroupCoordinator": ("fetch_committed_offsets",),
}
"""By class or module, what is used or replaced."""

SET = opmap["STORE_ATTR"]

log = structlog.get_logger()


def check(used: Mapping[str, tuple[str, ...]] = USED) -> None:
    """Raise FatalError where something of `used` is not there. Says in the log which package was not tried. 2 ms."""
    for path in used:
        for missing in _missing(path, used[path]):
            package = _PACKAGES[path.partition(":")[0].partition(".")[0]]
            raise FatalError(
                f"{package} {version(package)} has no {missing}, which Darkroom relies on: it was made with "
                f"{package} {VERSIONS[package]}. Install that one, as constraints.txt says: "
                f"`pip install {package}=={VERSIONS[package]}`."
            )
    for package, tried in VERSIONS.items():
        if (installed := version(package)) != tried:
            log.warning("upstream-not-tried", package=package, installed=installed, tried=tried)


def _missing(path: str, names: tuple[str, ...]) -> Iterator[str]:
    module, _, name = path.partition(":")
    try:
        owner: Any = import_module(module)
        owner = getattr(owner, name) if name else owner
    except (ImportError, AttributeError):
        yield path
        return
    yield from (f"{path}.{attribute}" for attribute in names if not has(owner, attribute))


def has(owner: Any, name: str) -> bool:
    """Tell whether a module or class has an attribute, or gives it to its instances."""
    return hasattr(owner, name) or any(
        _gives(function, name)
        for cls in getattr(owner, "__mro__", ())
        for function in vars(cls).values()
        if isinstance(function, FunctionType)
    )


def _gives(function: FunctionType, name: str) -> bool:
    """Tell whether a function sets an attribute of this name, by its bytecode: `dis` would take 5 ms for all."""
    code = function.__code__
    return name in code.co_names and bytes((SET, code.co_names.index(name) & 0xFF)) in code.co_code
