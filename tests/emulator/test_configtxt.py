# SPDX-License-Identifier: GPL-2.0-or-later
"""config.txt: filters, include, settings, limits, and whatever bytes a server may send instead."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.emulator.configtxt import LINE_LIMIT, Conditions, Walk, read
from tests.emulator import samples
from tests.emulator.netserver import NetServer
from tests.emulator.simulator import boot

PI4 = Conditions(model="pi4", serial=0x91CDF03D)


def value(text: str, conditions: Conditions = PI4) -> str:
    return read(text.encode(), conditions).text("kernel")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("kernel=a", "a"),
        ("kernel=a\nkernel=b", "b"),
        ("  Kernel = a.img  \r\n", "a.img"),
        ("#kernel=a\n# kernel=b", ""),
        ("kernel=a\n[pi3]\nkernel=b", "a"),
        ("kernel=a\n[pi4]\nkernel=b", "b"),
        ("[pi3]\nkernel=a\n[pi4]\nkernel=b", "b"),
        ("[pi3]\nkernel=a\n[all]\nkernel=b", "b"),
        ("[PI4]\nkernel=a", "a"),
        ("[none]\nkernel=a", ""),
        ("[none]\nkernel=a\n[all]\nkernel=b", "b"),
        ("[cm4]\nkernel=a", ""),
        ("[pi400]\nkernel=a", ""),
        ("[pi5]\nkernel=a", ""),
        ("[board-type=0x11]\nkernel=a", "a"),
        ("[board-type=0x14]\nkernel=a", ""),
        ("[0x91cdf03d]\nkernel=a", "a"),
        ("[0x91CDF03D]\nkernel=a", "a"),
        ("[0x12345678]\nkernel=a", ""),
        ("[pi4]\n[0x12345678]\nkernel=a", ""),
        ("[pi3]\n[0x91cdf03d]\nkernel=a", ""),
        ("[0x12345678]\n[pi4]\nkernel=a", ""),
        ("[tryboot]\nkernel=a", ""),
        ("[gpio4=1]\nkernel=a", ""),
        ("[gpio4=0]\nkernel=a", "a"),
        ("[EDID=VSC-TD2220]\nkernel=a", ""),
        ("[HDMI:1]\nkernel=a", "a"),
        ("[unheard-of]\nkernel=a", ""),
        ("[unheard-of]\nkernel=a\n[pi4]\nkernel=b", "b"),
        ("kernel", ""),
        ("=kernel", ""),
        ("kernel=", ""),
    ],
)
def test_settings_and_filters(text: str, expected: str):
    assert value(text) == expected


def test_models_that_share_a_filter():
    assert value("[pi4]\nkernel=a", Conditions("cm4", 1)) == "a"
    assert value("[pi4]\nkernel=a", Conditions("pi400", 1)) == "a"
    assert value("[cm4]\nkernel=a", Conditions("cm4", 1)) == "a"
    assert value("[pi3+]\nkernel=a", Conditions("pi3bplus", 1)) == "a"
    assert value("[pi3+]\nkernel=a", Conditions("pi3b", 1)) == ""


def test_conditions_of_the_moment():
    now = Conditions("pi4", 1, tryboot=True, gpio_high=frozenset({4}), edid=frozenset({"VSC-TD2220"}))
    assert value("[tryboot]\nkernel=a", now) == "a"
    assert value("[gpio4=1]\nkernel=a", now) == "a"
    assert value("[EDID=VSC-TD2220]\nkernel=a", now) == "a"


def test_overlays_and_parameters_in_order():
    config = read(
        b"dtoverlay=disable-bt\ndtparam=audio=on\ndtoverlay=gpio-led,gpio=4\ndtoverlay=old:x=1\ndtoverlay=\n", PI4
    )
    assert config.overlays == [("disable-bt", ""), ("gpio-led", "gpio=4"), ("old", "x=1")]
    assert config.dtparams == ["audio=on"]


def test_initramfs_line():
    assert read(b"initramfs initrd.img followkernel\n", PI4).initramfs_names == ("initrd.img",)
    assert read(b"initramfs a.cpio,b.cpio 0x00800000\n", PI4).initramfs_names == ("a.cpio", "b.cpio")
    assert read(b"ramfsfile=x.gz\nramfsaddr=-1\n", PI4).initramfs_names == ("x.gz",)
    assert read(b"[pi3]\ninitramfs x\n", PI4).initramfs_names == ()


def test_include_is_read_where_it_stands():
    files = {"a.txt": b"kernel=a\ninclude b.txt\n", "b.txt": b"cmdline=b.txt\n"}
    config = read(b"kernel=first\ninclude a.txt\ninclude gone.txt\ncmdline=last\n", PI4, files.get)
    assert config.text("kernel") == "a"
    assert config.text("cmdline") == "last"


def test_filter_of_an_included_file_goes_on_and_include_obeys_filters():
    files = {"a.txt": b"[pi3]\n", "b.txt": b"kernel=b\n"}
    assert read(b"include a.txt\nkernel=x\n[all]\n[pi5]\ninclude b.txt\n", PI4, files.get).text("kernel") == ""


def test_include_of_itself_ends():
    asked = []

    def fetch(name: str) -> bytes:
        asked.append(name)
        return b"include me.txt\ninclude me.txt\n"

    read(b"include me.txt\n", PI4, fetch)
    assert len(asked) <= 16


def test_line_limit():
    name = "k" * (LINE_LIMIT - 7)
    assert value(f"kernel={name}") == name
    assert value(f"kernel={name}beyond") == name


def test_numbers_that_are_none_are_the_default():
    config = read(b"enable_uart=yes\ngpu_mem=0x10\n", PI4)
    assert config.number("gpu_mem") == 16
    assert not config.flag("enable_uart")
    assert config.flag("arm_64bit", default=True)


@given(st.binary(max_size=6000))
def test_any_bytes_are_read(data: bytes):
    walk = Walk(PI4, data)
    for _ in range(40):
        if not walk.wanted:
            break
        walk.feed(data)
    assert not walk.wanted


@given(
    st.lists(
        st.sampled_from(
            [
                "[pi4]",
                "[pi3]",
                "[all]",
                "[none]",
                "[",
                "[]",
                "]",
                "kernel=a",
                "include a",
                "initramfs",
                "initramfs a b",
                "dtoverlay=,",
            ]
        )
        | st.text(max_size=120)
    )
)
def test_any_lines_are_read(lines: list[str]):
    read("\n".join(lines).encode("utf-8", "replace"), PI4, lambda _name: b"[pi3]\ninclude x\n")


def test_config_over_4096_bytes_is_ignored_by_start4_elf():
    config = samples.CONFIG + b"# " + b"x" * 90 + b"\n"
    big = config + (b"#" * 90 + b"\n") * 50 + b"kernel=special.img\n"
    server = NetServer(samples.tree(config_txt=big, **{"special.img": samples.kernel()}))
    world = boot(server)
    assert "G 91cdf03d/special.img" not in server.log
    assert any("4096" in note for note in (world.payload.notes if world.payload else ()))


@pytest.mark.parametrize(
    ("config", "wanted"),
    [
        (b"start_file=my.elf\nfixup_file=my.dat\n", ("my.elf", "my.dat")),
        (b"start_x=1\n", ("start4x.elf", "fixup4x.dat")),
        (b"start_debug=1\n", ("start4db.elf", "fixup4db.dat")),
        (b"gpu_mem=16\n", ("start4cd.elf", "fixup4cd.dat")),
    ],
)
def test_firmware_files_by_config(config: bytes, wanted: tuple[str, str]):
    files = samples.tree(config_txt=config)
    for name, data in zip(wanted, (samples.elf(), b"fixup"), strict=True):
        files[f"91cdf03d/{name}"] = data
    server = NetServer(files)
    boot(server)
    assert [f"G 91cdf03d/{name}" in server.log for name in wanted] == [True, True]


def test_os_prefix_holds_when_kernel_and_device_tree_are_there():
    files = samples.tree(config_txt=samples.CONFIG + b"os_prefix=new/\n")
    for name in ("kernel8.img", "bcm2711-rpi-4-b.dtb", "cmdline.txt", "initramfs8"):
        files[f"91cdf03d/new/{name}"] = files[f"91cdf03d/{name}"]
    server = NetServer(files)
    payload = boot(server).payload
    assert payload is not None
    assert payload.kernel.path == "91cdf03d/new/kernel8.img"
    assert payload.initramfs is not None
    assert payload.initramfs.path == "91cdf03d/new/initramfs8"
    assert "G 91cdf03d/new/cmdline.txt" in server.log
    assert "G 91cdf03d/overlays/disable-bt.dtbo" in server.log


def test_os_prefix_is_ignored_when_its_kernel_is_missing():
    payload = boot(NetServer(samples.tree(config_txt=samples.CONFIG + b"os_prefix=new/\n"))).payload
    assert payload is not None
    assert payload.kernel.path == "91cdf03d/kernel8.img"


@pytest.mark.parametrize(
    ("config", "console", "cmdline"),
    [
        (b"enable_uart=1\n", "ttyS0", "console=ttyS0,115200"),
        (b"enable_uart=1\ndtoverlay=disable-bt\n", "ttyAMA0", "console=ttyAMA0,115200"),
        (b"dtoverlay=miniuart-bt\n", "ttyAMA0", "console=ttyAMA0,115200"),
        (b"", "", "console=ttyS0,115200"),
    ],
)
def test_serial0_by_overlay(config: bytes, console: str, cmdline: str):
    payload = boot(NetServer(samples.tree(config_txt=config))).payload
    assert payload is not None
    assert payload.console == console
    assert payload.cmdline.split()[0] == cmdline


def test_other_names_by_config():
    config = (
        samples.CONFIG
        + b"cmdline=other.txt\ndevice_tree=my.dtb\noverlay_prefix=ovl/\narmstub=stub.bin\nauto_initramfs=0\n"
    )
    files = samples.tree(config_txt=config, **{"other.txt": b"quiet\n", "my.dtb": samples.dtb(), "stub.bin": b"x"})
    files["91cdf03d/ovl/disable-bt.dtbo"] = samples.dtb("overlay")
    server = NetServer(files)
    payload = boot(server).payload
    assert payload is not None
    assert (payload.cmdline, payload.dtb.path, payload.initramfs) == ("quiet", "91cdf03d/my.dtb", None)
    assert "G 91cdf03d/ovl/disable-bt.dtbo" in server.log
    assert any("stub.bin" in note for note in payload.notes)


def test_arm_64bit_0_asks_for_32_bit_kernels():
    files = samples.tree(
        config_txt=samples.CONFIG + b"arm_64bit=0\n", kernel8_img=None, **{"kernel7l.img": b"zImage" * 99}
    )
    server = NetServer(files)
    payload = boot(server).payload
    assert payload is not None
    assert payload.kernel.path == "91cdf03d/kernel7l.img"
    assert "N 91cdf03d/armstub8-32-gic.bin" in server.log
    assert not [line for line in server.log if "kernel8" in line]
