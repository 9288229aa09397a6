# SPDX-License-Identifier: GPL-2.0-or-later
"""cmdline.txt, config.txt and fstab of real systems, changed for a boot by network."""

import pytest

from harness.images.own.rewrite import cmdline, cmdline_files, config_txt, fstab, settings

NFS = "console=serial0,115200 root=/dev/nfs nfsroot=10.77.0.1:/srv/nfs/91cdf03d,vers=3,tcp rw ip=dhcp rootwait"
ISCSI = (
    "console=serial0,115200 root=/dev/sda iscsi_initiator=iqn.a iscsi_target_name=iqn.b iscsi_target_ip=10.77.0.1 "
    "iscsi_username=91cdf03d iscsi_password=SECRET rootfstype=ext4 rw ip=dhcp rootwait"
)
FIRST = "init=/usr/lib/raspberrypi-sys-mods/firstboot"
RUN = "systemd.run=/boot/firstrun.sh systemd.run_success_action=reboot systemd.unit=kernel-command-line.target"
CARD = "root=PARTUUID=4e639091-02 rootfstype=ext4 fsck.repair=yes rootwait"
#: As the systems are handed out (pi-gen's stage1/00-boot-files and export-image; Imager; Ubuntu's gadget), and what is left.
SYSTEMS = {
    "Raspberry Pi OS 11": (
        f"console=serial0,115200 console=tty1 {CARD} quiet init=/usr/lib/raspi-config/init_resize.sh",
        "console=tty1 fsck.repair=yes",
    ),
    "Raspberry Pi OS 12 Lite": (
        f"console=serial0,115200 console=tty1 {CARD} quiet {FIRST}",
        "console=tty1 fsck.repair=yes",
    ),
    "Raspberry Pi OS 12 with a desktop": (
        f"console=serial0,115200 console=tty1 {CARD} quiet {FIRST} splash plymouth.ignore-serial-consoles",
        "console=tty1 fsck.repair=yes plymouth.ignore-serial-consoles",
    ),
    "Raspberry Pi OS 12 by Imager": (
        f"console=serial0,115200 console=tty1 {CARD} quiet {FIRST} cfg80211.ieee80211_regdom=JP {RUN}",
        "console=tty1 fsck.repair=yes cfg80211.ieee80211_regdom=JP",
    ),
    "Raspberry Pi OS 13": (
        f"console=serial0,115200 console=tty1 {CARD} resize",
        "console=tty1 fsck.repair=yes",
    ),
    "Raspberry Pi OS 13 by Imager": (
        f"console=serial0,115200 console=tty1 {CARD} resize ds=nocloud;i=rpi-imager-1759843402517",
        "console=tty1 fsck.repair=yes ds=nocloud;i=rpi-imager-1759843402517",
    ),
    "Ubuntu 24.04": (
        "console=serial0,115200 multipath=off dwc_otg.lpm_enable=0 console=tty1 root=LABEL=writable rootwait fixrtc",
        "multipath=off dwc_otg.lpm_enable=0 console=tty1 fixrtc",
    ),
}


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_systems_words_stay_and_the_topologys_follow(name: str) -> None:
    own, left = SYSTEMS[name]
    assert cmdline(own, NFS).text == f"{left} {NFS}"


@pytest.mark.parametrize("name", SYSTEMS)
def test_every_word_that_is_gone_is_told(name: str) -> None:
    own, left = SYSTEMS[name]
    told = " ".join(cmdline(own, NFS).changes)
    gone = [word for word in own.split() if word not in left.split()]
    gone = [word for word in gone if not word.startswith(("systemd.run_", "systemd.unit"))]  # told with systemd.run
    assert all(word in told for word in gone)
    assert not any(f" {word} was left out" in told for word in left.split())


def test_what_comes_to_a_line_that_says_nothing_of_a_root_is_told() -> None:
    assert cmdline("dwc_otg.lpm_enable=0", NFS).changes == (f"cmdline.txt: {NFS} was added",)


def test_an_init_and_a_unit_of_the_users_own_stay() -> None:
    own = "root=/dev/mmcblk0p2 init=/sbin/my-init systemd.unit=rescue.target console=ttyUSB0 loglevel=3"
    assert cmdline(own, NFS).text == f"init=/sbin/my-init systemd.unit=rescue.target console=ttyUSB0 {NFS}"


def test_secrets_are_not_told() -> None:
    found = cmdline("root=/dev/mmcblk0p2 iscsi_password=OLDSECRET", ISCSI)
    assert "iscsi_password=SECRET" in found.text.split()
    assert "OLDSECRET" not in found.text
    assert not any("=SECRET" in line or "OLDSECRET" in line for line in found.changes)


PI_OS = """proc            /proc           proc    defaults          0       0
PARTUUID=4e639091-01  /boot/firmware  vfat    defaults          0       2
PARTUUID=4e639091-02  /               ext4    defaults,noatime  0       1
# a swapfile is not a swap partition, no line here
#   use  dphys-swapfile swap[on|off]  for that
"""
REST = """proc            /proc           proc    defaults          0       0
# a swapfile is not a swap partition, no line here
#   use  dphys-swapfile swap[on|off]  for that
"""
WANTED = (
    "proc /proc proc defaults 0 0\n10.77.0.2:/srv/tftp/91cdf03d /boot nfs rw,vers=3,tcp,nolock,addr=10.77.0.2 0 0\n"
)
MOUNT = "10.77.0.2:/srv/tftp/91cdf03d {} nfs rw,vers=3,tcp,nolock,addr=10.77.0.2 0 0\n"


def test_the_cards_partitions_go_and_all_else_stays() -> None:
    found = fstab(PI_OS, "")
    assert found.text == REST
    assert found.changes == (
        "fstab: PARTUUID=4e639091-01 on /boot/firmware (vfat) was left out: there is no card",
        "fstab: PARTUUID=4e639091-02 on / (ext4) was left out: there is no card",
    )


@pytest.mark.parametrize("where", ["/boot/firmware", "/boot"])
def test_the_boot_folder_is_mounted_where_the_system_has_it(where: str) -> None:
    found = fstab(PI_OS.replace("/boot/firmware", where), WANTED)
    assert found.text == REST + MOUNT.format(where)
    assert found.changes[-1] == f"fstab: 10.77.0.2:/srv/tftp/91cdf03d is mounted on {where}"


@pytest.mark.parametrize(
    ("line", "stays"),
    [
        ("LABEL=writable / ext4 discard,errors=remount-ro 0 1", False),
        ("LABEL=system-boot /boot/firmware vfat defaults 0 1", False),
        ("/dev/mmcblk0p3 none swap sw 0 0", False),
        ("PARTUUID=4e639091-03 /data ext4 defaults 0 2", False),
        ("PARTUUID=4e639091-03 /data ext4 defaults,nofail 0 2", True),
        ("tmpfs /tmp tmpfs defaults 0 0", True),
        ("10.0.0.9:/media /media nfs ro 0 0", True),
        ("/swapfile none swap sw 0 0", True),
        ("odd", True),
    ],
)
def test_a_line_of_fstab_goes_when_it_names_the_card(line: str, stays: bool) -> None:
    assert fstab(f"{line}\n", "").text == (f"{line}\n" if stays else "")


def test_the_serial_console_is_switched_on_for_every_board() -> None:
    own = "auto_initramfs=1\n[cm5]\ndtoverlay=dwc2,dr_mode=host"
    found = config_txt(own)
    assert found.text == own + "\n\n[all]\nenable_uart=1\nuart_2ndstage=1\n"
    assert len(found.changes) == 2
    assert settings(found.text) == {"auto_initramfs": "1", "enable_uart": "1", "uart_2ndstage": "1"}


def test_a_config_that_has_all_is_left_alone() -> None:
    own = "[pi4]\nx=1\n[all]\r\nenable_uart=1\r\nuart_2ndstage=1\r\n"
    assert config_txt(own).text == own
    assert config_txt(own).changes == ()


def test_a_uart_for_one_model_only_is_not_for_every_board() -> None:
    assert "enable_uart=1 was added" in " ".join(config_txt("[pi5]\nenable_uart=1\n").changes)


@pytest.mark.parametrize(
    ("config", "names"),
    [
        ("", ("cmdline.txt",)),
        ("cmdline=nfs.txt\n", ("nfs.txt", "cmdline.txt")),
        ("[all]\nos_prefix=current/\n", ("current/cmdline.txt", "cmdline.txt")),
        ("cmdline=../../etc/passwd\nos_prefix=/etc/\n", ("cmdline.txt",)),
    ],
)
def test_the_command_lines_that_a_board_may_read(config: str, names: tuple[str, ...]) -> None:
    assert cmdline_files(config) == names
