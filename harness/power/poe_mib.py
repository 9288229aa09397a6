# SPDX-License-Identifier: GPL-2.0-or-later
"""POWER-ETHERNET-MIB (RFC 3621): the objects of one PoE port, and what their values mean. Pure; no SNMP here."""

from collections.abc import Mapping
from dataclasses import dataclass

from harness.power.port import State

#: pethPsePortEntry and pethMainPseEntry; a port's instance is .group.port, a main PSE's is .group.
PORT_ENTRY = (1, 3, 6, 1, 2, 1, 105, 1, 1, 1)
MAIN_ENTRY = (1, 3, 6, 1, 2, 1, 105, 1, 3, 1, 1)

Oid = tuple[int, ...]

#: TruthValue of pethPsePortAdminEnable.
ENABLE, DISABLE = 1, 2

#: pethPsePortDetectionStatus.
DELIVERING = 3
STATUS: Mapping[int, str] = {
    1: "disabled",
    2: "searching: it finds no powered device (cable, PoE HAT)",
    DELIVERING: "deliveringPower",
    4: "fault",
    5: "test mode",
    6: "otherFault: the powered device is faulty",
}

#: Counters of pethPsePortEntry, and what it means for a port that was just told to switch on when one has gone up.
COUNTERS: Mapping[int, str] = {
    12: "denied, power budget",
    13: "overload: the board draws more than its class allows",
    14: "short circuit",
    11: "invalid signature: what hangs on it is no powered device",
}
ADMIN, DETECTION, CLASS = 3, 6, 10


@dataclass(frozen=True)
class Port:
    """One port of a switch. group: of a stack, 1 on most switches; index: the number on its front, on most switches."""

    group: int
    index: int

    def column(self, number: int) -> Oid:
        return (*PORT_ENTRY, number, self.group, self.index)

    @property
    def admin(self) -> Oid:
        return self.column(ADMIN)

    @property
    def needed(self) -> list[Oid]:
        """What tells its state: a switch without these has no such port."""
        return [self.admin, self.column(DETECTION)]

    @property
    def wanted(self) -> list[Oid]:
        """What tells a cause besides; many switches lack some of them."""
        main = [(*MAIN_ENTRY, column, self.group) for column in (2, 3, 4)]
        return [*(self.column(number) for number in COUNTERS), self.column(CLASS), *main]


@dataclass(frozen=True)
class Reading:
    """What the switch said of one port. Values that it lacks are None; watts for power and used."""

    admin: int | None
    status: int | None
    counters: Mapping[int, int]
    power_class: int | None = None
    power: int | None = None
    main_status: int | None = None
    used: int | None = None

    @classmethod
    def of(cls, port: Port, values: Mapping[Oid, int]) -> "Reading":
        """values: what could be read, by object."""
        main = [values.get((*MAIN_ENTRY, column, port.group)) for column in (2, 3, 4)]
        counters = {number: values[oid] for number in COUNTERS if (oid := port.column(number)) in values}
        return cls(
            values.get(port.admin), values.get(port.column(DETECTION)), counters, values.get(port.column(CLASS)), *main
        )

    @property
    def state(self) -> State:
        """on: it delivers power; off: it does not and may not; unknown: it may at any moment (it searches, say)."""
        if self.status == DELIVERING:
            return "on"
        return "off" if self.admin == DISABLE and self.status in STATUS else "unknown"

    @property
    def words(self) -> str:
        """For people: "searching: …, enabled"."""
        status = STATUS.get(self.status or 0, f"detection status {self.status}, which RFC 3621 does not know")
        enabled = {ENABLE: "enabled", DISABLE: "disabled"}.get(self.admin or 0, f"admin value {self.admin}")
        if self.status == DELIVERING:
            # The class is only valid while power is delivered (RFC 3621); 1 stands for class 0.
            kind = f", class {self.power_class - 1}" if self.power_class else ""
            return f"{status}{kind}{'' if self.admin == ENABLE else ', ' + enabled}"
        return status if self.status == 1 and self.admin == DISABLE else f"{status}, {enabled}"

    def cause(self, before: "Reading | None") -> str:
        """Why a port that was told to switch on does not deliver; "" when nothing says so. before: read before the order."""
        if self.main_status == 3:
            return f"the switch's power supply is faulty{self._budget}"
        for number, meaning in COUNTERS.items():
            if before is not None and self.counters.get(number, 0) > before.counters.get(number, 0):
                return meaning + (self._budget if number == 12 else "")
        if self.main_status == 2:
            return f"the switch's power supply is off{self._budget}"
        return ""

    @property
    def _budget(self) -> str:
        if self.power is None or self.used is None:
            return ""
        return f" ({self.used} of {self.power} W in use)"
