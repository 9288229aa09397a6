# SPDX-License-Identifier: GPL-2.0-or-later
"""Switches with HTTP: presets, logins, TLS, and servers of bad manners, on loopback."""

import base64
import datetime
import hashlib
import ipaddress
import json
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from harness.config import Secret
from harness.errors import ConfigError, InfraError
from harness.power.http_switch import PRESETS, Dialect, HttpPort
from harness.power.port import Refused, Silent, Timing
from harness.power.reading import Reader
from harness.power.web import Request, Site

from .driver_doubles import web

pytestmark = pytest.mark.gear
PASSWORD = "pw-9Zk2/xQ4+m"  # noqa: S105 - planted, to be looked for
QUICK = Timing(limit=0.3, poll=0.01, settle=0.01)
PATIENT = Timing(limit=10, poll=0.01, settle=0.01)


class Switches:
    """Switches as their makers' documentation describes them."""

    def __init__(self) -> None:
        self.outputs = {"0": False, "1": False, "2": False, "relay": False}

    def answer(self, method: str, path: str, body: bytes, headers: Any) -> tuple[int, str, bytes]:  # noqa: PLR0911
        out = self.outputs
        if found := re.fullmatch(r"/relay/(\d)(\?turn=(on|off))?", path):
            out[found[1]] = found[3] == "on" if found[2] else out[found[1]]
            return self._json({"ison": out[found[1]], "has_timer": False})
        if found := re.fullmatch(r"/rpc/Switch\.Set\?id=(\d)&on=(true|false)", path):
            was, out[found[1]] = out[found[1]], found[2] == "true"
            return self._json({"was_on": was})
        if found := re.fullmatch(r"/rpc/Switch\.GetStatus\?id=(\d)", path):
            return self._json({"id": int(found[1]), "source": "http", "output": out[found[1]], "apower": 0.0})
        if found := re.fullmatch(r"/cm\?cmnd=Power(\d)(%20(On|Off))?", path):
            out[found[1]] = found[3] == "On" if found[2] else out[found[1]]
            name = "POWER" if found[1] == "1" else f"POWER{found[1]}"
            return self._json({name: "ON" if out[found[1]] else "OFF"})
        if method == "POST" and (found := re.fullmatch(r"/switch/(\w+)/turn_(on|off)", path)):
            out[found[1]] = found[2] == "on"
            return 200, "OK", b""
        if found := re.fullmatch(r"/switch/(\w+)", path):
            return self._json({"id": f"switch-{found[1]}", "state": "ON" if out[found[1]] else "OFF"})
        if path == "/netio.json":
            for output in json.loads(body)["Outputs"] if method == "POST" else []:
                out[str(output["ID"])] = output["Action"] == 1
            rows = [{"ID": ident, "Name": f"o{ident}", "State": int(out[str(ident)]), "Action": 6} for ident in (1, 2)]
            return self._json({"Agent": {"Model": "NETIO 4"}, "Outputs": rows})
        return 404, "Not Found", b""

    def _json(self, value: object) -> tuple[int, str, bytes]:
        return 200, "OK", json.dumps(value).encode()


@pytest.mark.parametrize("preset", list(PRESETS))
def test_presets(preset: str) -> None:
    switches = Switches()
    dialect = PRESETS[preset]
    outlet = "relay" if preset == "esphome" else "2"
    with web(switches.answer) as (url, _):
        for name in (dialect.outlet, outlet):
            port = HttpPort(Site(url), dialect.of(name), Timing(limit=5, poll=0.01, settle=0.01))
            assert port.state() == "off"
            port.on()
            assert [key for key, on in switches.outputs.items() if on] == [name]
            assert port.state() == "on"
            port.off()
            assert not any(switches.outputs.values())


def test_requests_of_ones_own() -> None:
    state = {"on": False}

    def answer(method: str, path: str, body: bytes, headers: Any) -> tuple[int, str, bytes]:
        if method == "PUT":
            assert path == "/api/outlets/b3"
            assert headers["Content-Type"] == "application/json"
            assert headers["X-Api-Key"] == PASSWORD
            state["on"] = json.loads(body)["value"] == 1
            return 204, "No Content", b""
        return 200, "OK", json.dumps({"outlets": [{"name": "b3", "now": int(state["on"])}]}).encode()

    dialect = Dialect(
        Request("/api/outlets/{outlet}", "PUT", '{"value": 1}'),
        Request("/api/outlets/{outlet}", "PUT", '{"value": 0}'),
        Request("/api/outlets"),
        Reader("1", "0", "outlets.0.now"),
    )
    with web(answer) as (url, log):
        port = HttpPort(Site(url, headers={"X-API-Key": Secret(PASSWORD)}), dialect.of("b3"), PATIENT)
        port.on()
        assert state["on"]
        port.off()
        assert not state["on"]
        assert log.count('PUT /api/outlets/b3 {"value": 1}') == 1


def _digest(algorithm: str, method: str, headers: Any) -> bool:
    """Whether a request is logged in by RFC 7616."""
    given = dict(re.findall(r'(\w+)="?([^",]*)"?', headers.get("Authorization", "")))
    name = {"MD5": "md5", "SHA-256": "sha256"}[algorithm]

    def h(text: str) -> str:
        return hashlib.new(name, text.encode()).hexdigest()

    if "response" not in given:
        return False
    first = h(f"admin:shelly:{PASSWORD}")
    second = h(f"{method}:{given['uri']}")
    return given["response"] == h(f"{first}:n0nce:{given['nc']}:{given['cnonce']}:auth:{second}")


@pytest.mark.parametrize("kind", ["Basic", "MD5", "SHA-256"])
@pytest.mark.parametrize("right", [True, False])
def test_logins(kind: str, right: bool) -> None:
    switches = Switches()

    def answer(method: str, path: str, body: bytes, headers: Any) -> tuple[int, str, bytes]:
        if kind == "Basic":
            good = headers.get("Authorization") == "Basic " + base64.b64encode(f"admin:{PASSWORD}".encode()).decode()
            return (
                switches.answer(method, path, body, headers) if good else (401, "Unauthorized", b'Basic realm="shelly"')
            )
        if _digest(kind, method, headers):
            return switches.answer(method, path, body, headers)
        return 401, "Unauthorized", f'Digest qop="auth", realm="shelly", nonce="n0nce", algorithm={kind}'.encode()

    with web(answer) as (url, _):
        site = Site(url, user="admin", password=Secret(PASSWORD if right else "wrong-pw-77"))
        port = HttpPort(site, PRESETS["shelly-gen2"].of("0"), Timing(limit=5, poll=0.01, settle=0.01))
        if right:
            port.on()
            assert switches.outputs["0"]
            return
        began = time.monotonic()
        with pytest.raises(InfraError, match=r"answered 401") as caught:
            port.on()
        assert "wrong-pw-77" not in str(caught.value)
        assert time.monotonic() - began < 5


@contextmanager
def raw(serve: Any) -> Iterator[str]:
    """A TCP server that does what it likes with a connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    try:
                        serve(connection)
                    except OSError:
                        continue

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}"
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join(10)


def drip(connection: socket.socket) -> None:
    connection.recv(4096)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    for _ in range(500):
        connection.sendall(b" ")
        time.sleep(0.02)


def silent(connection: socket.socket) -> None:
    connection.recv(4096)
    connection.recv(1)


def junk(connection: socket.socket) -> None:
    connection.recv(4096)
    connection.sendall(b"\x1b[31m\xff\xfe no http at all\r\n\r\n")


def flood(connection: socket.socket) -> None:
    connection.recv(4096)
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 10_000_000)


def headers_without_end(connection: socket.socket) -> None:
    connection.recv(4096)
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    for _ in range(500):
        connection.sendall(b"X: y\r\n")
        time.sleep(0.02)


@pytest.mark.parametrize("manner", [drip, silent, junk, flood, headers_without_end])
def test_servers_of_bad_manners_are_given_up_in_time(manner: Any) -> None:
    with raw(manner) as url:
        port = HttpPort(Site(url, timeout=0.3), PRESETS["shelly-gen1"].of("0"), QUICK)
        began = time.monotonic()
        with pytest.raises(InfraError) as caught:
            port.on()
        assert time.monotonic() - began < 3
        assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "kind"), [(302, Refused), (400, Refused), (403, Refused), (404, Refused), (429, Silent), (500, Silent)]
)
def test_statuses(status: int, kind: type[Exception]) -> None:
    elsewhere: list[str] = []

    def other(method: str, path: str, body: bytes, headers: Any) -> tuple[int, str, bytes]:
        elsewhere.append(path)
        return 200, "OK", b"{}"

    with web(other) as (second, _), web(lambda *_: (status, "Reason", f"{second}/stolen".encode())) as (url, _):
        site = Site(url, headers={"X-Key": Secret(PASSWORD)})
        with pytest.raises(kind, match=f"answered {status}"):
            site.send(Request("/"))
    assert elsewhere == [], "credentials do not follow redirects"


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(InfraError, match="Connection refused"):
        HttpPort(Site(f"http://127.0.0.1:{port}"), PRESETS["tasmota"].of("1"), QUICK).on()


def test_proxies_of_the_environment_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with web(Switches().answer) as (url, _):
        assert HttpPort(Site(url), PRESETS["shelly-gen1"].of("0"), QUICK).state() == "off"


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that is its own authority, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "switch")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    raw_key = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "key.pem").write_bytes(raw_key)
    return folder / "cert.pem", folder / "key.pem"


def test_certificates_are_checked(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)

    def serve(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secure:
            secure.recv(4096)
            secure.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n{"ison": true}')

    with raw(serve) as plain:
        url = plain.replace("http:", "https:")
        dialect = PRESETS["shelly-gen1"].of("0")
        with pytest.raises(
            InfraError, match=r"certificate of 127\.0\.0\.1:\d+ is not trusted: self-signed certificate"
        ):
            HttpPort(Site(url), dialect, QUICK).state()
        assert HttpPort(Site(url, ca=str(cert)), dialect, QUICK).state() == "on"
        assert HttpPort(Site(url, verify=False), dialect, QUICK).state() == "on"
    with pytest.raises(ConfigError, match="certificates cannot be read"):
        Site(url, ca=str(tmp_path / "none.pem"))


def test_what_a_switch_echoes_is_masked() -> None:
    def answer(method: str, path: str, body: bytes, headers: Any) -> tuple[int, str, bytes]:
        return 200, "OK", f"you sent {headers.get('X-Key')}\x1b[2J".encode()

    with web(answer) as (url, _):
        port = HttpPort(Site(url, headers={"X-Key": Secret(PASSWORD)}), PRESETS["shelly-gen1"].of("0"), QUICK)
        with pytest.raises(InfraError, match=re.escape("you sent ********")) as caught:
            port.on()
        assert PASSWORD not in str(caught.value) + port.detail
        assert "\x1b" not in str(caught.value) + port.detail


@pytest.mark.parametrize(
    ("reader", "text", "state"),
    [
        (Reader("true", "false", "a.b"), '{"a": {"b": true}}', "on"),
        (Reader("1", "0", "a.1"), '{"a": [1, 0]}', "off"),
        (Reader("ON", "OFF", "s"), '{"s": "ON"}', "on"),
        (Reader("true", "false", "s"), '{"s": "truely"}', "unknown"),
        (Reader("on", "off"), "<b>on</b>", "on"),
        (Reader("on", "off"), "on and off", "unknown"),
        (Reader("on", "off"), "", "unknown"),
    ],
)
def test_readers(reader: Reader, text: str, state: str) -> None:
    assert reader.state(text) == state


@pytest.mark.parametrize("text", ["", "{", "[]", '{"a": 1}', '{"a": []}', "[" * 100_000, "\x00"])
def test_answers_without_the_value(text: str) -> None:
    with pytest.raises(Silent):
        Reader("1", "0", "a.0").state(text)
