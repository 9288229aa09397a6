# SPDX-License-Identifier: GPL-2.0-or-later
"""Schema, reference and shipped lab say the same as the models."""

import functools
import json
import re
from pathlib import Path

import pytest

from harness.config import loads, reference, schema
from harness.config.eeprom import Eeprom
from harness.config.power import DRIVERS
from harness.emulator import eeprom as emulator
from tests.config.samples import mistakes
from tests.config.test_mistakes import FIVE

ROOT = Path(__file__).resolve().parents[2]
#: Made once: it takes 50 ms.
whole_schema = functools.cache(schema.schema)
PAGE = (ROOT / "docs/lab-yaml.md").read_text(encoding="utf-8")


def test_the_schema_file_is_current() -> None:
    current = (ROOT / "docs/lab.schema.json").read_text(encoding="utf-8")
    assert current == schema.text(), "run: python -m harness.config.schema > docs/lab.schema.json"


def test_every_key_of_the_schema_has_a_description() -> None:
    whole = whole_schema()
    sections = {**whole["$defs"], "LabConfig": whole}
    bare = [
        f"{name}.{key}"
        for name, section in sections.items()
        for key, field in section["properties"].items()
        if "description" not in field
    ]
    assert not bare


def test_the_schema_refuses_unknown_keys_but_lets_anchors_pass() -> None:
    whole = whole_schema()
    assert whole["additionalProperties"] is False
    assert "^x-" in whole["patternProperties"]
    assert whole["$defs"]["BoardConfig"]["additionalProperties"] is False
    assert "title" not in whole["$defs"]["BoardConfig"]["properties"]["serial_number"]
    json.dumps(whole)


def test_an_editor_sees_each_section_as_one_kind() -> None:
    """Of the sections that `kind:` or `driver:` selects among, no two take the same word (JSON schema's oneOf)."""
    sections = whole_schema()["$defs"]
    for kind, names in {
        "kind": [("EmulatedWire", "InterfaceWire"), ("InterfaceWire", "SshWire"), ("EmulatedServer", "ExternalServer")],
        "driver": [
            ("EmulatedConsole", "SerialConsole"),
            ("EmulatedPower", "PluginPower"),
            *((name.__name__, "PluginPower") for name in DRIVERS.values()),
        ],
    }.items():
        for first, second in names:
            word = sections[first]["properties"][kind]["const"]
            other = sections[second]["properties"][kind]
            assert other.get("const", word) != word or word in other["not"]["enum"]


def test_the_reference_is_current() -> None:
    assert reference.renew(PAGE) == PAGE, "run: python -m harness.config.reference docs/lab-yaml.md"


def test_a_page_without_marks_is_not_written_over() -> None:
    with pytest.raises(ValueError, match="the page has no"):
        reference.renew("# A page\n")


def test_the_labs_in_the_reference_load() -> None:
    labs = [block for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL) if block.startswith("version:")]
    assert len(labs) == 2
    for text in labs:
        loads(text)


def test_the_mistakes_in_the_reference_are_told_like_this() -> None:
    shown = re.search(r"<!-- mistakes -->\n```text\n(.*?)```", PAGE, re.DOTALL)
    assert shown is not None
    real = [line for mistake in mistakes(FIVE) for line in str(mistake).splitlines()]
    for line in shown[1].splitlines()[1:]:
        assert line.strip() in {text.strip() for text in real}


def test_every_eeprom_key_does_something_on_an_emulated_board() -> None:
    """The emulator reads bootconf.txt by itself: whatever lab.yaml lets through, it must understand."""
    for name, field in Eeprom.model_fields.items():
        assert field.examples, name
        assert name in emulator._KEYS, f"{name} changes nothing on an emulated board"
        beside = {"TFTP_PREFIX_STR": {"TFTP_PREFIX": 1}, "CLIENT_IP": {"TFTP_IP": "10.0.0.2"}}.get(name, {})
        settings = Eeprom.model_validate({name: field.examples[0], **beside}).settings()
        read = emulator.read({key: str(value) for key, value in settings.items()})
        assert isinstance(read, emulator.Eeprom)


@pytest.mark.parametrize("name", list(Eeprom.model_fields))
def test_the_ranges_of_eeprom_keys_are_the_emulators(name: str) -> None:
    found = whole_schema()["$defs"]["Eeprom"]["properties"][name]
    number = next((choice for choice in found.get("anyOf", [found]) if choice.get("type") == "integer"), None)
    if number is None:
        return
    for value in (number["minimum"], number["maximum"]):
        if name != "BOOT_ORDER" and (name, value) != ("TFTP_PREFIX", 1):
            emulator.read({name: str(value)})
    for value in (number["minimum"] - 1, number["maximum"] + 1):
        with pytest.raises(Exception, match=name):
            emulator.read({name: str(value)})
