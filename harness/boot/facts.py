# SPDX-License-Identifier: GPL-2.0-or-later
"""What the findings are drawn from: one boot's observations, with the questions that several findings ask of them."""

from collections.abc import Iterator
from dataclasses import dataclass

from harness.boot.events import Ended, Milestone
from harness.boot.expect import Expectation
from harness.boot.record import (
    CaptureInfo,
    ConsoleInfo,
    DhcpExchange,
    Evidence,
    HttpFetch,
    OsSeen,
    RootSeen,
    Stage,
    TftpTransfer,
)


@dataclass(frozen=True)
class Facts:
    """One boot, observed. Everything is in the order of time."""

    expectation: Expectation
    stages: tuple[Stage, ...]
    dhcp: tuple[DhcpExchange, ...]
    tftp: tuple[TftpTransfer, ...]
    milestones: tuple[Milestone, ...]
    root: RootSeen | None
    os: OsSeen | None
    console: ConsoleInfo | None
    ended: Ended | None
    capture: CaptureInfo | None
    fatal: Milestone | None
    saw_board: bool
    http: tuple[HttpFetch, ...] = ()

    @property
    def failed(self) -> str | None:
        """The stage that failed, None when none did."""
        return next((stage.name for stage in self.stages if stage.verdict == "failed"), None)

    def seen(self, *names: str) -> Iterator[Milestone]:
        """Console milestones of these names."""
        return (milestone for milestone in self.milestones if milestone.name in names)

    def first(self, *names: str) -> Milestone | None:
        return next(self.seen(*names), None)

    def firmware_dhcp(self) -> tuple[DhcpExchange, ...]:
        return tuple(exchange for exchange in self.dhcp if exchange.client == "firmware")

    def asked(self, *basenames: str) -> tuple[TftpTransfer, ...]:
        """Transfers of files with these last path parts."""
        return tuple(transfer for transfer in self.tftp if transfer.path.rsplit("/", 1)[-1] in basenames)

    def delivered(self, *basenames: str) -> bool:
        return any(transfer.complete for transfer in self.asked(*basenames))

    def refused(self, *basenames: str) -> tuple[TftpTransfer, ...]:
        """These files, when they were asked for and never delivered, and the server said no."""
        if self.delivered(*basenames):
            return ()
        return tuple(transfer for transfer in self.asked(*basenames) if transfer.result in {"not found", "refused"})


def fetched(fetch: HttpFetch) -> Evidence:
    """The packets of an HTTP request, as evidence."""
    where = f"http://{fetch.server_ip}:{fetch.server_port}{fetch.path}"
    told = f" ({fetch.status} {fetch.status_text})" if fetch.status is not None else ""
    return Evidence(source="packet", ref=fetch.first_packet, t=fetch.start, text=f"{where}: {fetch.result}{told}")


def packet(transfer: TftpTransfer) -> Evidence:
    """The packets of a transfer, as evidence."""
    text = f"{transfer.path}: {transfer.result}"
    if transfer.error_code is not None:
        text += f" (ERROR {transfer.error_code} {transfer.error_text})"
    return Evidence(source="packet", ref=transfer.first_packet, t=transfer.start, text=text)


def line(milestone: Milestone) -> Evidence:
    """A console line, as evidence."""
    return Evidence(source="console", ref=milestone.line, t=milestone.t, text=milestone.text[:200])
