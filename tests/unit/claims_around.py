"""All that is around prepare, in memory: the topics that it reads, hash, ML, Qdrant, jobs, people and the watchdog."""

from collections import Counter, deque
from dataclasses import dataclass
from itertools import count
from typing import Any

from rules.claims.events import Answered, Arrived, Confirmed, ContentFailed, File, Forgotten

JOBS, PATHS, CONTENTS = ("j1", "j2", "j3"), ("1", "2", "3", "4"), ("A", "B")
FATES = ("good", "good", "good", "vanished", "bad", "changed")
TOPICS = ("files", "outcomes")

Path = tuple[str, str]  # job, path


@dataclass(frozen=True)
class Message:
    """On hashed-file or image-outcome. `content` is None for what concerns the whole partition."""

    content: str | None
    event: Any
    file: Path = ("", "")


class Around:
    """It writes the topics; `taken`: how far prepare has read each."""

    def __init__(self) -> None:
        self.topics: dict[str, list[Message]] = {name: [] for name in TOPICS}
        self.taken = dict.fromkeys(TOPICS, 0)
        self.numbers = count(100_000)
        self.known: dict[int, tuple[Path, int]] = {}  # number → file, how often it had begun
        self.ml: deque[tuple[str, Path]] = deque()
        self.qdrant: deque[tuple[str, Path, str]] = deque()
        self.outcomes: dict[Path, list[str]] = {}
        self.asked: Counter[str] = Counter()
        self.begun: Counter[Path] = Counter()
        self.holds: dict[str, str] = dict.fromkeys(PATHS, "A")
        self.fates: dict[str, str] = dict.fromkeys(PATHS, "good")
        self.cancelled: set[str] = set()

    def file(self, number: int) -> File:
        file, _ = self.known[number]
        return File(number, id_of(file), lot_of(file), is_cancelled=file[0] in self.cancelled)

    def submit(self, job: str, path: str, begun: int = 1, *, rereads: bool = False) -> None:
        """Send a file as hash does."""
        file, number = (job, path), next(self.numbers)
        self.outcomes.setdefault(file, [])
        self.begun[file] = max(begun, self.begun[file])
        self.known[number] = file, begun
        arrived = Arrived(self.file(number), begun, rereads=rereads)
        self.topics["files"].append(Message(self.holds[path], arrived, file))

    def tell(self, content: str | None, event: Any, file: Path = ("", "")) -> None:
        self.topics["outcomes"].append(Message(content, event, file))

    def report(self, file: Path, outcome: str) -> None:
        self.outcomes[file].append(outcome)

    def ask_ml(self) -> None:
        if self.ml:
            content, file = self.ml.popleft()
            if self.fates[file[1]] == "bad":
                self.report(file, "failed")
                self.tell(content, ContentFailed(id_of(file)), file)
            else:
                self.report(file, "stored")
                self.tell(content, Answered(id_of(file), lot_of(file), is_stored=True), file)

    def ask_qdrant(self) -> None:
        if self.qdrant:
            content, file, outcome = self.qdrant.popleft()
            self.report(file, outcome)
            self.tell(content, Confirmed(), file)

    def forget(self, content: str) -> None:
        self.tell(content, Forgotten())

    def cancel(self, job: str) -> None:
        self.cancelled.add(job)
        self.tell(None, job)

    def clear(self) -> None:
        self.tell(None, CONTENTS)

    def make_anew(self) -> None:
        """Number files from the begin, as if hashed-file had been deleted."""
        self.numbers = count((next(self.numbers) // 1000 - 1) * 1000)

    def lose(self, what: int) -> None:
        """Have a message deleted unread."""
        topic = TOPICS[what % 2]
        if what % 4 < 2 and self.taken[topic] < len(self.topics[topic]):
            del self.topics[topic][self.taken[topic]]
        elif what % 4 == 2 and self.ml:
            self.ml.popleft()
        elif self.qdrant:
            self.qdrant.popleft()

    def repeat(self, topic: str, back: int) -> None:
        """Have one of the newest messages come again, as after a kill of who sent it."""
        if self.topics[topic]:
            message = self.topics[topic][-1 - back % min(5, len(self.topics[topic]))]
            if isinstance(message.event, Arrived):
                self.submit(*message.file, message.event.begun, rereads=message.event.rereads)
            else:
                self.topics[topic].append(message)

    def has_ended(self, job: str) -> bool:
        return all(outcomes for file, outcomes in self.outcomes.items() if file[0] == job)

    def restart(self) -> bool:
        """Have the files without an outcome begin again, as the watchdog does; tell whether there were any."""
        unfinished = [file for file, outcomes in self.outcomes.items() if not outcomes]
        for file in unfinished:
            self.submit(*file, self.begun[file] + 1)
        return bool(unfinished)


def id_of(file: Path) -> str:
    return "".join(file)


def lot_of(file: Path) -> str:
    return f"{file[0]}/c"
