# SPDX-License-Identifier: GPL-2.0-or-later
"""What a board's firmware makes of the OFFERs that it hears, by the emulator's rules: EEPROM, boot ROM, bootcode.bin."""

from harness.emulator import bootrom, bootrom_dhcp, bootrom_net, dhcp, lease
from harness.emulator.effects import Send
from harness.emulator.packets import NO_IP, Datagram, read_udp
from harness.emulator.stack import START4
from harness.inspection.netboot.pi import Pi


class Eeprom:
    """The EEPROM bootloader: OFFERs are merged (harness.emulator.lease)."""

    def __init__(self, pi: Pi) -> None:
        self._m = pi.machine
        self._m.stack.ip = NO_IP
        self.xid = self._m.rng.getrandbits(32)
        self.offers = lease.Offers(given=self._m.eeprom.tftp_ip)
        self.offers.boot = self._m.eeprom.tftp_ip or NO_IP

    def discover(self) -> bytes:
        return lease.broadcast(
            self._m, dhcp.discover(self._m.identity, self.xid, class_last=self._m.release.class_last)
        ).frame

    def hear(self, frame: bytes, _seconds: float) -> None:
        found = _for(self._m.identity.mac, frame)
        reply = dhcp.read(found.payload) if found is not None and found.dport == dhcp.CLIENT_PORT else None
        if found is None or reply is None or reply.xid != self.xid or reply.chaddr != self._m.identity.mac:
            return
        if reply.kind == dhcp.OFFER:
            lease.merge(self._m, self.offers, found, reply)

    @property
    def enough(self) -> bool:
        return self.offers.enough

    @property
    def address(self) -> bytes:
        return self.offers.lease.yiaddr if self.offers.lease is not None else NO_IP

    @property
    def mask(self) -> bytes:
        return self.offers.lease.address(1) if self.offers.lease is not None else NO_IP

    @property
    def gateway(self) -> bytes:
        return self.offers.lease.address(3) if self.offers.lease is not None else NO_IP

    @property
    def server(self) -> bytes:
        return self.offers.boot


class Rom:
    """The boot ROM, or bootcode.bin: no REQUEST; the old ROM acts on an OFFER only when a packet comes a second later."""

    xid = bootrom_dhcp.XID

    def __init__(self, pi: Pi, program: str) -> None:
        self._m = pi.machine
        client = bootrom_dhcp.BOOTCODE
        if program == "rom":
            client = bootrom_dhcp.client_of(pi.settings.model.name, strict=pi.settings.otp.strict)
        self._client = client
        self._m.stack.use(START4)
        self._m.stack.ip = NO_IP
        self._offers = bootrom_dhcp.Offers(client)
        self._woken = False

    def discover(self) -> bytes:
        sent = bootrom_net.send_discover(self._m, self._client)
        assert isinstance(sent, Send)  # noqa: S101
        return sent.frame

    def hear(self, frame: bytes, seconds: float) -> None:
        mac = self._m.identity.mac
        if frame[:6] not in (mac, b"\xff" * 6):
            return
        found = _for(mac, frame)
        reply = bootrom_dhcp.reply_to(self._m.identity, found) if found is not None else None
        if reply is not None and found is not None:
            self._offers.take(reply, found.src)
        self._woken = self._woken or (self._offers.enough and seconds >= bootrom.PATIENCE)

    @property
    def enough(self) -> bool:
        return self._offers.enough and (self._client.hears_early or self._woken)

    @property
    def address(self) -> bytes:
        return self._offers.ip

    @property
    def mask(self) -> bytes:
        return self._offers.mask

    @property
    def gateway(self) -> bytes:
        return self._offers.gateway if self._client.routes else NO_IP

    @property
    def server(self) -> bytes:
        return self._offers.server


def _for(mac: bytes, frame: bytes) -> Datagram | None:
    """The datagram in a frame to this board or to all."""
    if frame[:6] not in (mac, b"\xff" * 6):
        return None
    found = read_udp(frame)
    return found if isinstance(found, Datagram) else None


def taking_of(pi: Pi, program: str) -> Eeprom | Rom:
    """program: "eeprom", "rom" or "bootcode.bin"."""
    return Eeprom(pi) if program == "eeprom" else Rom(pi, program)


def off_its_network(taking: Eeprom | Rom) -> bool:
    """Whether the board would have no way to the TFTP server: it is elsewhere, and the offer names no router, or who asks is the
    old boot ROM, which knows none.
    """
    if NO_IP in (taking.mask, taking.address, taking.server) or taking.gateway != NO_IP:
        return False
    return any((a ^ b) & m for a, b, m in zip(taking.address, taking.server, taking.mask, strict=True))
