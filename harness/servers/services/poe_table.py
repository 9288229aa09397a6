# SPDX-License-Identifier: GPL-2.0-or-later
"""The ports of the emulated PoE switch, as the program that snmpd runs for them (`pass_persist`, snmpd.conf(5)):
`python poe_table.py PORTS.json`.

PORTS.json: {"budget": watts, "ports": {"1": {"control": socket of an emulated board, "folder": file that holds the folder of the
board's boot, "class": 0-4, "watts": watts}}}. What a port delivers is asked of the board behind it at every request; the switch
remembers only what it was told. Imports nothing of the harness: it is started anew with every snmpd, which should not take long.
"""

import json
import socket
import sys
from pathlib import Path
from typing import Any

BASE = ".1.3.6.1.2.1.105.1"
_ENABLED, _DISABLED = 1, 2
_OFF, _SEARCHING, _DELIVERING = 1, 2, 3
#: Seconds: an emulated board that is switched off ends its virtual machine first.
_PATIENCE = 20.0

Row = tuple[str, int]
Key = tuple[int, ...]


class Switch:
    def __init__(self, config: dict[str, Any]) -> None:
        self._ports: dict[int, dict[str, Any]] = {int(number): port for number, port in config["ports"].items()}
        self._budget = int(config["budget"])
        # A switch keeps its settings when its management restarts.
        self._admin = {number: _ENABLED if self._on(number) else _DISABLED for number in self._ports}
        self._denied = dict.fromkeys(self._ports, 0)

    def rows(self, key: Key, *, later: bool) -> dict[Key, Row]:
        """Objects by their instance below BASE; only those that a request for `key` can be about are looked up."""
        found: dict[Key, Row] = {}
        for number, port in self._ports.items():
            found[1, 1, 3, 1, number] = ("integer", self._admin[number])
            found[1, 1, 6, 1, number] = ("integer", 0)
            found[1, 1, 10, 1, number] = ("integer", int(port["class"]) + 1)
            found[1, 1, 12, 1, number] = ("counter", self._denied[number])
        found[3, 1, 1, 2, 1] = ("gauge", self._budget)
        found[3, 1, 1, 3, 1] = ("integer", 1)
        found[3, 1, 1, 4, 1] = ("gauge", 0)
        chosen = min((other for other in found if other > key), default=None) if later else key
        if chosen not in found:
            return {}
        if chosen[:3] == (1, 1, 6):
            return {chosen: ("integer", self._status(chosen[4]))}
        if chosen == (3, 1, 1, 4, 1):
            return {chosen: ("gauge", self._used())}
        return {chosen: found[chosen]}

    def set(self, key: Key, kind: str, value: str) -> str:
        """snmpd's word for how it went."""
        if key[:4] != (1, 1, 3, 1) or len(key) != 5 or key[4] not in self._ports:
            return "not-writable"
        if kind.lower() != "integer":
            return "wrong-type"
        if value not in {"1", "2"}:
            return "wrong-value"
        number = key[4]
        self._admin[number] = int(value)
        if int(value) == _DISABLED:
            self._ask(number, {"op": "off"})
        elif not self._on(number):
            if self._used() + int(self._ports[number]["watts"]) > self._budget:
                self._denied[number] += 1
            else:
                folder = Path(self._ports[number]["folder"]).read_text(encoding="utf-8").strip()
                self._ask(number, {"op": "on", "folder": folder})
        return "DONE"

    def _status(self, number: int) -> int:
        if self._on(number):
            return _DELIVERING
        return _SEARCHING if self._admin[number] == _ENABLED else _OFF

    def _used(self) -> int:
        return sum(int(port["watts"]) for number, port in self._ports.items() if self._on(number))

    def _on(self, number: int) -> bool:
        return self._ask(number, {"op": "state"}).get("state") == "on"

    def _ask(self, number: int, request: dict[str, str]) -> dict[str, Any]:
        """A board whose emulator has gone takes no power."""
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(_PATIENCE)
                connection.connect(self._ports[number]["control"])
                connection.sendall(json.dumps(request).encode() + b"\n")
                with connection.makefile("rb") as stream:
                    answer = json.loads(stream.readline(65536))
        except (OSError, ValueError):
            return {}
        return answer if isinstance(answer, dict) else {}


def serve(switch: Switch) -> None:
    while line := sys.stdin.readline():
        command = line.strip().lower()
        if command == "ping":
            reply = "PONG"
        elif command in {"get", "getnext", "set"}:
            key = _key(sys.stdin.readline())
            if command == "set":
                kind, _, value = sys.stdin.readline().strip().partition(" ")
                reply = switch.set(key, kind, value)
            else:
                rows = switch.rows(key, later=command == "getnext")
                reply = "NONE"
                for found, (kind, number) in rows.items():
                    reply = f"{BASE}.{'.'.join(map(str, found))}\n{kind}\n{number}"
        else:
            continue  # snmpd sends an empty line after a set
        sys.stdout.write(reply + "\n")
        sys.stdout.flush()


def _key(text: str) -> Key:
    return tuple(int(part) for part in text.strip().removeprefix(BASE).split(".") if part.isdigit())


if __name__ == "__main__":
    serve(Switch(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))))
