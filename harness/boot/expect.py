# SPDX-License-Identifier: GPL-2.0-or-later
"""What the judge is told of a boot before it happens: board, budgets, and the server that should answer
(`expect.json`).
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Expected(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ExpectedOffer(Expected):
    """How DHCP should tell a board where its files are, as `offer:` of a server in lab.yaml; None: not judged."""

    mode: Literal["lease", "proxy", "none"] = "lease"
    option_43: str | None = None
    option_66: str | None = None
    option_67: str | None = None
    siaddr: str | None = None


class ExpectedImage(Expected):
    """The user's own image that the board boots. sha256: of its file; system: as its os-release has it; changes: what was
    changed in it for the topology, in words; no_login: what stands in the way of a login on the serial console, in words."""

    file: str
    sha256: str = ""
    system: str = ""
    changes: tuple[str, ...] = ()
    no_login: tuple[str, ...] = ()


class ExpectedServer(Expected):
    """The netboot server as lab.yaml or the rig describes it; None or empty: not known, not judged.

    dhcp: addresses of the servers that may answer (lease and proxy); tftp: the TFTP server's address; prefix: the
    directory that the board's files must come from ("91cdf03d/", "" for the TFTP root); root_kind: "nfs", "iscsi",
    "rbd" ...; root_source: e.g. "10.77.0.1:/srv/nfs/91cdf03d"; root_server: the address of its traffic; root_device: the
    source of / in the running system's /proc/mounts, which may end with a star, root_types: what its type may be there,
    root_options: what its mount options must hold; root_servers: all addresses that its protocol may speak to at first (a portal,
    the monitors); root_parts: what the kernel's command line should say of it (harness.boot.rootline);
    boot_device: what is mounted on /boot/firmware or /boot there; http: the URL of the folder
    with boot.sig and boot.img, for a board that boots over HTTP; http_root: the web server's root folder; image: the
    user's own image, where the emulated lab serves one.
    """

    dhcp: tuple[str, ...] = ()
    tftp: str | None = None
    tftp_root: str | None = None
    prefix: str | None = None
    root_kind: str | None = None
    root_source: str | None = None
    root_server: str | None = None
    root_device: str | None = None
    root_types: tuple[str, ...] = ()
    root_options: tuple[str, ...] = ()
    root_servers: tuple[str, ...] = ()
    root_parts: dict[str, str] = Field(default_factory=dict)
    offer: ExpectedOffer | None = None
    boot_device: str | None = None
    cmdline: str | None = None
    http: str | None = None
    http_root: str | None = None
    image: ExpectedImage | None = None

    def is_root_device(self, source: str | None) -> bool:
        """Whether a source of / is the expected one."""
        wanted = self.root_device
        if wanted is None or source is None:
            return wanted is None
        return source.startswith(wanted[:-1]) if wanted.endswith("*") else source == wanted


class Expectation(Expected):
    """budgets: stage -> seconds; until: the last stage to wait for; grace: a stage is given up after budget x grace
    (so that a slow boot is
    seen to its end and called late, not cut off); hostname: of the login prompt."""

    board: str
    model: str
    serial_number: str = ""
    mac: str = ""
    emulated: bool = False
    speed: float = 1.0
    until: Literal["power", "link", "dhcp", "firmware", "kernel", "initramfs", "root", "userspace", "login"] = "login"
    budgets: dict[str, float] = Field(default_factory=dict)
    grace: float = 2.0
    server: ExpectedServer = Field(default_factory=ExpectedServer)
    login_user: str | None = None
    has_console: bool = True
    has_wire: bool = True
