# SPDX-License-Identifier: GPL-2.0-or-later
"""Golden boots: every packet of a whole boot of each model, octet for octet, in golden/MODEL.txt. A change must be meant.

Each line is what the packet is and its frame in hex. The octets of each kind of packet are derived by hand, with their sources,
in test_golden.py, test_rom_golden.py and test_pi5_golden.py, the order of the requests in test_boot.py, test_rom_boot.py and
test_pi5.py; here nothing between them may move either. `python -m tests.emulator.test_golden_boots` writes the files anew:
read what differs before it is kept.
"""

from pathlib import Path

import pytest

from harness.models import MODELS
from tests.emulator import rom, samples
from tests.emulator.fatimage import image
from tests.emulator.netserver import NetServer, udp
from tests.emulator.simulator import World, boot
from tests.emulator.test_http import run as boot_over_http
from tests.emulator.test_http import web
from tests.emulator.test_pi5 import tree

GOLDEN = Path(__file__).with_name("golden")
OPCODES = {1: "RRQ", 4: "ACK", 5: "ERROR"}


def whole_boot(name: str) -> World:
    """From power-on to the hand-over, with everything where a board looks first."""
    if name == "pi5-http":
        return boot_over_http(web(image(dict(tree("")), 12)))
    model = MODELS[name]
    if model.bootloader == "rom":
        server = NetServer(rom.tree(name), offer=((43, rom.SPACED),))
        # The old ROM does not hear what is answered at once.
        return rom.boot(server if name == "pi3bplus" else rom.late(server, 1.0), name)
    dtb = {model.dtb: samples.dtb(model.compatible, f"brcm,{model.soc.lower()}")}
    files = samples.tree() | {f"91cdf03d/{key}": data for key, data in dtb.items()} if model.start_elf else tree(**dtb)
    return boot(NetServer(files), model=model, revision=int(model.revision, 16))


def described(frame: bytes) -> str:
    packet = udp(frame)
    if frame[12:14] == b"\x08\x06":
        return "ARP request" if frame[21] == 1 else "ARP reply"
    if packet is None:
        return "TCP"
    if packet.dport == 67:
        return {1: "DISCOVER", 3: "REQUEST"}[dict(packet.dhcp_options)[53][0]]
    opcode = OPCODES[packet.payload[1]]
    if opcode == "RRQ":
        return "RRQ " + packet.payload[2:].split(b"\0")[0].decode()
    return f"ACK {int.from_bytes(packet.payload[2:4], 'big')}" if opcode == "ACK" else opcode


def listed(name: str) -> str:
    world = whole_boot(name)
    assert world.ended == "handover", world.text
    return "".join(f"{described(frame)}: {frame.hex()}\n" for frame in world.frames)


@pytest.mark.parametrize("name", [*MODELS, "pi5-http"])
def test_every_packet_of_a_boot(name: str):
    wanted = (GOLDEN / f"{name}.txt").read_text(encoding="ascii").splitlines()
    assert listed(name).splitlines() == wanted


if __name__ == "__main__":
    for one in (*MODELS, "pi5-http"):
        (GOLDEN / f"{one}.txt").write_text(listed(one), encoding="ascii")
