# SPDX-License-Identifier: GPL-2.0-or-later
"""`http:` of an external server."""

import pytest

from harness.config import ExternalServer, loads
from harness.errors import ConfigError

TEXT = """
version: 1
name: web
servers:
  netboot:
    kind: external
    http: {url: "%s", root: /srv/www}
boards:
  a:
    {model: pi5, serial_number: "da591740", mac: "88:a2:9e:01:02:03", server: netboot,
     power: {driver: pdu, hostname: p, port: "1"}}
"""

OWN = {"serial_number": "da591740", "mac": "88:a2:9e:01:02:03", "name": "a"}


def test_the_board_s_own_values_are_filled_in():
    server = loads(TEXT % "http://10.0.0.2:8000/{serial}/{mac}/{name}/").servers["netboot"]
    assert isinstance(server, ExternalServer)
    assert server.http_for(**OWN) == "http://10.0.0.2:8000/da591740/88-a2-9e-01-02-03/a/"
    assert ExternalServer(kind="external").http_for(**OWN) is None


@pytest.mark.parametrize(
    "url",
    ["https://10.0.0.2/x/", "http://web/x/", "http://10.0.0.2", "http://10.0.0.2/x", "http://10.0.0.2/{id}/", "x"],
)
def test_what_is_no_folder_of_a_web_server(url: str):
    with pytest.raises(ConfigError) as caught:
        loads(TEXT % url)
    assert "url" in str(caught.value) or "URL" in str(caught.value) or "place holder" in str(caught.value)
