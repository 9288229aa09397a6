# SPDX-License-Identifier: GPL-2.0-or-later
"""What wire, console and the running system say of a boot beside its stages: loss of power, root, kernel, system."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from harness.boot.events import Event, IscsiLogin, Milestone, NfsMount, PowerLoss, RootConnect
from harness.boot.facts import Facts
from harness.boot.record import Evidence, KernelSeen, OsSeen, PowerLossSeen, RootSeen

_Answer = TypeVar("_Answer", NfsMount, IscsiLogin)


def power_loss(everything: Sequence[Event]) -> PowerLossSeen | None:
    """It lies before the power-on with which the boot begins."""
    loss = next((event for event in everything if isinstance(event, PowerLoss)), None)
    return PowerLossSeen(t=loss.t, proved=loss.proved, text=loss.detail) if loss is not None else None


def root(ordered: Sequence[Event]) -> RootSeen | None:
    mounts = [event for event in ordered if isinstance(event, NfsMount)]
    connects = [event for event in ordered if isinstance(event, RootConnect)]
    values = _probe_values(ordered)
    if not (mounts or connects or "root_source" in values):
        return None
    first = connects[0] if connects else None
    # The root comes first: what the running system mounts beside it comes later, and a block device's root needs no MOUNT.
    if first is not None and first.protocol != "nfs":
        mounts = []
    mount = next((m for m in mounts if m.status == 0), _first_like_the_last(mounts))
    logins = [event for event in ordered if isinstance(event, IscsiLogin)] if mount is None else []
    login = next((one for one in logins if one.status == 0), _first_like_the_last(logins))
    evidence = [
        Evidence(source="packet", ref=e.packet, t=e.t, text=type(e).__name__) for e in (first, mount, login) if e
    ]
    path, status = (mount.path, mount.status) if mount else (login.target, login.status) if login else (None, None)
    return RootSeen(
        protocol="nfs" if mount is not None else (first.protocol if first is not None else None),
        server=mount.server_ip if mount is not None else (first.server_ip if first is not None else None),
        servers=tuple(
            dict.fromkeys(c.server_ip for c in connects if first is not None and c.protocol == first.protocol)
        ),
        path=path,
        status=status,
        source=values.get("root_source"),
        fstype=values.get("root_fstype"),
        options=values.get("root_options"),
        boot_source=values.get("boot_source") or None,
        evidence=tuple(evidence),
    )


def _first_like_the_last(answers: Sequence[_Answer]) -> _Answer | None:
    """Where the trouble began that the boot ended with: a client asks again, and gets the same answer each time."""
    if not answers:
        return None
    last = replace(answers[-1], t=0.0, packet=0)
    return next(one for one in answers if replace(one, t=0.0, packet=0) == last)


def _probe_values(ordered: Sequence[Event]) -> dict[str, str]:
    return {
        event.fields["key"]: event.fields.get("value", "")
        for event in ordered
        if isinstance(event, Milestone) and event.name == "probe.value" and "key" in event.fields
    }


def kernel(facts: Facts) -> KernelSeen | None:
    said = next((m for m in reversed(facts.milestones) if m.name == "kernel.version"), None)
    if said is not None:
        evidence = (Evidence(source="console", ref=said.line, t=said.t, text=said.text[:200]),)
        build = said.fields.get("build")
        return KernelSeen(release=said.fields.get("release", ""), build=build, said_by="console", evidence=evidence)
    if facts.os is not None and facts.os.kernel_release:
        return KernelSeen(release=facts.os.kernel_release, build=facts.os.kernel_build, said_by="uname")
    return None


def system(ordered: Sequence[Event]) -> OsSeen | None:
    values = _probe_values(ordered)
    if not values:
        return None
    state, units = values.get("state"), values.get("failed_units")
    no_systemd = state == ""
    return OsSeen(
        kernel_release=values.get("kernel_release"),
        kernel_build=values.get("kernel_build"),
        cmdline=values.get("cmdline"),
        state=state or None,
        failed_units=tuple(units.split()) if units is not None and not no_systemd else None,
    )
