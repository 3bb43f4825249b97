"""Shows on stderr how a job goes: a bar on a terminal, a line now and then elsewhere."""

import time
from types import TracebackType
from typing import Self

from rich.progress import BarColumn, Progress, TaskID, TextColumn

from cli.console import progress as console
from topics.job_status import FINISHED, JobStatus

LINE_SECONDS = 2.0


def note(status: JobStatus | None) -> str:
    """Return in a few words how fast it goes, how long it will take and what it waits for."""
    if status is None:
        return "waits for the API"
    if status.status in FINISHED:
        return status.status.replace("_", " ")
    words = []
    if status.stalled:
        words.append(f"stalled: {status.stalled}")
    elif status.waiting_for:
        words.append(f"waits for {status.waiting_for}")
    elif status.cancelling:
        words.append("is being cancelled")
    elif status.paused:
        words.append("paused")
    elif not status.total_files:
        words.append("looks for files")
    if status.rate:
        words.append(f"{status.rate:.1f} files/s")
    if status.eta_seconds is not None:
        words.append(f"{duration(status.eta_seconds)} left")
    return ", ".join(words)


def count(status: JobStatus) -> str:
    """Return how many files are done, of how many: `12/60`, and `12/60+` while the search for files goes on."""
    return f"{status.processed_files}/{status.total_files}{'' if status.total_known else '+'}"


def duration(seconds: float) -> str:
    """Return a time span as people say it, such as `40 s`, `3 min`, `2 h 5 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


class JobProgress:
    """Shows each status it is given, inside `with`."""

    def __init__(self) -> None:
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._last_line = ""
        self._last_at = float("-inf")

    def __enter__(self) -> Self:
        if console.is_terminal:
            self._bar = Progress(
                BarColumn(bar_width=24),
                TextColumn("{task.fields[count]} files"),
                TextColumn("[dim]{task.fields[note]}"),
                console=console,
            )
            self._task = self._bar.add_task("", total=None, count="0/0+", note="")
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def show(self, status: JobStatus | None) -> None:
        """Show a status; None: the API does not answer just now."""
        if self._bar is not None:
            if status is None:
                self._bar.update(self._task, note=note(None))
            else:
                total = status.total_files or 1 if status.total_known else None
                done = total if status.status in FINISHED else status.processed_files
                self._bar.update(self._task, completed=done, total=total, count=count(status), note=note(status))
            return
        line = note(None) if status is None else f"{count(status)} files, {note(status)}".rstrip(", ")
        is_last = status is not None and status.status in FINISHED
        if line != self._last_line and (is_last or time.monotonic() - self._last_at >= LINE_SECONDS):
            console.print(line, markup=False)
            self._last_line, self._last_at = line, time.monotonic()
