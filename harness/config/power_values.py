# SPDX-License-Identifier: GPL-2.0-or-later
"""Values that several power drivers of lab.yaml have: hosts, URLs, patterns, times."""

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from harness.config.values import matching, mistake


def _url(value: str) -> str:
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
        raise mistake(
            "this is not a URL of a switch", 'http:// or https:// and its name or address: "http://10.0.0.31"'
        )
    if parts.username is not None or parts.password is not None:
        # Not shown: it may be the password.
        raise mistake("a user or password must not stand in the URL", "give them as user: and password: {env: NAME}")
    if parts.query or parts.fragment:
        raise mistake("the URL has a query", "write the query into the path: of the requests")
    return value


def _pattern(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise mistake(f"this is not a regular expression: {error}", "see docs.python.org/3/library/re.html") from None
    return value


Host = Annotated[
    str, AfterValidator(matching(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,252}", "a host", "a name or an address: 10.0.0.20"))
]
Url = Annotated[str, AfterValidator(_url)]
Pattern = Annotated[str, Field(min_length=1), AfterValidator(_pattern)]
Words = Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)]
RequestPath = Annotated[str, AfterValidator(matching(r"/[!-~]*", "a path", 'a slash first, no blanks: "/relay/0"'))]
Limit = Annotated[float, Field(strict=True, gt=0, le=600)]
Timeout = Annotated[float, Field(strict=True, gt=0, le=120)]
UdpPort = Annotated[int, Field(strict=True, ge=1, le=65535)]
