from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from edgelab.energy.http import HttpDevice, _Digest
from edgelab.energy.plugs import Plug, shelly_gen1, shelly_gen2, tasmota
from edgelab.energy.secret import Secret
from edgelab.energy.sources import RunningTotal, SourceError, SourceFacts
from tests.edgelab.energy import fake_plug
from tests.edgelab.energy.fake_plug import FakePlug, shows

FACTS = SourceFacts("plug", "measured", "wall", 0.02, slow=True)
PASSWORD = "pass wörd/&=#1"

GEN2 = {
    "id": 0,
    "source": "init",
    "output": True,
    "apower": 4.3,
    "voltage": 231.2,
    "freq": 50.0,
    "current": 0.041,
    "aenergy": {"total": 1200.5, "by_minute": [70.1, 71.0, 70.9], "minute_ts": 1700000000},
}
GEN1 = {
    "power": 4.21,
    "overpower": 0.0,
    "is_valid": True,
    "timestamp": 1680779310,
    "counters": [4.2, 4.1, 4.3],
    "total": 439237,
}
TASMOTA = {
    "StatusSNS": {
        "Time": "2024-06-26T16:19:59",
        "ENERGY": {"Total": 167.743, "Today": 0.045, "Power": 4, "Voltage": 230},
    }
}


@pytest.fixture
def server() -> Iterator[FakePlug]:
    with fake_plug.running() as plug:
        yield plug


def device(server: FakePlug, password: str | None = None, timeout_s: float = 5.0) -> HttpDevice:
    secret = None if password is None else Secret(password)
    return HttpDevice("127.0.0.1", server.port, timeout_s, "admin", secret)


def test_a_shelly_of_the_second_generation(server: FakePlug) -> None:
    plug = shelly_gen2(FACTS, device(server), 0, "Switch")
    server.behaviour = shows(GEN2)
    assert plug.read() == (4.3, 0.0)
    server.behaviour = shows(GEN2 | {"aenergy": {"total": 1200.75}})
    assert plug.read().joules == pytest.approx(0.25 * 3600)
    assert server.requests[0] == "/rpc/Switch.GetStatus?id=0"


def test_a_metering_shelly_without_a_relay(server: FakePlug) -> None:
    server.behaviour = shows({"id": 1, "apower": 2.0})
    assert shelly_gen2(FACTS, device(server), 1, "PM1").read() == (2.0, None)
    assert server.requests == ["/rpc/PM1.GetStatus?id=1"]


def test_a_shelly_of_the_first_generation(server: FakePlug) -> None:
    plug = shelly_gen1(FACTS, device(server), 0)
    server.behaviour = shows(GEN1)
    assert plug.read() == (4.21, 0.0)
    server.behaviour = shows(GEN1 | {"total": 439239})
    assert plug.read() == (4.21, 120.0)
    server.behaviour = shows(GEN1 | {"is_valid": False})
    with pytest.raises(SourceError, match="not valid"):
        plug.read()


def test_tasmota(server: FakePlug) -> None:
    plug = tasmota(FACTS, device(server), 0)
    server.behaviour = shows(TASMOTA)
    assert plug.read() == (4.0, 0.0)
    energy = {"Total": [1.0, 2.0], "Power": [5, 6.5]}
    server.behaviour = shows({"StatusSNS": {"ENERGY": energy}})
    assert tasmota(FACTS, device(server), 1).read() == (6.5, 0.0)
    with pytest.raises(SourceError, match=r"no number StatusSNS\.ENERGY\.Power"):
        tasmota(FACTS, device(server), 2).read()
    assert server.requests[0] == "/cm?cmnd=Status%2010"


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        (shows({"apower": "4.3"}), "no number apower"),
        (shows({"apower": True}), "no number apower"),
        (shows([1, 2]), "no number apower"),
        (shows(None), "no number apower"),
        (fake_plug.status(500), "it answers with status 500"),
        (fake_plug.status(302), "it answers with status 302"),
        (fake_plug.status(401), "it asks for user and password"),
        (fake_plug.raw(b"HTTP/1.1 200 OK\r\n\r\n<html>"), "the answer is not JSON"),
        (fake_plug.raw(b"HTTP/1.1 200 OK\r\n\r\n" + b"[" * 5000), "the answer is not JSON"),
        (fake_plug.raw(b'HTTP/1.1 200 OK\r\n\r\n"\xff\xfe"'), "the answer is not JSON"),
        (fake_plug.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"), "is not JSON"),
        (fake_plug.raw(b"\x00\x01\x02 nonsense\r\n\r\n"), "the answer is not HTTP"),
        (fake_plug.raw(b""), "the answer is not HTTP|connection reset"),
        (fake_plug.raw(b"HTTP/1.1 200 OK\r\n\r\n" + b"1" * 200_000), "not JSON|no number"),
    ],
)
def test_a_plug_that_talks_nonsense_costs_a_reading_and_recovers(
    server: FakePlug, behaviour: fake_plug.Behaviour, words: str
) -> None:
    plug = shelly_gen2(FACTS, device(server), 0, "Switch")
    server.behaviour = behaviour
    with pytest.raises(SourceError, match=words):
        plug.read()
    server.behaviour = shows(GEN2)
    assert plug.read().watts == 4.3


@pytest.mark.parametrize("behaviour", [fake_plug.silent, fake_plug.dripping])
def test_a_plug_that_hangs_or_drips_is_left_at_the_deadline(
    server: FakePlug, behaviour: fake_plug.Behaviour
) -> None:
    plug = shelly_gen2(FACTS, device(server, timeout_s=0.2), 0, "Switch")
    server.behaviour = behaviour
    with pytest.raises(SourceError, match=r"no answer within 0\.2 s"):
        plug.read()


def test_a_plug_that_is_not_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    plug = shelly_gen2(FACTS, HttpDevice("127.0.0.1", port), 0, "Switch")
    with pytest.raises(SourceError, match="connection refused"):
        plug.read()
    with pytest.raises(SourceError):
        shelly_gen2(FACTS, HttpDevice("no-such-host.invalid", 80), 0, "Switch").read()


def test_the_answer_of_a_digest_login_is_that_of_the_standard() -> None:
    """The example of RFC 7616, 3.9.1."""
    challenge = {
        "realm": "http-auth@example.org",
        "qop": "auth, auth-int",
        "nonce": "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
        "opaque": "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS",
    }
    cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
    for algorithm, response in (
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ):
        login = _Digest(challenge | {"algorithm": algorithm}, "Mufasa", Secret("Circle of Life"))
        header = login.answer("/dir/index.html", 1, cnonce)
        assert f'response="{response}"' in header
        assert "nc=00000001" in header
        assert 'opaque="FQhe' in header


@pytest.mark.parametrize("algorithm", ["SHA-256", "MD5"])
def test_a_digest_login_is_done_once_while_its_nonce_is_good(
    server: FakePlug, algorithm: str
) -> None:
    server.behaviour = fake_plug.by_digest(PASSWORD, shows(GEN2), algorithm, uses=2)
    plug = shelly_gen2(FACTS, device(server, PASSWORD), 0, "Switch")
    for requests in (2, 3, 5, 6):  # the third reading finds its nonce used up
        assert plug.read().watts == 4.3
        assert len(server.requests) == requests


def test_a_basic_login(server: FakePlug) -> None:
    server.behaviour = fake_plug.by_basic("admin", PASSWORD, shows(GEN1))
    plug = shelly_gen1(FACTS, device(server, PASSWORD), 0)
    assert plug.read().watts == 4.21
    assert plug.read().watts == 4.21
    assert len(server.requests) == 3


def test_a_login_in_the_address(server: FakePlug) -> None:
    server.behaviour = fake_plug.by_query("admin", PASSWORD, shows(TASMOTA))
    assert tasmota(FACTS, device(server, PASSWORD), 0).read().watts == 4.0


def locked(server: FakePlug, password: str | None) -> list[Plug]:
    return [
        shelly_gen2(FACTS, device(server, password), 0, "Switch"),
        shelly_gen1(FACTS, device(server, password), 0),
        tasmota(FACTS, device(server, password), 0),
    ]


@pytest.mark.parametrize(
    "lock",
    [
        fake_plug.by_digest("right", shows(GEN2)),
        fake_plug.by_digest("right", shows(GEN2), "SHA-512-256"),
        fake_plug.by_basic("admin", "right", shows(GEN1)),
        fake_plug.by_query("admin", "right", shows(TASMOTA)),
        fake_plug.by_query("admin", "right", shows(TASMOTA), 200),
        fake_plug.status(500),
        fake_plug.raw(b"HTTP/1.1 401 No\r\nWWW-Authenticate: Bearer x\r\n\r\n"),
        fake_plug.raw(b"HTTP/1.1 401 No\r\nWWW-Authenticate: Digest\r\n\r\n"),
    ],
)
def test_no_error_and_no_text_of_a_plug_shows_its_password(
    server: FakePlug, lock: fake_plug.Behaviour
) -> None:
    server.behaviour = lock
    for plug in locked(server, "hunter2"):
        with pytest.raises(SourceError) as caught:
            plug.read()
        texts = [str(caught.value), repr(caught.value), repr(plug), str(plug), repr(vars(plug))]
        assert caught.value.__cause__ is None
        assert "hunter2" not in " ".join(texts)


def test_a_locked_plug_without_a_password_asks_for_one(server: FakePlug) -> None:
    server.behaviour = fake_plug.by_query("admin", "right", shows(TASMOTA))
    for plug in locked(server, None):
        with pytest.raises(SourceError, match="it asks for user and password"):
            plug.read()


def test_a_counter_that_was_reset_is_not_trusted_again() -> None:
    total = RunningTotal()
    assert [total.at(value) for value in (500.0, 700.0, None, 10.0, 900.0)] == [
        0.0,
        200.0,
        None,
        None,
        None,
    ]
