"""Saved graphs of every released version fit the nodes of today: names, order, choices."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from cartoonize_pack import NODE_CLASS_MAPPINGS
from golden.snapshot import GOLDEN, nodes
from pack import ROOT

VERSIONS = sorted(path for path in GOLDEN.iterdir() if (path / "nodes.json").exists())
WORKFLOWS = [path for version in VERSIONS for path in sorted(version.glob("*.json")) if path.name != "nodes.json"]


def name(path: Path) -> str:
    """Version and workflow."""
    return str(path.relative_to(GOLDEN))


def prefix(of: list[Any], whole: list[Any]) -> bool:
    """Whether a list begins with another."""
    return whole[: len(of)] == of


def test_every_released_version_is_here() -> None:
    """As the CHANGELOG names them."""
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert [path.name for path in VERSIONS] == sorted(re.findall(r"^## (\d+\.\d+\.\d+)", changelog, re.MULTILINE))


@pytest.mark.parametrize("version", VERSIONS, ids=name)
def test_its_nodes_are_still_there(version: Path) -> None:
    """Inputs and outputs keep names, types and order; new ones come after them, and new inputs are optional."""
    today = nodes()
    for node_id, then in json.loads((version / "nodes.json").read_text()).items():
        now = today[node_id]
        assert now["required"] == then["required"]  # a graph of then would miss what is required now
        for part in ("required", "optional", "outputs"):
            assert prefix(list(then[part].items()), list(now[part].items()))


@pytest.mark.parametrize("path", WORKFLOWS, ids=name)
def test_its_workflows_still_fit(path: Path) -> None:
    """Widget values by their places, choices that are still offered, links by name."""
    used = 0
    for node in json.loads(path.read_text())["nodes"]:
        if node["type"] not in NODE_CLASS_MAPPINGS:
            continue
        used += 1
        schema = NODE_CLASS_MAPPINGS[node["type"]].INPUT_TYPES()
        inputs = schema["required"] | schema.get("optional", {})
        widgets = [
            spec for spec in inputs.values() if spec[0] not in ("IMAGE", "MASK") and not spec[1].get("forceInput")
        ]
        for value, spec in zip(node["widgets_values"], widgets, strict=False):
            assert (
                value in spec[0]
                if isinstance(spec[0], list)
                else isinstance(value, {"INT": int, "STRING": str}[spec[0]])
            )
        assert len(node["widgets_values"]) <= len(widgets)
        assert {slot["name"] for slot in node["inputs"]} <= set(inputs)
        outputs = list(NODE_CLASS_MAPPINGS[node["type"]].RETURN_NAMES)
        assert prefix([slot["name"] for slot in node["outputs"]], outputs)
    assert used


@pytest.mark.parametrize("path", WORKFLOWS, ids=name)
def test_its_prompts_are_complete(path: Path) -> None:
    """In API format every required input is there, and none that does not exist."""
    for node in json.loads((path.parent / "api" / path.name).read_text()).values():
        if (known := NODE_CLASS_MAPPINGS.get(node["class_type"])) is not None:
            schema = known.INPUT_TYPES()
            assert (
                set(schema["required"]) <= set(node["inputs"]) <= set(schema["required"] | schema.get("optional", {}))
            )
