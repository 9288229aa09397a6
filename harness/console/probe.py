# SPDX-License-Identifier: GPL-2.0-or-later
"""Ask the running system what it is, in lines that the console log keeps: `PIBOOT-PROBE key=value ;;`.

The lines are milestones (`probe.value`), so that a replay of the log knows the same facts. One that a kernel record tore is no
milestone; what is missing is asked for again.
"""

from harness.console.log import ConsoleLog
from harness.console.shell import Shell

#: key -> what prints its value. Built-ins and /proc first: a busybox root has little else. Line ends become spaces.
_FACTS = {
    "kernel_release": "uname -r",
    "kernel_build": "uname -v",
    "cmdline": "cat /proc/cmdline",
    "machine": r"tr -d '\000' </proc/device-tree/model",
    "os": '. /etc/os-release && echo "$PRETTY_NAME"',
    "hostname": "uname -n",
    "boot_id": "cat /proc/sys/kernel/random/boot_id",
    # The last mount on / is the one that is seen (rootfs, then the real root on it).
    "root_source": 'while read -r d m f o x; do [ "$m" = / ] && s=$d; done </proc/mounts; echo "$s"',
    "root_fstype": 'while read -r d m f o x; do [ "$m" = / ] && s=$f; done </proc/mounts; echo "$s"',
    "root_options": 'while read -r d m f o x; do [ "$m" = / ] && s=$o; done </proc/mounts; echo "$s"',
    "boot_source": "while read -r d m f o x; do case $m in /boot | /boot/firmware) s=$d ;; esac; done </proc/mounts; "
    'echo "$s"',
}

#: Empty on a root without systemd. `timeout` bounds the wait for the last job of a boot.
_SYSTEMD = {
    "state": "[ -d /run/systemd/system ] && { s=$(timeout {settle} systemctl is-system-running --wait); "
    '[ -n "$s" ] || s=$(systemctl is-system-running); echo $s; }',
    "failed_units": "[ -d /run/systemd/system ] && timeout 10 systemctl list-units --state=failed --plain --no-legend --full | "
    "while read -r u x; do echo $u; done",
}

KEYS = (*_FACTS, *_SYSTEMD)


def probe(console: ConsoleLog, shell: Shell, *, settle: float = 60.0, tries: int = 3) -> dict[str, str]:
    """Facts of the system behind `shell`, by `KEYS`; "" where the system has none, absent where it could not be read.

    settle: seconds that systemd may still take to finish starting ("state" is "starting" if it is longer).
    BootFailure(login): the shell does not answer.
    """
    commands = {**_FACTS, **{key: text.replace("{settle}", str(int(max(1, settle)))) for key, text in _SYSTEMD.items()}}
    for attempt in range(tries):
        missing = [key for key in KEYS if key not in console.probes]
        # At first all at once: a round trip takes a third of a second on an emulated board. What was torn is asked singly.
        groups = [missing] if attempt == 0 else [[key] for key in missing]
        for group in groups:
            shell.run("; ".join(_say(key, commands[key]) for key in group), timeout=settle + 30.0)
    return {key: value for key, value in console.probes.items() if key in KEYS}


def _say(key: str, command: str) -> str:
    value = f"$( ({command}) 2>/dev/null | tr '\\n\\t' '  ')"
    return f'pb_v="{value}"; printf \'PIBOOT-%s %s=%s ;;\\n\' PROBE {key} "${{pb_v% }}"'
