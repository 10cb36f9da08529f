# ruff: noqa: INP001 - mkdocs loads this file by its path
"""What the site makes of docs/: the rules stand in the navigation and their programs in colours, and no link leads out."""

import ast
import re
from pathlib import Path
from textwrap import dedent
from typing import Any

DOCS = Path(__file__).parent
_LINK_UP = re.compile(r"\[(?P<text>[^]]+)\]\((?P<target>(?:\.\./)+[^)]*)\)")
_INDENTED = re.compile(r"(?<=\n\n)(?: {4}.*\n|\n(?=\n* {4}))+")


def on_config(config: Any) -> None:
    """Give every rule an entry behind the index of them."""
    (rules,) = (entry["Rules"] for entry in config.nav if "Rules" in entry)
    rules += sorted(f"rules/{page.name}" for page in (DOCS / "rules").glob("*.md") if page.name != "README.md")


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """The page as the site shows it."""
    folder = (DOCS / page.file.src_uri).parent
    if folder.name == "rules":
        markdown = _INDENTED.sub(_fenced, markdown)
    return _LINK_UP.sub(lambda link: _named(link, folder), markdown)


def _fenced(block: re.Match[str]) -> str:
    """A program says which language it is in; what isn't one stays as it is."""
    text = dedent(block[0])
    try:
        ast.parse(text)
    except SyntaxError:
        return block[0]
    return f"```python\n{text}```\n"


def _named(link: re.Match[str], folder: Path) -> str:
    """A file that a git host can show and the site can't, by its name alone."""
    target = (folder / link["target"]).resolve()
    if target.is_relative_to(DOCS):
        return link[0]
    name, text = target.relative_to(DOCS.parent).as_posix(), link["text"].strip("`")
    return f"`{name}`" if text == name else f"{link['text']} (`{name}`)"
