# SPDX-License-Identifier: GPL-2.0-or-later
"""Milestones of the EEPROM bootloader's network: link, DHCP, ARP, TFTP, HTTP. Sources as in `table_firmware`."""

from harness.console.rule import Rule, rule

_MAC = r"(?:[0-9A-Fa-fX]{2}:){5}[0-9A-Fa-fX]{2}"
_IP = r"[\dA-Fa-f:.]{2,45}"

NETWORK: tuple[Rule, ...] = (
    rule(
        "net.wait_link",
        "wait for link TFTP",
        rf"(?:NET_BOOT|NETWORK):? (?P<mac>{_MAC}) wait for link TFTP6?: (?P<tftp>\S{{1,45}})",
        "NET_BOOT until 2022, NETWORK since 2022-11-25, TFTP6 with IPv6",
    ),
    rule(
        "net.link",
        "LINK STATUS",
        r"LINK STATUS: speed: (?P<speed>\d{1,5}) (?P<duplex>full|half) duplex",
        "EE#376",
    ),
    rule("net.link_ready", "Link ready", r"Link ready", "IMG2711 since 2020-05-15"),
    rule("net.dhcp_src", "DHCP src", rf"DHCP src: (?P<mac>{_MAC}) (?P<ip>{_IP})", "IMG2711 since 2019-10-08"),
    rule("net.yiaddr", "YI_ADDR", rf"YI_ADDR:? (?P<ip>{_IP})", "EE#376"),
    rule("net.siaddr", "SI_ADDR", rf"SI_ADDR:? (?P<ip>{_IP})", "EE#376"),
    rule(
        "net.dhcp_recv",
        "DHCP recv",
        r".{0,40}DHCP recv (?P<type>[A-Z]{2,8}) \((?P<code>\d{1,3})\) expect (?P<expect>[A-Z]{2,8})",
        "EE#376; EE#687 with a stamp behind",
    ),
    rule("net.dhcp_complete", "DHCP complete", r"DHCP complete", "IMG2711 2019"),
    rule("net.option66", "[66]: ", r".{0,60}\[66\]: (?P<tftp>\S{1,64})", "EE#376"),
    rule(
        "net.config",
        "tftp ",
        rf".{{0,12}}?\bNET (?P<ip>{_IP})(?: (?P<mask>[\d.]{{7,15}}) gw (?P<gw>[\d.]{{7,15}}))? tftp (?P<tftp>{_IP})",
        "IMG2711 since 2020-05-15; without mask and gateway for IPv6",
    ),
    rule("net.arp", "ARP ", rf"ARP (?P<ip>{_IP}) (?P<mac>{_MAC})", "IMG2711 since 2020-05-15"),
    rule(
        "tftp.get",
        "TFTP_GET",
        rf"TFTP_GET: (?P<mac>{_MAC}) (?P<ip>{_IP}) (?P<path>\S{{1,512}})",
        "IMG2711 since 2019-09-23",
    ),
    rule("tftp.complete", "TFTP: complete", r"TFTP: complete (?P<bytes>\d{1,12})", "EE#417"),
    rule("tftp.error", "TFTP", r"TFTP:? (?P<code>\d{1,3}): (?P<text>.{0,300})", "EE#376: the server's own text"),
    rule("tftp.error", "TFTP ERROR", r"TFTP ERROR: (?P<code>\d{1,3}): '?(?P<text>[^']{0,300})", "IMG2711 to 2020-01"),
    rule("tftp.timeout", "TFTP: disconnect", r"TFTP: disconnect: timeouts (?P<count>\d{1,5})", "EE#480"),
    rule("net.failed", "NETBOOT init failed", r"NETBOOT init failed", "IMG2711 since 2020-03-04", reason="init failed"),
    rule("net.failed", "NETBOOT CANCEL", r"NETBOOT CANCEL", "EE#480", reason="cancel"),
    rule("net.failed", "net send failed", r"net send failed", "IMG2711", reason="send failed"),
    rule("net.stopping", "Stopping network", r"Stopping network$", "IMG2711 since 2020-10-28"),
)

#: Boot mode 7, and what a signature may lead to.
HTTP: tuple[Rule, ...] = (
    rule("http.get", "HTTP: GET request", r"HTTP: GET request for (?P<url>\S{1,255})", "IMG2711 since 2022-02-04"),
    rule("http.host_not_found", "' not found.", r"Host '(?P<host>[^']{1,120})' not found\.", "IMG2711"),
    rule("http.failed", "HTTP: ", r"HTTP: (?P<text>dns failed|web client failed|timeout event|abort)", "IMG2711"),
    rule("firmware.signature", "hash mismatch", r"File signature or hash mismatch", "IMG2711, boot-http.adoc"),
)

RULES: tuple[Rule, ...] = NETWORK + HTTP
