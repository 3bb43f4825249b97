"""A small Hugging Face hub: revisions, redirects to where large files lie, ranges; and it misbehaves when told to."""

import hashlib
import json
import threading
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import unquote, urlsplit

COMMIT = "c0ffee" + 34 * "0"


@dataclass
class Fault:
    """What goes wrong with the next `times` requests for a file; `method` None: of any kind."""

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    cut_at: int | None = None
    """The connection ends after so many bytes."""
    body: bytes | None = None
    """Sent in place of the content."""
    delay: float = 0.0
    method: str | None = "GET"
    times: int = 1


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    range: str | None
    authorization: str | None
    host: str


class SmallHub(AbstractContextManager["SmallHub"]):
    """Files by `(repository, path)`; those of more than `large` bytes lie elsewhere, under another name of the host."""

    def __init__(self, files: dict[tuple[str, str], bytes], *, commit: str = COMMIT, large: int = 1000) -> None:
        self.files = files
        self.commit = commit
        self.asked: list[Asked] = []
        self.faults: dict[str, list[Fault]] = {}
        self.token: str | None = None
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_HEAD(self) -> None:
                self._answer("HEAD")

            def do_GET(self) -> None:
                self._answer("GET")

            def _answer(self, method: str) -> None:
                path = unquote(urlsplit(self.path).path)
                wanted, authorization = self.headers.get("Range"), self.headers.get("Authorization")
                hub.asked.append(Asked(method, path, wanted, authorization, self.headers["Host"].partition(":")[0]))
                if path.startswith("/api/models/"):
                    self._send(method, 200, json.dumps({"id": "x/y", "sha": hub.commit}).encode(), {})
                elif path.startswith("/large/"):
                    repo, _, file = path.removeprefix("/large/").partition("/-/")
                    self._content(method, repo, file, {})
                else:
                    self._resolve(method, path, authorization)

            def _resolve(self, method: str, path: str, authorization: str | None) -> None:
                repo, _, rest = path[1:].partition("/resolve/")
                revision, _, file = rest.partition("/")
                if hub.token is not None and authorization != f"Bearer {hub.token}":
                    return self._error(401, "RepoNotFound")
                if repo not in {known for known, _ in hub.files}:
                    return self._error(404, "RepoNotFound")
                if revision != hub.commit:
                    return self._error(404, "RevisionNotFound")
                if (repo, file) not in hub.files:
                    return self._error(404, "EntryNotFound")
                content = hub.files[repo, file]
                headers = {"X-Repo-Commit": hub.commit}
                if len(content) <= large:
                    blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
                    return self._content(method, repo, file, headers | {"ETag": f'"{blob}"'})
                if (fault := hub.fault(file, method)) and fault.status:
                    return self._send(method, fault.status, fault.body or b"", fault.headers)
                headers |= {
                    "X-Linked-Size": str(len(content)),
                    "X-Linked-ETag": f'"{hashlib.sha256(content).hexdigest()}"',
                    "Location": f"http://localhost:{hub.port}/large/{repo}/-/{file}",
                }
                return self._send(method, 302, b"", headers)

            def _content(self, method: str, repo: str, file: str, headers: dict[str, str]) -> None:
                content = hub.files[repo, file]
                fault = hub.fault(file, method) or Fault()
                if fault.status:
                    self._send(method, fault.status, fault.body or b"", fault.headers)
                    return
                time.sleep(fault.delay)
                status, body = 200, fault.body if fault.body is not None else content
                if wanted := self.headers.get("Range"):
                    first = int(wanted.removeprefix("bytes=").rstrip("-"))
                    status, body = 206, body[first:]
                    headers |= {"Content-Range": f"bytes {first}-{len(content) - 1}/{len(content)}"}
                self._send(method, status, body, headers, fault.cut_at)

            def _error(self, status: int, code: str) -> None:
                self._send("GET", status, b"", {"X-Error-Code": code})

            def _send(
                self, method: str, status: int, body: bytes, headers: dict[str, str], cut_at: int | None = None
            ) -> None:
                self.send_response(status)
                for name, value in ({"Content-Length": str(len(body))} | headers).items():
                    self.send_header(name, value)
                self.end_headers()
                if method == "GET":
                    self.wfile.write(body if cut_at is None else body[:cut_at])
                if cut_at is not None:
                    self.close_connection = True

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def misbehave(self, file: str, fault: Fault) -> None:
        """Let something go wrong with a file."""
        self.faults.setdefault(file, []).append(fault)

    def fault(self, file: str, method: str) -> Fault | None:
        """Return what goes wrong with a request now."""
        for fault in self.faults.get(file, []):
            if fault.times > 0 and fault.method in {None, method}:
                fault.times -= 1
                return fault
        return None

    def ranges(self, file: str) -> list[str | None]:
        """Return where the requests for a file's content began."""
        return [asked.range for asked in self.asked if asked.method == "GET" and asked.path.endswith(f"/{file}")]
