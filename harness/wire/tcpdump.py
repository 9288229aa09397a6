# SPDX-License-Identifier: GPL-2.0-or-later
"""tcpdump: how it is called, and what it says.

tcpdump and not scapy: of a real Pi's 20,000 packets a second scapy's sniffer keeps one in five, tcpdump all. The
options, and why:

-   --immediate-mode: packets are delivered when they come; otherwise up to a second later, in blocks.
-   -B 131072 (128 MiB) and -s 2048: in immediate mode the kernel's ring has slots of the snapshot length each. With the
    default of 262144 octets on an interface with segmentation offload that is 2,047 packets, 0.1 s of a boot; with
    2,048 it is 63,000, a whole boot for a machine that is busy. Frames of an MTU up to 1,500 are whole.
-   -U: every packet is written at once. -n: no names are looked up.
-   No -Z: tcpdump gives up root's rights where it can (Debian's default); its output is a pipe that is already open.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from harness.errors import ConfigError, HarnessError, InfraError
from harness.wire.text import shown

SNAPLEN = 2048
BUFFER_KIB = 131072

LISTENING = "listening on"

_MAX_SAID = 65536

GRANT = "sudo setcap cap_net_raw=ep $(readlink -f $(command -v tcpdump))"
"""What gives it, once, the only right that it needs: to open packet sockets (packet(7)); promiscuous mode needs no other."""

_COUNTER = re.compile(r"(\d+) packets? (captured|received by filter|dropped by kernel)")


def command(interface: str, filter_text: str, snaplen: int, buffer_kib: int) -> list[str]:
    options = ["-i", interface, "-s", str(snaplen), "-B", str(buffer_kib), "--immediate-mode", "-U", "-n", "-w", "-"]
    return ["tcpdump", *options, *([filter_text] if filter_text else [])]


class Talk:
    """What it said on stderr, the last of it. listening: it has said that it captures now."""

    def __init__(self) -> None:
        self.said = ""
        self.listening = False

    def hear(self, piece: bytes) -> None:
        self.said = (self.said + piece.decode("utf-8", "backslashreplace"))[-_MAX_SAID:]
        self.listening = self.listening or LISTENING in self.said

    def forget(self) -> None:
        """What comes from now on counts."""
        self.said = ""

    def counters(self) -> tuple[int, int, int] | None:
        return counters(self.said)


def counters(said: str) -> tuple[int, int, int] | None:
    """(captured, received, dropped) as last printed, at the end or after SIGUSR1; None when not (wholly) there.

    captured: written by tcpdump; received: passed the filter, counted by the kernel, lost ones included; dropped:
    lost because the ring was full.
    """
    found = {name: int(number) for number, name in _COUNTER.findall(said)}
    if len(found) < 3:
        return None
    return found["captured"], found["received by filter"], found["dropped by kernel"]


def drained(counts: tuple[int, int, int]) -> bool:
    """Whether tcpdump has written all that the kernel kept for it."""
    captured, received, dropped = counts
    return captured >= received - dropped


def last_words(said: str) -> str:
    """Its last line that is not small talk."""
    lines = [line for line in said.splitlines() if line.strip() and LISTENING not in line and not _COUNTER.search(line)]
    return shown(lines[-1].encode()) if lines else "it said nothing"


def not_started(error: OSError) -> InfraError:
    if isinstance(error, FileNotFoundError):
        return InfraError("tcpdump is not installed", remedy="sudo apt install tcpdump")
    return InfraError(f"tcpdump cannot be started: {error.strerror}", remedy="see whether `tcpdump -D` works")


def refused(said: str, interface: str, filter_text: str, host: str = "") -> HarnessError | None:
    """What keeps tcpdump from listening, by its own words (libpcap's, which are not translated); None: not known. host: where it
    runs, "" for here.
    """
    on, there = (f" on {host}", f"on {host}: ") if host else ("", "")
    text, words = said.lower(), last_words(said)
    if "no such device" in text or "doesn't exist" in text:
        return InfraError(
            f"there is no interface {interface!r}{on} to capture on",
            remedy=f"{there}`ip -br link` lists the interfaces; a USB adapter may have been unplugged or renamed",
        )
    if "permission" in text or "not permitted" in text:
        return InfraError(
            f"no right to capture on {interface}{on}: {words}",
            remedy=f"run as root, or {there or 'once: '}{GRANT}",
        )
    if "not up" in text or "network is down" in text:
        return InfraError(f"the interface {interface}{on} is down", remedy=f"{there}ip link set {interface} up")
    if "syntax error" in text or "filter expression" in text:
        return ConfigError(f"the capture filter is wrong: {words}", place=filter_text, remedy="see `man pcap-filter`")
    return None


def mute(said: str, argv: Sequence[str], interface: str, on: str, timeout: float) -> InfraError:
    """It runs, and has not said within `timeout` seconds that it listens. on: " on bench-pi", "" for here."""
    return InfraError(
        f"tcpdump does not listen on {interface}{on} within {timeout:g} s: {last_words(said)}",
        remedy=f"try `{' '.join(argv[:3])}` by hand{on}",
    )


def died(said: str, status: int | None, where: str, file: Path) -> InfraError:
    """It listened, and ended unasked with `status` (negative: the signal; None: it was made to). where: "eth1 on bench-pi"."""
    how = f"was ended by signal {-status}" if status is not None and status < 0 else f"ended with status {status}"
    return InfraError(
        f"tcpdump on {where} {how} in the middle of the boot: {last_words(said)}",
        place=str(file),
        remedy="see whether the interface went away or somebody ended tcpdump",
    )
