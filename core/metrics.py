"""Every metric, in one place: its name, its labels and its unit. `/metrics` of the API and of the workers show them.

Names are those that dashboards know: of OpenTelemetry's conventions for messaging and HTTP (as Prometheus writes
them), and of kafka_exporter for consumer groups. What only Darkroom has begins with `darkroom_`.

Counters count what a process did: what is delivered again after a crash counts again. The exact account of a job
is its status.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.gc_collector import GCCollector
from prometheus_client.process_collector import ProcessCollector

REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)
GCCollector(registry=REGISTRY)

# From one step of a small picture to a batch of ML on a slow machine.
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)

# Consumer groups: the API asks Kafka for all stages.
LAG = Gauge(
    "kafka_consumergroup_lag",
    "Messages of a partition that a stage has yet to finish.",
    ["consumergroup", "topic", "partition"],
    registry=REGISTRY,
)
STAGE_UP = Gauge("darkroom_stage_up", "1 where a stage has a worker, else 0.", ["stage"], registry=REGISTRY)

# Stages.
PROCESSED = Histogram(
    "messaging_process_duration_seconds",
    "From when a stage takes a message until all that follows from it is delivered.",
    ["messaging_consumer_group_name", "messaging_destination_name"],
    buckets=_SECONDS,
    registry=REGISTRY,
)
SENT = Counter(
    "messaging_client_sent_messages_total",
    "Messages that stages have sent.",
    ["messaging_destination_name"],
    registry=REGISTRY,
)
FILES = Counter(
    "darkroom_files_total", "Files by outcome, and the stage that knew it.", ["stage", "outcome"], registry=REGISTRY
)
DEAD_LETTERS = Counter(
    "darkroom_dead_letters_total", "Dead letters, by the class of the error.", ["stage", "error"], registry=REGISTRY
)
RETRIES = Counter(
    "darkroom_service_retries_total",
    "Times that a stage found ML or Qdrant away and waited.",
    ["stage", "target"],
    registry=REGISTRY,
)
UNREADABLE = Counter(
    "darkroom_unreadable_messages_total",
    "Messages that a consumer passed because they cannot be read: broken, or of a form that is not known.",
    ["messaging_destination_name"],
    registry=REGISTRY,
)
DELETED_UNREAD = Counter(
    "darkroom_messages_deleted_unread_total",
    "Messages that Kafka had deleted before the stage that reads them got there.",
    ["messaging_consumer_group_name", "messaging_destination_name"],
    registry=REGISTRY,
)
READ_ANEW = Counter(
    "darkroom_partitions_read_anew_total",
    "Times that a partition was read from its first message, because its log had lost its end, or was another one.",
    ["messaging_consumer_group_name", "messaging_destination_name"],
    registry=REGISTRY,
)
CACHE = Counter(
    "darkroom_cache_lookups_total",
    "Look-ups of known contents (known_images) and of files that need not be read (fingerprints). "
    "pending: another file with this content is on its way through ML.",
    ["cache", "result"],
    registry=REGISTRY,
)
BATCH_ITEMS = Histogram(
    "darkroom_batch_items",
    "Items in a batch for ML (embed) or Qdrant (store).",
    ["stage"],
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024),
    registry=REGISTRY,
)
BATCH_FILL = Histogram(
    "darkroom_batch_fill_ratio",
    "How full a batch was when it went, of what it may hold.",
    ["stage"],
    buckets=(0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
    registry=REGISTRY,
)
STEP = Histogram(
    "darkroom_step_duration_seconds",
    "Time of a decode process on one file: read, hash, decode, metadata, thumbnail.",
    ["step"],
    buckets=_SECONDS,
    registry=REGISTRY,
)
LOOP_LAG = Histogram(
    "darkroom_event_loop_lag_seconds",
    "How late the event loop of a worker was, measured 20 times a second.",
    buckets=(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5),
    registry=REGISTRY,
)

# Services that are called. `result`: ok, or the class of the error or of the HTTP status.
ML = Histogram(
    "darkroom_ml_request_duration_seconds",
    "Requests to the ML service.",
    ["operation", "result"],
    buckets=_SECONDS,
    registry=REGISTRY,
)
QDRANT = Histogram(
    "darkroom_qdrant_request_duration_seconds",
    "Requests to Qdrant.",
    ["operation", "result"],
    buckets=_SECONDS,
    registry=REGISTRY,
)

# The API.
HTTP = Histogram(
    "http_server_request_duration_seconds",
    "Requests to the API, until the answer begins.",
    ["http_request_method", "http_route", "http_response_status_code"],
    buckets=_SECONDS,
    registry=REGISTRY,
)
JOBS = Gauge("darkroom_jobs_unfinished", "Jobs that are not finished.", ["status"], registry=REGISTRY)
STALLED = Gauge(
    "darkroom_jobs_stalled", "Jobs that stand still, for a reason that their status shows.", registry=REGISTRY
)


def result_of(status: int) -> str:
    """Return the class of an HTTP status as the label `result`: ok, 4xx or 5xx."""
    return "ok" if status < 400 else f"{status // 100}xx"
