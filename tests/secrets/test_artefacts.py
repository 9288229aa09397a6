# SPDX-License-Identifier: GPL-2.0-or-later
"""Secrets of every kind in one run, with a board that echoes its password and refuses it: nothing that the run leaves or says
holds any of them, in any guise.
"""

import base64
import json
import os
import sys
import threading
import tty
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.redaction import forms
from tests.lab.doubles import BOOT_TEXT
from tests.power.snmpd import AUTH, PRIVACY, Switch, snmpd

from .session import in_keyring_session

pytestmark = pytest.mark.gear

#: With characters that look otherwise in URLs, JSON, HTML and a shell.
LOGIN = "kr-Vx5%y<2k&\"'W"

LAB = """
version: 1
name: shelf
boards:
  shelf-7:
    model: pi4
    serial_number: "91cdf03d"
    mac: "e4:5f:01:09:02:f7"
    power:
      driver: poe-snmp
      host: 127.0.0.1
      udp_port: UDP_PORT
      port: 7
      version: "3"
      user: poe
      auth_key: {env: PLANTED_AUTH}
      privacy_key: {file: privacy}
      limit: 10
    console: {driver: serial, port: DEVICE}
    login: {user: pi, password: {keyring: piboot/shelf-7}}
    budgets: {login: 15}
"""


@contextmanager
def refusing_board(switch: Switch) -> Iterator[str]:
    """A serial line that boots when its port is on, echoes all that is typed, and takes no password."""
    line, device = os.openpty()
    tty.setraw(device)
    os.set_blocking(line, False)
    over = threading.Event()

    def live() -> None:
        was_on = False
        typed = b""
        awaited = "name"
        while not over.wait(0.02):
            is_on = switch.data["ports"]["7"]["status"] == 3
            if is_on and not was_on:
                os.write(line, "".join(BOOT_TEXT).encode())
                awaited = "name"
            was_on = is_on
            try:
                typed += os.read(line, 4096)
            except BlockingIOError:
                continue
            while b"\n" in typed:
                word, _, typed = typed.partition(b"\n")
                os.write(line, word + b"\r\n")  # the echo that a getty in a bad mood gives
                if awaited == "name":
                    os.write(line, b"Password: ")
                    awaited = "password"
                else:
                    os.write(line, b"\r\nLogin incorrect\r\npi login: ")
                    awaited = "name"

    thread = threading.Thread(target=live, daemon=True)
    thread.start()
    try:
        yield os.ttyname(device)
    finally:
        over.set()
        thread.join(10)
        os.close(line)
        os.close(device)


SUITE = """
import pytest

def typed(console, password):
    raise AssertionError(f"refused: {password}")

def test_a_boot(boot):
    assert boot.passed, boot.record.reason

def test_a_traceback_with_arguments(lab):
    login = lab.config.boards["shelf-7"].login
    power = lab.config.boards["shelf-7"].power
    secrets = [source.resolve().reveal() for source in (login.password, power.auth_key, power.privacy_key)]
    print("printed", *secrets)
    typed("console", secrets[0])
"""


def test_no_artefact_holds_a_secret(tmp_path: Path) -> None:
    gear, work = tmp_path / "gear", tmp_path / "work"
    for folder in (gear, work):
        folder.mkdir()
    (work / "privacy").write_text(PRIVACY + "\n")
    (work / "privacy").chmod(0o600)
    (work / "test_suite.py").write_text(SUITE)
    with snmpd(gear) as switch, refusing_board(switch) as device:
        lab = LAB.replace("UDP_PORT", str(switch.port)).replace("DEVICE", device)
        (work / "lab.yaml").write_text(lab)
        command = (
            f"cd {work}; {sys.executable} -m harness.cli boot; echo boot $?; "
            f"{sys.executable} -m harness.cli boot --json; echo json $?; "
            f"{sys.executable} -m harness.cli check; echo check $?; "
            f"{sys.executable} -m pytest -p no:cacheprovider -c /dev/null --rootdir {work} -vv -l --tb=long -rA "
            f"--junitxml=junit.xml --report-log=log.jsonl --lab={work}/lab.yaml test_suite.py; echo pytest $?"
        )
        done = in_keyring_session(tmp_path, {"shelf-7": LOGIN}, ["bash", "-c", command], PLANTED_AUTH=AUTH)
        assert switch.data["ports"]["7"]["status"] != 3, "the board is left without power"
    said = done.stdout + done.stderr
    assert "boot 1\n" in said, said
    assert "json 1\n" in said
    assert "pytest 1\n" in said
    assert "the login was refused" in said
    assert "printed ******** ******** ********" in said
    records = list((work / "reports").glob("*/shelf-7*/record.json"))
    assert len(records) == 3
    assert {json.loads(path.read_text())["verdict"] for path in records} == {"failed(login)"}
    logs = b"".join(path.read_bytes() for path in (work / "reports").rglob("console.log"))
    assert b"Password: " + b"*" * len(LOGIN) in logs, "its echo was masked"
    artefacts = {path: path.read_bytes() for path in work.rglob("*") if path.is_file() and path.name != "privacy"}
    kinds = {path.name for path in artefacts}
    assert {
        "report.html",
        "junit.xml",
        "record.json",
        "console.log",
        "power.jsonl",
        "harness.jsonl",
        "log.jsonl",
    } <= kinds
    artefacts[Path("stdout and stderr")] = said.encode()
    for secret in (AUTH, PRIVACY, LOGIN):
        for form in guises(secret):
            for path, content in artefacts.items():
                assert form not in content, (path, form)


def guises(secret: str) -> set[bytes]:
    own = {secret, urllib.parse.quote(secret), base64.b64encode(secret.encode()).decode().rstrip("=")}
    own |= {base64.b64encode(f"{user}:{secret}".encode()).decode().rstrip("=") for user in ("pi", "poe")}
    return {form.encode() for form in own | forms(secret)}
