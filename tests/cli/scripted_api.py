"""A Darkroom API for the commands to talk to: it answers what the test tells it, and remembers what it was asked."""

import json
import threading
from contextlib import AbstractContextManager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import urlsplit

Answer = tuple[int, Any]


def job(state: str = "completed", **fields: Any) -> dict[str, Any]:
    """Return a status document as the API gives it."""
    outcomes = {"stored": 0, "cached": 0, "duplicate": 0, "unchanged": 0, "skipped": 0, "failed": 0}
    outcomes |= fields.pop("outcomes", {})
    total = fields.pop("total_files", sum(outcomes.values()))
    return {
        "job_id": "0123456789abcdef0123456789abcdef",
        "status": state,
        "collection": "photos",
        "progress": 100.0,
        "total_files": total,
        "total_known": True,
        "processed_files": sum(outcomes.values()),
        "cached_files": 0,
        "failed_files": outcomes["failed"],
        "outcomes": outcomes,
        "stages": {},
        "rate": 0.0,
        "start_time": "2026-01-02T03:04:05.000+00:00",
        "end_time": "2026-01-02T03:04:45.000+00:00" if state.startswith("completed") else None,
        "ml_images_sent": 0,
        "message": "A message.",
        "logs": [],
        "offset": 1,
    } | fields


class ScriptedApi(AbstractContextManager["ScriptedApi"]):
    """Routes are `"METHOD /path"` to the answers that come in turn; the last one stays."""

    def __init__(self, routes: dict[str, list[Answer]]) -> None:
        self.asked: list[tuple[str, str, Any]] = []  # route, query, body
        self.headers: list[dict[str, str]] = []  # of each, with names in lower case
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer("GET")

            def do_POST(self) -> None:
                self._answer("POST")

            def do_PATCH(self) -> None:
                self._answer("PATCH")

            def do_DELETE(self) -> None:
                self._answer("DELETE")

            def _answer(self, method: str) -> None:
                url = urlsplit(self.path)
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                route = f"{method} {url.path.removeprefix('/api/v1')}"
                is_json = self.headers.get("content-type", "").startswith("application/json")
                api.asked.append((route, url.query, json.loads(body) if body and is_json else body or None))
                api.headers.append({name.lower(): text for name, text in self.headers.items()})
                answers = routes.get(route, [(404, {"detail": f"no {route}"})])
                status, content = answers.pop(0) if len(answers) > 1 else answers[0]
                self.send_response(status)
                is_picture = isinstance(content, bytes)
                self.send_header("content-type", "image/jpeg" if is_picture else "application/json")
                self.end_headers()
                self.wfile.write(content if is_picture else json.dumps(content).encode())

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
