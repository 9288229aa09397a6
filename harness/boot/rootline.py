# SPDX-License-Identifier: GPL-2.0-or-later
"""Where a kernel's command line says that the root file system is, in the words of lab.yaml; and what differs from that.

Forms: Documentation/admin-guide/nfs/nfsroot.rst of Linux; open-iscsi's debian/extra/initramfs.local-top; dracut.cmdline(7);
`rbdroot=` as in LTSP pull request 52. No secret is taken from the line.
"""

import re
from collections.abc import Mapping

#: open-iscsi's words -> ours.
_OPEN_ISCSI = {
    "iscsi_target_ip": "server",
    "iscsi_target_name": "target",
    "iscsi_initiator": "initiator",
    "iscsi_username": "user",
    "rd.iscsi.initiator": "initiator",
    "rd.iscsi.username": "user",
}
#: iscsi:[USER:SECRET[:...]@]SERVER:[PROTOCOL]:[PORT]:[LUN]:TARGET
_NETROOT = re.compile(
    r"iscsi:(?:(?P<user>[^\s:@]+):[^\s@]*@)?(?P<server>[^\s:@]+):[^:]*:\d*:(?P<lun>[^:]*):(?P<target>\S+)"
)


def root_of(cmdline: str) -> dict[str, str]:
    """kind: "nfs", "iscsi" or "rbd"; server (monitors with commas), path, target, lun, initiator, user, pool, image: those that
    the line has.
    """
    words = [word.partition("=") for word in cmdline.split()]
    values = {name: value for name, equals, value in words if equals}
    if "rbdroot" in values:
        parts = values["rbdroot"].split(":")
        named = dict(zip(("server", "user", "", "pool", "image"), parts, strict=False))
        named.pop("", None)
        named["image"] = named.get("image", "").partition("@")[0]
        return {"kind": "rbd", **{key: value for key, value in named.items() if value}}
    netroot = _NETROOT.match(values.get("netroot", "")) or _NETROOT.match(values.get("root", ""))
    found = {ours: values[theirs] for theirs, ours in _OPEN_ISCSI.items() if values.get(theirs)}
    if netroot is not None:
        return {"kind": "iscsi", **{key: value for key, value in netroot.groupdict().items() if value}, **found}
    if "target" in found:
        return {"kind": "iscsi", **found}
    source = values.get("nfsroot") or values.get("root", "").removeprefix("nfs4:").removeprefix("nfs:")
    if "nfsroot" in values or values.get("root", "").startswith(("nfs:", "nfs4:")):
        server, colon, path = source.partition(":")
        path = (path if colon else source).partition(",")[0]
        return {"kind": "nfs", "path": path, **({"server": server} if colon else {})}
    return {}


def differences(described: Mapping[str, str], cmdline: str) -> list[str]:
    """What of the described root the command line has otherwise; what it leaves out is not held against it. described: as
    `root_of` gives it; servers of several monitors stand in any order, and one of them is enough.
    """
    found = root_of(cmdline)
    if not described or not found:
        return []
    if found["kind"] != described.get("kind", found["kind"]):
        return [f"the root is of kind {found['kind']}, not {described['kind']}"]
    wrong = []
    for key in sorted(described.keys() & found.keys() - {"kind"}):
        wanted, has = described[key], found[key]
        same = (
            set(has.split(",")) <= set(wanted.split(",")) if key == "server" else has.rstrip("/") == wanted.rstrip("/")
        )
        if not same:
            wrong.append(f"{key} is {has}, not {wanted}")
    return wrong
