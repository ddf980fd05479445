"""The modules of ComfyUI's page, read as text: what they import is there, and every language says the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pack import ROOT

FOLDER = ROOT / "web" / "js"
MODULES = {path.name: path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.js"))}
ENTRY = "portrait_cartoonize.js"  # the only one that does something when it is loaded
COMFYUI = {"../../../scripts/app.js": {"app"}, "../../../scripts/api.js": {"api"}}
FORBIDDEN = (
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|localStorage|sessionStorage|cookie|\beval\b|Function\("
)


def exported(source: str) -> set[str]:
    """Return the names that a module exports."""
    return set(re.findall(r"^export (?:async )?(?:function|const) (\w+)", source, re.M))


def tables() -> dict[str, dict[str, str]]:
    """Return the texts by language."""
    blocks = re.findall(r"^const (en|zh|ja|ko) = \{\n(.*?)^\};", MODULES["texts.js"], re.M | re.S)
    return {language: dict(re.findall(r'^  (\w+): "(.*)",$', block, re.M)) for language, block in blocks}


def test_what_a_module_imports_is_there() -> None:
    """Files of this folder and ComfyUI's two documented modules, nothing from elsewhere."""
    for name, module in MODULES.items():
        imports = re.findall(r'^import \{ (.+?) \} from "(.+?)";$', module, re.M)
        assert len(imports) == len(re.findall(r"\bimport\b(?!\.meta)", re.sub(r"/\*.*?\*/", "", module, flags=re.S))), (
            name
        )
        for names, source in imports:
            there = COMFYUI.get(source) or exported(MODULES[source.removeprefix("./")])
            assert {part.strip() for part in names.split(",")} <= there, (name, source)


def test_loading_a_module_does_nothing() -> None:
    """ComfyUI loads every file of the folder: outside of the entry there are only definitions."""
    for name, module in MODULES.items():
        code = re.sub(r"/\*.*?\*/", "", module, flags=re.S)
        starts = {line.split()[0].rstrip(";,") for line in code.splitlines() if line and line[0] not in " /})"}
        allowed = {"import", "export", "const", "let", "function", "async"}
        assert starts - allowed == ({"app.registerExtension({"} if name == ENTRY else set()), name


def test_nothing_becomes_markup_and_nothing_is_kept() -> None:
    """Names and problems come from files and services: they are text. Keys are not stored in the browser."""
    assert [name for name, module in MODULES.items() if re.search(FORBIDDEN, module)] == []


@pytest.mark.parametrize("language", ["zh", "ja", "ko"])
def test_every_language_has_every_text_and_its_values(language: str) -> None:
    """The pack's name is the same everywhere."""
    english, other = tables()["en"], tables()[language]
    assert set(other) == set(english) - {"title"}
    for key, text in other.items():
        assert sorted(re.findall(r"\{\w+\}", text)) == sorted(re.findall(r"\{\w+\}", english[key])), key
        assert text != english[key], key


def test_every_text_is_said_and_what_is_said_has_a_text() -> None:
    """Named literally, or with the kind or style of a profile, or with the two kinds of names."""
    code = "\n".join(module for name, module in MODULES.items() if name != "texts.js")
    said = set(re.findall(r'"(\w+)"', code)) | {"embedded", "service", "anime", "manga"}
    for prefix in re.findall(r"\bsay\(`(\w+_)\$\{kind\}`", code):
        said |= {f"{prefix}profiles", f"{prefix}hosts"}
    english = set(tables()["en"])
    assert english <= said
    assert set(re.findall(r'\bsay\("(\w+)"', code)) <= english


def test_colours_are_those_of_the_theme() -> None:
    """So that the section can be read in a light and in a dark page."""
    css = Path(ROOT / "web" / "portrait_cartoonize.css").read_text(encoding="utf-8")
    values = re.findall(r"(?:^|[\s-])(?:color|background|border): ([^;]+);", css)
    assert values
    assert all("var(--" in value for value in values)
