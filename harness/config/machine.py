# SPDX-License-Identifier: GPL-2.0-or-later
"""`emulation: {machine}`: which of QEMU's machines can be which Pi."""

from harness.config.values import mistake

#: machine -> the models it is; a machine that is not here can stand for any.
_FITS = {"raspi3b": ("pi3b", "pi3bplus"), "raspi4b": ("pi4",)}


def check_machine(model: str, machine: str) -> None:
    """Raises the mistake of a machine that is another kind of Pi."""
    fits = _FITS.get(machine)
    if fits is not None and model not in fits:
        raise mistake(
            f"emulation: the machine {machine} is a {' or '.join(fits)}, not a {model}",
            f"write machine: virt, which boots the kernel of a {model} too",
        )
