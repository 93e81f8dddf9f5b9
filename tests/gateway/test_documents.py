"""What the documents name is there."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEST = re.compile(r"`(tests/[\w/]+\.py)?(?:::(\w+))?`")


def named_tests(document: str) -> list[tuple[str, str]]:
    """Files and names of tests; a name alone is of the file before."""
    found, path = [], ""
    for match in TEST.finditer((ROOT / "docs" / document).read_text()):
        path = match[1] or path
        if any(match.groups()):
            found.append((path, match[2] or ""))
    return found


@cache
def functions(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in tree.body if isinstance(node, kinds)}


@pytest.mark.parametrize("document", ["threat-model.md", "guarantees.md"])
def test_every_test_that_a_document_names_exists(document):
    named = named_tests(document)
    assert len(named) > 20
    files = {path for path, _ in named}
    assert [path for path in files if not (ROOT / path).is_file()] == []
    assert [
        (path, name) for path, name in named if name and name not in functions(ROOT / path)
    ] == []


def test_every_threat_is_met_and_shown():
    text = (ROOT / "docs/threat-model.md").read_text()
    threats = text[text.index("## Threats") : text.index("## Not met")]
    rows = [line.split("|")[1:-1] for line in threats.splitlines() if line.startswith("| ")]
    rows = [row for row in rows if row[0].strip() != "threat"]
    assert len(rows) > 20
    assert [row for row in rows if len(row) != 3 or "`tests/" not in row[2]] == []
