# SPDX-License-Identifier: GPL-2.0-or-later
"""The parts of a boot record that the wire tells: one DHCP exchange, one TFTP transfer, one HTTP request, each with its result.

Times are epoch seconds, durations seconds, sizes octets.
"""

from typing import Literal

from harness.boot.part import Part


class DhcpStep(Part):
    """One message of an exchange, for the record: option values as hex; hops and giaddr are not 0 behind a relay agent."""

    t: float
    packet: int
    type: str
    src_ip: str
    src_mac: str
    yiaddr: str = "0.0.0.0"  # noqa: S104 - "unset" in BOOTP, nothing is bound
    siaddr: str = "0.0.0.0"  # noqa: S104
    server_id: str | None = None
    hops: int = 0
    giaddr: str = "0.0.0.0"  # noqa: S104
    length: int = 0
    options: tuple[tuple[int, str], ...] = ()


class DhcpExchange(Part):
    """One DHCP transaction of one client stage.

    client: what kind of program asked: "firmware" (the boot ROM or bootloader of a Pi), "os" (a kernel, initramfs or operating
    system), "uefi", "ipxe", "u-boot" or "pxe" (another machine's network card). asked_by: which program, "rom",
    "bootcode.bin", "eeprom", "klibc", "kernel", "udhcpc" ...; "" when not known. result: "ack", "nak", "offer only" (a boot
    ROM never sends REQUEST), "no answer", "incomplete".
    tftp_from: "option 66" or "option 43", whichever named the TFTP server.
    """

    client: str
    xid: int
    mac: str
    asked_by: str = ""
    start: float
    end: float
    duration_s: float
    result: str
    address: str | None = None
    server: str | None = None
    tftp_server: str | None = None
    tftp_from: str | None = None
    vendor_class: str = ""
    servers_seen: tuple[str, ...] = ()
    discovers: int = 0
    messages: tuple[DhcpStep, ...] = ()


class TftpTransfer(Part):
    """One TFTP read (RFC 1350, 2347-2349).

    result: "complete" (the last DATA block was acknowledged), "not found", "refused" (another ERROR of the server),
    "early terminate" (a probe: the client only asked whether the file is there), "client error", "timeout" (given
    up), "incomplete" (the capture ends in it). kind: "get", or "probe" (ended by the client on purpose after OACK or
    the first block). bytes: of file content that was acknowledged; blocks: DATA blocks without repetitions;
    retransmissions: repeated DATA and RRQ, and repeated ACK that asked for a lost block again, and DATA that
    came so late that it had been lost before. path: as on the wire; asked_by: "rom", "bootcode.bin",
    "start.elf", "eeprom", "start4.elf", "u-boot", "uefi", "ipxe", "os", or "" when not known.
    """

    path: str
    result: str
    kind: Literal["get", "probe"]
    client_ip: str
    server_ip: str
    client_port: int
    server_port: int | None = None
    asked_by: str = ""
    start: float
    end: float
    duration_s: float
    bytes: int = 0
    tsize: int | None = None
    blksize: int = 512
    oack: bool = False
    options: tuple[tuple[str, str], ...] = ()
    blocks: int = 0
    retransmissions: int = 0
    throughput: float | None = None
    sha256: str | None = None
    error_code: int | None = None
    error_text: str = ""
    first_packet: int
    last_packet: int

    @property
    def size(self) -> int:
        """Octets delivered."""
        return self.bytes

    @property
    def complete(self) -> bool:
        return self.result == "complete"


class HttpFetch(Part):
    """One HTTP request of a board and its answer (RFC 9110, 9112): boot mode 7 of an EEPROM, or another program's.

    result: "complete" (the last octet of the body was acknowledged), "not found" (404), "refused" (another status that is no
    success), "no server" (nobody listens at the port), "no answer", "no connection" (the client did not take the server's SYN),
    "client error" (the client gave up), "timeout", "incomplete".
    status: None without an answer; length: as announced, None when not; bytes: of the body, acknowledged. asked_by, by its
    User-Agent: "eeprom" (rpiboot), "uefi", "ipxe", "u-boot", "os" for any other; "" where no request was made. method: "" then.
    """

    path: str
    method: str = "GET"
    host: str = ""
    agent: str = ""
    asked_by: str = ""
    result: str
    status: int | None = None
    status_text: str = ""
    client_ip: str
    client_port: int
    server_ip: str
    server_port: int
    start: float
    end: float
    duration_s: float
    bytes: int = 0
    length: int | None = None
    retransmissions: int = 0
    throughput: float | None = None
    sha256: str | None = None
    first_packet: int
    last_packet: int

    @property
    def size(self) -> int:
        """Octets delivered."""
        return self.bytes

    @property
    def complete(self) -> bool:
        return self.result == "complete"
