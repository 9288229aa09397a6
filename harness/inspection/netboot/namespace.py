# SPDX-License-Identifier: GPL-2.0-or-later
"""Work in a named network namespace, where a wire's interface may be."""

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from harness.errors import InfraError
from harness.servers.kernel import set_net

T = TypeVar("T")


def inside(namespace: str | None, work: Callable[[], T]) -> T:
    """`work`, in a thread of its own: one that entered a namespace never leaves it. Raises InfraError, and what `work` raises."""
    if namespace is None:
        return work()
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            _enter(namespace)
            results.append(work())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, name=f"look-{namespace}")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def _enter(namespace: str) -> None:
    fd = -1
    try:
        fd = os.open(Path("/run/netns") / namespace, os.O_RDONLY | os.O_CLOEXEC)
        set_net(fd)
    except OSError as error:
        remedy = "run it as root; `ip netns list` shows the namespaces"
        raise InfraError(f"the namespace {namespace} cannot be entered: {error.strerror}", remedy=remedy) from error
    finally:
        with suppress(OSError):
            os.close(fd)
