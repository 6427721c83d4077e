"""What the program says when something is wrong, taken from its source; and what the tests expect it to say.

A message is a text in the source that people may read: what an exception of the program is made with, what is logged
as a warning or worse, and every other text that reads as a sentence (the reason why a file failed, a finding of
`verify`). Help texts, docstrings and lines of progress are none.
"""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGE = REPOSITORY / "async_s3_upload"
TESTS = REPOSITORY / "tests"
LEAST_CHARACTERS = 12
"""A shorter piece of text says too little to be looked for."""
GOOD_PART = 0.5
"""So much of the longest piece is enough for a test to tell the message from others."""
QUIET_PLACES = (
    "async_s3_upload/demo/",
    "async_s3_upload/notify/metrics.py",
    "async_s3_upload/cli/progress/event_schema.py",
    "async_s3_upload/config_schema.py",
)
"""What a show tells, and what describes metrics and schemas, is no message; what they fail with is."""
QUIET_CALLS = {"info", "debug"}
QUIET_KEYWORDS = {"help", "epilog", "show_default", "metavar"}
_PLACEHOLDER = re.compile(r"%[-+ #0]*\d*(?:\.\d+)?[sdrifg]|%%|\{[a-z_]*(?:![rsa])?(?::[^{}]*)?\}")
_WORDS = re.compile(r"[A-Za-z][a-z]*[,;:.]? (?:[^ ]+ )+[^ ]*[a-z]")


@dataclass(frozen=True, slots=True)
class Message:
    """A text of the program, and where it stands. ``pieces`` are what does not depend on the values in it."""

    pieces: tuple[str, ...]
    file: str
    line: int

    @property
    def longest(self) -> str:
        """Return the longest piece, without what stands around it."""
        return max((piece.strip(" \n.,:;()\"'") for piece in self.pieces), key=len)

    @property
    def place(self) -> str:
        """Return the file and the line."""
        return f"{self.file}:{self.line}"


def messages_of(folder: Path = PACKAGE) -> list[Message]:
    """Return the messages of all modules below the folder; each text once, with the first place where it stands."""
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(folder.rglob("*.py"))}
    errors = _errors(trees.values())
    found: dict[tuple[str, ...], Message] = {}
    for path, tree in trees.items():
        for node, told in _texts(tree, errors):
            pieces = _pieces(node)
            message = Message(pieces, str(path.relative_to(folder.parent)), node.lineno)
            if len(message.longest) >= LEAST_CHARACTERS and (told or _reads_as_a_sentence(message)):
                found.setdefault(pieces, message)
    return list(found.values())


def _errors(trees: Iterable[ast.Module]) -> set[str]:
    """Return the names of all exceptions that can be raised with a text."""
    bases = {
        node.name: {_name(base) for base in node.bases}
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    }
    errors = {
        name for name, value in vars(builtins).items() if isinstance(value, type) and issubclass(value, Exception)
    }
    while more := {name for name in bases.keys() - errors if bases[name] & errors}:
        errors |= more
    return errors


def _texts(tree: ast.AST, errors: set[str]) -> Iterator[tuple[ast.expr, bool]]:
    """Yield every text that is not quiet, and whether it is told for certain."""
    stack: list[tuple[ast.AST, bool]] = [(tree, False)]
    while stack:
        node, told = stack.pop()
        if (isinstance(node, ast.Constant) and isinstance(node.value, str)) or isinstance(node, ast.JoinedStr):
            yield node, told
            continue
        if isinstance(node, ast.Call):
            name = _name(node.func)
            if name in QUIET_CALLS:
                continue
            told = name in errors or name in ("problem", "warning", "error", "critical")
        stack += [(child, told) for child in _children(node)]


def _children(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.Assert):  # for readers of the source
        return
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.keyword) and child.arg in QUIET_KEYWORDS:
            continue
        if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):  # a docstring
            continue
        yield child


def _reads_as_a_sentence(message: Message) -> bool:
    return bool(_WORDS.search(message.longest)) and not message.file.startswith(QUIET_PLACES)


def _name(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _pieces(text: ast.expr) -> tuple[str, ...]:
    if isinstance(text, ast.JoinedStr):
        return tuple(str(part.value) for part in text.values if isinstance(part, ast.Constant)) or ("",)
    assert isinstance(text, ast.Constant)
    return tuple(_PLACEHOLDER.split(str(text.value)))


@cache
def texts_of_tests(folder: Path = TESTS) -> str:
    """Return every text that stands in a test below the folder, each on lines of its own; docstrings are none."""
    found: dict[str, None] = {}
    for path in sorted(folder.rglob("test_*.py")):
        if path.name != "test_messages.py":
            tree = ast.parse(path.read_text(encoding="utf-8"))
            found |= dict.fromkeys(text for node in _strings(tree) for text in (node, re.sub(r"\\(.)", r"\1", node)))
    return "\n".join(found)


def _strings(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if (
            isinstance(body, list)
            and body
            and isinstance(body[0], ast.Expr)
            and isinstance(body[0].value, ast.Constant)
        ):
            body[0] = ast.Pass()  # a docstring
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


@cache
def texts_of_program(folder: Path = PACKAGE) -> str:
    """Return every constant text of the program, each on lines of its own."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in sorted(folder.rglob("*.py"))]
    return "\n".join(_PLACEHOLDER.sub("\n", text) for tree in trees for text in _strings(tree))


def is_told_in(message: Message, texts: str) -> bool:
    """Tell whether the texts hold the longest piece of the message, or a good part of any piece."""
    longest = message.longest
    if longest in texts:
        return True
    length = max(LEAST_CHARACTERS, round(len(longest) * GOOD_PART))
    return any(
        piece[start : start + length] in texts
        for piece in message.pieces
        for start in range(len(piece) - length + 1)
        if start == 0 or piece[start - 1] == " "
    )
