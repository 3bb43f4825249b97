"""Brings a model from a hub: looks at all files first, makes sure of the room, fetches, compares, and keeps it."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from core.errors import FatalError
from embedded.models.hub import Hub, Remote, arrived, is_offline, is_what
from embedded.models.manifest import LICENCE, MANIFEST, FileFact, Manifest, megabytes, sha256
from embedded.models.progress import Progress
from embedded.models.shelf import Measured, Shelf, Trusted
from embedded.models.table import Entry


def fetch(
    shelf: Shelf, entry: Entry, hub: Hub, progress: Progress, *, reserve: int, trial: Callable[[Path], Measured]
) -> Manifest:
    """Fetch a model that is not here. `reserve`: bytes of the disk that stay free; `trial` raises where it runs not.

    Raises FatalError and HubUnavailableError, which say which file it is about and what to do. What came is kept for
    the next call, but for files that are not what they should be.
    """
    if is_offline():
        raise FatalError(
            f"HF_HUB_OFFLINE is set, so {entry.name} cannot be fetched. Unset it, or take the model in with `darkroom "
            "models import FILE` from a machine that has it (`darkroom models export NAME`)."
        )
    with shelf.alone():
        trusted = shelf.trusted(entry.name)
        commits = {
            repo: hub.commit(repo, revision or trusted.sources.get(repo))
            for repo, revision in map(entry.source, entry.files)
        }
        stage = shelf.fetching(entry.name)
        fetching = _Fetching(hub, entry, commits, trusted, stage)
        remotes = {name: fetching.look(name) for name in entry.files}
        fetching.forget_others(remotes)
        total, done = sum(remote.size for remote in remotes.values()), arrived(stage)
        require_room(shelf.folder, entry.name, total - done, reserve)
        progress.begin(total, done)
        files = {name: fetching.bring(name, remote, progress) for name, remote in remotes.items()}
        manifest = _manifest(entry, commits, files)
        (fetching.made / LICENCE).write_text(entry.licence_text(), encoding="utf-8")
        (fetching.made / MANIFEST).write_text(manifest.model_dump_json(indent=1), encoding="utf-8")
        if not manifest.is_verified:
            shelf.trust(manifest)
        shelf.measure(entry.name, trial(fetching.made))
        shelf.keep(entry.name, fetching.made)
    return manifest


@dataclass(frozen=True)
class _Fetching:
    """One entry on its way: `parts` holds what the hub's client writes, `made` the files that are what they should be.

    `commits` is by repository; `stage` is where it is put together.
    """

    hub: Hub
    entry: Entry
    commits: dict[str, str]
    trusted: Trusted
    stage: Path

    @property
    def made(self) -> Path:
        return self.stage / "model"

    def look(self, name: str) -> Remote:
        """Return what the hub has for a file. Raises FatalError where that cannot be what it should be."""
        source = self.entry.files[name]
        repo, _ = self.entry.source(name)
        remote = self.hub.look(repo, self.commits[repo], source.at)
        if source.bytes is not None and remote.size != source.bytes:
            raise FatalError(
                f"{source.at} of {repo} has {remote.size} bytes at {self.hub.endpoint}, and should have "
                f"{source.bytes}: it is not the file that we know. Nothing was fetched. Try another HF_ENDPOINT."
            )
        return remote

    def forget_others(self, remotes: dict[str, Remote]) -> None:
        """Remove what an earlier try brought that is not what the hub has now."""
        parts = {self._parts(repo) for repo in self.commits}
        for other in {*self._parts("x").parent.glob("*")} - parts:
            shutil.rmtree(other)
        for file in [file for file in self.made.rglob("*") if file.is_file()]:
            remote = remotes.get(file.relative_to(self.made).as_posix())
            if remote is None or not is_what(remote, file):
                file.unlink()

    def bring(self, name: str, remote: Remote, progress: Progress) -> FileFact:
        """Fetch a file that is not here yet, and say what it is. Raises FatalError where it is another."""
        source, goal = self.entry.files[name], self.made / name
        repo, _ = self.entry.source(name)
        if not goal.exists():
            parts = self._parts(repo)
            parts.mkdir(parents=True, exist_ok=True)
            came = self.hub.download(repo, self.commits[repo], source.at, parts, progress.advance)
            goal.parent.mkdir(parents=True, exist_ok=True)
            came.rename(goal)
        wanted = source.sha256 or self.trusted.files.get(name)
        found = sha256(goal)
        if wanted is not None and found != wanted:
            whose = "that we know" if source.sha256 else "that came first"
        elif not is_what(remote, goal):
            wanted, whose = remote.etag, "that the hub itself names"
        else:
            return FileFact(bytes=remote.size, sha256=found, pinned=source.sha256 is not None)
        goal.unlink()
        raise FatalError(
            f"{source.at} of {repo} came with other bytes: its SHA-256 is {found}, and {wanted} is the one {whose}. It "
            "was removed, and is not used. Try again; if it comes so again, what serves it (HF_ENDPOINT, a "
            "proxy) is not to be trusted."
        )

    def _parts(self, repo: str) -> Path:
        return self.stage / "parts" / f"{repo.replace('/', '--')}--{self.commits.get(repo, '')}"


def require_room(folder: Path, name: str, needed: int, reserve: int) -> None:
    """Raise FatalError unless `needed` bytes fit on a folder's disk beside those that stay free."""
    free = shutil.disk_usage(folder).free
    if free - needed < reserve:
        raise FatalError(
            f"{name} needs {megabytes(needed)} more on the disk of {folder}, of which {megabytes(free)} are free and "
            f"{megabytes(reserve)} stay free (DISK_RESERVE_BYTES). Nothing was written: free space, or choose "
            "another disk (DARKROOM_DATA)."
        )


def _manifest(entry: Entry, sources: dict[str, str], files: dict[str, FileFact]) -> Manifest:
    return Manifest(
        name=entry.name,
        family=entry.family,
        languages=entry.languages,
        licence=entry.licence,
        dimension=entry.dimension,
        logit_scale=entry.logit_scale,
        logit_bias=entry.logit_bias,
        sources=sources,
        files=files,
        fetched_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
