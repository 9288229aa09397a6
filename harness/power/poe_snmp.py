# SPDX-License-Identifier: GPL-2.0-or-later
"""`driver: poe-snmp`: a PoE switch port by POWER-ETHERNET-MIB (RFC 3621). On is what the port delivers, not what it was told."""

from harness.errors import InfraError
from harness.power.poe_mib import DISABLE, ENABLE, Port, Reading
from harness.power.port import Refused, Silent, State, Timing
from harness.power.snmp import Agent
from harness.power.switched import SwitchedPort, Want

#: SNMPv2-MIB (RFC 3418), sysDescr.0: "full name and version identification of the system's hardware type, software …".
SYS_DESCR = (1, 3, 6, 1, 2, 1, 1, 1, 0)


class PoeSnmpPort(SwitchedPort):
    """Detection and classification take a switch up to some seconds: `timing.limit` has to leave it that time."""

    remedy = (
        "check address, credentials and write access in the switch's SNMP settings; then this port's PoE: power budget, "
        "priority, cable and PoE HAT"
    )

    def __init__(self, agent: Agent, *, port: int, group: int = 1, timing: Timing | None = None) -> None:
        super().__init__(f"PoE switch {agent.place} port {port}", timing or Timing(limit=20.0, poll=0.25))
        self._agent, self._port = agent, Port(group, port)
        self._last: Reading | None = None
        self._before: Reading | None = None

    def order(self, want: Want) -> None:
        # Counters that go up from here on tell why the port does not deliver.
        self._before = self._last if want == "on" else None
        self._agent.set(self._port.admin, ENABLE if want == "on" else DISABLE)

    def look(self) -> State:
        now = Reading.of(self._port, self._agent.get(self._port.needed, self._port.wanted))
        self._last, self.detail = now, now.words
        if self._before is not None and now.state != "on" and (cause := now.cause(self._before)):
            raise Refused(f"port {self._port.index}: {cause}")
        return now.state

    def identify(self) -> str:
        """What the switch says that it is. InfraError."""
        with self._lock:
            try:
                return self._agent.text(SYS_DESCR)
            except (Refused, Silent) as error:
                raise InfraError(f"{self.identity} does not say what it is: {error}", remedy=self.remedy) from None

    def delivers(self) -> bool | None:
        """Whether the port delivers power to a device whose class it has found; None: it does not say. InfraError."""
        state = self.state()
        return None if state == "unknown" else state == "on"

    def lost_power(self) -> bool | None:
        """Evidence for `cycle`: whether the port delivers nothing now, so that its PoE class is gone; None: it does not say."""
        delivers = self.delivers()
        return None if delivers is None else not delivers

    def _switch(self, want: Want) -> None:
        with self._lock:
            try:
                super()._switch(want)
            finally:
                self._before = None  # later looks are not about this order
