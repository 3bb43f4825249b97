"""One job: what was asked, its account, and its progress. A row of the jobs table is one of these as JSON."""

from rules.paths import first_paths
from tables.account import Account
from tables.progress import Progress
from tables.removals import Removals
from topics.files import Task


class Job(Account, Progress):
    """The state of one job. All fields stand side by side in its row, as in rows of version 0.1.0."""

    job_id: str
    collection: str = ""
    sources: list[str] = []  # of many the first few; `sources_total` counts them all
    sources_total: int = 0
    caption: bool = False
    reread: bool = False
    task: Task | None = None
    accept_failed: bool = False
    step: str = ""  # of a task, in words
    model_id: str | None = None
    source: str | None = None
    removals: Removals | None = None

    def name_sources(self, sources: list[str]) -> None:
        """Note which folders and files were asked for."""
        self.sources, self.sources_total = first_paths(sources), len(sources)
