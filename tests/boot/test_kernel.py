# SPDX-License-Identifier: GPL-2.0-or-later
"""Which kernel a boot has started."""

from harness.boot.judge import judge
from harness.boot.record import KernelSeen
from tests.boot import stream

RELEASE, BUILD = "6.1.0-50-arm64", "#2 SMP Debian 6.1.176-1 (2026-07-02)"
TOLD = [
    stream.line(40, 7, "probe.value", key="kernel_release", value=RELEASE),
    stream.line(40, 8, "probe.value", key="kernel_build", value=BUILD),
]


def test_the_console_tells_it() -> None:
    said = stream.line(9, 5, "kernel.version", f"Linux version {RELEASE} (x) {BUILD}", release=RELEASE, build=BUILD)
    kernel = judge(stream.expectation(), [*stream.power_on(), said]).kernel
    assert kernel is not None
    assert (kernel.release, kernel.build, kernel.said_by) == (RELEASE, BUILD, "console")
    assert kernel.evidence[0].ref == 5


def test_a_quiet_kernel_is_asked_after_the_login() -> None:
    kernel = judge(stream.expectation(), [*stream.power_on(), *TOLD]).kernel
    assert kernel == KernelSeen(release=RELEASE, build=BUILD, said_by="uname")
    assert judge(stream.expectation(), stream.power_on()).kernel is None
