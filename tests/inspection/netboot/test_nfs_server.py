# SPDX-License-Identifier: GPL-2.0-or-later
"""The services of dnsmasq-nfs, looked at as somebody's own: dnsmasq with DHCP and TFTP, ganesha."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.servers import Dnsmasq, DnsmasqOptions, topology_named
from harness.servers.services.service import Service
from tests.inspection.netboot.bench import Bench, boards, ids, points, start
from tests.topologies.labs import skip_without

pytestmark = pytest.mark.netns

PI4, PI5, PI3B = "pi4-0", "pi5-1", "pi3b-2"
TFTP = "tftp: {address: 10.77.0.1, root: ROOT}"
OFFER = 'offer: {option_43: "Raspberry Pi Boot", siaddr: 10.77.0.1}'
NFS = 'root: {kind: nfs, source: "10.77.0.1:/srv/nfs/{serial}", version: "3"}'
SERVER = f", dhcp: [10.77.0.1], {TFTP}, {OFFER}, {NFS}"


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    skip_without("dnsmasq-nfs")
    folder = tmp_path_factory.mktemp("nfs")
    with start(topology_named("dnsmasq-nfs"), boards("pi4", "pi5", "pi3b"), folder / "run") as rig:
        yield Bench(rig, folder)


def dnsmasq(bench: Bench) -> Dnsmasq:
    service: Service = bench.rig.services["dnsmasq"]
    assert isinstance(service, Dnsmasq)
    return service


@contextmanager
def changed(bench: Bench, options: DnsmasqOptions) -> Iterator[None]:
    """dnsmasq with another configuration."""
    service = dnsmasq(bench)
    before = service.options
    try:
        service.options = options
        service.restart()
        yield
    finally:
        service.options = before
        service.restart()


def test_a_good_server_as_three_models_see_it(bench: Bench) -> None:
    looks = bench.looks(bench.lab(SERVER))
    assert {name: look["findings"] for name, look in looks.items()} == {PI4: [], PI5: [], PI3B: []}
    assert [[ask["program"] for ask in look["asks"]] for look in looks.values()] == [
        ["eeprom"],
        ["eeprom"],
        ["rom", "bootcode.bin"],
    ]
    for look in looks.values():
        assert look["skipped"] == []
        assert (look["ok"], look["tftp_server"]) == (True, "10.77.0.1")
        assert look["outcome"].startswith("would start")
        for ask in look["asks"]:
            (answer,) = ask["answers"]
            assert (answer["server"], answer["gives"], answer["described"]) == (
                "10.77.0.1",
                "address + boot server",
                True,
            )
            assert (ask["takes"], ask["address"]) == (True, answer["address"])
        files = {file["path"]: file for file in look["files"]}
        kernel = next(
            file for path, file in files.items() if path.endswith("/kernel8.img") and file["result"] == "complete"
        )
        assert kernel["size"] == (bench.rig.tftp_root / kernel["path"]).stat().st_size
        assert {file["local"] for file in files.values() if file["result"] == "complete"} == {"same"}
        assert all(file["normal"] for file in files.values() if file["result"] == "not found")
        assert [state for state, _ in points(look)] == ["ok", "ok"]
    assert [ask["octets"] for ask in looks[PI3B]["asks"]] == [320, 322]
    assert looks[PI3B]["asks"][0]["answers"][0]["seconds"] >= 0.95, "dnsmasq waits a second for an old boot ROM"
    assert dnsmasq(bench).leases.read_text() == "", "no lease was bound"


def test_the_table_for_people(bench: Bench) -> None:
    code, text = bench.check(bench.lab(SERVER, PI4))
    assert "pi4-0 (pi4) from server own" in text
    assert "-> the board would take 10.77.0." in text
    assert "as in the root folder" in text
    assert "-> would start 5ce8a200/kernel8.img with 5ce8a200/initramfs8" in text
    assert "nothing was found that would stop a boot" in text
    assert "\x1b" not in text
    assert code == 0, [line for line in text.splitlines() if line.startswith(("MISSING", "NO "))]


def test_a_server_on_the_very_machine_that_looks(bench: Bench) -> None:
    """A packet socket's frames never come to a server of the same machine, and its answers leave as ours do."""
    look = bench.look(bench.lab(SERVER, PI4, wire="eth0"), host="server")
    (ask,) = look["asks"]
    assert [(answer["server"], answer["gives"]) for answer in ask["answers"]] == [
        ("10.77.0.1", "address + boot server")
    ]
    assert (ask["takes"], look["findings"]) == (True, [])


def test_without_the_right_to_send_frames_the_rest_is_looked_at(bench: Bench) -> None:
    without = ["setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw"]
    look = bench.look(bench.lab(SERVER, PI4), before=without)
    assert look["asks"] == []
    assert "sudo .venv/bin/piboot check" in look["skipped"][0]
    assert look["outcome"].startswith("would start")
    assert look["ok"]


@pytest.fixture
def rogue(bench: Bench) -> Iterator[Dnsmasq]:
    """A second DHCP server on the wire, which knows nothing of network boot."""
    if "rogue" not in bench.rig.services:
        bench.rig.add_host("rogue", "10.77.0.66/24")
        options = DnsmasqOptions(boot_option_43=False, tftp=False)
        service = Dnsmasq(
            bench.rig.keeper,
            "rogue",
            bench.folder,
            address="10.77.0.66/24",
            tftp_root=bench.rig.tftp_root,
            name="rogue",
            options=options,
        )
        bench.rig.add_service(service)
    found = bench.rig.services["rogue"]
    assert isinstance(found, Dnsmasq)
    yield found
    found.stop()
    del bench.rig.services["rogue"]


def test_a_rogue_server(bench: Bench, rogue: Dnsmasq) -> None:
    look = bench.look(bench.lab(SERVER, PI4))
    (ask,) = look["asks"]
    answers = {answer["server"]: answer for answer in ask["answers"]}
    assert {server: answer["described"] for server, answer in answers.items()} == {
        "10.77.0.1": True,
        "10.77.0.66": False,
    }
    assert answers["10.77.0.66"]["gives"] == "address"
    assert "dhcp-strange-server" in ids(look, "warning") + ids(look)
    _, text = bench.check(bench.lab(SERVER, PI4))
    assert "10.77.0.66 NOT IN lab.yaml" in text
    assert rogue.leases.read_text() == ""


def test_an_offer_without_a_boot_server(bench: Bench) -> None:
    with changed(bench, DnsmasqOptions(boot_option_43=False)):
        look = bench.look(bench.lab(SERVER, PI5))
    (ask,) = look["asks"]
    assert not ask["takes"]
    assert "but no boot server" in ask["why"]
    assert "dhcp-offer-unusable" in ids(look)
    assert "10.77.0.1 was asked, as lab.yaml says" in look["skipped"][0]
    assert look["outcome"].startswith("would start"), "what lies on the server is looked at all the same"


def test_an_old_boot_rom_that_hears_the_offer_too_early(bench: Bench) -> None:
    with changed(bench, DnsmasqOptions(menu="Raspberry Pi Boot   ")):
        look = bench.look(bench.lab(SERVER, PI3B))
    rom, bootcode = look["asks"]
    assert (rom["takes"], bootcode["takes"]) == (False, True)
    assert "rom-deaf" in ids(look)
    with changed(bench, DnsmasqOptions(menu="Raspberry Pi Boot", delayed=(bench.rig.boards[PI3B].mac,))):
        look = bench.look(bench.lab(SERVER, PI3B))
    assert "rom-menu-spaces" in ids(look)


def test_nobody_answers(bench: Bench) -> None:
    dnsmasq(bench).stop()
    try:
        look = bench.look(bench.lab(SERVER, PI4))
    finally:
        dnsmasq(bench).start()
    assert ids(look) == ["dhcp-no-answer", "tftp-no-answer"]
    assert [state for state, _ in points(look)] == ["ok", "ok"], "the root's server is another"


def test_a_file_that_is_missing_and_one_that_differs(bench: Bench, tmp_path: Path) -> None:
    folder = bench.rig.tftp_root / "5ce8a200"
    firmware = ("start4.elf", "start.elf")
    for name in firmware:
        (folder / name).rename(bench.folder / name)
    try:
        look = bench.look(bench.lab(SERVER, PI4))
    finally:
        for name in firmware:
            (bench.folder / name).rename(folder / name)
    assert "firmware-missing" in ids(look)
    assert not look["ok"]
    (missing,) = [file for file in look["files"] if file["path"] == "5ce8a200/start4.elf"]
    assert (missing["result"], missing["normal"]) == ("not found", False)
    shutil.copytree(folder, tmp_path / "5ce8a200")
    (tmp_path / "5ce8a200/config.txt").write_text("arm_64bit=1\n")
    (tmp_path / "5ce8a200/cmdline.txt").unlink()
    look = bench.look(bench.lab(SERVER.replace("ROOT", str(tmp_path)), PI4))
    assert ids(look) == ["tftp-differs-from-root"]
    assert {file["path"]: file["local"] for file in look["files"] if file["local"] not in {"", "same"}} == {
        "5ce8a200/config.txt": "differs",
        "5ce8a200/cmdline.txt": "missing",
    }


def test_a_kernel_that_config_txt_names_and_nobody_has(bench: Bench) -> None:
    """It would stop a boot, and that is the server's: exit code 1."""
    config = bench.rig.tftp_root / "5ce8a200/config.txt"
    before = config.read_text()
    config.write_text(before + "\n[all]\nkernel=vmlinuz\n")
    try:
        code, text = bench.check(bench.lab(SERVER, PI4))
    finally:
        config.write_text(before)
    assert "no kernel (vmlinuz)" in " ".join(text.split())
    assert "this would stop a boot" in text
    assert code == 1


def test_an_export_that_is_not_there_and_a_root_that_cmdline_txt_has_otherwise(bench: Bench) -> None:
    look = bench.look(bench.lab(SERVER.replace("/srv/nfs/", "/srv/other/"), PI4))
    assert ids(look) == ["root-not-as-described", "root-server"]
    assert "path is /srv/nfs/5ce8a200, not /srv/other/5ce8a200" in look["findings"][0]["title"]
    assert "it is not exported; the server exports /srv/nfs/5ce8a200" in points(look)[1][1]


def test_nfs_version_4_and_what_an_offer_should_have_been(bench: Bench) -> None:
    wanted = SERVER.replace('version: "3"', 'version: "4.1"').replace(
        'option_43: "Raspberry Pi Boot"', "option_66: 10.77.0.9"
    )
    look = bench.look(bench.lab(wanted, PI4))
    assert ids(look) == []
    assert ids(look, "warning") == ["dhcp-offer-differs"]
    assert "option 66 is missing" in look["findings"][0]["title"]
    assert points(look)[1] == ("ok", "export /srv/nfs/5ce8a200: it is there (NFS version 4)")


def test_tftp_ip_in_the_eeprom_needs_no_word_in_the_offer(bench: Bench) -> None:
    own = {PI4: ', eeprom: {TFTP_IP: "10.77.0.1"}'}
    server = SERVER.replace(OFFER, "offer: {mode: none}")
    with changed(bench, DnsmasqOptions(boot_option_43=False)):
        look = bench.look(bench.lab(server, PI4, more=own))
    assert (look["findings"], look["tftp_server"], look["asks"][0]["takes"]) == ([], "10.77.0.1", True)
