# SPDX-License-Identifier: GPL-2.0-or-later
"""One board between power-on and power-off: who it is, how it is configured, and the state its programs share."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from harness.emulator.configtxt import Conditions
from harness.emulator.dhcp import Identity
from harness.emulator.eeprom import Eeprom
from harness.emulator.effects import Sleep, Steps
from harness.emulator.fatdisk import FatDisk
from harness.emulator.otp import Otp
from harness.emulator.packets import NO_IP
from harness.emulator.releases import Release
from harness.emulator.stack import Stack
from harness.emulator.uart import Uart
from harness.models import Model

#: Speed scales what the hardware takes; below this many seconds a pause is left as it is, so that a board that
#: restarts for ever does not keep a processor busy.
_SHORTEST = 0.02


@dataclass(slots=True)
class Machine:
    """clock: monotonic seconds; rng: source of xids and ports; speed: divides the delays of the hardware.

    server, server_mac: where the files are, once DHCP and ARP have found it; prefix: "91cdf03d/" or ""; port: the next
    source port, 0 for none chosen; disconnects: files that timed out; ramdisk: boot.img
    once it is loaded; notes: what was met and is not emulated; repeats: what start*.elf makes of a repeated DATA block,
    "answered" or "hang".
    """

    model: Model
    identity: Identity
    eeprom: Eeprom
    release: Release
    clock: Callable[[], float]
    rng: random.Random
    speed: float = 1.0
    otp: Otp = Otp()  # noqa: RUF009 - immutable
    repeats: str = "answered"
    prefix: str = ""
    server: bytes = NO_IP
    server_mac: bytes = b""
    port: int = 0
    disconnects: int = 0
    ramdisk: FatDisk | None = None
    notes: list[str] = field(default_factory=list)
    stack: Stack = field(init=False)
    uart: Uart = field(init=False)
    _start: float = field(init=False)
    _skipped: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        self.stack = Stack(self.identity.mac)
        self.reset()
        self.uart = Uart(self.release, self.seconds, enabled=self.eeprom.boot_uart)

    def reset(self) -> None:
        """Power-on or warm reset: the board's clock starts at zero and the network is forgotten."""
        self._start = self.clock()
        self._skipped = 0.0
        self.forget_network()

    def forget_network(self) -> None:
        self.stack = Stack(self.identity.mac)
        self.server, self.server_mac, self.prefix = NO_IP, b"", ""
        self.port = self.disconnects = 0
        self.ramdisk = None
        self.notes.clear()

    def seconds(self) -> float:
        """Seconds since reset as the board's clock shows them: the time that `speed` saved is counted."""
        return self.clock() - self._start + self._skipped

    def takes(self, seconds: float) -> Steps[None]:
        """The hardware needs that long (on a real board)."""
        shorter = max(seconds / self.speed, min(seconds, _SHORTEST))
        yield Sleep(self.clock() + shorter)
        self._skipped += seconds - shorter

    def until(self, seconds: float) -> Steps[None]:
        """The hardware is busy until the board's clock shows that time."""
        if seconds > self.seconds():
            yield from self.takes(seconds - self.seconds())

    def wait(self, seconds: float) -> Steps[None]:
        """A wait of the protocol: real seconds at any speed."""
        yield Sleep(self.clock() + seconds)

    def conditions(self) -> Conditions:
        return Conditions(model=self.model.name, serial=self.identity.serial)
