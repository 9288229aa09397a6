# SPDX-License-Identifier: GPL-2.0-or-later
"""The PoE ports of a switch as a program that net-snmp's snmpd runs (`pass_persist`): `python poe_table.py FOLDER`.

FOLDER/switch.json: {"power": watts, "used": watts, "main": 1|2|3, "ports": {"7": {"admin": 1|2, "status": 1..6, "watts": W,
"manner": M, "group": 1}}}, read at every request and written at every set, so that a test may change and watch it.
M: "good"; "stuck" takes a set and does nothing; "clings" does so when it is to switch off;
"denied" stays searching and counts; "fault" goes to fault; "slow" waits 5 s;
"garbage" answers what is no protocol; "late" delivers only at the third look; "dead" ends the program.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

BASE = ".1.3.6.1.2.1.105.1"
_COUNTERS = {11: "invalid", 12: "denied", 13: "overload", 14: "short"}


class Table:
    def __init__(self, folder: Path) -> None:
        self._file = folder / "switch.json"
        self._log = folder / "requests.log"
        self.data: dict[str, Any] = {}

    def load(self) -> None:
        self.data = json.loads(self._file.read_text())

    def save(self) -> None:
        new = self._file.with_suffix(".new")
        new.write_text(json.dumps(self.data))
        new.replace(self._file)

    def log(self, text: str) -> None:
        with self._log.open("a") as file:
            file.write(f"{time.time():.6f} {text}\n")

    def rows(self) -> dict[tuple[int, ...], tuple[str, int]]:
        """Instance below BASE -> type and value."""
        found: dict[tuple[int, ...], tuple[str, int]] = {}
        for name, port in self.data["ports"].items():
            at = (port.get("group", 1), int(name))
            found[1, 1, 3, *at] = ("integer", port["admin"])
            found[1, 1, 6, *at] = ("integer", port["status"])
            found[1, 1, 10, *at] = ("integer", port.get("class", 5))
            for column, counter in _COUNTERS.items():
                found[1, 1, column, *at] = ("counter", port.get(counter, 0))
        found[3, 1, 1, 2, 1] = ("gauge", self.data.get("power", 65))
        found[3, 1, 1, 3, 1] = ("integer", self.data.get("main", 1))
        found[3, 1, 1, 4, 1] = ("gauge", self.data.get("used", 0))
        return found

    def set(self, name: str, value: int) -> None:
        port = self.data["ports"][name]
        manner = port.get("manner", "good")
        if manner == "stuck" or (manner == "clings" and value == 2):
            return
        port["admin"] = value
        if value == 2:
            port["status"] = 1
        elif manner == "denied":
            port["status"], port["denied"] = 2, port.get("denied", 0) + 1
        elif manner == "late":
            port["status"], port["left"] = 2, 3
        else:
            port["status"] = 4 if manner == "fault" else 3
        self.save()

    def looked(self, name: str) -> None:
        port = self.data["ports"][name]
        if port.get("left"):
            port["left"] -= 1
            if not port["left"]:
                port["status"] = 3
            self.save()


def answer(table: Table, words: list[str]) -> str:  # noqa: PLR0911 - one per answer of the protocol
    command, oid = words[0], words[1]
    table.load()
    rows = table.rows()
    key = tuple(int(part) for part in oid.removeprefix(BASE).strip(".").split(".") if part)
    port = str(key[-1]) if key[:2] == (1, 1) and len(key) == 5 else ""
    manner = table.data["ports"].get(port, {}).get("manner", "good")
    if manner == "dead":
        os._exit(1)
    if manner == "slow" and key[2] in {3, 6}:
        time.sleep(5 / 2 if command == "get" else 5)  # a look asks for two of these
    if manner == "garbage":
        return "\x1b[31mno\nsuch\nprotocol"
    if command == "set":
        if key not in rows or key[:3] != (1, 1, 3):
            return "not-writable"
        kind, _, value = words[2].partition(" ")
        if kind.lower() != "integer":
            return "wrong-type"
        if value not in {"1", "2"}:
            return "wrong-value"
        table.log(f"set {port} {value}")
        table.set(port, int(value))
        return "DONE"
    if command == "getnext":
        later = sorted(other for other in rows if other > key)
        if not later:
            return "NONE"
        key = later[0]
    if key not in rows:
        return "NONE"
    if key[:3] == (1, 1, 6):
        table.looked(port)
    kind, number = rows[key]
    return f"{BASE}.{'.'.join(map(str, key))}\n{kind}\n{number}"


def main() -> None:
    table = Table(Path(sys.argv[1]))
    while line := sys.stdin.readline():
        command = line.strip().lower()
        if command == "ping":
            reply = "PONG"
        elif command in {"get", "getnext"}:
            reply = answer(table, [command, sys.stdin.readline().strip()])
        elif command == "set":
            reply = answer(table, [command, sys.stdin.readline().strip(), sys.stdin.readline().strip()])
        else:
            continue
        print(reply, flush=True)


if __name__ == "__main__":
    main()
