# SPDX-License-Identifier: GPL-2.0-or-later
"""Other people's servers, looked at: OpenWrt's options with tftpd-hpa, ISC dhcpd, Kea with atftpd, a web server with boot.img."""

from dataclasses import replace
from pathlib import Path

import pytest

from harness.servers import topology_named
from tests.inspection.netboot.bench import Bench, boards, ids, points, start
from tests.topologies.labs import skip_without

pytestmark = pytest.mark.netns

ONE = """, dhcp: [10.77.0.1], tftp: {address: 10.77.0.1, root: ROOT}, offer: {OFFER},
    root: {kind: nfs, source: "10.77.0.1:/srv/nfs/{serial}"}"""
NAS = ONE.replace("address: 10.77.0.1", "address: 10.77.0.2").replace("10.77.0.1:/srv", "10.77.0.2:/srv")
MENU = 'option_43: "Raspberry Pi Boot"'


@pytest.mark.parametrize(
    ("topology", "server", "models"),
    [
        ("openwrt-43-66", NAS.replace("OFFER", MENU + ', option_66: "10.77.0.2"'), ("pi4", "pi3bplus")),
        ("router-option-66", NAS.replace("OFFER", 'option_66: "10.77.0.2"'), ("pi5",)),
        pytest.param("isc-hpa", ONE.replace("OFFER", 'option_66: "10.77.0.1"'), ("pi4",), marks=pytest.mark.slow),
        pytest.param("kea-atftpd", ONE.replace("OFFER", 'option_66: "10.77.0.1"'), ("pi4",), marks=pytest.mark.slow),
    ],
)
def test_a_good_server(topology: str, server: str, models: tuple[str, ...], tmp_path: Path) -> None:
    skip_without(topology)
    with start(topology_named(topology), boards(*models), tmp_path / "run") as rig:
        bench = Bench(rig, tmp_path)
        looks = bench.looks(bench.lab(server))
        assert {name: look["findings"] for name, look in looks.items()} == {name: [] for name in looks}
        for look in looks.values():
            assert look["outcome"].startswith("would start")
            assert [state for state, _ in points(look)] == ["ok", "ok"]
            assert all(ask["takes"] for ask in look["asks"])


@pytest.mark.slow
def test_a_web_server_with_boot_img(tmp_path: Path) -> None:
    skip_without("dnsmasq-http")
    settings = {"BOOT_ORDER": "0xf27", "HTTP_HOST": "10.77.0.1", "HTTP_PATH": "pi"}
    (plain,) = boards("pi5")
    with start(topology_named("dnsmasq-http"), [replace(plain, eeprom=settings)], tmp_path / "run") as rig:
        bench = Bench(rig, tmp_path)
        keys = {"pi5-0": ', eeprom: {BOOT_ORDER: 0xf27, HTTP_HOST: "10.77.0.1", HTTP_PATH: pi}'}
        lab = bench.lab(f', dhcp: [10.77.0.1], http: {{url: "http://10.77.0.1/pi/", root: {rig.www}}}', more=keys)
        look = bench.look(lab)
        assert ids(look) == []
        assert [(file["result"], file["local"]) for file in look["files"]] == [("complete", "same")] * 2
        assert look["outcome"].startswith("would start kernel")
        assert [state for state, _ in points(look)] == ["ok", "ok"], "the root of the cmdline.txt in boot.img"
        with (rig.www / "pi/boot.img").open("r+b") as image:
            image.seek(1 << 20)
            image.write(b"changed")
        look = bench.look(lab)
        assert "is not the SHA-256 of boot.img" in look["outcome"]
        assert ids(look) == ["http-boot"]
