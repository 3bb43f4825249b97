"""What leaves a collection by a sync: where that stands, as a part of the fold of its job.

It begins when the walk is whole, and goes on behind the job's own end: hash looks for what would leave, prepare counts
it, and then it is removed, or waits for a person.
"""

from typing import Literal, NamedTuple

from pydantic import BaseModel

from rules.departures import GuardCode, needs_yes, why_held
from topics.job_status import REMOVALS_SETTLED, RemovalCode, RemovalState
from topics.removal_event import Guarded, LeftAll, Overtaken, Swept, Tallied, ToRemovals
from topics.sweep import Sweep


class Remove(NamedTuple):
    """Hash is asked to look again, and to have removed what has left. `gone`: also what a person may be asked about."""

    round: int
    gone: bool


Asked = Literal["look", "tally"] | Remove | None


class Counts(BaseModel):
    """Paths that leave, by reason; `lost`: pictures without a path then."""

    moved: int = 0
    gone: int = 0
    replaced: int = 0
    excluded: int = 0
    lost: int = 0


class Removals(BaseModel):
    """What was told of a sync, by whichever of its whole walks: of each partition, the first event counts."""

    sweep: Sweep
    pictures: int
    lost_lately: int = 0
    partitions: int | None = None
    swept: dict[int, tuple[int, int]] = {}  # partition → contents that would leave, and paths that are unread
    tallied: dict[int, Counts] = {}
    decided: Literal["confirm", "keep"] | None = None
    left: dict[int, list[tuple[int, int]]] = {}  # round → pairs of partitions that are done
    guarded: str | None = None
    guard_code: GuardCode | None = None
    overtaken_by: str | None = None
    asked_again: int = 0
    since: float | None = None  # that it stands so: Kafka's time, seconds since 1970

    @property
    def unread(self) -> int:
        """Paths of which the disk did not tell."""
        return sum(unread for _, unread in self.swept.values())

    @property
    def counts(self) -> Counts:
        """What leaves, all partitions together."""
        return Counts(
            **{name: sum(getattr(one, name) for one in self.tallied.values()) for name in Counts.model_fields}
        )

    @property
    def needs_yes(self) -> bool:
        """Whether what is gone waits for a person, or did."""
        return needs_yes(self.pictures, self.counts.lost, self.lost_lately)

    @property
    def is_counted(self) -> bool:
        """Whether all that would leave is counted."""
        return self.partitions is not None and len(self.tallied) >= self.partitions

    @property
    def state(self) -> RemovalState:
        """Where it stands."""
        if self.guarded is not None:
            return "guarded"
        if self.partitions is None or len(self.swept) < self.partitions:
            return "looking"
        if not any(departed for departed, _ in self.swept.values()):
            return "none"
        if not self.is_counted:
            return "counting"
        if not self._is_done(1):
            return "removing"
        if not self.needs_yes:
            return "removed"
        if self.decided is None:
            return "held" if self.overtaken_by is None else "overtaken"
        if self.decided == "keep":
            return "kept"
        return "removed" if self._is_done(2) else "removing"

    @property
    def reason(self) -> str | None:
        """Why nothing is removed, not before a person says so, or not everywhere; None: there is no reason."""
        if self.guarded is None and self.state == "held":
            return why_held(self.pictures, self.counts.lost, self.lost_lately)
        if self.guarded is None and self.state != "overtaken" and self.sweep.away:
            links = ", ".join(self.sweep.away[:3])
            return (
                f"what lies behind {links} stays, as another disk is there than before, or none. "
                f"`darkroom sources accept {self.sweep.source}` takes what is there now"
            )
        if self.state == "overtaken":
            return f"job {self.overtaken_by} has looked at it anew"
        return self.guarded

    @property
    def code(self) -> RemovalCode | None:
        """What `reason` is about, for programs."""
        if self.guarded is not None:
            return self.guard_code
        if self.state in {"held", "overtaken"}:
            return "many" if self.state == "held" else "overtaken"
        return "link-away" if self.sweep.away else None

    def asked(self, *, is_over: bool) -> Asked:
        """Return what the other stages are to be asked for now. `is_over`: the job has completed."""
        if not is_over:
            return None
        match self.state:
            case "counting":
                return "tally"
            case "removing" if self.is_counted and not self._is_done(1):
                return Remove(1, gone=not self.needs_yes)
            case "removing":
                return Remove(2, gone=True)
            case _:
                return None

    def asked_anew(self) -> Asked:
        """Return what the other stages are to be asked for, where that was lost. The job has completed."""
        return "look" if self.state == "looking" else self.asked(is_over=True)

    def is_answered(self, asked: Asked, partition: int) -> bool:
        """Tell whether what is asked of the stages has come from this partition already."""
        match asked:
            case "look":
                return partition in self.swept
            case "tally":
                return partition in self.tallied
            case Remove(number):
                told = sum(sent_from == partition for sent_from, _ in self.left.get(number, ()))
                return self.partitions is not None and told >= self.partitions
            case None:
                return True

    def give_up(self, reason: str, code: GuardCode | None = None) -> None:
        """Note that no more is removed, where that is not settled."""
        if self.state not in REMOVALS_SETTLED:
            self.guarded, self.guard_code = reason, code

    def take(self, event: ToRemovals) -> None:
        """Fold an event."""
        match event:
            case Guarded():
                self.give_up(event.reason, event.code)  # unless of a walk that was made again, when all was done
            case Overtaken():
                self.overtaken_by = self.overtaken_by or event.by
            case Swept():
                self.partitions = event.partitions
                self.swept.setdefault(event.partition, (event.departed, event.unread))
            case Tallied():
                found = {name: getattr(event, name) for name in Counts.model_fields}
                self.tallied.setdefault(event.partition, Counts(**found))
            case LeftAll():
                pairs = self.left.setdefault(event.round, [])
                if (event.sent_from, event.partition) not in pairs:
                    pairs.append((event.sent_from, event.partition))

    def decide(self, command: Literal["confirm", "keep"]) -> bool:
        """Take a person's answer. Tell whether one was asked for."""
        if self.state != "held":
            return False
        self.decided = command
        return True

    def _is_done(self, number: int) -> bool:
        return self.partitions is not None and len(self.left.get(number, ())) >= self.partitions**2
