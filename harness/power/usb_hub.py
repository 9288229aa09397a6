# SPDX-License-Identifier: GPL-2.0-or-later
"""`driver: usb-hub`: a port of a USB hub with per-port power switching, by uhubctl (github.com/mvp/uhubctl)."""

import re
from collections.abc import Sequence

from harness.errors import InfraError
from harness.power.port import Refused, Silent, State, Timing
from harness.power.program import Runner
from harness.power.switched import SwitchedPort, Want, words

#: "Current status for hub 1-1 [2109:2813 VIA Labs, USB 2.10, 4 ports, ppps]",
#: "  Port 2: 0503 power highspeed enable connect [...]".
_HUB = re.compile(r"^(?:Current|New) status for hub (\S+)")
_ABOUT = re.compile(r"^Current status for hub (\S+) \[(.*)\]")
_PORT = re.compile(r"^  Port (\d+): ([0-9a-f]{4})((?: [^\[\n]*)?)")


class UsbHubPort(SwitchedPort):
    """hub: uhubctl's location, "1-1.2"; port: from 1. A USB 3 hub is two hubs for the system; uhubctl switches both."""

    remedy = "run `uhubctl` by hand: not every hub can switch power, and it needs root or a udev rule"

    def __init__(
        self,
        *,
        hub: str,
        port: int,
        program: Sequence[str] = ("uhubctl",),
        runner: Runner | None = None,
        timing: Timing | None = None,
    ) -> None:
        super().__init__(f"USB hub {hub} port {port}", timing)
        self._hub, self._port, self._runner = hub, port, runner or Runner()
        self._argv = [*program, "-l", hub, "-p", str(port)]

    def order(self, want: Want) -> None:
        # Some hubs obey the second time only; uhubctl's own repeat is for them.
        self._run([*self._argv, "-a", want, *(["-r", "2"] if want == "off" else [])])

    def look(self) -> State:
        output = self._run(self._argv)
        ports = parse(output, self._port)
        if self._hub not in ports:
            self.detail = f"uhubctl did not tell of port {self._port} of hub {self._hub}"
            return "unknown"
        self.detail = ", ".join(f"hub {hub}: {said}" for hub, said in ports.items())
        return "on" if any("power" in said.split() for said in ports.values()) else "off"

    def identify(self) -> str:
        """What uhubctl says of the hub: "0bda:5411 Generic USB2.1 Hub, USB 2.10, 4 ports, ppps". InfraError."""
        with self._lock:
            try:
                output = self._run(self._argv)
            except (Refused, Silent) as error:
                raise InfraError(f"{self.identity} does not say what it is: {error}", remedy=self.remedy) from None
        found = next((match[2] for line in output.splitlines() if (match := _ABOUT.match(line)) is not None), "")
        return words(found)

    def _run(self, argv: Sequence[str]) -> str:
        result = self._runner.run(argv)
        if result.status:
            raise (Silent if result.status < 0 else Refused)(f"uhubctl ended with {self._runner.words(result, 300)}")
        return result.output


def parse(output: str, port: int) -> dict[str, str]:
    """Location of each hub -> what uhubctl last said of its port `port`: "0503 power highspeed enable connect"."""
    found: dict[str, str] = {}
    hub = ""
    for line in output.splitlines():
        if (head := _HUB.match(line)) is not None:
            hub = head[1]
        elif hub and (row := _PORT.match(line)) is not None and int(row[1]) == port:
            found[hub] = f"{row[2]}{row[3].rstrip()}"
    return found
