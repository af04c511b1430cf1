"""A plug on loopback that can be well, slow, broken, or locked."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

Behaviour = Callable[["Handler"], None]


class FakePlug(ThreadingHTTPServer):
    """`behaviour` answers each request; `requests` are the targets that were asked for."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.behaviour: Behaviour = status(404)
        self.requests: list[str] = []
        self.over = threading.Event()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def handle_error(self, *_: object) -> None:
        """A client that hangs up is what is being tested."""


class Handler(BaseHTTPRequestHandler):
    server: FakePlug
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.requests.append(self.path)
        self.server.behaviour(self)

    def log_message(self, *_: object) -> None:
        """Quiet."""

    def answer(self, code: int, body: bytes, *headers: tuple[str, str]) -> None:
        self.send_response(code)
        for key, value in (*headers, ("Content-Length", str(len(body)))):
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body)


def shows(value: Any) -> Behaviour:
    return lambda handler: handler.answer(200, json.dumps(value).encode())


def status(code: int) -> Behaviour:
    return lambda handler: handler.answer(code, b"{}")


def raw(data: bytes) -> Behaviour:
    """These bytes, and the line is closed."""

    def behave(handler: Handler) -> None:
        handler.wfile.write(data)
        handler.close_connection = True

    return behave


def silent(handler: Handler) -> None:
    """Takes the request and never answers."""
    handler.server.over.wait(10)


def dripping(handler: Handler) -> None:
    """A byte now and then, for ever: each read of the client is in time, the answer never is."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    while not handler.server.over.wait(0.02):
        handler.wfile.write(b"X")
        handler.wfile.flush()


def by_basic(user: str, password: str, then: Behaviour) -> Behaviour:
    def behave(handler: Handler) -> None:
        given = handler.headers.get("Authorization", "")
        if given.startswith("Basic ") and b64decode(given[6:]).decode() == f"{user}:{password}":
            then(handler)
        else:
            handler.answer(401, b"", ("WWW-Authenticate", 'Basic realm="shelly"'))

    return behave


def by_digest(
    password: str, then: Behaviour, algorithm: str = "SHA-256", uses: int = 1000
) -> Behaviour:
    """As a Shelly of the second generation; each nonce is good for `uses` requests."""
    hashed = {"SHA-256": hashlib.sha256, "MD5": hashlib.md5}.get(algorithm, hashlib.sha512)
    state = {"nonce": 0, "left": 0}

    def sign(*parts: str) -> str:
        return hashed(":".join(parts).encode()).hexdigest()

    def behave(handler: Handler) -> None:
        header = handler.headers.get("Authorization", "")
        given = dict(re.findall(r'(\w+)="?([^",]*)"?', header))
        secret = sign("admin", "shellyplug", password)
        expected = sign(
            secret,
            f"{state['nonce']:x}",
            given.get("nc", ""),
            given.get("cnonce", ""),
            "auth",
            sign("GET", handler.path),
        )
        if state["left"] > 0 and given.get("response") == expected:
            state["left"] -= 1
            then(handler)
            return
        state["nonce"] += 1
        state["left"] = uses
        challenge = f'Digest qop="auth", realm="shellyplug", nonce="{state["nonce"]:x}", '
        handler.answer(401, b"", ("WWW-Authenticate", f"{challenge}algorithm={algorithm}"))

    return behave


def by_query(user: str, password: str, then: Behaviour, code: int = 401) -> Behaviour:
    """As Tasmota; before version 8.2.3 the refusal had status 200."""

    def behave(handler: Handler) -> None:
        query = parse_qs(urlsplit(handler.path).query)
        if query.get("user") == [user] and query.get("password") == [password]:
            then(handler)
        else:
            handler.answer(code, b'{"WARNING":"Need user=<username>&password=<password>"}')

    return behave


@contextmanager
def running() -> Iterator[FakePlug]:
    plug = FakePlug()
    thread = threading.Thread(target=plug.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield plug
    finally:
        plug.over.set()
        plug.shutdown()
        plug.server_close()
        thread.join()
