"""A real HTTP server on the loopback, as good or as bad as a test wants it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any


@dataclass
class Server:
    """What is served, and how badly."""

    content: bytes
    cut_after: int | None = None
    knows_ranges: bool = True
    status: int = 200
    asked: list[str | None] = field(default_factory=list)
    url: str = ""

    def answer(self, request: Any) -> None:
        wanted = request.headers.get("Range")
        self.asked.append(wanted)
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        if self.status != 200:
            request.send_error(self.status)
            return
        if start >= len(self.content) and self.knows_ranges:
            request.send_error(416)
            return
        start = start if self.knows_ranges else 0
        body = self.content[start:]
        request.send_response(206 if start else 200)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body[: self.cut_after])


@contextmanager
def serving(state: Server) -> Iterator[Server]:
    """Answer on a port of its own, which `state.url` names."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.answer(self)

        def log_message(self, *_: Any) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    state.url = f"http://127.0.0.1:{http.server_port}/weights.pt"
    try:
        yield state
    finally:
        http.shutdown()
        thread.join()
        http.server_close()
