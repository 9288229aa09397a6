# SPDX-License-Identifier: GPL-2.0-or-later
"""SNMP exchanges with one agent: integers by object identifier, v1, v2c or v3. pysnmp is imported at the first exchange."""

import asyncio
import threading
import weakref
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Literal, NoReturn, TypeVar

from harness.errors import InfraError
from harness.power.poe_mib import Oid
from harness.power.port import Refused, Silent
from harness.power.snmp_credentials import Credentials
from harness.power.snmp_socket import SocketMaker, target_over
from harness.power.switched import words

_T = TypeVar("_T")

_V = TypeVar("_V")
_Read = Callable[[Any, Any], dict[Oid, _V]]


def _integers(api: Any, answer: Any) -> dict[Oid, int]:
    """Integers among the answer's values; noSuchObject, noSuchInstance and texts are passed over."""
    found: dict[Oid, int] = {}
    for name, value in answer:
        if not isinstance(value, (api.NoSuchObject, api.NoSuchInstance, api.EndOfMibView)) and hasattr(
            value, "__int__"
        ):
            try:
                found[tuple(name)] = int(value)
            except (TypeError, ValueError):
                continue
    return found


def _texts(api: Any, answer: Any) -> dict[Oid, bytes]:
    """Octet strings among the answer's values."""
    return {tuple(name): bytes(value) for name, value in answer if isinstance(value, api.OctetString)}


class Agent:
    """timeout: seconds for one answer; retries: further tries after it; sockets: makes the UDP socket to use, instead of one of
    this host's. One exchange at a time: the port's lock sees to it.

    pysnmp's engine and its loop are made at the first exchange, and anew after one that failed: a switch that has
    rebooted (v3 engine boots and time) is met afresh.
    """

    def __init__(
        self,
        host: str,
        port: int,
        credentials: Credentials,
        *,
        timeout: float = 2.0,
        retries: int = 1,
        sockets: SocketMaker | None = None,
    ) -> None:
        self.host, self.port, self.timeout, self.retries = host, port, timeout, retries
        self._sockets = sockets
        self._credentials = credentials
        self._session: _Session | None = None

    @property
    def place(self) -> str:
        return f"{self.host}:{self.port}"

    def get(self, needed: Sequence[Oid], wanted: Sequence[Oid] = ()) -> dict[Oid, int]:
        """Integers by object. Refused: one of `needed` does not exist; those of `wanted` that do not are left out."""
        rows = self._exchange("get", [(oid, None) for oid in (*needed, *wanted)], _integers)
        if rows is None:  # v1 refuses the whole request for one missing object
            rows = {}
            for oid in (*needed, *wanted):
                rows |= self._exchange("get", [(oid, None)], _integers) or {}
        for oid in needed:
            if oid not in rows:
                raise Refused(f"{self.place} has no object {'.'.join(map(str, oid))}: it has no such group or port")
        return rows

    def set(self, oid: Oid, value: int) -> None:
        """Set an INTEGER. Refused: the agent says why not."""
        if self._exchange("set", [(oid, value)], _integers) is None:
            raise Refused(f"noSuchName: {self.place} lets nobody write it with these credentials, or has no such port")

    def text(self, oid: Oid) -> str:
        """A text object (DisplayString), safe to show; "" when the agent does not have it, or not for us."""
        rows = self._exchange("get", [(oid, None)], _texts) or {}
        return words(rows.get(oid, b""), self._credentials.secrets, 160)

    def _exchange(
        self, kind: Literal["get", "set"], rows: list[tuple[Oid, int | None]], read: "_Read[_V]"
    ) -> dict[Oid, _V] | None:
        """None: v1's noSuchName."""
        try:
            import pysnmp.hlapi.v3arch.asyncio as api  # noqa: PLC0415 - 0.1 s which only PoE labs need to spend
        except ImportError as error:
            raise InfraError(
                f"pysnmp cannot be imported: {error}",
                remedy="run script/setup: it belongs to the harness' dependencies",
            ) from error
        try:
            if self._session is None:
                self._session = _Session(self, api)
            return self._session.run(self._async(api, self._session.engine, kind, rows, read))
        except BaseException as error:
            self._drop()
            if isinstance(error, (Refused, Silent)) or not isinstance(error, Exception):
                raise
            # pysnmp raises many kinds: names that do not resolve, bytes that are no SNMP.
            told = words(f"{type(error).__name__}: {error}", self._credentials.secrets)
            raise Silent(f"no exchange with {self.place}: {told}") from None

    def _drop(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None

    async def _async(
        self, api: Any, engine: Any, kind: str, rows: list[tuple[Oid, int | None]], read: "_Read[_V]"
    ) -> dict[Oid, _V] | None:
        mine = self._credentials
        kinds = api.UdpTransportTarget if self._sockets is None else target_over(api, self._sockets)
        target = await kinds.create((self.host, self.port), self.timeout, self.retries)
        send: Callable[..., Any] = api.set_cmd if kind == "set" else api.get_cmd
        asked = [
            api.ObjectType(api.ObjectIdentity(oid), *([] if value is None else [api.Integer32(value)]))
            for oid, value in rows
        ]
        context = api.ContextData(contextName=mine.context.encode())
        # The outer limit: what pysnmp does with a flood of answers that fit nothing is not ours to know.
        limit = (self.timeout + 0.5) * (self.retries + 1) * (3 if mine.version == "3" else 1)
        try:
            indication, status, _index, answer = await asyncio.wait_for(
                send(engine, mine.user_data(api), target, context, *asked, lookupMib=False), limit
            )
        except TimeoutError:
            raise Silent(self._nothing()) from None
        if indication:
            self._indicated(indication)
        if int(status) == 2 and mine.version == "1":
            return None
        if int(status):
            self._failed(int(status))
        return read(api, answer)

    def _indicated(self, indication: Any) -> None:
        name, told = type(indication).__name__, words(str(indication), self._credentials.secrets)
        if name == "RequestTimedOut":
            raise Silent(self._nothing())
        if name in _NO_RIGHTS:
            raise Refused(
                f"{self.place} does not accept the v3 user {self._credentials.user!r}: {_NO_RIGHTS[name]} ({told})"
            )
        raise Silent(f"{self.place}: {told}")

    def _nothing(self) -> str:
        tries = "" if not self.retries else f" {self.retries + 1} times"
        # An agent drops requests with a community that it does not know, and says nothing (RFC 3584).
        doubt = "the privacy key is wrong" if self._credentials.version == "3" else "it does not know this community"
        return f"no answer from {self.place} within {self.timeout:g} s{tries}: unreachable, or {doubt}"

    def _failed(self, status: int) -> NoReturn:
        name = _STATUS.get(status, f"error status {status}")
        why = "; these credentials may not write" if name in _READ_ONLY else ""
        raise (Silent if name in {"genErr", "resourceUnavailable", "tooBig"} else Refused)(
            f"{self.place} said {name}{why}"
        )


class _Session:
    """pysnmp's engine with the loop that it lives in; closed with its agent at the latest."""

    def __init__(self, owner: Agent, api: Any) -> None:
        loop = asyncio.new_event_loop()
        self._loop = loop
        self.engine: Any = self.run(_made(api))
        self.close = weakref.finalize(owner, _close, loop, self.engine)

    def run(self, what: Coroutine[Any, Any, _T]) -> _T:
        return self._loop.run_until_complete(what)


async def _made(api: Any) -> Any:
    return api.SnmpEngine()  # it takes the running loop


def _close(loop: asyncio.AbstractEventLoop, engine: Any) -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        _close_now(loop, engine)
    else:  # the garbage collector came by while this thread is inside another session's loop
        thread = threading.Thread(target=_close_now, args=(loop, engine))
        thread.start()
        thread.join()


def _close_now(loop: asyncio.AbstractEventLoop, engine: Any) -> None:
    async def stop() -> None:
        engine.close_dispatcher()
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    try:
        loop.run_until_complete(stop())
    finally:
        loop.close()


_NO_RIGHTS: Mapping[str, str] = {
    "UnknownUserName": "it knows no such user",
    "WrongDigest": "the authentication key or its kind is wrong",
    "AuthenticationFailure": "the authentication key or its kind is wrong",
    "UnsupportedSecurityLevel": "it wants another level: authentication, privacy, or both",
    "UnsupportedSecLevel": "it wants another level: authentication, privacy, or both",
    "DecryptionError": "the privacy key or its kind is wrong",
}
#: RFC 3416, section 3.
_STATUS: Mapping[int, str] = {
    0: "noError",
    1: "tooBig",
    2: "noSuchName",
    3: "badValue",
    4: "readOnly",
    5: "genErr",
    6: "noAccess",
    7: "wrongType",
    8: "wrongLength",
    9: "wrongEncoding",
    10: "wrongValue",
    11: "noCreation",
    12: "inconsistentValue",
    13: "resourceUnavailable",
    14: "commitFailed",
    15: "undoFailed",
    16: "authorizationError",
    17: "notWritable",
    18: "inconsistentName",
}
_READ_ONLY = {"readOnly", "noAccess", "authorizationError", "notWritable"}
