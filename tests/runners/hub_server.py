"""A hub on the loopback: the few endpoints that a download needs, and the ways it can fail."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "0123456789abcdef0123456789abcdef01234567"
REPOSITORY = "lab/tiny"


@dataclass
class Hub:
    """Its files and its manners. `large`: those with a SHA-256; `cut_at`: bytes sent at once.

    `ranges`: the Range headers that were asked for, by file, in order.
    """

    files: dict[str, bytes]
    large: frozenset[str] = frozenset()
    damaged: frozenset[str] = frozenset()
    cut_at: int | None = None
    ranges: list[tuple[str, str | None]] = field(default_factory=list)
    url: str = ""

    def info(self) -> bytes:
        """What /api/models tells of it."""
        siblings = []
        for name, data in self.files.items():
            blob = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
            one = {"rfilename": name, "size": len(data), "blobId": blob}
            if name in self.large:
                sha256 = hashlib.sha256(data).hexdigest()
                one["lfs"] = {"sha256": sha256, "size": len(data), "pointerSize": 128}
            siblings.append(one)
        told = {"id": REPOSITORY, "modelId": REPOSITORY, "sha": COMMIT, "siblings": siblings}
        return json.dumps(told).encode()


class Handler(BaseHTTPRequestHandler):
    """Answers for the hub of its server."""

    protocol_version = "HTTP/1.1"
    server: HubServer

    def do_GET(self) -> None:
        parts = self.path.partition("?")[0].strip("/").split("/")
        name = "/".join(parts[4:])
        if parts[:2] == ["api", "models"]:
            self._tell_of("/".join(parts[2:4]), parts[5] if len(parts) > 5 else "main")
        elif parts[2:3] == ["resolve"] and name in self.server.hub.files:
            self._send_file(name)
        else:
            self._answer(404, b"{}", {"X-Error-Code": "EntryNotFound"})

    def _tell_of(self, repository: str, revision: str) -> None:
        if repository != REPOSITORY:
            self._answer(404, b"{}", {"X-Error-Code": "RepoNotFound"})
        elif revision not in ("main", COMMIT):
            self._answer(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
        else:
            self._answer(200, self.server.hub.info())

    def _send_file(self, name: str) -> None:
        hub, wanted = self.server.hub, self.headers.get("Range")
        hub.ranges.append((name, wanted))
        data = bytes(len(hub.files[name])) if name in hub.damaged else hub.files[name]
        start = int(wanted.removeprefix("bytes=").partition("-")[0]) if wanted else 0
        place = {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"} if wanted else {}
        self._answer(206 if wanted else 200, data[start:], place, hub.cut_at)

    def _answer(
        self,
        status: int,
        body: bytes,
        headers: dict[str, str] | None = None,
        cut_at: int | None = None,
    ) -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[:cut_at])
        self.close_connection = cut_at is not None and len(body) > cut_at

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


class HubServer(ThreadingHTTPServer):
    """On a free port of the loopback."""

    def __init__(self, hub: Hub) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.hub = hub


@contextmanager
def serve(hub: Hub) -> Iterator[Hub]:
    """Answer until the block ends."""
    server = HubServer(hub)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    hub.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
