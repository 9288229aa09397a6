# SPDX-License-Identifier: GPL-2.0-or-later
"""JSON schema of lab.yaml for editors: `python -m harness.config.schema > docs/lab.schema.json`."""

import json
import sys
from typing import Any

from harness.config.lab import LabConfig


def schema() -> dict[str, Any]:
    """The schema, draft 2020-12."""
    made = LabConfig.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **_tidy(made), "title": "lab.yaml of piboot"}


def text() -> str:
    """The schema as it stands in docs/lab.schema.json."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def _tidy(node: Any) -> Any:
    """Without pydantic's titles ("Serial Number"), which editors would show above the descriptions; descriptions in one
    line each."""
    if isinstance(node, list):
        return [_tidy(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: " ".join(value.split()) if key == "description" and isinstance(value, str) else _tidy(value)
        for key, value in node.items()
        # A property may be named "title"; a schema's own title is text.
        if not (key == "title" and isinstance(value, str))
    }


if __name__ == "__main__":
    sys.stdout.write(text())
