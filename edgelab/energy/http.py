"""One small HTTP GET for devices that may hang, drip or talk nonsense.

The standard client's time-out holds for each read of the socket, so that a device that sends a
byte a second is never late. Here one deadline holds for the whole exchange, login included.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import socket
import time
from base64 import b64encode
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPResponse
from typing import Any, cast
from urllib.parse import quote

import msgspec

from edgelab.energy.secret import Secret
from edgelab.energy.sources import SourceError

_LONGEST = 1 << 16  # bytes: no device's status comes near
_HASHES = {"MD5": "md5", "SHA-256": "sha256"}
_CHALLENGE = re.compile(r'(\w+)=(?:"([^"]*)"|([^\s,]+))')
_NO_LOGIN = "it asks for user and password (401)"


@dataclass
class HttpDevice:
    """A device on the local network, with its login where it asks for one.

    Which login is for the device to say: digest (RFC 7616, MD5 or SHA-256) or basic (RFC 7617);
    `login_in_address` is for one that takes it as part of the query only.
    """

    host: str
    port: int = 80
    timeout_s: float = 2.0
    user: str = "admin"
    password: Secret | None = None
    login_in_address: bool = False
    _login: _Login | None = field(default=None, init=False, repr=False)

    def get_json(self, target: str) -> Any:
        """The decoded answer to GET `target`; raises SourceError, which never quotes `target`."""
        deadline = time.monotonic() + self.timeout_s
        try:
            status, body = self._get(self._addressed(target), deadline)
        except TimeoutError:
            raise SourceError(f"no answer within {self.timeout_s:g} s") from None
        except HTTPException:
            raise SourceError("the answer is not HTTP") from None
        except OSError as error:
            raise SourceError((error.strerror or "connection lost").lower()) from None
        if status == 401:
            raise SourceError("it refuses user and password (401)" if self.password else _NO_LOGIN)
        if status != 200:
            raise SourceError(f"it answers with status {status}")
        try:
            return msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise SourceError("the answer is not JSON") from None

    def _addressed(self, target: str) -> str:
        if not self.login_in_address or self.password is None:
            return target
        user, password = quote(self.user, safe=""), quote(self.password.reveal(), safe="")
        return f"{target}&user={user}&password={password}"

    def _get(self, target: str, deadline: float) -> tuple[int, bytes]:
        response, body = self._exchange(target, deadline)
        if response.status == 401 and self.password is not None:
            self._login = _login_for(response, self.user, self.password)
            response, body = self._exchange(target, deadline)
        return response.status, body

    def _exchange(self, target: str, deadline: float) -> tuple[HTTPResponse, bytes]:
        address = f"[{self.host}]" if ":" in self.host else self.host
        lines = [f"GET {target} HTTP/1.1", f"Host: {address}", "Connection: close"]
        if self._login is not None:
            lines.append(f"Authorization: {self._login.header(target)}")
        request = "\r\n".join([*lines, "", ""]).encode()
        with socket.create_connection((self.host, self.port), _left(deadline)) as connection:
            connection.sendall(request)
            stream = cast(socket.socket, _Deadlined(connection, deadline))
            with HTTPResponse(stream, method="GET") as response:
                response.begin()
                return response, response.read(_LONGEST)


class _Deadlined(io.RawIOBase):
    """A socket's incoming bytes until the deadline; what HTTPResponse needs of a socket."""

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        self._connection = connection
        self._deadline = deadline

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._connection.settimeout(_left(self._deadline))
        return self._connection.recv_into(buffer)


class _Login:
    """Builds the Authorization header for each request."""

    def header(self, target: str) -> str:
        raise NotImplementedError


class _Basic(_Login):
    def __init__(self, user: str, password: Secret) -> None:
        self._user, self._password = user, password

    def header(self, target: str) -> str:  # noqa: ARG002 - the same for all targets
        pair = f"{self._user}:{self._password.reveal()}"
        return f"Basic {b64encode(pair.encode()).decode()}"


class _Digest(_Login):
    """RFC 7616 with `qop=auth`. The nonce is used again until the device refuses it."""

    def __init__(self, challenge: dict[str, str], user: str, password: Secret) -> None:
        self._challenge, self._user, self._password = challenge, user, password
        self._algorithm = challenge.get("algorithm", "MD5").upper()
        if self._algorithm not in _HASHES:
            raise SourceError("it asks for a login by an unknown algorithm")
        self._count = 0

    def header(self, target: str) -> str:
        self._count += 1
        return self.answer(target, self._count, os.urandom(12).hex())

    def answer(self, target: str, count: int, cnonce: str) -> str:
        realm, nonce = self._challenge.get("realm", ""), self._challenge.get("nonce", "")
        secret = self._hash(f"{self._user}:{realm}:{self._password.reveal()}")
        used = f"{nonce}:{count:08x}:{cnonce}:auth"
        response = self._hash(f"{secret}:{used}:{self._hash(f'GET:{target}')}")
        fields = {"username": self._user, "realm": realm, "nonce": nonce, "uri": target}
        fields |= {"cnonce": cnonce, "response": response}
        if "opaque" in self._challenge:
            fields["opaque"] = self._challenge["opaque"]
        quoted = ", ".join(f'{key}="{value}"' for key, value in fields.items())
        return f"Digest {quoted}, algorithm={self._algorithm}, qop=auth, nc={count:08x}"

    def _hash(self, text: str) -> str:
        return hashlib.new(_HASHES[self._algorithm], text.encode()).hexdigest()


def _login_for(response: HTTPResponse, user: str, password: Secret) -> _Login:
    """The strongest login that the device offers."""
    offers = response.headers.get_all("WWW-Authenticate") or []
    for offer in offers:
        scheme, _, rest = offer.partition(" ")
        if scheme.lower() == "digest":
            fields = {key: quoted or bare for key, quoted, bare in _CHALLENGE.findall(rest)}
            return _Digest(fields, user, password)
    if any(offer.lower().startswith("basic") for offer in offers):
        return _Basic(user, password)
    raise SourceError("it asks for a login of an unknown kind")


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
