# SPDX-License-Identifier: GPL-2.0-or-later
"""Root file systems that an external server should give its boards: over NFS, on an iSCSI disk, on a Ceph RBD volume.

Secrets (a CHAP secret, a Ceph key) have no place here: they stand in the boards' cmdline.txt, and are not needed to judge a boot.
"""

import re
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from harness.config.mistakes import plain, show
from harness.config.values import Section, matching, mistake

PLACE_HOLDER = re.compile(r"\{([^{}]*)\}")

#: Ports of the services: RFC 7143 13; Ceph's messenger 2 (1 has 6789).
ISCSI_PORT = 3260
CEPH_PORTS = (3300, 6789)


def known_words(value: str) -> str:
    """Checks a text's place holders."""
    for word in PLACE_HOLDER.findall(value):
        if word not in {"serial", "mac", "name"}:
            raise mistake(
                f"{show(value)} has the unknown place holder {{{plain(word)}}}", "known: {serial}, {mac}, {name}"
            )
    return value


def filled(text: str, *, serial_number: str, mac: str, name: str) -> str:
    """A text with the board's own values in it."""
    own = {"serial": serial_number, "mac": mac.replace(":", "-"), "name": name}
    # Not str.format: a source is the user's text, and format reads attributes and makes fields of any width.
    return PLACE_HOLDER.sub(lambda match: own[match[1]], text)


def nfs_source(value: str) -> str:
    host, colon, path = value.partition(":/")
    if not host or not colon or not path:
        raise mistake(f"{show(value)} is not an NFS source", 'write "SERVER:/path", as in "10.0.0.2:/srv/nfs/{serial}"')
    return known_words(value)


def _address_and_port(value: str) -> str:
    found = re.fullmatch(r"(\d{1,3}(?:\.\d{1,3}){3})(?::(\d{1,5}))?", value)
    octets = [int(octet) for octet in found[1].split(".")] if found else []
    if found is None or max(octets) > 255 or not 1 <= int(found[2] or 1) <= 65535:
        raise mistake(
            f"{show(value)} is not an IPv4 address, alone or with a port", 'write 10.0.0.2, or "10.0.0.2:3260"'
        )
    return value


def address_of(value: str) -> str:
    """The address of "10.0.0.2" or "10.0.0.2:3260"."""
    return value.partition(":")[0]


def port_of(value: str) -> int | None:
    """The port of "10.0.0.2:3260"; None when none is given."""
    return int(value.partition(":")[2]) if ":" in value else None


def _iscsi_name(value: str) -> str:
    # RFC 7143, 4.2.7: at most 223 octets; what stands after the prefix is the lab's own, a place holder in it too.
    if len(value) > 223 or re.fullmatch(r"(iqn\.\d{4}-\d{2}\.\S+|eui\.\S+|naa\.\S+)", value) is None:
        raise mistake(f"{show(value)} is not an iSCSI name", 'write e.g. "iqn.2026-01.lab.example:{serial}"')
    return known_words(value)


_PLAIN = matching(
    r"[^\s:,@/]{1,64}",
    "a usable name",
    "no spaces, colons, commas or slashes; {serial}, {mac} and {name} may stand in it",
)


def _no_secret(value: str) -> str:
    return known_words(_PLAIN(value))


Endpoint = Annotated[str, AfterValidator(_address_and_port)]
IscsiName = Annotated[str, AfterValidator(_iscsi_name)]
OwnName = Annotated[str, AfterValidator(_no_secret)]
NfsSource = Annotated[str, AfterValidator(nfs_source)]
MountOption = Annotated[
    str, AfterValidator(matching(r"[A-Za-z0-9_.=:/-]{1,64}", "a mount option", "as in /proc/mounts: noatime, hard"))
]
Device = Annotated[
    str,
    AfterValidator(
        matching(r"/dev/[A-Za-z0-9_./-]{1,60}\*?", "a device", "as in the board's /proc/mounts: /dev/sda, or /dev/sd*")
    ),
]


_NOT_HERE = "lab.yaml holds no secrets, and none is needed to judge a boot: the board has it in its cmdline.txt"


def _as_text(value: object) -> object:
    """YAML reads 4.1 as a number, and who writes it means the version."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


class NfsRoot(Section):
    """A root file system over NFS."""

    kind: Literal["nfs"]
    """`nfs`."""
    source: NfsSource = Field(examples=["10.0.0.2:/srv/nfs/{serial}"])
    """Server and path as the kernel command line has them; {serial}, {mac} (with dashes) and {name} stand for the
    board's."""
    version: Annotated[Literal["3", "4", "4.0", "4.1", "4.2"] | None, BeforeValidator(_as_text)] = Field(
        default=None, examples=["3"]
    )
    """Version of NFS that it must be mounted with; any when absent."""
    options: list[MountOption] = Field(default_factory=list, max_length=16, examples=[["proto=tcp", "hard"]])
    """Options that its mount must have, as /proc/mounts has them."""


class IscsiRoot(Section):
    """A root file system on an iSCSI disk. The CHAP secret does not stand here: boards have it in their cmdline.txt."""

    NOT_HERE: ClassVar[Mapping[str, str]] = dict.fromkeys(("password", "secret", "chap"), _NOT_HERE)

    kind: Literal["iscsi"]
    """`iscsi`."""
    portal: Endpoint = Field(examples=["10.0.0.2"])
    """Address of the target, with its port when it is not 3260."""
    target: IscsiName = Field(examples=["iqn.2026-01.lab.example:{serial}"])
    """Name of the board's target; {serial}, {mac} (with dashes) and {name} stand for the board's."""
    lun: Annotated[int, Field(strict=True, ge=0, le=16383)] | None = Field(default=None, examples=[1])
    """LUN of its disk, as dracut's `netroot=iscsi:` names it; the scripts of open-iscsi take any."""
    initiator: IscsiName | None = Field(default=None, examples=["iqn.2026-01.lab.example:board-{serial}"])
    """Name that the board must log in by."""
    user: OwnName | None = Field(default=None, examples=["{serial}"])
    """CHAP user."""
    device: Device = "/dev/sd*"
    """Source of / in the board's /proc/mounts; a star at its end stands for anything."""
    filesystem: OwnName | None = Field(default=None, examples=["ext4"])
    """Its type there."""
    options: list[MountOption] = Field(default_factory=list, max_length=16, examples=[["noatime"]])
    """Options that its mount must have."""


class RbdRoot(Section):
    """A root file system on a Ceph RBD volume. The key does not stand here: boards have it in their cmdline.txt."""

    NOT_HERE: ClassVar[Mapping[str, str]] = dict.fromkeys(("key", "secret", "keyring"), _NOT_HERE)

    kind: Literal["rbd"]
    """`rbd`."""
    monitors: list[Endpoint] = Field(min_length=1, max_length=16, examples=[["10.0.0.3", "10.0.0.4"]])
    """Addresses of the monitors, each with its port when it is neither 3300 nor 6789."""
    pool: OwnName = Field(examples=["rbd"])
    """Pool of the volume."""
    image: OwnName = Field(examples=["{serial}"])
    """Name of the board's volume; {serial}, {mac} (with dashes) and {name} stand for the board's."""
    user: OwnName | None = Field(default=None, examples=["pi"])
    """Name that the board uses, without `client.`."""
    device: Device = "/dev/rbd*"
    """Source of / in the board's /proc/mounts; a star at its end stands for anything."""
    filesystem: OwnName | None = Field(default=None, examples=["ext4"])
    """Its type there."""
    options: list[MountOption] = Field(default_factory=list, max_length=16, examples=[["noatime"]])
    """Options that its mount must have."""


Root = Annotated[NfsRoot | IscsiRoot | RbdRoot, Field(discriminator="kind")]
