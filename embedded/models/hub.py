"""The only client of a Hugging Face hub: it tells errors in words, is patient where that helps, and goes on.

`huggingface-hub` reads its own settings: HF_ENDPOINT, HF_TOKEN, HF_HUB_OFFLINE, and those of proxies.
"""

import contextlib
import errno
import hashlib
import logging
import random
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
from huggingface_hub import HfApi, constants, get_hf_file_metadata, hf_hub_download, hf_hub_url, set_client_factory
from huggingface_hub.errors import (
    EntryNotFoundError,
    FileMetadataError,
    GatedRepoError,
    HfHubHTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils._http import default_client_factory

from core.errors import DarkroomError, FatalError, HubUnavailableError

TRIES = 5  # in a row that bring nothing
LONGEST_WAIT = 120.0  # seconds that a hub may ask for before we leave it to the person
TIMEOUT_SECONDS = 30.0
CHUNK_BYTES = 1 << 16
COMMIT_LENGTH = 40

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Remote:
    """A file on the hub: `size` in bytes; `etag`, a SHA-256, or the SHA-1 of a git blob."""

    size: int
    etag: str


class TooManyRequestsError(httpx.HTTPError):
    """The hub asks to wait, for so many seconds where it says so."""

    def __init__(self, wait: float | None) -> None:
        super().__init__("it has too many requests (429)")
        self.wait = wait


class Hub:
    """A hub. `endpoint`: None for HF_ENDPOINT, or the public one.

    `tell` is told in words before another try, and `sleep` waits so many seconds.
    """

    def __init__(
        self,
        endpoint: str | None = None,
        *,
        tell: Callable[[str], None] = lambda _: None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        # Empty as compose and charts pass it on, HF_ENDPOINT would name no hub.
        self.endpoint = (endpoint or constants.ENDPOINT or constants._HF_DEFAULT_ENDPOINT).rstrip("/")
        self._tell = tell
        self._sleep = sleep
        set_client_factory(_client)
        # What the client would say of its own, we say; its other way of transfer keeps parts beside our folder; and of
        # what it reads at once, 10 MB, nothing is left where the line is cut before.
        logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
        constants.HF_HUB_DISABLE_XET = True
        constants.DOWNLOAD_CHUNK_SIZE = CHUNK_BYTES

    def commit(self, repo: str, revision: str | None) -> str:
        """Return the commit that a revision names; None: the newest one. A whole commit is asked of nobody."""
        if revision is not None and len(revision) == COMMIT_LENGTH:
            return revision
        what = f"the repository {repo}"
        api = HfApi(endpoint=self.endpoint)
        sha = self._patiently(what, lambda: api.model_info(repo, revision=revision, timeout=TIMEOUT_SECONDS).sha)
        if not sha:
            raise HubUnavailableError(f"The hub at {self.endpoint} does not tell the newest commit of {repo}.")
        return sha

    def look(self, repo: str, commit: str, path: str) -> Remote:
        """Return what a file on the hub is."""
        url = hf_hub_url(repo, path, revision=commit, endpoint=self.endpoint)
        found = self._patiently(
            f"{path} of {repo}",
            lambda: get_hf_file_metadata(url, timeout=TIMEOUT_SECONDS, endpoint=self.endpoint),
        )
        if found.size is None or found.etag is None:
            raise FatalError(
                f"What answers at {self.endpoint} is no Hugging Face hub: it does not tell what {path} of {repo} is. "
                "Correct HF_ENDPOINT, or look at the proxy."
            )
        return Remote(found.size, found.etag)

    def download(self, repo: str, commit: str, path: str, folder: Path, advance: Callable[[int], None]) -> Path:
        """Fetch a file into `folder`, from where an earlier try ended; `advance` is told of bytes as they come."""

        class Bar(_Bar):
            def update(self, count: float | None = 1) -> None:
                advance(int(count or 0))

        def fetch() -> str:
            where = {"revision": commit, "local_dir": folder, "endpoint": self.endpoint}
            with warnings.catch_warnings(action="ignore"):  # of little room, which was made sure of, and is told
                return str(hf_hub_download(repo, path, tqdm_class=Bar, **where))  # type: ignore[call-overload]

        return Path(self._patiently(f"{path} of {repo}", fetch, lambda: arrived(folder)))

    def _patiently(self, what: str, work: Callable[[], Result], progress: Callable[[], int] = lambda: 0) -> Result:
        """Do what asks the hub, again where it may go better then: up to TRIES times that bring nothing."""
        tries, had = 0, progress()
        while True:
            try:
                return work()
            except (OSError, httpx.HTTPError, EntryNotFoundError) as error:
                refusal = self._refusal(what, error)
                if refusal is not None:
                    raise refusal from error
                tries = 0 if progress() > had else tries + 1
                had = progress()
                asked = next((cause.wait for cause in _causes(error) if isinstance(cause, TooManyRequestsError)), None)
                if asked is not None and asked > LONGEST_WAIT:
                    raise HubUnavailableError(
                        f"The hub at {self.endpoint} has too many requests, and asks to wait for {asked:.0f} s before "
                        f"{what}. Try again then: it goes on where it was. A token (HF_TOKEN) may help."
                    ) from error
                if tries >= TRIES:
                    raise HubUnavailableError(
                        f"{what} cannot be fetched from the hub at {self.endpoint}: {_said(error)}. Look at the "
                        "network, the proxy (HTTPS_PROXY) and HF_ENDPOINT, and try again: it goes on where it was. "
                        "From a machine that has the model it comes by `darkroom models export` and `import`."
                    ) from error
                wait = asked if asked is not None else 2.0**tries * random.uniform(0.25, 0.5)  # noqa: S311
                self._tell(f"{what}: {_said(error)}; goes on in {wait:.0f} s")
                self._sleep(wait)
            except (ValueError, httpx.InvalidURL, ImportError) as error:  # of a URL, a proxy, a token, or an answer
                raise FatalError(
                    f"{what} cannot be asked for at {self.endpoint}: {_said(error)}. Correct HF_ENDPOINT, HF_TOKEN or "
                    "the proxy (HTTPS_PROXY, HTTP_PROXY, ALL_PROXY)."
                ) from error

    def _refusal(self, what: str, error: Exception) -> DarkroomError | None:
        """Return what to tell of an error that another try cannot mend; None where it may."""
        for cause in _causes(error):
            if isinstance(cause, GatedRepoError):
                return FatalError(
                    f"The hub at {self.endpoint} gives {what} only to those who have accepted its terms: do that on "
                    "its page, and set HF_TOKEN to a token of yours."
                )
            if isinstance(cause, RevisionNotFoundError | RepositoryNotFoundError) or _status(cause) == 401:
                return FatalError(
                    f"The hub at {self.endpoint} does not know {what}, or the commit of it that is wanted, or shows it "
                    "only to some. Correct HF_ENDPOINT (is the mirror whole?) or set HF_TOKEN."
                )
            if _status(cause) == 403:
                return FatalError(
                    f"The hub at {self.endpoint} refuses {what} (403): {_said(cause)}. Set HF_TOKEN to a token that "
                    "may read it, or ask whoever runs the proxy."
                )
            if isinstance(cause, HfHubHTTPError) and _status(cause) == 404:
                return FatalError(
                    f"The hub at {self.endpoint} has no {what} (404). It may have been taken away, or the mirror is "
                    "not whole: try another HF_ENDPOINT, or another model."
                )
            if isinstance(cause, httpx.UnsupportedProtocol):
                return FatalError(f"HF_ENDPOINT is {self.endpoint!r}, and must look like https://host.")
            if isinstance(cause, FileMetadataError):
                return FatalError(
                    f"What answers at {self.endpoint} is no Hugging Face hub: {_said(cause)} Correct HF_ENDPOINT, or "
                    "look at the proxy."
                )
            if isinstance(cause, OSError) and cause.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
                return FatalError(
                    f"The disk is full: {what} cannot be written ({cause.strerror}). Free space on the disk of "
                    "DARKROOM_DATA and try again: it goes on where it was."
                )
            if isinstance(cause, PermissionError):
                return FatalError(f"{what} cannot be written: {cause}. Make the folder writable, or set DARKROOM_DATA.")
        return None


def is_offline() -> bool:
    """Whether HF_HUB_OFFLINE forbids to ask any hub."""
    return bool(constants.is_offline_mode())


def arrived(folder: Path) -> int:
    """Return how many bytes below a folder came already, of whole files and of parts."""
    files = (file for file in folder.rglob("*") if file.is_file())
    return sum(file.stat().st_size for file in files if ".cache" not in file.parts or file.suffix == ".incomplete")


def is_what(remote: Remote, file: Path) -> bool:
    """Whether a file is what the hub says that it has."""
    size = file.stat().st_size
    if size != remote.size:
        return False
    with file.open("rb") as content:
        if len(remote.etag) == 64:
            return hashlib.file_digest(content, "sha256").hexdigest() == remote.etag
        if len(remote.etag) == COMMIT_LENGTH:
            blob = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)  # as git names a content
            blob.update(content.read())
            return blob.hexdigest() == remote.etag
    return True  # a mirror's own kind of mark, which says nothing of the content


class _Bar:
    """What the client tells of its progress to, in the form that it wants: a bar."""

    def __init__(self, **_: Any) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__


def _status(error: BaseException) -> int | None:
    return error.response.status_code if isinstance(error, HfHubHTTPError) else None


def _client() -> httpx.Client:
    """Return the hub's client, which leaves it to us when to ask again: it waits for less than it is asked to."""
    client = default_client_factory()
    client.event_hooks = client.event_hooks | {"response": [_refuse_to_hurry]}
    return client


def _refuse_to_hurry(response: httpx.Response) -> None:
    if response.status_code != httpx.codes.TOO_MANY_REQUESTS:
        return
    asked = response.headers.get("Retry-After", "")
    wait = None
    if asked.isdecimal():
        wait = float(asked)
    elif asked:
        with contextlib.suppress(ValueError):
            wait = max(0.0, (parsedate_to_datetime(asked) - datetime.now(UTC)).total_seconds())
    raise TooManyRequestsError(wait)


def _said(error: BaseException) -> str:
    """Return the first line of the innermost reason."""
    *_, reason = _causes(error)
    return (str(reason) or type(reason).__name__).splitlines()[0]
