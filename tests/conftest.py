"""Loads the pack as ComfyUI does, and gives every test a clean environment."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer

ROOT = Path(__file__).parents[1]


def _load_pack(name: str) -> None:
    """Import the repository the way ComfyUI does, whatever its folder is called."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "__init__.py")
    assert spec is not None
    assert spec.loader is not None
    pack = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(pack)


_load_pack("cartoonize_pack")


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No configuration of the person who runs the tests reaches them."""
    for name in [n for n in os.environ if n.startswith("CARTOONIZE_") or n.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("CARTOONIZE_HOME", str(tmp_path / "home"))


@pytest.fixture
def api(httpserver: HTTPServer) -> Iterator[HTTPServer]:
    """A scripted service: fails the test on requests nobody expected and on expected ones nobody made."""
    httpserver.no_handler_status_code = 404
    yield httpserver
    httpserver.check()
    assert not httpserver.ordered_handlers, "expected requests that were never made"
