# SPDX-License-Identifier: GPL-2.0-or-later
"""Findings of boot mode 7: what a bootloader met that takes boot.sig and boot.img from a web server.

Facts: raspberrypi/documentation boot-http (URL, signature, order of the files); rpi-eeprom issue EE#475 (redirects are not
followed); texts of the console are strings of released EEPROM images.
"""

from collections.abc import Iterator

from harness.boot.facts import Facts, fetched, line
from harness.boot.record import Finding, HttpFetch

_FOR = "put boot.img and boot.sig (rpi-eeprom-digest) where HTTP_HOST, HTTP_PORT and HTTP_PATH of the EEPROM point"


def http_boot(facts: Facts) -> Iterator[Finding]:
    """The last thing that went wrong on the way to boot.img; one finding, as the bootloader stops at the first fault."""
    if facts.failed not in {"dhcp", "firmware"}:
        return
    own = [fetch for fetch in facts.http if fetch.asked_by in {"eeprom", ""}]
    broken = next((fetch for fetch in reversed(own) if not fetch.complete), None)
    mismatch = facts.first("firmware.signature")
    unknown = facts.first("http.host_not_found")
    if broken is not None:
        title, who, remedy = _why(broken)
        again = [fetch for fetch in own if (fetch.path, fetch.result) == (broken.path, broken.result)]
        yield Finding(
            id=f"http-{'no-answer' if broken.status is None and not broken.bytes else 'failed'}",
            title=title,
            stage="firmware",
            who=who,
            remedy=remedy,
            evidence=tuple(fetched(fetch) for fetch in again[-4:]),
        )
    elif mismatch is not None:
        yield Finding(
            id="http-signature",
            title="boot.img does not match boot.sig: the bootloader refuses it",
            stage="firmware",
            who="server",
            remedy="make boot.sig anew from this boot.img (rpi-eeprom-digest -i boot.img -o boot.sig -k KEY), with the key "
            "whose public half is in the EEPROM",
            evidence=(*(fetched(fetch) for fetch in own[-2:]), line(mismatch)),
        )
    elif unknown is not None:
        yield Finding(
            id="http-host",
            title=f"the bootloader cannot find the web server {unknown.fields.get('host', '')!r}",
            stage="firmware",
            who="config",
            remedy="set HTTP_HOST in the EEPROM's configuration, and check the DNS server of the DHCP answer (option 6)",
            evidence=(line(unknown),),
        )


def _why(fetch: HttpFetch) -> tuple[str, str, str]:  # noqa: PLR0911 - one answer per kind of end
    """(title, who, remedy)."""
    server, url = f"{fetch.server_ip}:{fetch.server_port}", f"http://{fetch.server_ip}:{fetch.server_port}{fetch.path}"
    if fetch.result == "no server":
        return (
            f"nobody listens at {server}, the web server of the EEPROM's configuration",
            "server",
            ("start the web server there, or correct HTTP_HOST and HTTP_PORT"),
        )
    if fetch.result == "no connection":
        return (
            f"the bootloader does not take the answer of {server} to its SYN",
            "network",
            (
                "look for wrong TCP checksums in the capture (a virtual server's card: ethtool -K IF tx off) and for a firewall"
            ),
        )
    if fetch.result == "no answer":
        return (
            f"nobody answers the connection to {server}",
            "server",
            ("check that the web server runs at this address and that no firewall drops its port"),
        )
    if fetch.status is not None and 300 <= fetch.status < 400:
        return (
            f"{url} redirects elsewhere ({fetch.status}): a bootloader does not follow",
            "server",
            ("serve the files at this very URL, without a redirect (to https, or to another name)"),
        )
    if fetch.status == 404:
        return f"the web server has no {url}", "server", _FOR
    if fetch.status is not None and not 200 <= fetch.status < 300:
        return f"the web server refused {url}: {fetch.status} {fetch.status_text}", "server", _FOR
    whole = f" of {fetch.length}" if fetch.length is not None else ""
    if fetch.result == "client error" and fetch.status is not None:
        return (
            f"the bootloader gave {url} up after {fetch.bytes}{whole} bytes",
            "board",
            (
                "keep boot.img below the limit of the bootloader (128 MB, 96 MB before April 2022), and see its last lines"
            ),
        )
    return f"{url} broke off after {fetch.bytes}{whole} bytes", "server", "check the web server and the network between"
