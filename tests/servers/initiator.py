# SPDX-License-Identifier: GPL-2.0-or-later
"""As much of an iSCSI initiator (RFC 7143) as it takes to log in with or without CHAP (RFC 1994), and to read a disk's beginning.

Independent of the harness' own reading of iSCSI: it builds and reads its octets itself.
"""

import hashlib
import socket
import struct

FULL_FEATURES = 3


class Initiator:
    """A session over a connected socket. status: of its login, Status-Class * 256 + Status-Detail."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._task = 0
        self._sequence = 1  # CmdSN
        self._expected = 0  # ExpStatSN

    def login(self, target: str, user: str = "", secret: str = "") -> int:
        methods = "CHAP,None" if user else "None"
        words = {
            "InitiatorName": "iqn.2026-01.lab:test",
            "TargetName": target,
            "SessionType": "Normal",
            "AuthMethod": methods,
        }
        # Stage 0, security negotiation; wanting to go on to stage 1 at once where there is no CHAP to do.
        status, stage, answer = self._login(words, stage=0, transit=not user)
        if status == 0 and answer.get("AuthMethod") == "CHAP":
            status, stage, answer = self._login({"CHAP_A": "5"}, stage=0, transit=False)
            number, challenge = int(answer["CHAP_I"]), bytes.fromhex(answer["CHAP_C"][2:])
            digest = hashlib.md5(bytes([number]) + secret.encode() + challenge).hexdigest()  # noqa: S324 - RFC 1994
            status, stage, answer = self._login({"CHAP_N": user, "CHAP_R": f"0x{digest}"}, stage=0, transit=True)
        if status == 0 and stage != FULL_FEATURES:
            status, stage, _ = self._login(
                {"MaxRecvDataSegmentLength": "65536"}, stage=1, transit=True, to=FULL_FEATURES
            )
        return status

    def read(self, lun: int, octets: int) -> bytes:
        """The first octets of a disk; b"" when the target says that there is none.

        What a disk is asked first, it answers with "unit attention": somebody may have changed it since.
        """
        return self._read(lun, octets) or self._read(lun, octets)

    def _read(self, lun: int, octets: int) -> bytes:
        self._task += 1
        command = struct.pack(">BBIBHB6x", 0x28, 0, 0, 0, octets // 512, 0)  # READ(10)
        head = struct.pack(
            ">BBHIBBHIIIII", 0x01, 0xC0, 0, 0, 0, lun, 0, 0, self._task, octets, self._sequence, self._expected
        )
        self.sock.sendall(head + command)
        self._sequence += 1
        data = b""
        while True:
            answer, payload = self._receive()
            self._expected = int.from_bytes(answer[24:28]) + 1
            if answer[0] & 0x3F == 0x25:  # Data-In
                data += payload
                if answer[1] & 0x01:  # with the status
                    return data
            elif answer[0] & 0x3F == 0x21:  # SCSI Response
                return data if answer[3] == 0 else b""

    def _login(
        self, words: dict[str, str], *, stage: int, transit: bool, to: int = 1
    ) -> tuple[int, int, dict[str, str]]:
        text = b"".join(f"{name}={value}".encode() + b"\0" for name, value in words.items())
        flags = (0x80 if transit else 0) | stage << 2 | (to if transit else 0)
        head = struct.pack(">BBBBB3s6sHI", 0x43, flags, 0, 0, 0, len(text).to_bytes(3), b"\x00\x02\x3d\0\0\1", 0, 0)
        head += struct.pack(">HHII16x", 0, 0, self._sequence, self._expected)
        self.sock.sendall(head + text + bytes(-len(text) % 4))
        answer, payload = self._receive()
        assert answer[0] & 0x3F == 0x23
        self._expected = int.from_bytes(answer[24:28]) + 1
        pairs = (word.decode().partition("=") for word in payload.split(b"\0") if b"=" in word)
        reached = answer[1] & 3 if answer[1] & 0x80 else stage
        return int.from_bytes(answer[36:38]), reached, {name: value for name, _, value in pairs}

    def _receive(self) -> tuple[bytes, bytes]:
        head = self._exactly(48)
        length = int.from_bytes(head[5:8])
        return head, self._exactly(length + -length % 4)[:length]

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            piece = self.sock.recv(count - len(data))
            assert piece, "the target closed the connection"
            data += piece
        return data
