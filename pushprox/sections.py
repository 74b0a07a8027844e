"""
A YAML file as sections with keys, and what is wrong with one in a single line: at
which key, and what was expected there.

Knows YAML, and how much of a file may be shown in an error: what stands in the
wrong place may be a password. Does not know which keys there are.
"""

from __future__ import annotations

import os.path
import re
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn, TypeVar

import attrs
import yaml

_T = TypeVar("_T")

#: As YAML 1.1 has them, which is what Go's programs read.
BOOLEANS = {
    **dict.fromkeys(("true", "True", "TRUE", "yes", "Yes", "YES", "on", "On"), True),
    **dict.fromkeys(("false", "False", "FALSE", "no", "No", "NO", "off", "Off"), False),
}

# How keys, users and the words of the format look. Whatever else stands in their
# place may be a password, behind a space or a quote that is missing.
_WORD = re.compile(r"[A-Za-z0-9_.@-]+")

# Characters of the longest text that is shown whole. A token has more, and of what
# has more so few are shown that the rest is not to be guessed.
_LONGEST = 40
_SHOWN = 20

# What the parser quotes: a mark, or its own name for what comes next, such as
# '<stream end>'; or else something of the file.
_QUOTED = re.compile(r"('.'|'<[^']*>')|'[^']*'|\"[^\"]*\"")


def cut(text: str) -> str:
    """
    @return: the beginning of what may be a token in the wrong place.
    """
    return text if len(text) <= _LONGEST else f"{text[:_SHOWN]}..."


def shown(text: object) -> str:
    """
    @return: the beginning of what stands in a file, as far as it can be no secret.
    """
    if text == "":
        return "''"
    word = _WORD.match(str(text))
    beginning = word[0] if word else ""
    if beginning == str(text):
        return cut(beginning)
    return f"{beginning[:_SHOWN]}..."


@attrs.frozen
class PEM:
    """
    Where some PEM is.

    @ivar key: what names it in the config file.
    @ivar path: of its file; L{None} if it stands in the config file itself.
    @ivar content: what is in it; L{None} if that was not read yet.
    """

    key: str
    path: str | None = None
    content: bytes | None = attrs.field(default=None, repr=False)

    @property
    def name(self) -> str:
        """
        What it is called in errors.
        """
        return self.key if self.path is None else f"{self.key}: {self.path}"


_TAG = "tag:yaml.org,2002:"


class _Loader(yaml.SafeLoader):
    """
    Reads scalars as the text that they are, but for the empty ones: what they
    mean is for us to say (a user may be called C{0123} or C{no}).
    """

    yaml_implicit_resolvers = {
        first: [
            (tag, pattern)
            for tag, pattern in resolvers
            if tag in (f"{_TAG}null", f"{_TAG}merge")
        ]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    yaml_constructors = {
        tag: construct
        for tag, construct in yaml.SafeLoader.yaml_constructors.items()
        # What fits none is said to be unknown by the last.
        if tag in (*(f"{_TAG}{kind}" for kind in ("null", "str", "seq", "map")), None)
    }

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """
        @raise yaml.constructor.ConstructorError: if a key is there twice.
        """
        seen = set()
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            # What is no text is refused below.
            text = key.value if isinstance(key, yaml.ScalarNode) else id(key)
            if text in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, "expected each key once", key.start_mark
                )
            seen.add(text)
        found: dict[Any, Any] = super().construct_mapping(node, deep)
        return found


@attrs.frozen
class Section:
    """
    Keys and their values, and where in the file they are.
    """

    where: str
    entries: dict[Any, Any]

    def refuse(self, key: object, expected: str) -> NoReturn:
        """
        @raise ValueError: that names the key.
        """
        raise ValueError(f"{self.where}{shown(key)}: expected {expected}")

    def onlyHas(self, keys: Iterable[str]) -> None:
        """
        @raise ValueError: if there is another.
        """
        for key in self.entries:
            if key not in keys:
                where = f"{self.where[:-1]}: " if self.where else ""
                choices = ", ".join(keys)
                got = shown(key)
                raise ValueError(f"{where}expected some of {choices}; got {got!r}")

    @property
    def names(self) -> tuple[str, ...]:
        """
        Its keys, where these are names that somebody chose.

        @raise ValueError: if one is no text, or none that can be shown.
        """
        for key in self.entries:
            if not isinstance(key, str) or not key or not key.isprintable():
                self.refuse(key, "a name")
        return tuple(self.entries)

    def section(self, key: str) -> Section:
        """
        @return: the section of this name; an empty one, if there is none.
        """
        value = self.entries.get(key)
        if not isinstance(value, dict | None):
            self.refuse(key, "a section with keys of its own")
        return Section(f"{self.where}{cut(key)}.", value or {})

    def sections(self, key: str) -> list[Section]:
        """
        @return: the list of sections of this name; an empty one, if there is none.
        """
        value = self.entries.get(key)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(e, dict) for e in value):
            self.refuse(key, "a list of sections with keys of their own")
        return [
            Section(f"{self.where}{key}[{number}].", entry)
            for number, entry in enumerate(value)
        ]

    def text(self, key: str) -> str:
        """
        @return: the text that stands there; empty, if there is none.
        """
        value = self.entries.get(key)
        if not isinstance(value, str | None):
            self.refuse(key, "text")
        return value or ""

    def texts(self, key: str) -> tuple[str, ...] | None:
        """
        @return: the list of texts that stands there, if there is one.
        """
        value = self.entries.get(key)
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(e, str) for e in value):
            self.refuse(key, "a list of texts")
        return tuple(value)

    def oneOf(self, key: str, choices: Mapping[str, _T], default: str) -> _T:
        """
        @return: what the word that stands there is a name of.
        """
        return self._choose(key, self.text(key) or default, choices)

    def someOf(self, key: str, choices: Mapping[str, _T]) -> list[_T]:
        """
        @return: the same for a list of words.
        """
        words = self.texts(key) or ()
        return [self._choose(key, word, choices) for word in words]

    def _choose(self, key: str, word: str, choices: Mapping[str, _T]) -> _T:
        if word not in choices:
            self.refuse(key, f"one of {', '.join(choices)}; got {shown(word)!r}")
        return choices[word]

    def pem(self, key: str, fileKey: str, folder: str) -> PEM | None:
        """
        @param key: of the PEM itself.
        @param fileKey: of the name of a file with it, which comes first.
        """
        if path := self.text(fileKey):
            return PEM(f"{self.where}{fileKey}", os.path.join(folder, path))
        if content := self.text(key):
            return PEM(f"{self.where}{key}", None, content.encode("utf-8"))
        return None


def readSections(text: bytes, example: str) -> Section:
    """
    @param example: of a key that may stand there.
    @return: all of a file.
    @raise ValueError: if it is no YAML, or has no keys.
    """
    try:
        # No less safe than SafeLoader, of which it knows the tags for text alone.
        document = yaml.load(text, Loader=_Loader)  # noqa: S506
    except yaml.YAMLError as error:
        # Not all that it says: it quotes from the file.
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}: " if mark is not None else ""
        problem = getattr(error, "problem", None) or "unreadable characters"
        problem = _QUOTED.sub(lambda quoted: quoted[1] or "...", problem)
        raise ValueError(f"{place}expected YAML: {problem}") from None
    except RecursionError:
        raise ValueError("expected YAML of reasonable depth") from None
    if not isinstance(document, dict | None):
        raise ValueError(f"expected YAML with a section like {example}")
    return Section("", document or {})
