"""The commands' client of Darkroom's API."""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any, Literal, Self, TypeVar
from urllib.parse import quote, urlsplit

import httpx
from pydantic import BaseModel, ValidationError

from core.errors import ApiUnavailableError, RequestError
from core.settings import Settings, reveal
from core.tls import authorities
from rules import local_token
from rules.listening import HTTP_PORT
from rules.outcomes import Outcome
from rules.paths import readable
from topics.job_status import FINISHED, JobStatus

TIMEOUT_SECONDS = 30.0
POLL_SECONDS = 0.3
PATIENCE_SECONDS = 60.0
PAGE_FILES = 1000

Listed = TypeVar("Listed", bound=BaseModel)
Answer = TypeVar("Answer")
JobCommand = Literal["pause", "resume", "cancel", "close", "forget", "confirm", "keep"]


def is_local(url: str) -> bool:
    """Tell whether a URL leads to this host. No proxy ever does."""
    return urlsplit(url).hostname in {"127.0.0.1", "localhost", "::1"}


def authorization(key: str | None) -> dict[str, str]:
    """Return the header that carries the API's key, where it has one."""
    return {"Authorization": f"Bearer {key}"} if key else {}


class FileOfStatus(BaseModel):
    """One file of a job; `outcome` is None until it has one."""

    path: str
    outcome: Outcome | None = None
    reason: str | None = None
    sha256: str | None = None


class Client:
    """Darkroom's API at `url`, which may ask for a `key`.

    Every method raises ApiUnavailableError when no Darkroom answers there, and RequestError,
    with the API's own words, when it refuses.
    """

    def __init__(self, url: str, key: str | None = None) -> None:
        self._url = url.rstrip("/").removesuffix("/api/v1")
        self.is_local = is_local(self._url)
        self._has_key = key is not None
        self._proof: dict[str, str] = {}
        self._http = httpx.Client(
            base_url=f"{self._url}/api/v1",
            headers=authorization(key),
            timeout=TIMEOUT_SECONDS,
            trust_env=not self.is_local,
            verify=authorities(self._url),
        )

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return a client of the Darkroom that the settings name."""
        return cls(settings.darkroom_url, reveal(settings.darkroom_api_key))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def add_root(self, path: Path) -> None:
        """Allow the API to read below a folder. It grants this to who can read the token that it leaves on its host."""
        try:
            self._call("POST", "/ingest/roots", json={"path": str(path)}, headers=self._proof)
        except RequestError as error:
            token = self._local_token(error.token_file)
            if token is None or self._proof:
                raise
            self._proof = {local_token.HEADER: token}
            self.add_root(path)

    def submit(
        self, paths: Sequence[Path], *, collection: str | None, caption: bool, exclude: Sequence[str] = ()
    ) -> str:
        """Ask for folders and files to be taken in, as one job; return its id."""
        body: dict[str, object] = {"directory_paths": [str(path) for path in paths]}
        if exclude:
            body["exclude"] = list(exclude)
        if collection is not None:
            body["collection"] = collection
        answer = self._call("POST", "/ingest/scan", json=body, params={"caption": caption})
        try:
            return str(answer["job_id"])
        except KeyError as error:
            raise self._nonsense() from error

    def reread(self, collection: str) -> str:
        """Ask for the files of a collection to be read again, as one job; return its id."""
        return self._begin(collection, "reread")

    def reembed(self, collection: str, model: str, *, caption: bool, accept_failed: bool) -> str:
        """Ask for a collection to be embedded with another model, as one job; return its id."""
        body = {"model": model, "caption": caption, "accept_failed": accept_failed}
        return self._begin(collection, "reembed", json=body)

    def caption(self, collection: str) -> str:
        """Ask for the captions that pictures of a collection lack, as one job; return its id."""
        return self._begin(collection, "caption")

    def check(self, collection: str) -> dict[str, Any]:
        """Return what the pictures of a collection lack, counted."""
        return self._call("GET", f"/collections/{part(collection)}/check")

    def _begin(self, collection: str, what: str, **request: object) -> str:
        answer = self._call("POST", f"/collections/{part(collection)}/{what}", **request)
        try:
            return str(answer["job_id"])
        except KeyError as error:
            raise self._nonsense() from error

    def status(self, job_id: str) -> JobStatus:
        """Return the status document of a job."""
        return self._status(self._call("GET", f"/ingest/status/{part(job_id)}"))

    def brokers(self) -> str:
        """Return where the API finds Kafka."""
        addresses = self.system().get("addresses")
        if not isinstance(addresses, dict) or not isinstance(addresses.get("kafka"), str):
            raise self._nonsense()
        return str(addresses["kafka"])

    def system(self) -> dict[str, Any]:
        """Return what the API says of its parts: their `addresses`, and whether each is ready, in `parts`."""
        return self._call("GET", "/system")

    def recent(self, **filters: str | int) -> list[JobStatus]:
        """Return jobs, the newest first; the filters are those of `GET /ingest/recent_jobs`."""
        params = {name: wanted for name, wanted in filters.items() if wanted}
        return [self._status(job) for job in self._call("GET", "/ingest/recent_jobs", params=params).get("jobs", [])]

    def command(self, job_id: str, command: JobCommand, **options: bool) -> dict[str, Any]:
        """Tell a job what to do; return the API's answer, whose `message` is for a person."""
        answer = self._call("POST", f"/ingest/{part(job_id)}/{command}", params=options)
        if "message" not in answer:
            raise self._nonsense()
        return answer

    def renew(self, collection: str) -> dict[str, Any]:
        """Give a collection a new incarnation; return what is known of it then."""
        return self._call("POST", f"/collections/{part(collection)}/renew")

    def files(self, job_id: str, outcome: Outcome | None) -> Iterator[FileOfStatus]:
        """Return all files of a job, or those with one outcome, page by page."""
        return self._pages(
            FileOfStatus, f"/ingest/{part(job_id)}/files", "files", limit=PAGE_FILES, outcome=outcome or ""
        )

    def _pages(self, record: type[Listed], path: str, name: str, **params: str | int) -> Iterator[Listed]:
        """Return what is listed at a path, page by page: records that stand under a name."""
        while True:
            page = self._call("GET", path, params=params)
            try:
                yield from [record.model_validate(one) for one in page.get(name, [])]
            except ValidationError as error:
                raise self._nonsense() from error
            if page.get("next") is None:
                return
            params["cursor"] = page["next"]

    def follow(self, job_id: str) -> Iterator[JobStatus | None]:
        """Return the status again and again until the job is finished; None while the API is away, as `_until`."""
        return self._until(lambda: self.status(job_id), lambda status: status.status in FINISHED)

    def _until(self, ask: Callable[[], Answer], is_last: Callable[[Answer], bool]) -> Iterator[Answer | None]:
        """Ask again and again, until the last answer; None while the API is away.

        Raises ApiUnavailableError when it stays away for longer than a minute.
        """
        answered = time.monotonic()
        while True:
            try:
                answer = ask()
            except ApiUnavailableError:
                if time.monotonic() - answered > PATIENCE_SECONDS:
                    raise
                yield None
            else:
                answered = time.monotonic()
                yield answer
                if is_last(answer):
                    return
            time.sleep(POLL_SECONDS)

    def _local_token(self, file: str | None) -> str | None:
        """Return the token in a file that the API has named, if it is one for the address at which we ask.

        Whatever listens there may name any file: nothing else is sent.
        """
        if file is None or not Path(file).is_file():
            return None
        try:
            with Path(file).open(encoding="ascii") as opened:
                text = opened.read(local_token.MAX_BYTES)
        except (OSError, ValueError):
            return None
        url = httpx.URL(self._url)
        return text if local_token.is_token_for(text, url.port or HTTP_PORT) else None

    def _call(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        try:
            response = self._http.request(method, path, **request)
        except UnicodeEncodeError as error:
            raise _no_text(error) from error
        except httpx.TransportError as error:
            raise ApiUnavailableError(
                f"No Darkroom answers at {self._url}: {str(error).rstrip('.')}. "
                "Start it with `darkroom up`, or set DARKROOM_URL to where it runs."
            ) from error
        if response.status_code == HTTPStatus.NO_CONTENT:
            return {}
        try:
            answer = response.json()
        except ValueError:
            answer = None
        if response.is_success and isinstance(answer, dict):
            return answer
        detail = answer.get("detail") if isinstance(answer, dict) else None
        # Other programs of the same framework say just that.
        if detail is None or detail == "Not Found":
            raise self._nonsense()
        if response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise ApiUnavailableError(f"Darkroom at {self._url} cannot do this now: {detail}")
        if response.status_code == HTTPStatus.UNAUTHORIZED and self._has_key:
            detail = f"{detail} What is set as DARKROOM_API_KEY here is not its key."
        raise self._refused(str(detail), response.status_code, answer)

    def _refused(self, detail: str, status: int, answer: Mapping[str, Any]) -> RequestError:
        """Return what is said of a request that the API refuses."""
        return RequestError(detail, status, token_file=answer.get("token_file"))

    def _status(self, answer: object) -> JobStatus:
        try:
            return JobStatus.model_validate(answer)
        except ValidationError as error:
            raise self._nonsense() from error

    def _nonsense(self) -> ApiUnavailableError:
        return ApiUnavailableError(
            f"What answers at {self._url} is not this Darkroom. "
            "Set DARKROOM_URL to where it runs, or use programs of one version."
        )


def part(name: str) -> str:
    """Return a name as it stands in the path of a request. Raises RequestError where nothing can be called so."""
    if name in {"", ".", ".."} or "/" in name:
        raise RequestError(f"There is nothing that is called {name!r}: a name or an id is not empty, and has no /.")
    try:
        return quote(name, safe="")
    except UnicodeEncodeError as error:
        raise _no_text(error) from error


def _no_text(error: UnicodeEncodeError) -> RequestError:
    """Return what is said of bytes on the command line that are no text: a request holds none such."""
    wrong = readable(os.fsencode(error.object[error.start : error.end]))
    return RequestError(
        f"What was given holds {wrong}, which is not UTF-8. Names are text; in a pattern, write ? there."
    )
