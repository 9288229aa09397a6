# SPDX-License-Identifier: GPL-2.0-or-later
"""`piboot check`: what a lab needs of a machine, on machines that lack one thing each."""

import os
import pty
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from harness.checks import Check, failed, format_table, run_checks
from harness.checks import emulated as emulated_module
from harness.checks.probes import Probes
from harness.config import LabConfig, loads
from harness.emulator import qemu_program
from harness.errors import InfraError
from harness.images import KINDS, tools
from harness.images.build import DEBIAN_TOOLS
from harness.servers import programs
from harness.servers.programs import requirements
from tests.config.samples import GOOD, REAL, changed

GIB = 1024**3


@dataclass
class Machine(Probes):
    """A machine that has everything, but for what a test takes away."""

    root: bool = True
    programs_missing: frozenset[str] = frozenset()
    files_missing: frozenset[str] = frozenset()
    texts: dict[str, str] = field(default_factory=dict)
    built: bool | None = True
    disk: int | None = 50 * GIB
    memory: int | None = 8 * GIB
    capabilities: bool = False
    users: list[tuple[int, str]] = field(default_factory=list)
    status: int = 0
    output: str = ""
    ran: list[Sequence[str]] = field(default_factory=list)

    def is_root(self) -> bool:
        return self.root

    def which(self, program: str) -> str | None:
        return None if program in self.programs_missing else f"/usr/bin/{program}"

    def exists(self, path: str) -> bool:
        return path not in self.files_missing

    def may(self, path: str, what: str) -> bool:
        return f"{path}:{what}" not in self.files_missing

    def glob(self, pattern: str) -> list[str]:
        if pattern in self.files_missing:
            return []
        return (
            ["/sys/class/net/eth0", "/sys/class/net/lo"]
            if pattern == "/sys/class/net/*"
            else [pattern.replace("*", "x")]
        )

    def read(self, path: str) -> str:
        known = {"/proc/filesystems": "nodev\tbinfmt_misc\n", "/sys/class/net/eth1/operstate": "up\n"}
        return {**known, **self.texts}.get(path, "")

    def is_character_device(self, path: str) -> bool:
        return f"{path}:character" not in self.files_missing

    def has_capabilities(self, program: str) -> bool:
        return self.capabilities and self.exists(program)

    def run(self, argv: Sequence[str]) -> tuple[int, str]:
        self.ran.append(argv)
        return self.status, self.output

    def free_disk(self) -> tuple[str, int | None]:
        return "/home/x/.cache/piboot", self.disk

    def free_memory(self) -> int | None:
        return self.memory

    def users_of(self, device: str) -> list[tuple[int, str]]:
        return self.users if self.exists(device) else []

    def image_is_built(self, root: str) -> bool | None:
        return self.built if root in KINDS else None


@pytest.fixture
def emulated() -> LabConfig:
    return loads(GOOD)


@pytest.fixture
def real(relay: None, monkeypatch: pytest.MonkeyPatch) -> LabConfig:
    monkeypatch.setenv("PI_PASSWORD", "planted-secret")
    return loads(REAL)


def named(found: list[Check], name: str) -> Check:
    return next(check for check in found if check.name == name)


def test_a_lab_on_a_poe_switch_needs_an_snmp_agent(emulated: LabConfig) -> None:
    machine = Machine(programs_missing=frozenset({"snmpd"}))
    assert failed(run_checks(emulated, machine)) == [], "its board hangs on no switch"
    lab = loads(GOOD.replace("power: {driver: emulated}", "power: {driver: emulated, gear: poe-switch}"))
    (missing,) = failed(run_checks(lab, machine))
    assert (missing.name, missing.package) == ("snmpd", "snmpd")
    with pytest.raises(InfraError) as caught:
        raise programs.missing("snmpd")
    assert "apt-get install --no-install-recommends snmpd" in caught.value.remedy, (
        "so says a boot that finds it missing"
    )


def test_a_machine_that_has_everything(emulated: LabConfig, real: LabConfig) -> None:
    for lab in (emulated, real):
        found = run_checks(lab, Machine())
        assert [check.name for check in found if check.ok is False or (check.ok is None and lab is emulated)] == []
        assert format_table(found).endswith("nothing is missing")
        assert len({check.name for check in found}) == len(found)


def test_a_machine_that_qemu_is_too_old_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / qemu_program.PROGRAM
    program.write_text("#!/bin/sh\necho 'QEMU emulator version 7.2.22 (Debian)'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(qemu_program, "BESIDE", tmp_path / "none")
    lab = loads(changed("    wire: w\n", "    wire: w\n    emulation: {machine: raspi4b}\n"))
    (check,) = failed(run_checks(lab, Machine()))
    assert check.name == "machine raspi4b"
    assert "QEMU 9.0 or newer; here it is 7.2.22" in check.remedy
    program.write_text("#!/bin/sh\necho 'QEMU emulator version 10.0.8'\n")
    assert failed(run_checks(lab, Machine())) == []
    assert [check.name for check in run_checks(loads(GOOD), Machine()) if "raspi" in check.name] == []


@pytest.mark.parametrize("topology", ["isc-hpa", "kea-atftpd"])
def test_the_programs_of_another_topology_are_looked_for_instead(topology: str) -> None:
    lab = loads(changed("s: {kind: emulated}", f"s: {{kind: emulated, topology: {topology}}}"))
    wanted = [entry.program for entry in requirements(topology)]
    found = {check.name for check in run_checks(lab, Machine())}
    assert set(wanted) <= found
    assert "dnsmasq" not in found
    (check,) = failed(run_checks(lab, Machine(programs_missing=frozenset({wanted[1]}))))
    assert (check.name, check.package) == (wanted[1], requirements(topology)[1].debian_package)


def test_boot_images_need_their_tools() -> None:
    lab = loads(changed("s: {kind: emulated}", "s: {kind: emulated, topology: dnsmasq-http}"))
    assert failed(run_checks(lab, Machine())) == []
    for entry in requirements("dnsmasq-http"):
        (check,) = failed(run_checks(lab, Machine(programs_missing=frozenset({entry.program}))))
        assert (check.name, check.package) == (entry.program, entry.debian_package.split()[0])


@pytest.mark.parametrize(
    ("program", "package"),
    [(entry.program, entry.debian_package.split()[0]) for entry in requirements()]
    + [(program, tools.PACKAGES.get(program, program)) for program in DEBIAN_TOOLS]
    + [("tcpdump", "tcpdump"), ("qemu-system-aarch64", "qemu-system-arm")],
)
def test_every_program_that_the_lab_starts_is_looked_for(emulated: LabConfig, program: str, package: str) -> None:
    if program in {"apt-cache", "apt-config"}:
        return  # of the same package as apt-get
    (check,) = failed(run_checks(emulated, Machine(programs_missing=frozenset({program}), built=False)))
    assert (check.name, check.package) == (program, package)
    assert package in check.remedy
    assert check.needed_for


def test_what_only_the_build_needs_is_not_asked_for_once_it_is_built(emulated: LabConfig) -> None:
    missing = frozenset({"mmdebstrap", "qemu-aarch64-static", "arch-test"})
    assert failed(run_checks(emulated, Machine(programs_missing=missing))) == []
    light = loads(changed("s: {kind: emulated}", "s: {kind: emulated, root: light}"))
    names = {check.name for check in failed(run_checks(light, Machine(programs_missing=missing, built=False)))}
    assert names == {"qemu-aarch64-static"}
    image = named(run_checks(emulated, Machine(built=False)), "image: debian")
    assert (image.ok, "first boot builds it" in image.remedy) == (None, True)
    assert named(run_checks(emulated, Machine(built=None)), "image: debian").ok is None


@pytest.mark.parametrize(
    ("machine", "name", "remedy"),
    [
        (Machine(root=False), "root", "sudo"),
        (Machine(files_missing=frozenset({"/dev/net/tun"})), "/dev/net/tun", "modprobe tun"),
        (Machine(files_missing=frozenset({"/dev/net/tun:rw"})), "/dev/net/tun", "chmod 666"),
        (Machine(files_missing=frozenset(emulated_module._FSAL)), "ganesha's FSAL VFS", "nfs-ganesha-vfs"),
        (
            Machine(files_missing=frozenset(emulated_module._KEYRING), built=False),
            "Debian's archive keys",
            "debian-archive-keyring",
        ),
        (Machine(disk=GIB, built=False), "free disk", "free 3.0 GiB"),
        (Machine(disk=GIB // 10), "free disk", "free 0.3 GiB"),
        (Machine(memory=GIB // 2), "free memory", "emulation.guests"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_one_thing_is_missing(emulated: LabConfig, machine: Machine, name: str, remedy: str) -> None:
    (check,) = failed(run_checks(emulated, machine))
    assert check.name == name
    assert remedy in check.remedy


def test_a_kernel_without_what_a_rig_is_made_of(emulated: LabConfig) -> None:
    machine = Machine(status=2, output="first\nRTNETLINK answers: Operation not supported\n")
    found = failed(run_checks(emulated, machine))
    assert [check.name for check in found] == ["virtual network", "overlay file system"]
    assert all("Operation not supported" in check.found for check in found)
    assert all(argv[0] == "unshare" for argv in machine.ran), "nothing is tried on the host itself"


def test_memory_is_for_as_many_guests_as_run_at_once() -> None:
    text = changed("boards:\n", "emulation: {guests: 1}\nboards:\n") + "    emulation: {memory: 4096}\n"
    assert failed(run_checks(loads(text), Machine(memory=4 * GIB)))
    assert not failed(run_checks(loads(text), Machine(memory=5 * GIB)))


def test_what_cannot_be_told_stops_nothing(emulated: LabConfig) -> None:
    found = run_checks(emulated, Machine(disk=None, memory=None, built=None, texts={"/proc/filesystems": ""}))
    assert failed(found) == []
    assert {check.name for check in found if check.ok is None} == {"free disk", "free memory", "image: debian"}


@pytest.mark.parametrize(
    ("machine", "name", "found", "remedy"),
    [
        (Machine(texts={"/sys/class/net/eth1/operstate": ""}), "interface eth1", "no such interface", "eth0, lo"),
        (Machine(root=False), "right to capture", "may not", "setcap cap_net_raw"),
        (
            Machine(files_missing=frozenset({"/dev/ttyUSB0"})),
            "console /dev/ttyUSB0",
            "no such port",
            "/dev/serial/by-id/x",
        ),
        (Machine(files_missing=frozenset({"/dev/ttyUSB0:character"})), "console /dev/ttyUSB0", "not a device", "port:"),
        (Machine(files_missing=frozenset({"/dev/ttyUSB0:rw"})), "console /dev/ttyUSB0", "may not be", "dialout"),
        (Machine(users=[(42, "minicom")]), "console /dev/ttyUSB0", "open in minicom", "process 42"),
        (Machine(files_missing=frozenset({"/srv/tftp"})), "TFTP root /srv/tftp", "no such folder", "tftp.root"),
        (Machine(files_missing=frozenset({"/srv/tftp:rx"})), "TFTP root /srv/tftp", "may not be read", "ls -ld"),
        (
            Machine(status=1, output="tcpdump: can't parse filter expression"),
            "filter of eth1",
            "can't parse",
            "pcap-filter",
        ),
        (Machine(programs_missing=frozenset({"tcpdump"})), "tcpdump", "not installed", "apt-get install"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_one_thing_of_a_real_lab_is_missing(
    real: LabConfig, machine: Machine, name: str, found: str, remedy: str
) -> None:
    (check,) = failed(run_checks(real, machine))
    assert check.name == name
    assert found in check.found
    assert remedy in check.remedy


MIRROR = 'mirror: {kind: interface, interface: eth1, filter: "not port 22"}'


@pytest.mark.parametrize(
    ("wire", "machine", "name", "found", "remedy"),
    [
        (
            "{kind: interface, interface: eth1, namespace: lab}",
            Machine(files_missing=frozenset({"/run/netns/lab"})),
            "namespace lab",
            "no such network namespace",
            "there are: x",
        ),
        (
            "{kind: interface, interface: eth1, namespace: lab}",
            Machine(root=False, capabilities=True),
            "namespace lab",
            "only root",
            "sudo",
        ),
        (
            "{kind: ssh, host: bench-pi, interface: eth1}",
            Machine(programs_missing=frozenset({"ssh"})),
            "ssh",
            "not installed",
            "openssh-client",
        ),
        (
            "{kind: ssh, host: bench-pi, interface: eth1, filter: port port}",
            Machine(status=1, output="tcpdump: can't parse filter expression"),
            "filter of eth1",
            "can't parse",
            "pcap-filter",
        ),
    ],
    ids=["no namespace", "namespace without root", "no ssh", "filter"],
)
def test_wires_elsewhere(
    relay: None, monkeypatch: pytest.MonkeyPatch, wire: str, machine: Machine, name: str, found: str, remedy: str
) -> None:
    monkeypatch.setenv("PI_PASSWORD", "x")
    (check,) = failed(run_checks(loads(changed(MIRROR, f"mirror: {wire}", REAL)), machine))
    assert check.name == name
    assert found in check.found
    assert remedy in check.remedy


def test_a_capture_on_another_host_needs_no_tcpdump_here(relay: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PI_PASSWORD", "x")
    lab = loads(changed(MIRROR, "mirror: {kind: ssh, host: bench-pi, interface: eth1}", REAL))
    assert failed(run_checks(lab, Machine(root=False, programs_missing=frozenset({"tcpdump"})))) == []


def test_a_link_that_is_down_may_be_a_board_that_is_off(real: LabConfig) -> None:
    check = named(run_checks(real, Machine(texts={"/sys/class/net/eth1/operstate": "down"})), "interface eth1")
    assert (check.ok, check.found) == (None, "it is down")


def test_tcpdump_with_capabilities_needs_no_root(real: LabConfig) -> None:
    assert failed(run_checks(real, Machine(root=False, capabilities=True))) == []


def test_a_password_is_looked_for_and_not_shown(real: LabConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "planted-secret" not in format_table(run_checks(real, Machine()))
    monkeypatch.setenv("PI_PASSWORD", "qzxj")
    (check,) = [check for check in run_checks(real, Machine()) if check.name == "login.password of b"]
    assert (check.ok, "fewer than 5 characters" in check.found) == (None, True)
    assert "qzxj" not in format_table([check])
    monkeypatch.delenv("PI_PASSWORD")
    (check,) = failed(run_checks(real, Machine()))
    assert (check.name, "not set" in check.found) == ("login.password of b", True)


def test_the_secrets_of_power_ports_are_looked_for_too(monkeypatch: pytest.MonkeyPatch) -> None:
    power = "power: {driver: command, on: [a], off: [b], read_back: {command: [c], on: {status: 0}, off: {status: 1}}, "
    text = changed("power: {driver: relay, pin: 17}", power + "environment: {TOKEN: {env: RELAY_TOKEN}}}", REAL)
    monkeypatch.setenv("PI_PASSWORD", "x")
    monkeypatch.delenv("RELAY_TOKEN", raising=False)
    (check,) = failed(run_checks(loads(text), Machine()))
    assert (check.name, "RELAY_TOKEN is not set" in check.found) == ("power.environment.TOKEN of b", True)


def test_the_table_is_for_a_tired_person() -> None:
    found = [
        Check("dnsmasq", False, "not installed", "sudo apt-get install dnsmasq-base", "DHCP", "dnsmasq-base"),
        Check("tcpdump", False, "not installed", "sudo apt-get install tcpdump", "captures", "tcpdump"),
        Check("root", True, "running as root", "", "all"),
        Check("nasty\x1b[31m", None, "\x07" + "x" * 500, "do " * 100, "y"),
    ]
    text = format_table(found, width=80)
    assert "\ninstall: sudo apt-get install --no-install-recommends dnsmasq-base tcpdump\n" in text
    assert text.endswith("2 of 4 missing")
    assert not set(text) & {"\x1b", "\x07"}
    assert "MISSING" in text.splitlines()[0]
    assert [line for line in text.splitlines() if line.startswith("ok")] == ["ok      root           running as root"]
    assert format_table([]) == "nothing to check"


def test_this_machine_is_asked_without_a_fault(emulated: LabConfig) -> None:
    """The real probes: whatever this machine is, they answer."""
    found = run_checks(emulated)
    assert {check.name for check in found} >= {"root", "dnsmasq", "free disk", "free memory", "virtual network"}


def test_real_probes() -> None:
    probes = Probes()
    assert probes.which("sh")
    assert probes.which("no-such-program") is None
    assert (probes.exists("/dev/null"), probes.exists("/no/such")) == (True, False)
    assert (probes.is_character_device("/dev/null"), probes.is_character_device("/")) == (True, False)
    assert probes.read("/no/such") == ""
    assert probes.run(["sh", "-c", "echo hello >&2; exit 3"]) == (3, "hello\n")
    assert probes.run(["/no/such"])[0] == 127
    assert not probes.has_capabilities("/no/such")
    memory = probes.free_memory()
    assert memory is not None
    assert memory > 0
    folder, free = probes.free_disk()
    assert folder
    assert free is not None


def test_a_serial_port_in_use_is_noticed() -> None:
    """A child that has the port open, as a forgotten terminal program would."""
    controller, port = pty.openpty()
    name = os.ttyname(port)
    os.close(port)
    program = "import os, sys; os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY); print(flush=True); sys.stdin.read()"
    child = subprocess.Popen([sys.executable, "-c", program, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with child:
        assert child.stdout is not None
        child.stdout.readline()
        assert [pid for pid, _ in Probes().users_of(name)] == [child.pid]
        child.communicate()
    assert Probes().users_of(name) == []
    os.close(controller)
