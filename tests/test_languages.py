"""Names, tooltips and help pages in every language: nothing is missing, nothing is left over, and they agree."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from cartoonize_pack import NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS
from pack import ROOT
from PIL import Image

LANGUAGES = ("en", "zh", "ja", "ko")
TRANSLATIONS = LANGUAGES[1:]
READMES = ("README.zh.md", "README.ja.md")
DOCS = ROOT / "web" / "docs"
SETTINGS_JS = ROOT / "web" / "js" / "portrait_cartoonize.js"
MAX_PICTURE_BYTES = 60_000
every_language = pytest.mark.parametrize("language", LANGUAGES)
every_translation = pytest.mark.parametrize("language", TRANSLATIONS)
every_node = pytest.mark.parametrize("node_id", NODE_CLASS_MAPPINGS)


@cache
def table(language: str, name: str) -> dict[str, Any]:
    """A file of a language, as ComfyUI reads it."""
    return json.loads((ROOT / "locales" / language / name).read_text(encoding="utf-8"))


@cache
def expected() -> dict[str, Any]:
    """What the code itself says, in the shape of nodeDefs.json."""
    return {
        node_id: {
            "display_name": NODE_DISPLAY_NAME_MAPPINGS[node_id],
            "description": node.DESCRIPTION,
            "inputs": {
                name: {"name": name, "tooltip": options[1]["tooltip"]} for name, options in inputs_of(node_id).items()
            },
            "outputs": {
                str(index): {"name": name, "tooltip": tooltip}
                for index, (name, tooltip) in enumerate(zip(node.RETURN_NAMES, node.OUTPUT_TOOLTIPS, strict=True))
            },
        }
        for node_id, node in NODE_CLASS_MAPPINGS.items()
    }


def inputs_of(node_id: str) -> dict[str, Any]:
    """The inputs of a node, required and optional."""
    schema = NODE_CLASS_MAPPINGS[node_id].INPUT_TYPES()
    return {**schema["required"], **schema.get("optional", {})}


def texts(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every text of a table, with its place."""
    if isinstance(value, str):
        yield path, value
        return
    for key, inner in value.items():
        yield from texts(inner, f"{path}/{key}")


def page(node_id: str, language: str) -> str:
    """The help page that ComfyUI's page finds: docs/NODE/LANGUAGE.md, else docs/NODE.md, which is the English one."""
    path = DOCS / f"{node_id}.md" if language == "en" else DOCS / node_id / f"{language}.md"
    return path.read_text(encoding="utf-8")


def tables_of(text: str) -> list[list[list[str]]]:
    """The rows of every table of a page, without its head."""
    found = re.findall(r"^\|(?:.*\|\n)+", text, re.M)
    return [[[cell.strip() for cell in row.strip("|").split("|")] for row in t.splitlines()[2:]] for t in found]


def errors_of(text: str) -> list[tuple[str, str]]:
    """The errors of a page: what they say, and what is said of them: what happened or what was charged, what to do."""
    return re.findall(r"^- (`.*`)\\\n((?:  .*\n)+)", text, re.M)


def quoted(cell: str) -> list[str]:
    """What stands in backticks, in order."""
    return re.findall(r"`([^`]+)`", cell)


# --- names and tooltips -----------------------------------------------------------------------------------------------


def test_english_is_what_the_code_says() -> None:
    """The page shows the file's words in place of the code's, so that another text here would hide a change there."""
    assert table("en", "nodeDefs.json") == expected()


@every_language
@pytest.mark.parametrize("name", ["nodeDefs.json", "main.json", "settings.json"])
def test_every_text_is_there_and_none_is_left_over(language: str, name: str) -> None:
    """Every node, input and output, every category and setting; no text is empty."""
    found = dict(texts(table(language, name)))
    assert list(found) == [place for place, _ in texts(table("en", name))]
    assert all(text.strip() == text != "" for text in found.values())


@every_translation
def test_a_translation_is_one(language: str) -> None:
    """No sentence was left in English, and no text is that of another language."""
    script = {"zh": "[\u4e00-\u9fff]", "ja": "[\u3040-\u30ff]", "ko": "[\uac00-\ud7af]"}[language]
    sentences = [text for place, text in texts(table(language, "nodeDefs.json")) if not place.endswith("/name")]
    assert [text for text in sentences if not re.search(script, text)] == []


@every_translation
def test_values_and_numbers_stay_as_they_are(language: str) -> None:
    """What a widget offers is never translated, so a text must quote it as the widget shows it; limits stay, too."""
    found = dict(texts(table(language, "nodeDefs.json")))
    for place, english in texts(table("en", "nodeDefs.json")):
        for fixed in re.findall(r"'[^' ]+'|\d+:\d+|\d{2,}", english):
            assert fixed in found[place], (place, fixed)


@every_language
def test_no_text_has_a_character_that_the_page_would_take_for_a_placeholder(language: str) -> None:
    """The page's translator reads { } @ | as its own signs, and cannot show such a text."""
    for name in ("nodeDefs.json", "main.json", "settings.json"):
        assert [text for _, text in texts(table(language, name)) if re.search(r"[{}@|]", text)] == []


@every_translation
def test_one_name_is_one_word(language: str) -> None:
    """An input or output of one name has one translation at every node, and two names of a node differ."""
    words: dict[str, set[str]] = {}
    for node_id, texts_of in expected().items():
        node = table(language, "nodeDefs.json")[node_id]
        for kind in ("inputs", "outputs"):
            names = [entry["name"] for entry in node[kind].values()]
            assert len(set(names)) == len(names)
            for key, entry in texts_of[kind].items():
                words.setdefault(entry["name"], set()).add(node[kind][key]["name"])
    assert {name: found for name, found in words.items() if len(found) > 1} == {}


def test_categories_and_settings_are_those_of_the_pack() -> None:
    """The last part of the nodes' category; the setting and its categories as the page's script registers them."""
    code = SETTINGS_JS.read_text(encoding="utf-8")
    (setting,) = re.findall(r'id: "([^"]+)",\s+name: "([^"]+)",\s+category: \[([^]]+)\]', code)
    categories = {node.CATEGORY.rpartition("/")[2] for node in NODE_CLASS_MAPPINGS.values()}
    assert table("en", "main.json") == {
        "nodeCategories": {name: name for name in categories},
        "settingsCategories": {name: name for name in re.findall('"([^"]+)"', setting[2])},
    }
    assert table("en", "settings.json") == {setting[0].replace(".", "_"): {"name": setting[1]}}


# --- help pages -------------------------------------------------------------------------------------------------------


def test_every_page_belongs_to_a_node_and_a_language() -> None:
    """Each node has its page in each language, and there are no others."""
    wanted = {DOCS / f"{node_id}.md" for node_id in NODE_CLASS_MAPPINGS}
    wanted |= {DOCS / node_id / f"{language}.md" for node_id in NODE_CLASS_MAPPINGS for language in TRANSLATIONS}
    assert set(DOCS.rglob("*.md")) == wanted


@every_node
@every_language
def test_a_page_names_every_input_and_output(node_id: str, language: str) -> None:
    """In the order of the node, with the name beside its translation, which is what the node shows."""
    node = table(language, "nodeDefs.json")[node_id]
    for rows, kind in zip(tables_of(page(node_id, language)), ("inputs", "outputs"), strict=True):
        names = [(entry["name"], node[kind][key]["name"]) for key, entry in expected()[node_id][kind].items()]
        cells = [f"`{name}`" if language == "en" else f"{word} `{name}`" for name, word in names]
        assert [row[0].partition(" *")[0] for row in rows] == cells


@every_node
def test_a_page_names_every_value_of_a_choice(node_id: str) -> None:
    """But for profiles and hosts, which each machine has its own of."""
    rows = {quoted(row[0])[0]: row[1] for row in tables_of(page(node_id, "en"))[0]}
    for name, (kind, *_) in inputs_of(node_id).items():
        if isinstance(kind, list) and name not in ("profile", "host"):
            assert [value for value in kind if f"`{value}`" not in rows[name]] == []


@every_node
@every_translation
def test_a_translated_page_has_what_the_english_one_has(node_id: str, language: str) -> None:
    """The same rows and the same errors, and in each of them the same words in backticks."""
    english, translated = page(node_id, "en"), page(node_id, language)
    assert [name for name, _ in errors_of(translated)] == [name for name, _ in errors_of(english)]
    pieces = [
        [*(cell for rows in tables_of(text) for row in rows for cell in row), *(rest for _, rest in errors_of(text))]
        for text in (english, translated)
    ]
    for before, after in zip(*pieces, strict=True):
        assert sorted(quoted(after)) == sorted(quoted(before))


@every_node
@every_translation
def test_a_translated_page_says_the_english_name(node_id: str, language: str) -> None:
    """Errors are in English, and name the nodes so."""
    assert f"*{NODE_DISPLAY_NAME_MAPPINGS[node_id]}*" in page(node_id, language)


@every_node
@every_language
def test_the_picture_of_a_page_is_there_and_light(node_id: str, language: str) -> None:
    """ComfyUI's page looks for it beside docs/NODE.md, whatever the language; it was taken in that language."""
    ((words, path),) = re.findall(r"!\[([^]]+)\]\(([^)]+)\)", page(node_id, language))
    assert words
    assert path == f"images/{node_id}{'' if language == 'en' else f'.{language}'}.png"
    assert (DOCS / path).stat().st_size < MAX_PICTURE_BYTES
    with Image.open(DOCS / path) as picture:
        picture.verify()


@cache
def words_of_the_code() -> str:
    """The code without docstrings and comments, its texts of several lines put together (ten times as fast as ast)."""
    files = [path for folder in ("nodes", "utils") for path in (ROOT / folder).rglob("*.py")]
    code = "\n".join(path.read_text(encoding="utf-8") for path in files)
    code = re.sub(r'"""(?s:.*?)"""|^ *#.*$', "", code, flags=re.M)
    return re.sub(r'" *\n *f?"', "", code)


@every_node
def test_every_error_that_a_page_quotes_is_one_of_the_code(node_id: str) -> None:
    """Word for word; … stands for what differs from case to case. Translated pages quote the same."""
    found = errors_of(page(node_id, "en"))
    errors = [error for name, _ in found for error in quoted(name)]
    assert len(errors) >= len(found) == page(node_id, "en").count("\n- ") > 5
    assert all(rest.count("\n") == 2 and "\n  → " in rest for _, rest in found)
    parts = [part.strip() for error in errors for part in error.split("…")]
    assert [part for part in parts if part not in words_of_the_code()] == []


# --- the first screen -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", READMES)
def test_a_translated_readme_has_the_commands_of_the_english_one(name: str) -> None:
    """The same commands in the same order (but for those of developers), the same picture, examples that exist."""
    english, translated = (ROOT / "README.md").read_text(encoding="utf-8"), (ROOT / name).read_text(encoding="utf-8")
    pattern = re.compile(r"^```sh\n(.*?)^```", re.M | re.S)
    commands = pattern.findall(translated)
    assert commands == [command for command in pattern.findall(english)[:3] if "pytest" not in command]
    assert re.findall(r"\]\((examples/[^)]+)\)", translated)[0] in english
    examples = [quoted(row[0])[0] for row in tables_of(translated)[0]]
    assert [name for name in examples if not (ROOT / "examples" / f"{name}.json").exists()] == []


def test_the_readmes_lead_to_each_other() -> None:
    """From the first line of each."""
    names = {"README.md", *READMES}
    for name in names:
        first = (ROOT / name).read_text(encoding="utf-8").partition("\n")[0]
        assert set(re.findall(r"\]\(([^)]+)\)", first)) == names - {name}
