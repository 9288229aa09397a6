# SPDX-License-Identifier: GPL-2.0-or-later
"""The last net under secrets: whatever this process took from an environment variable, a file or a keyring is masked in what it
writes and shows, in plain and in the guises that a secret takes on its way (URL, base64, HTML, JSON).

Who handles a secret hides it himself; this is for the texts of others: a library's error, a device's answer, a traceback. It is
the one thing that is known process-wide: a text from anywhere may hold a secret from anywhere.
"""

import base64
import html
import json
import re
import threading
import urllib.parse

#: Shorter ones are not looked for: they would be found in everything.
SHORTEST = 5

MASK = "********"

_lock = threading.Lock()
_patterns: dict[str, re.Pattern[str]] = {}


def hide(secret: str) -> None:
    """From now on `redacted` masks it."""
    if len(secret) < SHORTEST:
        return
    with _lock:
        for form in forms(secret):
            if form not in _patterns:
                # A password that is a word is no secret inside a longer word: "raspberry" in "raspberrypi".
                before = r"(?<![A-Za-z0-9])" if form[0].isalnum() and form == secret else ""
                after = r"(?![A-Za-z0-9])" if form[-1].isalnum() and form == secret else ""
                _patterns[form] = re.compile(before + re.escape(form) + after)


def redacted(text: str) -> str:
    """`text` without any known secret."""
    if not _patterns:
        return text
    with _lock:
        known = sorted(_patterns.items(), key=lambda pair: len(pair[0]), reverse=True)
    for form, pattern in known:
        if form in text:
            text = pattern.sub(MASK, text)
    return text


def forms(secret: str) -> set[str]:
    """The secret as it may stand in a text."""
    quote = urllib.parse.quote
    found = {secret, quote(secret), quote(secret, safe=""), urllib.parse.quote_plus(secret)}
    found |= {html.escape(secret), html.escape(secret, quote=False)}
    found |= {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], repr(secret)[1:-1]}
    octets = secret.encode()
    for shift in range(3):  # in the middle of other text ("user:secret") it begins at any of three places
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            coded = encode(b"\0" * shift + octets).decode().rstrip("=")
            # The characters that also hold bits of what stands around it.
            first = (0, 2, 3)[shift]
            last = len(coded) if (shift + len(octets)) % 3 == 0 else len(coded) - 1
            if last - first >= SHORTEST:
                found.add(coded[first:last])
    return {form for form in found if form}
