# SPDX-License-Identifier: GPL-2.0-or-later
"""What emulated boards of each model and release write on their UART, read as anybody's console log: model, date and outcome.

Emulator and judge share no text; what public logs of real boards say is read in tests/analyze/test_corpus.py.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.analyze import analyze
from harness.models import MODELS, Model
from tests.analyze.packets import names
from tests.emulator import rom, samples
from tests.emulator.netserver import NetServer
from tests.emulator.simulator import Wire, World, boot, silence
from tests.emulator.test_pi5 import tree

#: One release of each shape of the log; "" is the current one.
RELEASES = {
    "BCM2837": ("",),
    "BCM2711": ("2019-11-18", "2020-09-03", "2021-07-06", "2021-11-22", "2022-11-25", "2024-04-17", "2024-05-17", ""),
    "BCM2712": ("2023-10-18", "2025-03-27", ""),
}
MENU = ((43, rom.SPACED),)
ALL = [
    pytest.param(model, date, id=f"{model.name} {date}") for model in MODELS.values() for date in RELEASES[model.soc]
]
EEPROM = [parameters for parameters in ALL if parameters.values[0].bootloader == "eeprom"]


def files(model: Model) -> dict[str, bytes]:
    if model.bootloader == "rom":
        return rom.tree(model.name)
    dtb = {model.dtb: samples.dtb(model.compatible, f"brcm,{model.soc.lower()}")}
    if not model.start_elf:
        return tree(**dtb)
    return samples.tree() | {f"91cdf03d/{name}": data for name, data in dtb.items()}


def serving(model: Model, *gone: str) -> NetServer:
    found = files(model)
    for name in [name for name in found if name.endswith(gone)] if gone else ():
        del found[name]
    return NetServer(found, offer=MENU)


def run(model: Model, date: str, wire: Wire, **options: bool) -> World:
    if model.bootloader == "rom":
        return rom.boot(wire if model.name == "pi3bplus" else rom.late(wire, 1.0), model.name, **options)
    revision, keys = int(model.revision, 16), {"BOOT_ORDER": "0xe2"}
    return boot(wire, model=model, revision=revision, date=date, keys=keys, seconds=200, **options)


def judged(folder: Path, world: World, model: Model, date: str) -> tuple[str, list[str]]:
    """Outcome and stages, and that the log says which board it is."""
    path = folder / "log"
    path.write_bytes(bytes(world.uart))
    (board,) = analyze([path])
    # Before May 2020 the banner did not name the board.
    if model.soc == "BCM2711" and "" < date < "2020-05-15":
        assert (board.family, board.model_certain) == ("bcm2711", False)
    else:
        assert board.model == model.name
        assert board.model_certain == (model.bootloader == "eeprom")
    if date:
        assert board.bootloader_date == date
    assert board.boots == 1
    return board.outcome, names(board.stages)


@pytest.mark.parametrize(("model", "date"), ALL)
def test_a_boot_up_to_its_kernel(tmp_path: Path, model: Model, date: str) -> None:
    world = run(model, date, serving(model))
    assert world.ended == "handover", world.text
    stages = ["dhcp", "firmware"] if model.bootloader == "rom" else ["link", "dhcp", "firmware"]
    assert judged(tmp_path, world, model, date) == ("firmware", stages)


@pytest.mark.parametrize(("model", "date"), ALL)
@pytest.mark.parametrize("what", ["kernel", "device tree"])
def test_a_file_that_is_missing(tmp_path: Path, model: Model, date: str, what: str) -> None:
    world = run(model, date, serving(model, *(model.kernels if what == "kernel" else (model.dtb,))))
    assert world.ended == "halt"
    outcome, _stages = judged(tmp_path, world, model, date)
    if model.soc == "BCM2711" and "" < date < "2020-06-12":
        assert outcome == "firmware", "start4.elf had no log then"
    elif what == "device tree" and model.start_elf:
        assert outcome == "waiting(kernel)"
    else:
        assert outcome == "failed(firmware)"


#: What a board with an EEPROM meets, whether its cable is plugged in, and the outcome.
NETWORKS: tuple[tuple[Callable[[Model], Wire], bool, str], ...] = (
    (lambda _model: silence, False, "failed(link)"),
    (lambda _model: silence, True, "failed(dhcp)"),
    (lambda model: NetServer(files(model), offer=()), True, "failed(dhcp)"),
    (lambda model: NetServer(files(model), offer=MENU, naks=99), True, "failed(dhcp)"),
    (lambda _model: NetServer({}, offer=MENU), True, "failed(firmware)"),
    (lambda _model: NetServer({}, offer=((66, b"10.77.0.99"),)), True, "failed(firmware)"),
)


@pytest.mark.parametrize(("model", "date"), EEPROM)
def test_networks_that_fail(tmp_path: Path, model: Model, date: str) -> None:
    for answers, link, wanted in NETWORKS:
        world = run(model, date, answers(model), link=link)
        assert world.halted == "BOOT_ORDER says STOP"
        assert judged(tmp_path, world, model, date)[0] == wanted
