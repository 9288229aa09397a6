# SPDX-License-Identifier: GPL-2.0-or-later
"""One HTTP exchange with gear: basic or digest login, TLS checked, no redirects, no proxies, a deadline for the whole."""

import base64
import http.client
import os
import socket
import ssl
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from harness.config import Secret
from harness.errors import ConfigError
from harness.power.port import Refused, Silent
from harness.power.switched import words

#: Octets of an answer: a switch says less; a UniFi console some 200 kB of a switch with 48 ports.
_LARGEST = 1024 * 1024


@dataclass(frozen=True)
class Request:
    """path: after the switch's base URL, with its query. body: text, sent as JSON unless `headers` say otherwise."""

    path: str
    method: str = "GET"
    body: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    status: int
    text: str


class Site:
    """base: "http://host[:port]". timeout: seconds for a whole exchange, logins included twice. ca: file with the certificates to
    trust instead of the system's; verify: False takes any certificate (and says so in `warning`).
    """

    def __init__(
        self,
        base: str,
        *,
        user: str = "",
        password: Secret | None = None,
        headers: Mapping[str, str | Secret] | None = None,
        timeout: float = 5.0,
        ca: str | None = None,
        verify: bool = True,
    ) -> None:
        self.base, self.timeout = base.rstrip("/"), timeout
        self._headers = dict(headers or {})
        self._user, self._password = user, password
        self._guard = _Guard()
        handlers: list[urllib.request.BaseHandler] = [
            urllib.request.ProxyHandler({}),
            _NoRedirects(),
            _Http(self._guard),
            _Https(self._guard, _tls(ca, verify)),
        ]
        if password is not None:
            known = urllib.request.HTTPPasswordMgrWithDefaultRealm()
            known.add_password(None, self.base + "/", user, password.reveal())
            handlers += [_Digest(known), urllib.request.HTTPBasicAuthHandler(known)]
        self._opener = urllib.request.build_opener(*handlers)

    @property
    def host(self) -> str:
        return urllib.parse.urlsplit(self.base).netloc.rpartition("@")[2]

    @property
    def secrets(self) -> list[str]:
        """What must not be shown, also in the guises in which it goes over the wire."""
        plain = [secret.reveal() for secret in (self._password, *self._headers.values()) if isinstance(secret, Secret)]
        if self._password is not None:
            plain.append(base64.b64encode(f"{self._user}:{self._password.reveal()}".encode()).decode())
        return [*plain, *(urllib.parse.quote(secret) for secret in plain)]

    def knock(self) -> None:
        """A TCP connection, nothing said. Silent: nobody listens."""
        parts = urllib.parse.urlsplit(self.base)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        try:
            socket.create_connection((parts.hostname or "", port), self.timeout).close()
        except OSError as error:
            raise Silent(f"no answer from {self.host}: {words(str(error), self.secrets)}") from None

    def send(self, request: Request) -> Answer:
        """The answer with status 2xx. Silent: none, or 5xx; Refused: any other status."""
        made = urllib.request.Request(  # noqa: S310 - the base's scheme is checked in lab.yaml
            self.base + request.path,
            data=None if request.body is None else request.body.encode(),
            method=request.method,
            headers={**({"Content-Type": "application/json"} if request.body is not None else {}), **request.headers},
        )
        for name, value in self._headers.items():
            made.add_unredirected_header(name, value.reveal() if isinstance(value, Secret) else value)
        try:
            with self._guard.watched(self.timeout), self._opener.open(made, timeout=self.timeout) as response:
                return Answer(response.status, _text(response))
        except urllib.error.HTTPError as error:
            with error:
                raise self._status(error.code, error.reason) from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = error.reason if isinstance(error, urllib.error.URLError) else error
            if isinstance(reason, ssl.SSLCertVerificationError):
                raise Refused(f"the certificate of {self.host} is not trusted: {reason.verify_message}") from None
            if self._guard.expired:
                reason = f"not whole within {self.timeout:g} s"
            raise Silent(
                f"no answer from {self.host}: {words(str(reason), self.secrets) or type(reason).__name__}"
            ) from None

    def _status(self, code: int, reason: str) -> Exception:
        said = f"{self.host} answered {code} {words(reason, self.secrets)}"
        if code in {401, 403}:
            return Refused(f"{said}: user or password is wrong, or may not do this")
        if 300 <= code < 400:
            return Refused(f"{said}: it sends us elsewhere; name the right URL")
        return (Silent if code >= 500 or code == 429 else Refused)(said)


def _text(response: Any) -> str:
    return bytes(response.read(_LARGEST)).decode("utf-8", "replace")


def _tls(ca: str | None, verify: bool) -> ssl.SSLContext:
    if not verify:
        return ssl._create_unverified_context()  # noqa: S323 - the user wrote `verify: false` for his own switch
    try:
        return ssl.create_default_context(cafile=ca)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"the certificates cannot be read: {error}", place=ca or "") from None


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Credentials are for the switch that was named, not for wherever it points."""


class _Digest(urllib.request.HTTPDigestAuthHandler):
    """With SHA-256 (RFC 7616), which Shelly's second generation asks for and Python 3.11 lacks."""

    def get_algorithm_impls(self, algorithm: str) -> tuple[Callable[[str], str], Callable[[str, str], str]]:
        if algorithm != "SHA-256":
            made: tuple[Callable[[str], str], Callable[[str, str], str]] = super().get_algorithm_impls(algorithm)
            return made

        def digest(text: str) -> str:
            return sha256(text.encode()).hexdigest()

        return digest, lambda secret, data: digest(f"{secret}:{data}")


class _Guard:
    """Ends connections at a deadline: Python's timeouts are for one read each, and a switch may drip octet by octet."""

    def __init__(self) -> None:
        self.expired = False
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()

    @contextmanager
    def watched(self, seconds: float) -> Iterator[None]:
        self.expired = False
        timer = threading.Timer(seconds, self._expire)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            with self._lock:
                for connection in self._open:
                    # urllib leaves the answer before a login to the garbage collector; a test server may wait for its end.
                    if (descriptor := connection.detach()) >= 0:
                        os.close(descriptor)
                self._open.clear()

    def add(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.append(connection)

    def _expire(self) -> None:
        with self._lock:
            self.expired = True
            for connection in self._open:
                try:
                    # Of a TLS socket too: the plain one under it.
                    socket.socket.shutdown(connection, socket.SHUT_RDWR)
                except OSError:
                    continue


def _guarded(kind: type[http.client.HTTPConnection], guard: _Guard) -> type[http.client.HTTPConnection]:
    class Connection(kind):  # type: ignore[misc, valid-type]
        def connect(self) -> None:
            super().connect()
            guard.add(self.sock)

    return Connection


class _Http(urllib.request.HTTPHandler):
    def __init__(self, guard: _Guard) -> None:
        super().__init__()
        self._kind = _guarded(http.client.HTTPConnection, guard)

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._kind, req)


class _Https(urllib.request.HTTPSHandler):
    def __init__(self, guard: _Guard, context: ssl.SSLContext) -> None:
        super().__init__(context=context)
        self._kind, self._tls = _guarded(http.client.HTTPSConnection, guard), context

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._kind, req, context=self._tls)
