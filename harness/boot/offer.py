# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether the answers to a DISCOVER tell a board where its files are in the way that lab.yaml describes. Pure."""

from collections.abc import Sequence

from harness.boot.dhcp import MENU_TEXT, UNSET, is_dotted
from harness.boot.exchanges import DhcpStep
from harness.boot.expect import ExpectedOffer

_ANSWERS = frozenset({"OFFER", "BOOTREPLY"})


def option_text(step: DhcpStep, code: int) -> str | None:
    """The option as text, without the NULs that some servers end it with; None when it is absent."""
    value = next((bytes.fromhex(value) for number, value in step.options if number == code), None)
    return None if value is None else value.rstrip(b"\0").decode("ascii", "backslashreplace")


def names_boot_server(step: DhcpStep) -> bool:
    """Whether this answer names a TFTP server in a way that every Pi understands: option 66 dotted, or the text in 43."""
    text = option_text(step, 66)
    menus = (bytes.fromhex(value) for code, value in step.options if code == 43)
    return (text is not None and is_dotted(text)) or any(MENU_TEXT in value for value in menus)


def differences(expected: ExpectedOffer, steps: Sequence[DhcpStep]) -> list[str]:
    """What of the description no answer fulfils; empty without any answer: that is another's finding. steps: of one exchange."""
    answers = [step for step in steps if step.type in _ANSWERS]
    if not answers:
        return []
    if expected.mode == "none":
        telling = [step for step in answers if names_boot_server(step)]
        return [f"{_who(step)} names a TFTP server, and nobody should" for step in telling[:1]]
    missing = {_who(step): list(_missing(expected, step)) for step in answers}
    right = [step for step in answers if not missing[_who(step)]]
    if not right:
        nearest = min(answers, key=lambda step: len(missing[_who(step)]))
        return [f"{_who(nearest)}: {what}" for what in missing[_who(nearest)]]
    if expected.mode == "lease" and all(step.yiaddr == UNSET for step in right):
        return [f"{_who(right[0])} tells where the files are, but gives no address: that is mode: proxy"]
    if expected.mode == "proxy" and all(step.yiaddr != UNSET for step in right):
        return [f"{_who(right[0])} gives the address, too: that is mode: lease"]
    return []


def _who(step: DhcpStep) -> str:
    return step.server_id or step.src_ip


def _missing(expected: ExpectedOffer, step: DhcpStep) -> list[str]:
    wrong = []
    for code, wanted in ((66, expected.option_66), (67, expected.option_67)):
        has = option_text(step, code)
        if wanted is not None and has != wanted:
            wrong.append(f"option {code} is {'missing' if has is None else repr(has)}, not {wanted!r}")
    if expected.option_43 is not None:
        menus = [bytes.fromhex(value) for code, value in step.options if code == 43]
        if not any(expected.option_43.encode() in value for value in menus):
            wrong.append(
                f"option 43 {'does not hold' if menus else 'is missing; it should hold'} {expected.option_43!r}"
            )
    if expected.siaddr is not None and step.siaddr != expected.siaddr:
        wrong.append(f"siaddr is {step.siaddr}, not {expected.siaddr}")
    told = (expected.option_43, expected.option_66, expected.option_67, expected.siaddr)
    if all(one is None for one in told) and not names_boot_server(step):
        wrong.append("neither option 66 nor option 43 names a TFTP server")
    return wrong
