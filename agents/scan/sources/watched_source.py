"""One source that is watched: what changes in it, until that is looked at.

It begins with a look at the whole, which is also what follows whenever it is not known what has changed: so nothing is
missed that happens while nobody watches.
"""

import asyncio
import os
import socket
import stat
import time
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Literal, NamedTuple

import structlog

from agents.leaving_out import Chosen
from agents.mounted import mounted_at
from agents.patience import on_disk
from agents.roots import allowed_roots
from agents.scan.sources.nets import Told
from agents.scan.sources.published_files import PublishedFiles
from agents.scan.sources.watched_tree import WatchedTree
from agents.scan.sources.writers import is_open_for_writing
from agents.scan.walking import Found, Refused, walk_within
from core.errors import MISSING, FileError
from core.settings import Settings
from imaging.files import Roots
from rules.leaving_out import IGNORE_FILE, NO_MEDIA, Patterns
from rules.mounts import Mount, silent
from rules.paths import normal, readable
from rules.watching import EVERY_SECONDS, MOST_PENDING, Change, may_be_open, merged, noted, ready
from rules.wording import plural
from topics.source import Source
from topics.source_status import Watching

POLL_SECONDS = 0.2
CHECK_SECONDS = 5.0
"""How often it is looked whether the folder is the same still, and on the same disk."""

_Verdict = Literal["news", "left", "open", "nothing"]
_RULES = {IGNORE_FILE.encode(), NO_MEDIA.encode()}

log = structlog.get_logger()


class _Where(NamedTuple):
    """Which folder is watched: device and inode, and what it and each link in it is on."""

    identity: tuple[int, int] | None
    mounts: dict[str, tuple[Mount, ...]]

    def goes_on(self, before: "_Where") -> bool:
        """Tell whether it is the same folder on the same disks; there may be more links, or fewer."""
        return self.identity == before.identity and all(
            before.mounts.get(path, mounts) == mounts for path, mounts in self.mounts.items()
        )


@dataclass(frozen=True, slots=True)
class WatchedWalk:
    """What a walk of a watched source tells the watcher, and asks it."""

    changes: dict[bytes, Change]
    published: PublishedFiles

    def without_changing(self, told: list[Found | Refused]) -> list[Found | Refused]:
        """Leave out what changes just now: it has a look of its own. Note the other files as published."""
        still = [entry for entry in told if entry.path not in self.changes]
        self.published.add(entry for entry in still if isinstance(entry, Found))
        return still

    def is_whole(self) -> None:
        """Note that the whole source was walked."""
        self.published.are_all = True


class WatchedSource:
    """Watches while `run` does. `state`: None until it is known whether it can."""

    def __init__(self, source: Source, settings: Settings) -> None:
        self.source = source
        self.state: Watching | None = None
        self.wants_whole = False
        self._settings = settings
        self._folder = normal(os.fsencode(source.folder))
        self._tree: WatchedTree | None = None
        self._changes: dict[bytes, Change] = {}
        self._published = PublishedFiles()

    async def run(self) -> None:
        """Watch until cancelled."""
        try:
            while True:
                seconds = await self._watch()
                self._close()
                await asyncio.sleep(seconds)
        finally:
            self._close()

    def walk(self) -> WatchedWalk:
        """Return what a walk that begins tells and asks.

        It is none that is wanted, even if it is whole: a kill may have repeated it behind the end of its look, which
        removes nothing any more.
        """
        return WatchedWalk(self._changes, self._published)

    async def news(self) -> list[str]:
        """Return what is to be looked at now: paths of files, or of folders; nothing where there is no news."""
        candidates = {path: self._changes[path] for path in ready(self._changes, time.monotonic())}
        changes, published = self._changes, self._published
        if not candidates:
            return []
        judged = await on_disk(self._judge, candidates, published)
        found = []
        for path, verdict in judged.items():
            if changes.get(path) is not candidates[path]:
                continue  # it has changed again
            if verdict == "open":
                changes[path] = candidates[path]._replace(is_open=True)
                continue
            del changes[path]
            if verdict == "left":
                published.remove(path)
            if verdict != "nothing":
                found.append(path)
        touched = merged(found)
        if touched == [self._folder]:
            self.wants_whole = True
            return []
        return [os.fsdecode(path) for path in touched]

    def _close(self) -> None:
        if self._tree is not None:
            self._tree.close()
        self._tree, self._changes, self._published = None, {}, PublishedFiles()

    async def _watch(self) -> float:
        """Watch as long as that can be done; return for how many seconds to wait then."""
        if (why := await on_disk(self._why_not)) is not None:
            self.state = Watching(state="not_possible", reason=why)
            return CHECK_SECONDS
        try:
            self._tree = tree = WatchedTree(self._folder, self._roots(), self._chosen())
            begun_at = await on_disk(self._where, tree)
            _check_told(begun_at)
            await on_disk(tree.watch, [self._folder])
            await self._follow(tree, begun_at)
        except FileError as error:
            self.state = Watching(state="by_schedule", every_seconds=self._every, reason=str(error))
            return EVERY_SECONDS
        return POLL_SECONDS

    async def _follow(self, tree: WatchedTree, begun_at: _Where) -> None:
        """Follow what is told, until all is to be begun anew. Raises FileError where no more can be watched."""
        check_at = 0.0
        while True:
            if time.monotonic() >= check_at:
                now_at = await on_disk(self._where, tree)
                _check_told(now_at)
                if not now_at.goes_on(begun_at):
                    return
                if not check_at:
                    self.wants_whole = True
                check_at, begun_at = time.monotonic() + CHECK_SECONDS, now_at
            self.state = self._as_watched(tree)
            told = tree.drain()
            if told is None:
                log.warning("watch-lost", source=self.source.name, reason="what has changed could not be told")
                return
            if any(one.path.rpartition(b"/")[2] in _RULES for one in told):
                return  # other folders may be left out now
            if told:
                come = await on_disk(tree.follow, told)
                files = await on_disk(self._files_in, come, told[-1].at)
                self._note(tree, [*told, *files], set(come))
            await asyncio.sleep(POLL_SECONDS)

    def _note(self, tree: WatchedTree, told: Iterable[Told], come: set[bytes]) -> None:
        for one in told:
            if one.path not in tree and one.path not in come:
                self._changes[one.path] = noted(self._changes.get(one.path), one.at)
        if len(self._changes) > MOST_PENDING:
            newest = max(change.last for change in self._changes.values())
            self._changes.clear()
            self._changes[self._folder] = Change(newest, newest)

    def _files_in(self, folders: list[bytes], at: float) -> list[Told]:
        """Return the files in folders that have come, as told of with these: they may be written to still. Blocks."""
        roots, chosen = self._roots(), self._chosen()
        entries = (entry for folder in folders for entry in walk_within(folder, self._folder, roots, chosen))
        found = (Told(entry.path, False, at) for entry in entries if isinstance(entry, Found))
        return list(islice(found, MOST_PENDING + 1))

    def _judge(self, candidates: dict[bytes, Change], published: PublishedFiles) -> dict[bytes, _Verdict]:
        """Return of each path what it is. Blocks."""
        at = time.monotonic()
        roots, chosen = self._roots(), self._chosen()
        judged: dict[bytes, _Verdict] = {}
        for path, change in candidates.items():
            if path == self._folder:
                judged[path] = "news"
            elif not os.path.lexists(path):
                judged[path] = "left" if published.may_lie_within(path) else "nothing"
            else:
                entries = walk_within(path, self._folder, roots, chosen)
                files = [entry for entry in entries if isinstance(entry, Found)]
                new = [file.path for file in files if not published.holds(file)]
                if new and may_be_open(change, at) and any(map(is_open_for_writing, new)):
                    judged[path] = "open"
                else:
                    judged[path] = "news" if new or (not files and published.names(path)) else "nothing"
        return judged

    def _why_not(self) -> str | None:
        """Say why this machine cannot watch the folder; None where it may be able to. Blocks."""
        try:
            self._roots(), self._chosen()
            if stat.S_ISDIR(os.stat(self._folder).st_mode):  # noqa: PTH116 - bytes
                return None
        except MISSING:
            pass
        except OSError as error:
            return f"{readable(self._folder)} cannot be read: {error.strerror or error}"
        except (FileError, ValueError) as error:
            return str(error)
        return f"{readable(self._folder)} is no folder on {socket.gethostname()}"

    def _where(self, tree: WatchedTree) -> _Where:
        """Return what tells whether this is the same folder still, on the same disks. Blocks."""
        links = [path for path in map(os.fsdecode, tree.links) if os.path.islink(path)]  # noqa: PTH114
        mounts = {path: mounted_at(path) for path in (self.source.folder, *links)}
        try:
            status = os.stat(self._folder)  # noqa: PTH116 - bytes
        except OSError:
            return _Where(None, mounts)
        return _Where((status.st_dev, status.st_ino), mounts)

    def _roots(self) -> Roots:
        return allowed_roots(self.source.roots, self._settings)

    def _chosen(self) -> Chosen:
        patterns = Patterns(self.source.exclude), Patterns(self._settings.scan_exclude)
        return Chosen(*patterns, frozenset({self._folder}))

    def _as_watched(self, tree: WatchedTree) -> Watching:
        if not tree.unwatched:
            return Watching(state="watching", folders=len(tree))
        why = f"{plural(tree.unwatched, 'folder')} cannot be watched, for names that are no text"
        return Watching(state="watching", folders=len(tree), every_seconds=self._every, reason=why)

    @property
    def _every(self) -> int:
        return self.source.every_seconds or EVERY_SECONDS


def _check_told(where: _Where) -> None:
    """Raise FileError where the system does not tell of what others change there."""
    mount = silent(mount for mounts in where.mounts.values() for mount in mounts)
    if mount is not None:
        raise FileError(f"{mount.point} is on {mount.type}, and the system does not tell of what others change there")
