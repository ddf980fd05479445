"""Keep the workflows and the nodes of the version in pyproject.toml for ever: run once, before it is released."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
from pack import ROOT, load

GOLDEN = Path(__file__).parent


def nodes() -> dict[str, Any]:
    """The inputs and outputs of every node: names, order and types, without choices of this machine."""
    found = {}
    for node_id, node in load().NODE_CLASS_MAPPINGS.items():
        schema = node.INPUT_TYPES()
        found[node_id] = {
            "required": {name: _type(spec) for name, spec in schema["required"].items()},
            "optional": {name: _type(spec) for name, spec in schema.get("optional", {}).items()},
            "outputs": dict(zip(node.RETURN_NAMES, node.RETURN_TYPES, strict=True)),
        }
    return found


def _type(spec: tuple[Any, ...]) -> str:
    return "COMBO" if isinstance(spec[0], list) else spec[0]


def main() -> None:
    """Write the folder of this version; one that is there stays as it is."""
    version = re.search(r'^version = "(.*)"$', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    assert version is not None
    folder = GOLDEN / version[1]
    shutil.copytree(ROOT / "examples", folder, ignore=shutil.ignore_patterns("*.jpg", "*.png"))
    (folder / "nodes.json").write_text(json.dumps(nodes(), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
