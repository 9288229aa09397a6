# SPDX-License-Identifier: GPL-2.0-or-later
"""What a set is made by, as a digest: the sources of its recipe, without what changes nothing."""

import hashlib
import io
import tokenize
from collections.abc import Iterable
from pathlib import Path


def source_digest(files: Iterable[Path], more: str = "") -> str:
    """SHA-256 over Python sources without comments, docstrings and blank lines: a better comment rebuilds nothing.

    more: what else decides.
    """
    digest = hashlib.sha256(more.encode())
    skip = {tokenize.COMMENT, tokenize.NL, tokenize.ENCODING}
    for path in sorted(files):
        digest.update(path.name.encode())
        begins = True  # of a statement: a string here which is all of the statement is a docstring
        pending: str | None = None
        for token in tokenize.tokenize(io.BytesIO(path.read_bytes()).readline):
            if token.type in skip:
                continue
            if begins and token.type == tokenize.STRING:
                pending = token.string
            elif pending is None or token.type != tokenize.NEWLINE:
                digest.update(f"{pending or ''}\0{token.type}\0{token.string.strip()}\0".encode())
                pending = None
            else:
                pending = None
            begins = token.type in (tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)
    return digest.hexdigest()
