# SPDX-License-Identifier: GPL-2.0-or-later
"""Netboot servers: one that the emulated lab runs, or the user's own, described so that a boot can be held against it."""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from harness.config.files import why_no_file
from harness.config.mistakes import show, suggest
from harness.config.roots import NfsSource, Root, filled, known_words
from harness.config.values import AbsolutePath, Ipv4, Section, mistake

#: Longest TFTP_PREFIX_STR (raspberrypi/documentation, eeprom-bootloader.adoc).
_PREFIX_LENGTH = 32
_PREFIX_WORDS = ("serial", "mac", "none")
#: A text in an answer of DHCP: an option has at most 255 octets.
OfferText = Annotated[str, Field(min_length=1, max_length=255)]

#: The topologies of the emulated lab (harness.servers.topologies).
Topology = Literal[
    "dnsmasq-nfs",
    "dnsmasq-http",
    "dnsmasq-iscsi",
    "ceph-rbd",
    "router-option-66",
    "openwrt-43-66",
    "isc-hpa",
    "kea-atftpd",
]
#: Those whose roots are no NFS exports.
_BLOCK_ROOTS = frozenset({"dnsmasq-iscsi", "ceph-rbd"})


class EmulatedServer(Section):
    """Real services that the emulated lab starts in network namespaces."""

    kind: Literal["emulated"]
    """`emulated`."""
    topology: Topology = "dnsmasq-nfs"
    """Set of services; docs/topologies.md describes them."""
    root: Literal["debian", "light"] = "debian"
    """Root file system that the boards get: a complete Debian, or a small one that logs in within seconds."""
    image: str | None = Field(default=None, examples=["images/raspios-lite.img.xz"])
    """Your own image instead of `root`, such as Raspberry Pi OS: an .img file, also packed as .xz, .gz, .bz2 or .zip, relative to
    lab.yaml's folder. Its boot and root partitions are laid out for the topology; docs/images.md tells how."""
    nfs: Literal["3", "4.1"] = "3"
    """Version of NFS for the root. The initramfs of Debian 12 and 13 and of Raspberry Pi OS mounts 3 only; with "4.1" the boards
    get one whose `nfsmount` leaves the options to the kernel."""
    ceph_mgr: bool = False
    """Run Ceph's manager, which `ceph-rbd` needs for nothing: `ceph df` and the like work then, some seconds after its start."""

    @field_validator("image")
    @classmethod
    def _from_the_folder_of_the_lab(cls, value: str | None, info: ValidationInfo) -> str | None:
        return str(_image(value, (info.context or {}).get("folder"))) if value is not None else None

    @model_validator(mode="after")
    def _one_system(self) -> "EmulatedServer":
        if self.image is not None and "root" in self.model_fields_set:
            raise mistake("root: the boards boot the image, which has a root of its own", "remove root: or image:")
        return self

    @model_validator(mode="after")
    def _fits_its_topology(self) -> "EmulatedServer":
        if self.nfs != "3" and self.topology in _BLOCK_ROOTS:
            raise mistake(
                f"nfs: the root of {self.topology} is a block device, none that NFS serves",
                "remove nfs:, or choose a topology with an NFS root, such as dnsmasq-nfs",
            )
        return self


def _image(value: str, folder: Path | None) -> Path:
    """The image's path, which must be a file that can be read."""
    path = Path(value).expanduser() if value == "~" or value.startswith("~/") else Path(value)
    path = folder / path if folder is not None else path
    if why := why_no_file(path):
        raise mistake(f"{show(value)} {why}", "name an image's file; its path starts at lab.yaml's folder")
    return path


def _prefix(value: str) -> str:
    if value in _PREFIX_WORDS:
        return value
    if not value.endswith("/"):
        raise mistake(
            f"{show(value)} is not a prefix",
            f'{suggest(value, _PREFIX_WORDS)}; a fixed folder ends with a slash: "pi4/"',
        )
    if len(value) > _PREFIX_LENGTH:
        raise mistake(f"{show(value)} is too long for a bootloader", f"at most {_PREFIX_LENGTH} characters")
    return value


def _url(value: str) -> str:
    if not re.fullmatch(r"http://\d{1,3}(\.\d{1,3}){3}(:\d{1,5})?/([^\s?#]*/)?", value):
        raise mistake(
            f"{show(value)} is not the URL of a folder by address",
            'write "http://10.0.0.2/net_install/", with its last slash: a bootloader knows no names and no HTTPS here',
        )
    return known_words(value)


class Tftp(Section):
    """The TFTP server that the board should fetch its files from."""

    address: Ipv4 = Field(examples=["10.0.0.2"])
    """Its address."""
    root: AbsolutePath | None = Field(default=None, examples=["/srv/tftp"])
    """Its root folder, when it is on this host: what was delivered is then compared with the files in it."""
    prefix: Annotated[str, AfterValidator(_prefix)] = Field(default="serial", examples=["serial"])
    """Folder that the files should come from: `serial` (the default of bootloaders), `mac`, `none` (the TFTP root), or
    a fixed one with its slash, `"pi4/"`."""


class Http(Section):
    """The web server that a board with a 7 in its BOOT_ORDER should fetch boot.sig and boot.img from."""

    url: Annotated[str, AfterValidator(_url)] = Field(examples=["http://10.0.0.2/{serial}/"])
    """Folder of both files, as HTTP_HOST, HTTP_PORT and HTTP_PATH of the EEPROM have it, with its last slash; {serial}, {mac}
    (with dashes) and {name} stand for the board's."""
    root: AbsolutePath | None = Field(default=None, examples=["/srv/www"])
    """The server's root folder, when it is on this host: what was delivered is then compared with the files in it."""


class Offer(Section):
    """How the boards learn from DHCP where their files are. Only what is described is judged."""

    mode: Literal["lease", "proxy", "none"] = "lease"
    """Who tells it: `lease`, the server that gives the address; `proxy`, a proxy DHCP server beside one that gives addresses
    and knows nothing of network boot; `none`, nobody: the boards have TFTP_IP in their EEPROM."""
    option_43: OfferText | None = Field(default=None, examples=["Raspberry Pi Boot"])
    """Text that option 43 must hold, in a menu of PXE's or bare. Boot ROMs of the 2B and 3B want three spaces behind it."""
    option_66: OfferText | None = Field(default=None, examples=["10.0.0.2"])
    """Option 66, the TFTP server's name: a Pi takes an address only."""
    option_67: OfferText | None = Field(default=None, examples=["start4.elf"])
    """Option 67, the boot file's name, which no Pi reads."""
    siaddr: Ipv4 | None = Field(default=None, examples=["10.0.0.2"])
    """The header's field siaddr, "next server"."""

    @model_validator(mode="after")
    def _says_something(self) -> "Offer":
        told = {"option_43", "option_66", "option_67", "siaddr"} & self.model_fields_set
        if self.mode == "none" and told:
            raise mistake(
                f"mode: none says that nobody tells the boards where their files are, but {sorted(told)[0]}: is there",
                "remove it, or write mode: lease or mode: proxy",
            )
        return self


class ExternalServer(Section):
    """A netboot server that is already there. Only what is described is judged."""

    kind: Literal["external"]
    """`external`."""
    dhcp: list[Ipv4] = Field(default_factory=list, max_length=16, examples=[["10.0.0.1"]])
    """Addresses of all DHCP servers that may answer, proxies too; an answer from any other is a finding."""
    offer: Offer | None = Field(default=None, examples=[{"mode": "proxy", "option_43": "Raspberry Pi Boot"}])
    """How the boards learn where their files are."""
    tftp: Tftp | None = Field(default=None, examples=[{"address": "10.0.0.2"}])
    """TFTP server."""
    http: Http | None = Field(default=None, examples=[{"url": "http://10.0.0.2/{serial}/"}])
    """Web server, for boards that boot over HTTP."""
    root: Root | None = Field(default=None, examples=[{"kind": "nfs", "source": "10.0.0.2:/srv/nfs/{serial}"}])
    """Root file system: over NFS, on an iSCSI disk, or on a Ceph RBD volume."""
    boot_folder: NfsSource | None = Field(default=None, examples=["10.0.0.2:/srv/tftp/{serial}"])
    """What the boards mount on /boot/firmware or /boot over NFS: the folder that TFTP serves them."""

    @model_validator(mode="after")
    def _fits_together(self) -> "ExternalServer":
        if self.offer is not None and self.offer.mode == "proxy" and len(self.dhcp) == 1:
            raise mistake(
                "offer: mode: proxy takes two DHCP servers, one with addresses and the proxy, and dhcp: names one",
                "add the other's address to dhcp:, or write mode: lease",
            )
        return self

    def prefix_for(self, *, serial_number: str, mac: str) -> str | None:
        """Folder that the board's files should come from, with its slash; "" for the TFTP root, None when unknown."""
        if self.tftp is None:
            return None
        words = {"serial": f"{serial_number}/", "mac": f"{mac.replace(':', '-')}/", "none": ""}
        return words.get(self.tftp.prefix, self.tftp.prefix)

    def root_for(self, *, serial_number: str, mac: str, name: str) -> Root | None:
        """`root` with the board's own values in it; None when no root is described."""
        if self.root is None:
            return None
        texts = {key: value for key, value in self.root.model_dump().items() if isinstance(value, str)}
        own = {key: filled(text, serial_number=serial_number, mac=mac, name=name) for key, text in texts.items()}
        return self.root.model_copy(update=own)

    def boot_folder_for(self, *, serial_number: str, mac: str, name: str) -> str | None:
        """`boot_folder` with the board's own values in it; None when none is described."""
        return filled(self.boot_folder, serial_number=serial_number, mac=mac, name=name) if self.boot_folder else None

    def http_for(self, *, serial_number: str, mac: str, name: str) -> str | None:
        """`http.url` with the board's own values in it; None when no web server is described."""
        return filled(self.http.url, serial_number=serial_number, mac=mac, name=name) if self.http else None


Server = Annotated[EmulatedServer | ExternalServer, Field(discriminator="kind")]
