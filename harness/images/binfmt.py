# SPDX-License-Identifier: GPL-2.0-or-later
"""Lets the kernel run arm64 programs inside a chroot: a binfmt_misc entry for qemu-aarch64 with the F flag.

Debian's qemu-user-static registers one where systemd-binfmt runs; in containers and small machines nobody does, and often
/proc/sys/fs/binfmt_misc is not even mounted. Only what is missing is added, under a name of ours, for the duration of one
command: mounted in the command's own mount namespace, the entry taken back when the command ends. (Since Linux 6.7 entries
live only as long as some mount of the file system does; before, they stay, so they are also removed by name.)
"""

import uuid
from collections.abc import Sequence
from pathlib import Path

from harness.errors import InfraError
from harness.images.tools import run

NAME = "piboot-qemu-aarch64"
# An ELF file, 64 bit, little-endian, executable or shared object, machine 183 (AArch64): as Debian's qemu-aarch64.conf.
MAGIC = r"\x7f\x45\x4c\x46\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
MASK = r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"
FOLDER = "/proc/sys/fs/binfmt_misc"
NO_BINFMT = 93  # exit status of the wrapper when the kernel takes no registration
REMEDY = (
    "sudo apt install qemu-user-static binfmt-support and sudo systemctl restart systemd-binfmt; "
    "in a container do this on its host, or run the container privileged"
)

# F: the interpreter is opened when registered, so that it is found inside a chroot too. Each command registers under a name of
# its own and relies on no other command's entry: that one may end first and take its entry along.
WRAPPER = f"""
name=$1 line=$2; shift 2
[ -e {FOLDER}/register ] || mount -t binfmt_misc binfmt_misc {FOLDER} || exit {NO_BINFMT}
found=
for entry in {FOLDER}/*; do
  case "$entry" in {FOLDER}/{NAME}-*) continue ;; esac
  grep -qs '^enabled' "$entry" && grep -qs '^flags:.*F' "$entry" &&
    grep -qs '^magic 7f454c460201010000000000000000000200b7' "$entry" && found=$entry
done
if [ -z "$found" ]; then
  printf '%s' "$line" > {FOLDER}/register || exit {NO_BINFMT}
fi
code=0
"$@" || code=$?
[ ! -e "{FOLDER}/$name" ] || echo -1 > "{FOLDER}/$name"
exit $code
"""


def run_arm64(argv: Sequence[str | Path], what: str, *, interpreter: str, deadline: float, remedy: str = "") -> str:
    """As tools.run(private=True), with the kernel running arm64 programs by `interpreter` (qemu-aarch64-static's path)."""
    name = f"{NAME}-{uuid.uuid4().hex[:12]}"
    line = f":{name}:M::{MAGIC}:{MASK}:{interpreter}:F"
    try:
        return run(["sh", "-c", WRAPPER, "sh", name, line, *argv], what, deadline=deadline, private=True, remedy=remedy)
    except InfraError as error:
        if f"ended with {NO_BINFMT};" not in error.what:
            raise
        raise InfraError(f"{error.what}\n  the kernel cannot be told to run arm64 programs", remedy=REMEDY) from error
