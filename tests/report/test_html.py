# SPDX-License-Identifier: GPL-2.0-or-later
"""The page: what it says, and that nothing foreign gets into it."""

import base64
import hashlib
import json
import math
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

from harness.boot.record import CaptureClock, Gap, Rate
from harness.report import html
from harness.report.html import write_report
from harness.report.runs import load_run

from . import samples

VOID = {"meta", "br", "link", "img", "input"}


class Page(HTMLParser):
    """Tags with attributes, ids, links; checks that tags nest."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.source = page
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.feed(page)
        self.close()
        self.words = "".join(self.texts)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in ("script", "style"):
            self.texts.append(data)

    def attributes(self, name: str) -> list[str]:
        return [value for _, attributes in self.tags if (value := attributes.get(name)) is not None]


def page_of(run: Path) -> Page:
    page = Page(write_report(run).read_text(encoding="utf-8"))
    assert page.open == []
    return page


def night(tmp_path: Path) -> Path:
    run = samples.write_run(tmp_path / "night")
    samples.write_boot(run, samples.hostile(), samples.HOSTILE_CONSOLE)
    return run


@pytest.fixture(scope="module")
def the_page(tmp_path_factory: pytest.TempPathFactory) -> Page:
    """The page of a night's run, written once: most tests only read it."""
    return page_of(night(tmp_path_factory.mktemp("reports")))


def test_the_page_says_first_what_went_wrong_and_what_to_do(the_page: Page) -> None:
    words = " ".join(the_page.words.split())
    assert "4 of 6 boards did not boot" in words
    for said in (
        "The board sent 6 DISCOVERs in 30 s and no server answered.",
        "No DHCP server answered the board",
        "Start dnsmasq on 10.77.0.1",
        "whoever runs the netboot server",
        "Port 7 of sw1 was told to switch on and still reads off after 5 s.",
        "it breaks off or is damaged at line",
        "From power-on to login in 46.4 s, every stage within its budget.",
        "firmware took 71.1 s of 60 s",
        "command line: console=ttyAMA0 appended",
        "41 passed, 3 failed, 12 skipped, 2 errors",
        "52,114 packets, 0 dropped",
    ):
        assert said in words, said


def test_nothing_is_asked_for_over_a_network_and_nothing_foreign_runs(the_page: Page) -> None:
    page = the_page
    bare = page.source.replace("http://www.w3.org/2000/svg", "")
    assert not re.search(
        r"https?://|url\(|@import|javascript:alert", re.sub(r"pi4-evil/javascript:alert\(3\) is missing", "", bare)
    )
    assert page.attributes("src") == []
    names = {name for _, attributes in page.tags for name in attributes}
    assert not [name for name in names if name.startswith("on")]
    assert "style" not in names
    tags = [tag for tag, _ in page.tags]
    assert tags.count("script") == tags.count("style") == 1
    assert not {"iframe", "img", "link", "object", "base", "form"} & set(tags)


def test_the_policy_admits_exactly_our_style_and_script(the_page: Page) -> None:
    page = the_page
    policy = next(a["content"] or "" for _, a in page.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for tag in ("style", "script"):
        (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", page.source, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


def test_hostile_text_is_shown_not_obeyed(the_page: Page) -> None:
    page = the_page
    assert "<script>alert" not in page.source
    assert "<script>alert(1)</script>" in page.words
    assert "<script>alert('console')</script>" in page.words
    assert "<img" not in page.source
    assert not set(page.source) & {chr(n) for n in range(32) if n not in (9, 10)}
    assert not set(page.source) & {"\x7f", "\u202e", "\u2066"}


def test_links_are_relative_and_lead_to_files_that_exist(tmp_path: Path) -> None:
    run = night(tmp_path)
    page = page_of(run)
    files = [href for href in page.attributes("href") if not href.startswith("#")]
    assert {"pi4-bench/capture.pcapng", "pi4-bench/console.log", "pi4-bench/record.json", "servers/dnsmasq.log"} <= set(
        files
    )
    for href in files:
        assert ":" not in href
        assert not href.startswith("/")
        assert (run / unquote(href)).resolve().is_relative_to(run)
        assert (run / unquote(href)).exists(), href
    assert "etc/passwd is outside the run&#39;s folder" in page.source


def test_links_within_the_page_lead_somewhere_and_ids_are_unique(tmp_path: Path) -> None:
    page = page_of(night(tmp_path))
    ids = page.attributes("id")
    assert len(ids) == len(set(ids))
    inner = {href[1:] for href in page.attributes("href") if href.startswith("#")}
    assert inner <= set(ids)
    bench = next(n for n, boot in enumerate(load_run(tmp_path / "night").boots, 1) if boot.name == "pi4-bench")
    assert f"b{bench}-L{samples.CONSOLE_LINES['kernel']}" in inner
    assert f"b{bench}-p4" in inner


def test_every_picture_is_xml_with_titles(the_page: Page) -> None:
    page = the_page
    pictures = re.findall(r"<svg.*?</svg>", page.source, re.DOTALL)
    assert len(pictures) > 10
    for picture in pictures:
        root = ET.fromstring(picture)  # noqa: S314 - our own page
        width, height = map(float, root.attrib["viewBox"].split()[2:])
        assert width > 0 < height
        assert root.attrib["aria-label"]
    assert any("userspace: passed, from +24.105 s, 21.6 s of 90 s budget" in picture for picture in pictures)


def test_verdicts_are_words_and_signs_not_only_colours(the_page: Page) -> None:
    page = the_page
    for words in ("failed at dhcp", "lab gear failed", "no readable record", "passed, late", "passed"):
        assert re.search(rf'class="chip \w+"><span aria-hidden="true">\S+</span> {words}</span>', page.source), words


def test_needed_files_that_never_came_stand_out_from_those_that_are_normally_absent(tmp_path: Path) -> None:
    missing = samples.transfers()[2].model_copy(update={"path": "91cdf03d/cmdline.txt"})
    kept = tuple(t for t in samples.transfers() if "cmdline" not in t.path)
    samples.write_boot(tmp_path, samples.good(tftp=(*kept, missing)))
    page = page_of(tmp_path)
    assert "not found, but needed" in page.words
    assert page.source.count('class="needed"') == 1
    assert "not found (normal)" in page.words


@pytest.mark.parametrize("path", ["autoboot.txt", "boot.sig", "91cdf03d//overlays/hat_map.dtb"])
def test_what_the_judge_takes_for_normal_is_normal_on_the_page(tmp_path: Path, path: str) -> None:
    absent = samples.transfers()[2].model_copy(update={"path": path})
    samples.write_boot(tmp_path, samples.good(tftp=(absent,)))
    assert "not found (normal)" in page_of(tmp_path).words


def test_a_file_found_after_the_prefix_was_dropped_is_not_missing(tmp_path: Path) -> None:
    first = samples.transfers()[2].model_copy(update={"path": "91cdf03d/start4.elf"})
    samples.write_boot(tmp_path, samples.good(tftp=(first, *samples.transfers(prefix=""))))
    assert "not found, but needed" not in page_of(tmp_path).words


def test_files_over_http_have_a_table_and_a_lane_of_their_own(tmp_path: Path) -> None:
    run = tmp_path / "run"
    samples.write_boot(run, samples.good(tftp=(), http=samples.fetches()))
    page = page_of(run)
    words = " ".join(page.words.split())
    assert "Files over HTTP 3 requests" in words
    assert "refused 503 Busy" in words
    assert "/net_install/boot.img" in words
    assert "Files over TFTP" not in words
    assert [tag for tag, attributes in page.tags if tag == "tr" and attributes.get("class") == "broken"]
    assert "HTTP" in [text.strip() for text in page.texts]


def test_when_the_console_was_away_is_told_and_drawn(tmp_path: Path) -> None:
    record = samples.good()
    assert record.console is not None
    zero = record.started
    gaps = (
        Gap(
            start=zero + 8,
            end=zero + 9.5,
            why="unplugged <b>\x1b[31m",
            back="reopened as /dev/ttyUSB1",
            stages=("kernel",),
        ),
        Gap(start=zero + 30, why="gone"),
    )
    changed = record.model_copy(update={"console": record.console.model_copy(update={"gaps": gaps})})
    samples.write_boot(tmp_path / "run", changed)
    page = page_of(tmp_path / "run")
    assert "unplugged <b>" in page.words
    assert "reopened as /dev/ttyUSB1; may hide kernel" in page.words
    assert "gone; not back" in page.words
    assert page.attributes("class").count("gap") == 4, "two, on the wide picture and on the phone's"
    assert "\x1b" not in page.source


def test_another_rate_of_the_console_is_told(tmp_path: Path) -> None:
    record = samples.good()
    assert record.console is not None
    rates = (Rate(t=record.started + 8, baud=921600, offset=100),)
    changed = record.model_copy(update={"console": record.console.model_copy(update={"rates": rates})})
    samples.write_boot(tmp_path / "run", changed)
    assert re.search(r"921600 baud from \S+ s on", page_of(tmp_path / "run").words)


def test_who_asked_for_an_address_is_told(the_page: Page) -> None:
    words = " ".join(the_page.words.split())
    assert "firmware (eeprom): ack" in words
    assert "os (klibc): ack" in words


@pytest.mark.gear  # long
def test_a_ten_megabyte_console_is_bounded(tmp_path: Path) -> None:
    console = b"".join(
        b"[%9d.123456] a line of the kernel that says the same again and again\r\n" % n for n in range(150_000)
    )
    assert len(console) > 10_000_000
    samples.write_boot(tmp_path, samples.good(), console)
    page = page_of(tmp_path)
    assert len(page.source) < 1_500_000
    assert sum(bool(re.fullmatch(r"b1-L\d+", i)) for i in page.attributes("id")) <= 2000
    assert "lines left out" in page.words
    assert "150,000 lines" in page.words


@pytest.mark.gear  # long
def test_fifty_boards_make_one_page_of_bearable_size(tmp_path: Path) -> None:
    for number in range(50):
        samples.write_boot(tmp_path, samples.good(f"pi4-{number:02d}"))
    page = page_of(tmp_path)
    assert "All 50 boards booted" in page.words
    assert len(page.source) < 12_000_000
    assert '<details class="boot passed">' in page.source  # closed: somebody looks for trouble, not for this


def test_few_boots_and_failed_ones_are_open(tmp_path: Path) -> None:
    samples.write_boot(tmp_path, samples.good())
    assert '<details class="boot passed" open>' in page_of(tmp_path).source


def test_an_empty_run_gives_a_page(tmp_path: Path) -> None:
    assert "No board was booted" in page_of(tmp_path).words


@pytest.mark.parametrize("bad", [math.inf, -math.inf, 1e300])
def test_senseless_numbers_cost_no_page(tmp_path: Path, bad: float) -> None:
    data = json.loads(samples.good().model_dump_json())
    data["started"] = data["ended"] = data["clock_step_s"] = bad
    data["stages"][3]["end"] = data["stages"][0]["start"] = data["tftp"][1]["throughput"] = bad
    (tmp_path / "pi4").mkdir()
    (tmp_path / "pi4" / "record.json").write_text(json.dumps(data).replace("Infinity", "1e999"))
    assert "pi4-bench" in page_of(tmp_path).words


def test_a_record_that_cannot_be_drawn_costs_only_its_own_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = samples.write_run(tmp_path / "night")
    real = html.boot_view

    def stumble(folder: Path, boot: object, anchor: str, lines: int) -> object:
        if getattr(boot, "record", None) is not None and getattr(boot, "name", "") == "pi4-attic":
            raise ZeroDivisionError("<b>unforeseen</b>")
        return real(folder, boot, anchor, lines)  # type: ignore[arg-type]

    monkeypatch.setattr(html, "boot_view", stumble)
    page = page_of(run)
    assert "This record could not be shown (ZeroDivisionError: <b>unforeseen</b>)." in page.words
    assert "From power-on to login in 46.4 s" in page.words


def test_a_record_may_not_show_files_from_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("the secret\n")
    record = samples.good()
    assert record.console is not None
    stolen = record.console.model_copy(update={"file": "../../secret.txt"})
    samples.write_boot(tmp_path / "run", record.model_copy(update={"console": stolen}))
    assert "the secret" not in page_of(tmp_path / "run").source


def test_the_page_is_replaced_whole(tmp_path: Path) -> None:
    run = samples.write_run(tmp_path / "night")
    first = write_report(run)
    assert write_report(run) == first
    assert [path.name for path in run.iterdir() if path.name.startswith(".")] == []


def test_the_clock_of_a_capture_on_another_host_is_told(tmp_path: Path) -> None:
    run = samples.write_run(tmp_path / "night")
    record = samples.good("pi4-mirror")
    assert record.capture is not None
    clock = CaptureClock(host="bench-pi", offset_s=3.25, uncertainty_s=0.0012)
    seen = record.model_copy(update={"capture": record.capture.model_copy(update={"clock": clock})})
    samples.write_boot(run, seen)
    assert "bench-pi is +3,250.0 ms ± 1.2 ms from ours" in page_of(run).words
