# SPDX-License-Identifier: GPL-2.0-or-later
"""A program that starts a rig, says so in one line of JSON, and holds it until it is interrupted or killed.

holder.py FOLDER BOARDS [raise] [on=TOPOLOGY]    with `raise`, it fails when its standard input ends
"""

import json
import signal
import sys
import time
from pathlib import Path

from harness.images.ext4 import make_image
from harness.servers import Rig, VirtualBoard


class BootSet:
    kind = "light"
    initramfs = None
    image = None
    own = None

    def __init__(self, folder: Path, *, block: bool) -> None:
        self.boot, self.root = folder / "boot", folder / "root"
        (self.boot).mkdir(parents=True, exist_ok=True)
        (self.root / "etc").mkdir(parents=True, exist_ok=True)
        (self.boot / "kernel8.img").write_bytes(b"kernel" * 100_000)
        if block:
            (self.root / "etc/iscsi").mkdir(exist_ok=True)
            self.image = folder / "root.ext4"
            make_image(self.root, self.image)


def main() -> None:
    # A job in the background of a shell starts with SIGINT ignored, and so do its children.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    folder, count = Path(sys.argv[1]), int(sys.argv[2])
    boards = [VirtualBoard(f"b{n}", "pi4", f"0000000{n}", f"dc:a6:32:00:00:0{n}") for n in range(count)]
    topology = next((word[3:] for word in sys.argv if word.startswith("on=")), "dnsmasq-nfs")
    boot_set = BootSet(folder, block=topology in ("dnsmasq-iscsi", "ceph-rbd"))
    with Rig(boards, folder / "run", topology=topology, boot_set=boot_set) as rig:
        server = rig.topology.hosts[0].name
        # Processes of all kinds: one with helpers, one that would not end when asked to, one that left its parent.
        rig.spawn("client", ["sh", "-c", "sleep 1000 & sleep 1000"])
        rig.spawn(server, ["sh", "-c", "trap '' TERM INT HUP; while :; do sleep 1000; done"])
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
