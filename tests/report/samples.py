# SPDX-License-Identifier: GPL-2.0-or-later
"""Boot records for the report's tests, built in code: a good Pi 4 boot with realistic figures, failed ones, hostile ones."""

import hashlib
import json
from pathlib import Path

from harness.boot.record import (
    BootRecord,
    CaptureInfo,
    ConsoleInfo,
    DhcpExchange,
    DhcpStep,
    Evidence,
    Finding,
    HttpFetch,
    MilestoneSeen,
    OsSeen,
    RootSeen,
    Stage,
    TftpTransfer,
)
from tests.boot.stream import BUDGETS

T0 = 1_795_550_400.25  # power-on; 2026-11-24
SERIAL, MAC, SERVER, ADDRESS = "91cdf03d", "dc:a6:32:0b:91:cd", "10.77.0.1", "10.77.0.50"

# start and end of every stage of a good boot, seconds after power-on (shape of the fact sheet: NETWORK at 2.5 s, link at 5.2 s)
GOOD = {
    "power": (0.0, 0.412),
    "link": (0.412, 5.231),
    "dhcp": (5.231, 5.318),
    "firmware": (5.318, 13.902),
    "kernel": (13.902, 16.511),
    "initramfs": (16.511, 22.874),
    "root": (22.874, 24.105),
    "userspace": (24.105, 45.730),
    "login": (45.730, 46.388),
}
# (path, what: P probe, G get, N not found; octets; seconds; asked by), in the order that a Pi 4 asks
FILES: tuple[tuple[str, str, int, float, str], ...] = (
    ("start4.elf", "P", 0, 0.002, "eeprom"),
    ("config.txt", "G", 1540, 0.004, "eeprom"),
    ("pieeprom.sig", "N", 0, 0.001, "eeprom"),
    ("recover4.elf", "N", 0, 0.001, "eeprom"),
    ("recovery.elf", "N", 0, 0.001, "eeprom"),
    ("start4.elf", "G", 2_264_000, 0.71, "eeprom"),
    ("fixup4.dat", "G", 5448, 0.006, "eeprom"),
    ("recovery.elf", "N", 0, 0.001, "start4.elf"),
    ("config.txt", "P", 0, 0.002, "start4.elf"),
    ("config.txt", "G", 1540, 0.004, "start4.elf"),
    ("dt-blob.bin", "N", 0, 0.001, "start4.elf"),
    ("recovery.elf", "N", 0, 0.001, "start4.elf"),
    ("config.txt", "P", 0, 0.002, "start4.elf"),
    ("config.txt", "G", 1540, 0.004, "start4.elf"),
    ("bootcfg.txt", "N", 0, 0.001, "start4.elf"),
    ("initrd.img-6.12.48+deb13-arm64", "P", 0, 0.002, "start4.elf"),
    ("initrd.img-6.12.48+deb13-arm64", "G", 6_212_344, 1.44, "start4.elf"),
    ("bcm2711-rpi-4-b.dtb", "P", 0, 0.002, "start4.elf"),
    ("bcm2711-rpi-4-b.dtb", "G", 54_881, 0.019, "start4.elf"),
    ("overlays/overlay_map.dtb", "N", 0, 0.001, "start4.elf"),
    ("config.txt", "P", 0, 0.002, "start4.elf"),
    ("config.txt", "G", 1540, 0.004, "start4.elf"),
    ("overlays/disable-bt.dtbo", "P", 0, 0.002, "start4.elf"),
    ("overlays/disable-bt.dtbo", "G", 1073, 0.004, "start4.elf"),
    ("cmdline.txt", "P", 0, 0.002, "start4.elf"),
    ("cmdline.txt", "G", 181, 0.003, "start4.elf"),
    ("recovery8.img", "N", 0, 0.001, "start4.elf"),
    ("kernel8.img", "P", 0, 0.002, "start4.elf"),
    ("kernel8.img", "P", 0, 0.002, "start4.elf"),
    ("armstub8-gic.bin", "N", 0, 0.001, "start4.elf"),
    ("kernel8.img", "G", 27_394_048, 4.62, "start4.elf"),
)


def stages(spans: dict[str, tuple[float, float]] = GOOD, lines: dict[str, int] | None = None) -> tuple[Stage, ...]:
    made = []
    for name, (start, end) in spans.items():
        over = end - start > BUDGETS[name]
        line = (lines or CONSOLE_LINES).get(name)
        evidence: tuple[Evidence, ...] = ()
        if line:
            evidence = (Evidence(source="console", ref=line, t=T0 + end, text=CONSOLE[line - 1]),)
        elif name == "power":
            evidence = (Evidence(source="power", ref=2, t=T0 + end, text="on confirmed"),)
        elif name == "link":
            evidence = (Evidence(source="packet", ref=1, t=T0 + end, text="first frame of dc:a6:32:0b:91:cd"),)
        elif name == "dhcp":
            evidence = (Evidence(source="packet", ref=4, t=T0 + end, text="ACK 10.77.0.50 from 10.77.0.1"),)
        made.append(
            Stage(
                name=name,
                start=T0 + start,
                end=T0 + end,
                duration_s=round(end - start, 6),
                budget_s=BUDGETS[name],
                verdict="late" if over else "passed",
                evidence=evidence,
            )
        )
    return tuple(made)


def exchange(client: str, at: float, first: int, vendor: str, result: str = "ack") -> DhcpExchange:
    def step(kind: str, dt: float, n: int) -> DhcpStep:
        ours = kind in {"DISCOVER", "REQUEST"}
        options = [(53, {"DISCOVER": "01", "OFFER": "02", "REQUEST": "03", "ACK": "05"}[kind])]
        if ours:
            options += [(55, "0103062b3c43424361"), (60, vendor.encode().hex()), (93, "0000"), (97, "00345250690000")]
        else:
            options += [
                (54, "0a4d0001"),
                (51, "00000e10"),
                (1, "ffffff00"),
                (3, "0a4d0001"),
                (66, "31302e37372e302e3100"),
            ]
        return DhcpStep(
            t=T0 + at + dt,
            packet=first + n,
            type=kind,
            src_ip="0.0.0.0" if ours else SERVER,
            src_mac=MAC if ours else "02:00:00:00:00:01",
            yiaddr="0.0.0.0" if ours else ADDRESS,
            siaddr="0.0.0.0" if ours else SERVER,
            server_id=None if ours else SERVER,
            options=tuple(options),
        )

    steps = tuple(
        step(kind, dt, n)
        for n, (kind, dt) in enumerate((("DISCOVER", 0), ("OFFER", 0.0021), ("REQUEST", 0.0843), ("ACK", 0.0869)))
    )
    return DhcpExchange(
        client=client,
        asked_by={"firmware": "eeprom", "os": "klibc"}[client],
        xid=0x2611B3F1,
        mac=MAC,
        start=T0 + at,
        end=T0 + at + 0.0869,
        duration_s=0.0869,
        result=result,
        address=ADDRESS,
        server=SERVER,
        tftp_server=SERVER,
        tftp_from="option 66",
        vendor_class=vendor,
        servers_seen=(SERVER,),
        discovers=1,
        messages=steps,
    )


def transfers(prefix: str = SERIAL + "/", at: float = 5.34) -> tuple[TftpTransfer, ...]:
    made, packet, port = [], 7, 49152
    for path, what, octets, seconds, asked_by in FILES:
        blocks = octets // 1468 + 1 if octets else 0
        last = packet + (2 * blocks + 1 if what == "G" else 2)
        made.append(
            TftpTransfer(
                path=prefix + path,
                result={"P": "early terminate", "G": "complete", "N": "not found"}[what],
                kind="probe" if what == "P" else "get",
                client_ip=ADDRESS,
                server_ip=SERVER,
                client_port=port,
                server_port=34112 + len(made),
                asked_by=asked_by,
                start=T0 + at,
                end=T0 + at + seconds,
                duration_s=seconds,
                bytes=octets,
                tsize=octets or None,
                blksize=1468,
                oack=what != "N",
                options=(("tsize", "0"), ("blksize", "1468")),
                blocks=blocks,
                retransmissions=3 if path == "kernel8.img" and what == "G" else 0,
                throughput=octets / seconds if octets else None,
                sha256=hashlib.sha256(path.encode()).hexdigest() if what == "G" else None,
                error_code={"P": 0, "N": 1}.get(what),
                error_text={"P": "Early terminate", "N": f"file /srv/tftp/{prefix}{path} not found"}.get(what, ""),
                first_packet=packet,
                last_packet=last,
            )
        )
        packet, port = last + 1, port + 1
        at += seconds + (0.35 if path == "fixup4.dat" else 0.03)
    return tuple(made)


def fetches(at: float = 5.4) -> tuple[HttpFetch, ...]:
    """boot.sig there, boot.img twice: refused, then delivered."""

    def fetch(name: str, dt: float, first: int, size: int, status: int = 200) -> HttpFetch:
        return HttpFetch(
            path=f"/net_install/{name}",
            host=SERVER,
            agent="rpiboot/1.0 (d03114; version:5f18ffb6 timestamp:1722344555)",
            asked_by="eeprom",
            result="complete" if status == 200 else "refused",
            status=status,
            status_text={200: "OK", 503: "Busy"}[status],
            client_ip=ADDRESS,
            client_port=40000,
            server_ip=SERVER,
            server_port=80,
            start=T0 + at + dt,
            end=T0 + at + dt + 1.5,
            duration_s=1.5,
            bytes=size,
            length=size,
            throughput=size / 1.5 if size else None,
            sha256="ab" * 32 if size else None,
            first_packet=first,
            last_packet=first + 9,
        )

    return fetch("boot.sig", 0, 10, 300), fetch("boot.img", 2, 30, 0, 503), fetch("boot.img", 4, 60, 43_000_000)


def _console() -> tuple[tuple[str, ...], dict[str, int]]:
    """Lines of a good boot and the line that ends each stage (1-based)."""
    lines: list[str] = []
    marks: dict[str, int] = {}

    def say(text: str, stage: str = "") -> None:
        lines.append(text)
        if stage:
            marks[stage] = len(lines)

    say("  0.07 RPi: BOOTSYS release VERSION:5f18ffb6 DATE: 2024/07/30 TIME: 14:02:35")
    say("  2.12 RPi: BOOTLOADER release VERSION:5f18ffb6 DATE: 2024/07/30 TIME: 14:02:35")
    say("  2.52 Boot mode: NETWORK (02) order f2")
    say("  2.40 NETWORK: dc:a6:32:0b:91:cd wait for link TFTP: 0.0.0.0")
    say("  5.21 LINK STATUS: speed: 1000 full duplex")
    say("  5.22 Link ready")
    say("  5.31 NET 10.77.0.50 255.255.255.0 gw 10.77.0.1 tftp 10.77.0.1")
    for name, what, octets, _, _ in FILES:
        say(f"TFTP_GET: 02:00:00:00:00:01 10.77.0.1 {SERIAL}/{name}")
        say(f"TFTP: complete {octets}" if what == "G" else "TFTP 1: file not found" if what == "N" else "TFTP: probe")
    say("Starting start4.elf @ 0xfec00200 partition 0", "firmware")
    say("[    0.000000] Booting Linux on physical CPU 0x0000000000 [0x410fd083]")
    say("[    0.000000] Linux version 6.12.48+deb13-arm64 (debian-kernel@lists.debian.org)")
    for n in range(180):
        say(f"[    0.{n:06d}] pci 0000:00:01.{n % 8}: BAR {n % 6} [mem 0x10{n:06x}-0x10{n + 4095:06x}]: assigned")
    say("[    2.591733] Run /init as init process", "kernel")
    say("Begin: Running /scripts/nfs-top ... done.")
    say("IP-Config: eth0 hardware address dc:a6:32:0b:91:cd mtu 1500 DHCP")
    say("IP-Config: eth0 complete (dhcp from 10.77.0.1):", "initramfs")
    say("[    9.103442] VFS: Mounted root (nfs filesystem) on device 0:17.", "root")
    for n in range(220):
        say(f"[\x1b[0;32m  OK  \x1b[0m] Started \x1b[0;1;39munit-{n:03d}.service\x1b[0m - Unit number {n}.")
    say("Debian GNU/Linux 13 pi4 ttyAMA0")
    say("")
    say("pi4 login: ", "userspace")
    say("Password: ")
    say("root@pi4:~# ", "login")
    return tuple(lines), marks


CONSOLE, CONSOLE_LINES = _console()
MARK_NAMES = {
    "firmware": "start4",
    "kernel": "init",
    "initramfs": "ip-config",
    "root": "root-mounted",
    "userspace": "login-prompt",
    "login": "shell",
}

MACHINE = {
    "qemu": "QEMU emulator version 7.2.22",
    "machine": "virt",
    "cpu": "cortex-a72",
    "memory_mb": 512,
    "kernel_sha256": "5d2f" * 16,
    "changes": [
        "device tree: QEMU's own for `virt`, not the delivered bcm2711-rpi-4-b.dtb (checked as a file)",
        "command line: console=ttyAMA0 appended",
    ],
}


def good(board: str = "pi4-bench", **changes: object) -> BootRecord:
    milestones = tuple(
        MilestoneSeen(name=MARK_NAMES[s], t=T0 + GOOD[s][1], line=n, text=CONSOLE[n - 1])
        for s, n in CONSOLE_LINES.items()
    )
    record = BootRecord(
        harness_version="0.1.0",
        board=board,
        model="pi4",
        serial_number="10000000" + SERIAL,
        mac=MAC,
        started=T0 - 0.9,
        ended=T0 + 46.4,
        duration_s=47.3,
        verdict="passed",
        stages=stages(),
        dhcp=(exchange("firmware", 5.231, 1, "PXEClient:Arch:00000:UNDI:002001"), exchange("os", 20.4, 49873, "")),
        tftp=transfers(),
        root=RootSeen(
            protocol="nfs",
            server=SERVER,
            path=f"/srv/nfs/{SERIAL}",
            status=0,
            source=f"{SERVER}:/srv/nfs/{SERIAL}",
            fstype="nfs",
        ),
        os=OsSeen(
            kernel_release="6.12.48+deb13-arm64",
            cmdline="console=serial0,115200 root=/dev/nfs nfsroot=10.77.0.1:/srv/nfs/91cdf03d,vers=3,tcp rw ip=dhcp",
            state="running",
            failed_units=(),
        ),
        milestones=milestones,
        capture=CaptureInfo(
            packets=52_114, received=52_114, dropped=0, interface="tap-0", filter="ether host dc:a6:32:0b:91:cd"
        ),
        console=ConsoleInfo(bytes=sum(len(line) + 2 for line in CONSOLE), lines=len(CONSOLE)),
        machine=MACHINE,
        artefacts={"capture": "capture.pcapng", "console": "console.log", "dnsmasq": "../servers/dnsmasq.log"},
    )
    return record.model_copy(update=changes)


def late(board: str = "pi4-attic") -> BootRecord:
    """Everything came, but the files took 71 s: over the firmware's budget of 60 s."""
    spans = dict(GOOD, firmware=(5.318, 76.4))
    shift = 76.4 - 13.902
    for name in ("kernel", "initramfs", "root", "userspace", "login"):
        spans[name] = (GOOD[name][0] + shift, GOOD[name][1] + shift)
    warning = Finding(
        id="tftp-slow",
        title="TFTP is slow: 500 kB/s",
        stage="firmware",
        who="network",
        severity="warning",
        remedy="Look for packet loss on the switch port; a Pi 4 reaches 2 MB/s and more.",
        evidence=(Evidence(source="packet", ref=7, text="first read request"),),
    )
    return good(board, stages=stages(spans), ended=T0 + 109, duration_s=110, findings=(warning,), machine=None)


def failed_dhcp(board: str = "pi4-roof") -> BootRecord:
    """Nobody answers: DISCOVERs at doubling distance, then the deadline."""
    tries = (5.23, 6.23, 8.24, 12.25, 20.26, 29.9)
    step = exchange("firmware", 5.23, 1, "PXEClient:Arch:00000:UNDI:002001").messages[0]
    silent = exchange("firmware", 5.23, 1, "PXEClient:Arch:00000:UNDI:002001", "no answer").model_copy(
        update={
            "messages": tuple(step.model_copy(update={"t": T0 + t, "packet": n + 1}) for n, t in enumerate(tries)),
            "address": None,
            "server": None,
            "tftp_server": None,
            "tftp_from": None,
            "servers_seen": (),
            "discovers": len(tries),
            "duration_s": 30.0,
        }
    )
    done = stages({name: GOOD[name] for name in ("power", "link")}, {})
    broken = Stage(
        name="dhcp",
        start=T0 + 5.231,
        end=T0 + 35.231,
        duration_s=30.0,
        budget_s=15.0,
        verdict="failed",
        evidence=(Evidence(source="packet", ref=6, t=T0 + 29.9, text="DISCOVER, the 6th, unanswered"),),
        note="no OFFER within 30 s",
    )
    rest = tuple(Stage(name=n, budget_s=BUDGETS[n]) for n in list(GOOD)[3:])
    fault = Finding(
        id="dhcp-no-answer",
        title="No DHCP server answered the board",
        stage="dhcp",
        who="server",
        remedy="Start dnsmasq on 10.77.0.1 (systemctl start dnsmasq) and see that it listens on the board's network.",
        evidence=(
            Evidence(source="packet", ref=1, t=T0 + 5.23, text="DISCOVER from dc:a6:32:0b:91:cd"),
            Evidence(source="packet", ref=6, t=T0 + 29.9, text="DISCOVER, the 6th, unanswered"),
            Evidence(source="console", ref=6, text="  5.22 Link ready"),
        ),
    )
    return good(
        board,
        verdict="failed(dhcp)",
        failed_stage="dhcp",
        reason="The board sent 6 DISCOVERs in 30 s and no server answered.",
        stages=(*done, broken, *rest),
        dhcp=(silent,),
        tftp=(),
        root=None,
        os=None,
        milestones=(),
        ended=T0 + 35.3,
        duration_s=36.2,
        findings=(fault,),
        capture=CaptureInfo(packets=6, received=6, dropped=0, interface="tap-2"),
    )


def infra(board: str = "pi4-cellar") -> BootRecord:
    """The switch refused: no boot happened."""
    refused = Stage(
        name="power", start=T0, end=T0 + 5, duration_s=5.0, budget_s=5.0, verdict="failed", note="port stays off"
    )
    fault = Finding(
        id="power-refused",
        title="The power port does not switch on",
        stage="power",
        who="lab",
        remedy="Look at port 7 of switch sw1: it reports `denied` (PoE budget used up?).",
        evidence=(Evidence(source="power", ref=3, t=T0 + 5, text="asked on, reads off"),),
    )
    return good(
        board,
        verdict="infra",
        reason="Port 7 of sw1 was told to switch on and still reads off after 5 s.",
        stages=(refused, *(Stage(name=n, budget_s=BUDGETS[n]) for n in list(GOOD)[1:])),
        dhcp=(),
        tftp=(),
        root=None,
        os=None,
        milestones=(),
        findings=(fault,),
        capture=None,
        console=None,
        machine=None,
        artefacts={},
        ended=T0 + 5.1,
        duration_s=6.0,
    )


EVIL = (
    "<script>alert(1)</script>\"'&<img src=x onerror=alert(2)>\x1b[31mred\x1b]0;title\x07\x00\x00\x00\x00\u202egnp.exe"
)


def hostile(board: str = "pi4-evil") -> BootRecord:
    """Every text that the wire or the console can fill is an attack."""
    files = tuple(t.model_copy(update={"path": EVIL, "error_text": EVIL, "asked_by": EVIL}) for t in transfers()[:3])
    offers = tuple(m.model_copy(update={"type": EVIL}) for m in good().dhcp[0].messages)
    return good(
        board,
        verdict="failed(firmware)",
        failed_stage="firmware",
        reason=EVIL,
        tftp=files,
        http=tuple(f.model_copy(update={"path": EVIL, "status_text": EVIL, "asked_by": EVIL}) for f in fetches()),
        dhcp=(good().dhcp[0].model_copy(update={"vendor_class": EVIL, "asked_by": EVIL, "messages": offers}),),
        milestones=(MilestoneSeen(name=EVIL, t=T0 + 9, line=1, text=EVIL, fields={EVIL: EVIL}),),
        findings=(Finding(id="x", title=EVIL, stage="firmware", who=EVIL, remedy=EVIL),),
        machine={EVIL: EVIL, "changes": [EVIL]},
        artefacts={EVIL: "javascript:alert(3)", "up": "../../../../etc/passwd"},
    )


HOSTILE_CONSOLE = (
    b"<script>alert('console')</script>\r\n"
    b"\x1b[2J\x1b[31mcolour\x1b[0m \x1b]0;own\x07 \x1b]52;c;open\r\n" + b"\x00" * 40 + b"after NULs\r\n"
    b"\xff\xfe\xfa broken utf-8 \xe2\x80\xae right-to-left\r\n"
    + b"10%\r50%\r100%\r\n"
    + b"x" * 9000
    + b"\r\n"
    + b"no newline at the end"
)


def write_boot(run: Path, record: BootRecord, console: bytes | None = None) -> Path:
    """A boot folder as the harness leaves it."""
    folder = run / record.board
    folder.mkdir(parents=True)
    (folder / "record.json").write_text(record.model_dump_json(indent=1))
    text = "\r\n".join(CONSOLE).encode() + b"\r\n" if console is None else console
    if record.console is not None:
        (folder / "console.log").write_bytes(text)
        with (folder / "console.times").open("w") as times:
            for offset in range(0, len(text), 64):
                times.write(json.dumps([offset, T0 + 46.0 * offset / len(text)]) + "\n")
    if record.capture is not None:
        (folder / "capture.pcapng").write_bytes(b"\n\r\r\n")
    return folder


def write_run(run: Path) -> Path:
    """A night in the lab: a good boot, a late one, one without DHCP, gear that refused, a record cut off by a crash."""
    run.mkdir(parents=True)
    for record in (good(), late(), infra()):
        write_boot(run, record)
    write_boot(run, failed_dhcp(), "\r\n".join(CONSOLE[:6]).encode() + b"\r\n")
    cut = write_boot(run, good("pi4-shed"))
    text = (cut / "record.json").read_text()
    (cut / "record.json").write_text(text[: len(text) // 2])
    (run / "servers").mkdir()
    (run / "servers" / "dnsmasq.log").write_text("dnsmasq: started\n")
    (run / "run.json").write_text(
        json.dumps(
            {
                "run": run.name,
                "started": T0 - 3,
                "ended": T0 + 131,
                "lab": "/home/lab/piboot/lab.yaml",
                "command": "pytest -m pi4",
                "harness_version": "0.1.0",
                "tests": {"passed": 41, "failed": 3, "skipped": 12, "errors": 2},
                "notes": ["The network topology is dnsmasq-nfs."],
            }
        )
    )
    return run
