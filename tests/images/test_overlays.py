# SPDX-License-Identifier: GPL-2.0-or-later
"""disable-bt.dtbo, read back by dtc."""

import shutil
import struct
import subprocess

import pytest

from harness.images.overlays import disable_bt, flatten, text


def test_dtc_reads_it_and_finds_the_console_freed() -> None:
    if shutil.which("dtc") is None:
        pytest.skip("dtc is not installed (apt install device-tree-compiler)")
    done = subprocess.run(["dtc", "-q", "-I", "dtb", "-O", "dts"], input=disable_bt(), capture_output=True, check=True)
    source = "".join(done.stdout.decode().split())
    assert 'fragment@2{target=<0xffffffff>;__overlay__{status="disabled";};};' in source
    assert 'serial0="/soc/serial@7e201000";' in source
    assert 'bt="/fragment@2:target:0";' in source
    assert r'uart0_pins="/fragment@1/__overlay__:pinctrl-0:0\0/fragment@3:target:0";' in source


def test_the_header_tells_the_truth() -> None:
    blob = flatten({"a": text("x"), "child": {"a": b""}})
    magic, total, structure, names, reserved, version, oldest, _, names_size, structure_size = struct.unpack_from(
        ">10I", blob
    )
    assert (magic, total, version, oldest) == (0xD00DFEED, len(blob), 17, 16)
    assert reserved % 8 == 0
    assert structure % 4 == 0
    assert structure + structure_size == names
    assert blob[names : names + names_size] == b"a\0"  # one name, used twice
