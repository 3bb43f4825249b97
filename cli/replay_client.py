"""The commands' client of what the API does about dead letters, replays and the cache."""

from collections.abc import Iterator
from typing import Any

from cli.client import Client, part

PAGE_LETTERS = 200
# Letters are published before the answer comes, and there may be many.
DECIDE_SECONDS = 600.0


class ReplayClient(Client):
    """Raises as Client does; answers are those of the API, as JSON."""

    def letters(self, **filters: str) -> Iterator[dict[str, Any]]:
        """Return all dead letters that match, page by page, the newest first."""
        params: dict[str, str | int] = {"limit": PAGE_LETTERS, **{n: v for n, v in filters.items() if v}}
        while True:
            page = self._call("GET", "/dead-letters", params=params)
            yield from page.get("letters", [])
            if page.get("next") is None:
                return
            params["cursor"] = page["next"]

    def letter(self, letter_id: str) -> dict[str, Any]:
        """Return one dead letter with its content."""
        return self._call("GET", f"/dead-letters/{part(letter_id)}")

    def decide(self, action: str, choice: dict[str, Any]) -> dict[str, Any]:
        """Replay or drop dead letters; return how many, and the refusals."""
        return self._call("POST", f"/dead-letters/{action}", json=choice, timeout=DECIDE_SECONDS)

    def retry_failed(self, job_id: str) -> dict[str, Any]:
        """Run the failed files of a job again; return as `decide` does."""
        return self._call("POST", f"/ingest/{part(job_id)}/retry-failed", timeout=DECIDE_SECONDS)

    def run(self, path: str, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Begin a run, and return how far it is again and again until it has ended."""
        run = self._call("POST", path, json=body)
        yield run
        if run.get("state") == "running":
            told = self._until(
                lambda: self._call("GET", f"/runs/{run['id']}"), lambda now: now.get("state") != "running"
            )
            yield from (now for now in told if now is not None)


def succession_in_words(jobs: dict[str, str]) -> list[str]:
    """Say for each job that was forgotten what runs in its place."""
    return [f"Job {old} was forgotten: what is replayed of it runs as job {new}." for old, new in jobs.items()]
