# SPDX-License-Identifier: GPL-2.0-or-later
"""The tables of docs/lab-yaml.md, made from the models: `python -m harness.config.reference docs/lab-yaml.md` renews them."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.config.explain import flow
from harness.config.schema import schema

START, END = "<!-- keys: made by python -m harness.config.reference -->", "<!-- /keys -->"

#: Heading of each section's table: how one writes it, and the schema's name of the section.
_SECTIONS = (
    ("Top level", "LabConfig"),
    ("`emulation:`", "EmulationDefaults"),
    ("`emulation: wire:`", "WireFaults"),
    ("`wires: NAME:` with `kind: emulated`", "EmulatedWire"),
    ("`wires: NAME:` with `kind: interface`", "InterfaceWire"),
    ("`wires: NAME:` with `kind: ssh`", "SshWire"),
    ("`servers: NAME:` with `kind: emulated`", "EmulatedServer"),
    ("`servers: NAME:` with `kind: external`", "ExternalServer"),
    ("`servers: NAME: tftp:`", "Tftp"),
    ("`servers: NAME: http:`", "Http"),
    ("`servers: NAME: offer:`", "Offer"),
    ("`servers: NAME: root:` with `kind: nfs` (of an external server)", "NfsRoot"),
    ("`servers: NAME: root:` with `kind: iscsi`", "IscsiRoot"),
    ("`servers: NAME: root:` with `kind: rbd`", "RbdRoot"),
    ("`boards: NAME:`", "BoardConfig"),
    ("`boards: NAME: power:` with `driver: emulated`", "EmulatedPower"),
    ("`boards: NAME: power:` with `driver: poe-snmp`", "PoeSnmpPower"),
    ("`boards: NAME: power:` with `driver: gpio-relay`", "GpioRelayPower"),
    ("`boards: NAME: power:` with `driver: pdu`", "PduPower"),
    ("`boards: NAME: power:` with `driver: http`", "HttpPower"),
    ("`boards: NAME: power: on:`, `off:` and `state:` of `driver: http`", "HttpRequest"),
    ("`boards: NAME: power: reads:` of `driver: http`", "HttpShows"),
    ("`boards: NAME: power:` with `driver: command`", "CommandPower"),
    ("`boards: NAME: power:` with `driver: usb-hub`", "UsbHubPower"),
    ("`boards: NAME: power: read_back:`", "ProgramState"),
    ("`boards: NAME: power: read_back:` `on:` and `off:`", "ProgramShows"),
    ("`boards: NAME: power:` with a driver of another package", "PluginPower"),
    ("`boards: NAME: console:` with `driver: emulated`", "EmulatedConsole"),
    ("`boards: NAME: console:` with `driver: serial`", "SerialConsole"),
    ("`boards: NAME: console: usb:`", "UsbAdapter"),
    ("`boards: NAME: console: send:`", "Sending"),
    ("`boards: NAME: login:`", "Login"),
    ("`boards: NAME: login: password:`", "SecretSource"),
    ("`boards: NAME: budgets:`", "Budgets"),
    ("`boards: NAME: emulation:`", "BoardEmulation"),
    ("`boards: NAME: eeprom:`", "Eeprom"),
    ("`boards: NAME: otp:`", "Otp"),
    ("`policy:`", "Policy"),
    ("`labgrid:`", "LabgridLab"),
    ("`boards: NAME: power:` with `driver: labgrid`", "LabgridPower"),
    ("`boards: NAME: console:` with `driver: labgrid`", "LabgridConsole"),
    ("`wires: NAME:` with `kind: labgrid`", "LabgridWire"),
)


def tables() -> str:
    """All sections as Markdown."""
    whole = schema()
    definitions: dict[str, Any] = {**whole["$defs"], "LabConfig": whole}
    left = set(definitions) - {name for _, name in _SECTIONS}
    if left:
        raise ValueError(f"sections without a heading here: {sorted(left)}")
    parts = []
    for heading, name in _SECTIONS:
        section = definitions[name]
        rows = ["| Key | Value | What |", "|---|---|---|", *_rows(section)]
        parts.append("\n".join([f"### {heading}", "", section.get("description", ""), "", *rows]))
    return "\n\n".join(parts)


def renew(text: str) -> str:
    """A page with the tables between its marks renewed. ValueError when it has no marks."""
    before, _, rest = text.partition(START)
    _, _, after = rest.partition(END)
    if not rest or END not in rest:
        raise ValueError(f"the page has no {START} ... {END}")
    return f"{before}{START}\n\n{tables()}\n\n{END}{after}"


def _rows(section: dict[str, Any]) -> Iterator[str]:
    required = set(section.get("required", ()))
    for key, field in section["properties"].items():
        value = _value(field)
        if key in required:
            value = f"**needed**: {value}"
        if field.get("default"):
            value += f"; default `{flow(field['default'])}`"
        elif field.get("examples"):
            value += f"; `{_example(key, field['examples'][0])}`"
        what = field.get("description", "").replace("|", "\\|")
        yield f"| `{key}` | {value} | {what} |"


def _example(key: str, example: Any) -> str:
    # Boot orders and identifiers are read as hex digits.
    return f"0x{example:x}" if key in {"BOOT_ORDER", "DHCP_OPTION97"} else flow(example)


def _value(field: dict[str, Any]) -> str:  # noqa: PLR0911 - one per shape of a schema
    """A field's type in words."""
    choices = [choice for choice in field.get("anyOf", field.get("oneOf", ())) if choice.get("type") != "null"]
    if choices:
        words = list(dict.fromkeys(_value(choice) for choice in choices))
        return " or ".join(words)
    if "$ref" in field:
        return "keys"
    if field.get("type") == "object":
        return "entries with names"
    if "const" in field:
        return f"`{flow(field['const'])}`"
    if "enum" in field:
        return ", ".join(f"`{flow(choice)}`" for choice in field["enum"])
    match field.get("type"):
        case "integer" | "number" as kind:
            low = field.get("minimum", field.get("exclusiveMinimum"))
            above = "above " if "exclusiveMinimum" in field else ""
            word = "whole number" if kind == "integer" else "number"
            return f"{word}, {above}{low:g} to {field['maximum']:.12g}"
        case "boolean":
            return "`true` or `false`"
        case "array":
            return f"list of {_value(field['items'])}"
    return "IPv4 address" if field.get("format") == "ipv4" else "text"


if __name__ == "__main__":
    page = Path(sys.argv[1])
    page.write_text(renew(page.read_text(encoding="utf-8")), encoding="utf-8")
