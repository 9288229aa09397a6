# SPDX-License-Identifier: GPL-2.0-or-later
"""A program that starts a rig, says so in one line of JSON, and holds it until it is interrupted or killed.

holder.py FOLDER BOARDS [raise]    with `raise`, it fails when its standard input ends
"""

import json
import signal
import sys
import time
from pathlib import Path

from harness.servers import Rig, VirtualBoard


class BootSet:
    kind = "light"
    initramfs = None

    def __init__(self, folder: Path) -> None:
        self.boot, self.root = folder / "boot", folder / "root"
        (self.boot).mkdir(parents=True, exist_ok=True)
        (self.root / "etc").mkdir(parents=True, exist_ok=True)
        (self.boot / "kernel8.img").write_bytes(b"kernel" * 100_000)


def main() -> None:
    # A job in the background of a shell starts with SIGINT ignored, and so do its children.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    folder, count = Path(sys.argv[1]), int(sys.argv[2])
    boards = [VirtualBoard(f"b{n}", "pi4", f"0000000{n}", f"dc:a6:32:00:00:0{n}") for n in range(count)]
    with Rig(boards, folder / "run", boot_set=BootSet(folder)) as rig:
        # Processes of all kinds: one with helpers, one that would not end when asked to, one that left its parent.
        rig.spawn("client", ["sh", "-c", "sleep 1000 & sleep 1000"])
        rig.spawn("server", ["sh", "-c", "trap '' TERM INT HUP; while :; do sleep 1000; done"])
        rig.spawn("client", ["sh", "-c", "(setsid sleep 1000 &) ; exit 0"]).wait(10)
        facts = {
            "keeper": rig.keeper.pid,
            "scratch": str(rig.tftp_root.parent),
            "services": {name: service.running for name, service in rig.services.items()},
            "sockets": str(rig.board("b0").control_socket.parent) if count else "",
        }
        print(json.dumps(facts), flush=True)
        if "raise" in sys.argv:
            sys.stdin.read()  # until what there is has been looked at
            raise RuntimeError("as asked")
        time.sleep(1000)


if __name__ == "__main__":
    main()
