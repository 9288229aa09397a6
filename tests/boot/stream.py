# SPDX-License-Identifier: GPL-2.0-or-later
"""Event streams of boots, written by hand: what the gear would say of a Pi 4 that boots from 10.77.0.1."""

from dataclasses import replace

from harness.boot.events import (
    DhcpMessage,
    Ended,
    Event,
    FirstFrame,
    Milestone,
    NfsMount,
    PowerEdge,
    RootConnect,
    TransferEnded,
    TransferStarted,
)
from harness.boot.expect import Expectation, ExpectedServer
from harness.boot.record import TftpTransfer

T0 = 1_790_000_000.0
MAC = "e4:5f:01:09:02:f7"
SERVER = "10.77.0.1"
CLASS = b"PXEClient:Arch:00000:UNDI:002001"
MENU = bytes.fromhex("060103 0a0400505845 0914000011") + b"Raspberry Pi Boot\xff"
BUDGETS = {
    "power": 5.0,
    "link": 20.0,
    "dhcp": 15.0,
    "firmware": 60.0,
    "kernel": 30.0,
    "initramfs": 60.0,
    "root": 60.0,
    "userspace": 90.0,
    "login": 20.0,
}


def expectation(**changes: object) -> Expectation:
    base = Expectation(
        board="pi4-a",
        model="pi4",
        serial_number="91cdf03d",
        mac=MAC,
        budgets=BUDGETS,
        login_user="root",
        server=ExpectedServer(
            dhcp=(SERVER,), tftp=SERVER, prefix="91cdf03d/", root_kind="nfs", root_source=f"{SERVER}:/srv/nfs/91cdf03d"
        ),
    )
    return base.model_copy(update=changes)


def dhcp(t: float, packet: int, type_: str, **changes: object) -> DhcpMessage:
    client = type_ in {"DISCOVER", "REQUEST"}
    message = DhcpMessage(
        t=T0 + t,
        packet=packet,
        type=type_,
        xid=0x12345678,
        chaddr=MAC,
        src_mac=MAC if client else "02:00:00:00:00:01",
        src_ip="0.0.0.0" if client else SERVER,
        dst_ip="255.255.255.255",
        ciaddr="0.0.0.0",
        yiaddr="0.0.0.0" if client else "10.77.0.50",
        siaddr="0.0.0.0" if client else SERVER,
        giaddr="0.0.0.0",
        hops=0,
        secs=0,
        flags=0,
        ttl=64,
        ip_id=0x506C,
        udp_checksum=1,
        src_port=68 if client else 67,
        dst_port=67 if client else 68,
        length=322,
        options=((60, CLASS),) if client else ((54, bytes([10, 77, 0, 1])), (60, b"PXEClient"), (43, MENU)),
    )
    return replace(message, **changes)  # type: ignore[arg-type]


def transfer(t: float, packet: int, path: str, result: str = "complete", **changes: object) -> list[Event]:
    done = result == "complete"
    ended = TftpTransfer(
        path=path,
        result=result,
        kind="probe" if result == "early terminate" else "get",
        client_ip="10.77.0.50",
        server_ip=SERVER,
        client_port=49153,
        start=T0 + t,
        end=T0 + t + 0.1,
        duration_s=0.1,
        bytes=1000 if done else 0,
        oack=done,
        error_code=1 if result == "not found" else None,
        error_text="File not found" if result == "not found" else "",
        first_packet=packet,
        last_packet=packet + 3,
    ).model_copy(update=changes)
    started = TransferStarted(
        t=T0 + t,
        packet=packet,
        path=path,
        client_ip="10.77.0.50",
        client_port=49153,
        server_ip=SERVER,
        ttl=64,
        ip_id=0x5070,
    )
    return [started, TransferEnded(t=ended.end, transfer=ended)]


def line(t: float, number: int, name: str, text: str = "", **fields: str) -> Milestone:
    return Milestone(t=T0 + t, line=number, name=name, text=text or name, fields=fields)


def power_on() -> list[Event]:
    return [PowerEdge(t=T0, on=True, phase="asked"), PowerEdge(t=T0 + 0.2, on=True, phase="confirmed")]


def network() -> list[Event]:
    return [
        line(5.2, 9, "net.link_ready"),
        FirstFrame(t=T0 + 5.3, packet=1, mac=MAC, ethertype=0x0800),
        dhcp(5.3, 1, "DISCOVER"),
        dhcp(5.4, 2, "OFFER"),
        dhcp(5.5, 3, "REQUEST"),
        dhcp(5.6, 4, "ACK"),
    ]


def files() -> list[Event]:
    return [
        *transfer(5.8, 10, "91cdf03d/start4.elf", "early terminate"),
        *transfer(6.0, 20, "91cdf03d/config.txt"),
        *transfer(6.2, 25, "91cdf03d/recovery.elf", "not found"),
        *transfer(6.4, 30, "91cdf03d/start4.elf"),
        *transfer(7.0, 90, "91cdf03d/bcm2711-rpi-4-b.dtb"),
        *transfer(7.5, 100, "91cdf03d/kernel8.img"),
    ]


def system() -> list[Event]:
    return [
        line(8.0, 40, "kernel.start", "[    0.000000] Booting Linux on physical CPU 0x0"),
        line(10.0, 80, "kernel.init", "Run /init as init process"),
        line(12.0, 90, "initramfs.mount_root"),
        RootConnect(t=T0 + 13.0, packet=900, protocol="nfs", server_ip=SERVER, port=2049),
        NfsMount(t=T0 + 13.1, packet=910, server_ip=SERVER, path="/srv/nfs/91cdf03d", status=0),
        line(14.0, 95, "initramfs.mount_done"),
        line(15.0, 99, "systemd.start"),
        line(40.0, 200, "login.prompt", "pi login:", hostname="pi"),
        line(41.0, 205, "shell.prompt"),
        line(41.5, 206, "probe.value", key="kernel_release", value="6.1.0-arm64"),
        line(41.6, 207, "probe.value", key="failed_units", value=""),
    ]


def good_boot() -> list[Event]:
    return [*power_on(), *network(), *files(), *system(), Ended(t=T0 + 42.0, reason="login")]
