# SPDX-License-Identifier: GPL-2.0-or-later
"""An `Outlet` of bad manners behind each real driver's own way to its gear: SNMP objects, a holder's socket, HTTP, programs."""

import contextlib
import json
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from harness.labgrid.client import Client
from harness.labgrid.gear import LabgridPort
from harness.labgrid.place import Place
from harness.power.command import CommandPort, Expected, ReadBack
from harness.power.gpio_line import Wiring
from harness.power.gpio_relay import GpioRelayPort
from harness.power.http_switch import PRESETS, HttpPort
from harness.power.pdu import PduPort
from harness.power.poe_mib import DISABLE, ENABLE, Oid, Port
from harness.power.poe_snmp import PoeSnmpPort
from harness.power.port import Refused, Silent, Timing
from harness.power.program import Result, Runner
from harness.power.snmp import Agent
from harness.power.snmp_credentials import Credentials
from harness.power.usb_hub import UsbHubPort
from harness.power.web import Site

from .doubles import FakeEmulator, Outlet

STATES = {"on": (ENABLE, 3), "off": (DISABLE, 1), "unknown": (ENABLE, 2)}


class OutletAgent(Agent):
    """SNMP without a wire."""

    def __init__(self, outlet: Outlet) -> None:
        super().__init__("switch", 161, Credentials())
        self.outlet = outlet

    def get(self, needed: Sequence[Oid], wanted: Sequence[Oid] = ()) -> dict[Oid, int]:
        return dict(zip(Port(1, 7).needed, STATES[self.outlet.look()], strict=True))

    def set(self, oid: Oid, value: int) -> None:
        self.outlet.command("on" if value == ENABLE else "off")


class OutletHolder(FakeEmulator):
    """A holder's socket: as an emulator's, with a greeting first."""

    def _answer(self, request: dict[str, Any]) -> bytes | None:
        if request["op"] == "attach":
            return json.dumps({"ok": True, "pid": 1}).encode() + b"\n"
        return super()._answer(request)


class OutletRunner(Runner):
    """Programs without processes: `on`, `off`, and everything else a look, told by `words`."""

    def __init__(self, outlet: Outlet, told: Callable[[str], str]) -> None:
        super().__init__()
        object.__setattr__(self, "outlet", outlet)
        object.__setattr__(self, "told", told)

    def run(self, argv: Sequence[str]) -> Result:
        outlet: Outlet = self.outlet  # type: ignore[attr-defined]
        try:
            if argv[-1] in {"on", "off"} or argv[-2:] == ["-r", "2"]:
                outlet.command("off" if "off" in argv else "on")
                return Result(0, "")
            return Result(0, self.told(outlet.look()))  # type: ignore[attr-defined]
        except Refused as error:
            return Result(1, str(error))


def hub_says(state: str) -> str:
    words = {"on": "0503 power highspeed enable connect [1d6b:0002]", "off": "0000 off", "unknown": None}[state]
    head = "Current status for hub 1-1 [2109:2813 VIA Labs, USB 2.10, 4 ports, ppps]\n"
    return head + (f"  Port 2: {words}\n" if words else "  Port 3: 0000 off\n")


@contextmanager
def web(answer: Callable[[str, str, bytes, Any], tuple[int, str, bytes] | None]) -> Iterator[tuple[str, list[str]]]:
    """A web server on loopback; yields its URL and a log of requests.

    answer: (method, path, body, headers) -> (status, reason, body), None to hang up.
    """
    log: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            log.append(f"{self.command} {self.path} {body.decode()}".strip())
            found = answer(self.command, self.path, body, self.headers)
            if found is None:
                self.close_connection = True
                return
            status, reason, text = found
            self.send_response(status, reason)
            if status == 401:
                self.send_header("WWW-Authenticate", text.decode())
            if status == 302:
                self.send_header("Location", text.decode())
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_PUT = _serve  # noqa: N815 - http.server's names

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            """Clients that hang up are part of the tests."""

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", log
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


def outlet_web(outlet: Outlet) -> Callable[[str, str, bytes, Any], tuple[int, str, bytes] | None]:
    """A Shelly of the first generation, and pdudaemon's listener, on an `Outlet`."""

    def answer(method: str, path: str, body: bytes, headers: Any) -> tuple[int, str, bytes] | None:
        try:
            if "turn=" in path or "/power/control/" in path:
                outlet.command("off" if "off" in path else "on")
                return 200, "OK", b"{}"
            state = outlet.look()
        except Silent:
            return (200, "OK", b"\xff\x00{]") if outlet.manner == "garbage" else None
        except Refused as error:
            return 403, str(error), b""
        return 200, "OK", json.dumps({"ison": {"on": True, "off": False}.get(state, "?")}).encode()

    return answer


def relay(outlet: Outlet, timing: Timing, stack: contextlib.ExitStack, folder: Path) -> GpioRelayPort:
    port = GpioRelayPort(Wiring(17, factory="mock"), timing=timing, folder=folder)
    holder = OutletHolder(port._socket, outlet)
    stack.callback(holder.close)
    stack.callback(port.close)
    return port


def http(outlet: Outlet, timing: Timing, stack: contextlib.ExitStack, folder: Path) -> HttpPort:
    url, _ = stack.enter_context(web(outlet_web(outlet)))
    return HttpPort(Site(url), PRESETS["shelly-gen1"].of("0"), timing)


def pdu(outlet: Outlet, timing: Timing, stack: contextlib.ExitStack, folder: Path) -> PduPort:
    url, _ = stack.enter_context(web(outlet_web(outlet)))
    read_back = ReadBack(["look", "3"], Expected("^on$"), Expected("^off$"))
    return PduPort(
        Site(url), hostname="apc", port="3", read_back=read_back, runner=OutletRunner(outlet, str), timing=timing
    )


def command(outlet: Outlet, timing: Timing, stack: contextlib.ExitStack, folder: Path) -> CommandPort:
    read_back = ReadBack(["relay", "3"], Expected("^on$"), Expected("^off$"))
    runner = OutletRunner(outlet, str)
    return CommandPort(["relay", "on"], ["relay", "off"], read_back, runner=runner, timing=timing)


def poe(outlet: Outlet, timing: Timing, stack: contextlib.ExitStack, folder: Path) -> PoeSnmpPort:
    return PoeSnmpPort(OutletAgent(outlet), port=7, timing=timing)


def usb_hub(outlet: Outlet, timing: Timing, stack: contextlib.ExitStack, folder: Path) -> UsbHubPort:
    return UsbHubPort(hub="1-1", port=2, runner=OutletRunner(outlet, hub_says), timing=timing)


class OutletClient(Client):
    """labgrid's client without processes."""

    outlet: Outlet

    def _runner(self) -> Runner:
        return OutletRunner(self.outlet, lambda state: f"power for place x is {state}\n")


def labgrid(outlet: Outlet, timing: Timing, stack: contextlib.ExitStack, folder: Path) -> LabgridPort:
    client = OutletClient("lab-server:20408")
    object.__setattr__(client, "outlet", outlet)
    return LabgridPort(Place(client, "x"), timing=timing)


#: Every driver that drives real gear, on an Outlet.
DRIVERS = {
    "poe-snmp": poe,
    "gpio-relay": relay,
    "http": http,
    "pdu": pdu,
    "command": command,
    "usb-hub": usb_hub,
    "labgrid": labgrid,
}
PYTHON = sys.executable
