# SPDX-License-Identifier: GPL-2.0-or-later
"""Where a board's packets are seen: an interface of this host, of one of its namespaces, or of a host reached by ssh, which a
labgrid place may name."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from harness.config.otp import Flag
from harness.config.values import AbsolutePath, InterfaceName, Section, matching, mistake

#: What ssh takes for a host: a name, an alias of ssh_config, an address. Never an option: it does not begin with a dash.
HOST_PATTERN = "[A-Za-z0-9_:][A-Za-z0-9_.:%-]{0,254}"

SshName = Annotated[
    str, AfterValidator(matching(HOST_PATTERN, "a host", "a name, an address, or an alias of ~/.ssh/config: bench-pi"))
]
SshUser = Annotated[
    str, AfterValidator(matching(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}", "a user's name", "as in /etc/passwd there: piboot"))
]
NamespaceName = Annotated[
    str,
    AfterValidator(
        matching(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}", "a namespace's name", "as `ip netns list` shows it: lab")
    ),
]
ResourceName = Annotated[
    str,
    AfterValidator(
        matching(
            r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,63}",
            "a resource's name",
            "as `labgrid-client -p PLACE show` has it in quotes",
        )
    ),
]
Filter = Annotated[str, Field(min_length=1, max_length=1000)]


class EmulatedWire(Section):
    """The network of the emulated lab; nothing of it touches the host's network."""

    kind: Literal["emulated"]
    """`emulated`."""


class InterfaceWire(Section):
    """A network interface of this host that sees the boards' packets: a mirror port, or the netboot server's own. Many boards may
    share it: each one's packets are picked out by its MAC address."""

    kind: Literal["interface"]
    """`interface`."""
    interface: InterfaceName = Field(examples=["eth1"])
    """Its name, as `ip link` shows it."""
    namespace: NamespaceName | None = Field(default=None, examples=["lab"])
    """Named network namespace that the interface is in, as `ip netns list` shows it. Entering one needs root."""
    filter: Filter | None = Field(default=None, examples=["not port 22"])
    """Capture only what this pcap filter (man pcap-filter) lets through."""
    direct: Flag = False
    """The board's own cable ends in this interface (no switch between): its link then proves that the board lost power."""

    @model_validator(mode="after")
    def _link_can_be_seen(self) -> "InterfaceWire":
        if self.direct and self.namespace is not None:
            raise mistake("its link cannot be seen from outside of its namespace", "remove direct: or namespace:")
        return self


class SshWire(Section):
    """A network interface of another host: tcpdump runs there, its packets come over ssh. The host's key must be known, and the
    login must need no password: `docs/wires.md`."""

    kind: Literal["ssh"]
    """`ssh`."""
    host: SshName = Field(examples=["bench-pi"])
    """Name or address of the host, or an alias of ssh's own configuration, where jump hosts and the like may stand."""
    interface: InterfaceName = Field(examples=["eth1"])
    """The interface there, as `ip link` shows it."""
    user: SshUser | None = Field(default=None, examples=["piboot"])
    """User there; ssh's own choice when absent. It needs the right to run tcpdump: `docs/wires.md`."""
    port: Annotated[int, Field(strict=True, ge=1, le=65535)] | None = Field(default=None, examples=[2222])
    """TCP port of its ssh server."""
    key: AbsolutePath | None = Field(default=None, examples=["/home/lab/.ssh/piboot"])
    """File of the private key to log in with; without it, what ssh finds by itself. It must have no pass phrase, or be in an
    agent."""
    known_hosts: AbsolutePath | None = Field(default=None, examples=["/home/lab/.ssh/known_hosts"])
    """File with the key of that host; without it, ssh's own. Under sudo ssh's own files are root's."""
    config: AbsolutePath | None = Field(default=None, examples=["/home/lab/.ssh/config"])
    """Configuration that ssh reads instead of its own."""
    namespace: NamespaceName | None = Field(default=None, examples=["lab"])
    """Named network namespace there that the interface is in. Entering one needs root there."""
    filter: Filter | None = Field(default=None, examples=["not port 22"])
    """Capture only what this pcap filter (man pcap-filter) lets through."""


class LabgridWire(Section):
    """The network interface of a board's labgrid place (NetworkInterface): tcpdump runs on its exporter's host, reached by ssh as
    with `kind: ssh`. Boards of many places may share this wire."""

    kind: Literal["labgrid"]
    """`labgrid`."""
    name: ResourceName | None = Field(default=None, examples=["mirror"])
    """Which one, when the places have several."""
    user: SshUser | None = Field(default=None, examples=["piboot"])
    """User on the exporters' hosts; ssh's own choice when absent. It needs the right to run tcpdump."""
    port: Annotated[int, Field(strict=True, ge=1, le=65535)] | None = Field(default=None, examples=[2222])
    """TCP port of their ssh servers."""
    key: AbsolutePath | None = Field(default=None, examples=["/home/lab/.ssh/piboot"])
    """File of the private key to log in with; without it, what ssh finds by itself."""
    known_hosts: AbsolutePath | None = Field(default=None, examples=["/home/lab/.ssh/known_hosts"])
    """File with the keys of those hosts; without it, ssh's own."""
    config: AbsolutePath | None = Field(default=None, examples=["/home/lab/.ssh/config"])
    """Configuration that ssh reads instead of its own."""
    filter: Filter | None = Field(default=None, examples=["not port 22"])
    """Capture only what this pcap filter (man pcap-filter) lets through."""


Wire = Annotated[EmulatedWire | InterfaceWire | SshWire | LabgridWire, Field(discriminator="kind")]
