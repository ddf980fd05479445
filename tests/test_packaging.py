"""The layout's promises: what is installed, what is imported, what is listed twice."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from archive import shipped
from cartoonize_pack.utils import config
from cartoonize_pack.utils.hosting.hosts import OBSTORE
from cartoonize_pack.utils.hosting.tables import KINDS
from pack import ROOT
from PIL import Image

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
MODULES = sorted([ROOT / "__init__.py", *(ROOT / "nodes").rglob("*.py"), *(ROOT / "utils").rglob("*.py")])


def test_requirements_are_the_base_dependencies() -> None:
    """ComfyUI-Manager installs requirements.txt, pip the project: they must agree."""
    assert (ROOT / "requirements.txt").read_text().split() == PROJECT["project"]["dependencies"]


def test_every_package_is_installed() -> None:
    """The explicit list names every folder with an __init__.py."""
    folders = {path.parent.relative_to(ROOT) for path in MODULES if path.name == "__init__.py"}
    expected = {".".join(("portrait_cartoonize", *folder.parts)) for folder in folders}
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == expected


def test_the_registry_finds_what_it_needs() -> None:
    """Name without ComfyUI, three-part version, licence, repository, publisher."""
    project = PROJECT["project"]
    assert "comfyui" not in project["name"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", project["version"])
    assert (ROOT / project["license"]["file"]).read_text().startswith("MIT License")
    assert project["urls"]["Repository"].startswith("https://")
    assert PROJECT["tool"]["comfy"]["PublisherId"]
    assert f"## {project['version']}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_icon_and_banner_are_what_the_registry_shows() -> None:
    """A square of at most 400 pixels, and 21:9; both in the repository that their addresses name."""
    comfy, repository = PROJECT["tool"]["comfy"], PROJECT["project"]["urls"]["Repository"]
    raw = repository.replace("https://github.com/", "https://raw.githubusercontent.com/") + "/main/"
    for key, is_right in (("Icon", lambda w, h: w == h <= 400), ("Banner", lambda w, h: w * 9 == h * 21)):
        assert comfy[key].startswith(raw)
        with Image.open(ROOT / comfy[key].removeprefix(raw)) as picture:
            assert is_right(*picture.size)


def test_the_archive_holds_what_runs_and_no_more() -> None:
    """No tests, no bytecode, nothing hidden but lists of what to ignore, and little enough to download at once."""
    paths = shipped()
    assert {"nodes", "utils", "web", "locales", "examples", "subgraphs"} <= {path.parts[0] for path in paths}
    assert not [
        path for path in paths if path.parts[0] in ("tests", ".ci") or path.suffix in (".pyc", ".so", ".sqlite3")
    ]
    assert {path.name for path in paths if path.name.startswith(".")} <= {".gitignore", ".comfyignore"}
    assert sum((ROOT / path).stat().st_size for path in paths) < 6_000_000


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_dependencies_point_down(path: Path) -> None:
    """utils knows neither ComfyUI nor torch nor nodes; only nodes/_comfy.py knows ComfyUI; the rest is the base."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            imported.add((node.module or "").partition(".")[0])
        elif isinstance(node, ast.ImportFrom) and "utils" in path.parts:
            assert "nodes" not in (node.module or "").split(".")
    base = {"requests", "urllib3", "numpy", "PIL", "aiohttp", "scipy", "idna"}  # urllib3 and idna are requests' own
    base |= {"tomllib", "tomli"}  # the standard library has the first since 3.11, the second stands in for it
    host = {"torch", "comfy", "comfy_execution", "folder_paths", "server"}
    extra = {"obstore"} if path.name == "storage.py" else set()
    foreign = {name for name in imported if name not in sys.stdlib_module_names}
    assert foreign <= base | extra | (host if path.name == "_comfy.py" else set())


def test_importing_the_pack_does_nothing_and_loads_nothing_heavy(tmp_path: Path) -> None:
    """No threads, no files, no network, and neither scipy, aiohttp nor torch: ComfyUI starts with every pack."""
    script = (
        "import sys, threading, asyncio, numpy, PIL.Image, requests\n"  # what ComfyUI has loaded before any pack
        "seen = []\n"
        "effects = ('socket.', 'sqlite3.', 'subprocess.', 'os.mkdir', 'os.rename', 'os.remove')\n"
        "sys.addaudithook(lambda event, args: seen.append(event) if event.startswith(effects) else None)\n"
        "import pack; pack.load()\n"
        "heavy = {'scipy', 'aiohttp', 'torch', 'sqlite3'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "assert not seen, seen\n"
        "assert threading.active_count() == 1\n"
    )
    environment = {**os.environ, "CARTOONIZE_HOME": str(tmp_path / "home"), "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run([sys.executable, "-c", script], cwd=Path(__file__).parent, env=environment, check=True)
    assert not (tmp_path / "home").exists()


def test_the_package_that_object_storage_names_is_the_extra() -> None:
    """The line that an error tells to install, pyproject.toml and the README agree."""
    assert PROJECT["project"]["optional-dependencies"]["storage"] == [OBSTORE]
    assert f"pip install '{OBSTORE}'" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_what_the_readme_configures_is_ready(tmp_path: Path) -> None:
    """All its TOML, copied into one file: the default profile can be used, and so can every host."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    text = "\n".join(re.findall(r"^```toml\n(.*?)^```", readme, re.M | re.S))
    (tmp_path / "config.toml").write_text(text.replace("…", "x"), encoding="utf-8")
    settings = config.load(tmp_path, {})
    assert settings.profile("auto").host in settings.hosts
    assert {name: host.problem() for name, host in settings.hosts.items()} == dict.fromkeys(settings.hosts, "")
    assert {host.kind for host in settings.hosts.values()} == set(KINDS)


def test_the_readme_names_only_variables_that_exist() -> None:
    """And every variable that exists is in the README."""
    code = "".join(path.read_text(encoding="utf-8") for path in MODULES)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    pattern = r"CARTOONIZE_[A-Z_]*[A-Z]"
    assert set(re.findall(pattern, readme)) == set(re.findall(pattern, code))


def test_the_pictures_of_the_readmes_exist_and_are_light() -> None:
    """A page that shows what it promises; less than 160 kB a picture."""
    for readme in ROOT.glob("README*.md"):
        paths = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", readme.read_text(encoding="utf-8"))
        assert paths
        for path in paths:
            assert (ROOT / path).stat().st_size < 160_000
