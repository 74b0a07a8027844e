"""
The layout of the project, read from its sources: who may import whom, who may
look at a clock, and how things are called.

Each rule is a function from modules to complaints, so that it can be shown to
bite on a sample as well as to be content with the tree.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import attrs
from twisted.trial.unittest import SynchronousTestCase

# Also right when tests/ is reached through a link, as tox does it.
ROOT = Path(__file__).resolve().parent.parent

#: Above the two houses: who may see both.
ROOF = ("pushprox.demo", "pushprox.scripts")
HOUSES = ("pushprox.proxy", "pushprox.client")

#: Values and functions, which need no Twisted.
WITHOUT_TWISTED = (
    "pushprox.deadlines",
    "pushprox.durations",
    "pushprox.framing",
    "pushprox.headers",
    "pushprox.message",
    "pushprox.names",
    "pushprox.sources",
    "pushprox.sections",
    "pushprox.sources",
    "pushprox.webconfig",
    "pushprox.proxy.access",
    "pushprox.client.policy",
)

#: Words that say nothing of what a thing is.
EMPTY_WORDS = re.compile("(handler|manager|engine|processor|util|helper)s?")

#: Names that others gave: what they call by name.
FOREIGN_PREFIXES = ("test_", "render_", "opt_")
FOREIGN_NAMES = {
    # The callbacks of httptools.
    "on_message_begin",
    "on_url",
    "on_status",
    "on_header",
    "on_headers_complete",
    "on_body",
    "on_message_complete",
    "on_chunk_header",
    "on_chunk_complete",
    # What requests of Twisted Web are asked for.
    "received_cookies",
    "code_message",
    # What PyYAML calls and looks at.
    "construct_mapping",
    "yaml_constructors",
    "yaml_implicit_resolvers",
    # What treq calls on a URL of hyperlink.
    "to_uri",
}

CLOCKS = {
    "time.time",
    "time.monotonic",
    "time.perf_counter",
    "datetime.now",
    "datetime.utcnow",
    "datetime.today",
    "date.today",
}


@attrs.frozen
class Module:
    """
    A module and its source, parsed.
    """

    name: str
    tree: ast.Module

    @classmethod
    def fromFile(cls, path: Path) -> Module:
        """
        Read a module of the tree.
        """
        parts = path.relative_to(ROOT).with_suffix("").parts
        return cls(
            ".".join(parts).removesuffix(".__init__"), ast.parse(path.read_text())
        )

    def at(self, node: ast.AST) -> str:
        """
        @return: the module and the line.
        """
        return f"{self.name}:{getattr(node, 'lineno', 0)}"


Rule = Callable[[list[Module]], list[str]]


def sample(name: str, source: str) -> list[Module]:
    """
    @return: a tree of one module.
    """
    return [Module(name, ast.parse(source))]


def modulesIn(*folders: str) -> list[Module]:
    """
    @return: the modules of the tree below these folders.
    """
    return [
        Module.fromFile(path)
        for folder in folders
        for path in sorted((ROOT / folder).rglob("*.py"))
    ]


def isIn(name: str, packages: tuple[str, ...]) -> bool:
    """
    @return: whether C{name} is one of the packages or within one.
    """
    return any(f"{name}.".startswith(f"{package}.") for package in packages)


def imported(node: ast.AST) -> list[str]:
    """
    @return: all that this statement may import. C{from a import b} may mean
        a module C{a.b}.
    """
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        source = node.module or ""
        return [source, *(f"{source}.{alias.name}" for alias in node.names)]
    return []


def imports(module: Module) -> Iterator[tuple[ast.AST, str]]:
    """
    @return: each statement that imports, with each name that it does.
    """
    for node in ast.walk(module.tree):
        for name in imported(node):
            yield node, name


def wrongArrows(modules: list[Module]) -> list[str]:
    """
    The cellar sees only the cellar, a house only itself and the cellar, and
    nobody in a house its service, which is the list of all parts.
    """
    wrong = []
    for module in modules:
        own = tuple(house for house in HOUSES if isIn(module.name, (house,)))
        for node, name in imports(module):
            if module.name in ROOF or not isIn(name, (*HOUSES, *ROOF)):
                continue
            if not isIn(name, own) or name.split(".")[2:3] == ["service"]:
                wrong.append(f"{module.at(node)} imports {name}")
    return wrong


def forTypes(module: Module) -> set[ast.AST]:
    """
    @return: the statements that are run by nobody but mypy.
    """
    return {
        inner
        for node in ast.walk(module.tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for statement in node.body
        for inner in ast.walk(statement)
    }


def cycles(modules: list[Module]) -> list[str]:
    """
    No two modules need each other, not even by way of others, but for the
    names in their annotations.
    """
    names = {module.name for module in modules}
    graph = {
        module.name: {
            name
            for node, name in imports(module)
            if name in names and name != "pushprox" and node not in forTypes(module)
        }
        for module in modules
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return [" imports ".join(reversed(error.args[1]))]
    return []


def relativeImports(modules: list[Module]) -> list[str]:
    """
    Every import tells the whole name, so that the other rules see it.
    """
    return [
        f"{module.at(node)} imports from {'.' * node.level}"
        for module in modules
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ImportFrom) and node.level
    ]


def needlessTwisted(modules: list[Module]) -> list[str]:
    """
    What is pure stays pure.
    """
    return [
        f"{module.at(node)} imports {name}"
        for module in modules
        if module.name in WITHOUT_TWISTED
        for node, name in imports(module)
        if isIn(name, ("twisted", "zope", "treq"))
    ]


def strayReactors(modules: list[Module]) -> list[str]:
    """
    Only makeService imports the reactor: all others are given theirs.
    """
    wrong = []

    def visit(module: Module, node: ast.AST) -> None:
        if isinstance(node, ast.FunctionDef) and node.name == "makeService":
            return
        if "twisted.internet.reactor" in imported(node):
            wrong.append(f"{module.at(node)} imports the reactor")
        for child in ast.iter_child_nodes(node):
            visit(module, child)

    for module in modules:
        visit(module, module.tree)
    return wrong


def wallClocks(modules: list[Module]) -> list[str]:
    """
    Time is asked of the clock that was handed in.
    """
    wrong = []
    for module in modules:
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ImportFrom) and node.module == "time":
                wrong.append(f"{module.at(node)} takes names out of time")
            # Also datetime.datetime.now.
            elif isinstance(node, ast.Attribute) and CLOCKS & {
                ast.unparse(node),
                ".".join(ast.unparse(node).split(".")[-2:]),
            }:
                wrong.append(f"{module.at(node)} looks at {ast.unparse(node)}")
    return wrong


def named(module: Module) -> Iterator[tuple[str, str]]:
    """
    @return: where each name of ours is given, and the name.
    """
    yield module.name, module.name.rpartition(".")[2]
    for node in ast.walk(module.tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield module.at(node), node.name
        elif isinstance(node, ast.arg):
            yield module.at(node), node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield module.at(node), node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield module.at(node), node.attr
        elif isinstance(node, ast.ExceptHandler) and node.name:
            yield module.at(node), node.name
        elif isinstance(node, ast.alias) and node.asname:
            yield module.at(node), node.asname


def snakes(modules: list[Module]) -> list[str]:
    """
    Our names are in camel case, as Twisted's are; modules' aside.
    """
    return [
        f"{where} {name}"
        for module in modules
        for where, name in named(module)
        if where != module.name
        and re.search("[a-z0-9]_|_[a-z0-9]", name.strip("_"))
        and not name.isupper()
        and not re.fullmatch("__[a-z_]+__", name)
        and name not in FOREIGN_NAMES
        and not name.startswith(FOREIGN_PREFIXES)
    ]


def emptyWords(modules: list[Module]) -> list[str]:
    """
    No name consists of words that fit anything.
    """
    return [
        f"{where} {name}"
        for module in modules
        for where, name in named(module)
        for word in re.findall("[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)
        if EMPTY_WORDS.fullmatch(word.lower())
    ]


def silentTests(modules: list[Module]) -> list[str]:
    """
    Every module, and every test, says in a sentence what it is about.
    """
    wrong = [module.name for module in modules if not ast.get_docstring(module.tree)]
    for module in modules:
        for node in ast.walk(module.tree):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test"):
                text = ast.get_docstring(node) or ""
                if not (" " in text and text.endswith(".")):
                    wrong.append(f"{module.at(node)} {node.name}")
    return wrong


class LayoutTests(SynchronousTestCase):
    """
    The tree keeps the rules.
    """

    def assertContent(self, rule: Rule, *folders: str) -> None:
        """
        C{rule} has no complaint about any module in the folders.
        """
        modules = modulesIn(*folders)
        self.assertTrue(modules)
        self.assertEqual(rule(modules), [])

    def test_arrows(self) -> None:
        """
        Arrows point down only, and never in a circle.
        """
        for rule in (wrongArrows, cycles, relativeImports, needlessTwisted):
            self.assertContent(rule, "pushprox")

    def test_plugins(self) -> None:
        """
        The plugins import nothing of ours: twistd reads them for its help.
        """
        for module in modulesIn("twisted"):
            names = [name for _, name in imports(module)]
            self.assertFalse(any(isIn(name, ("pushprox",)) for name in names), names)

    def test_pluginFolder(self) -> None:
        """
        The plugins' folders are no packages: an C{__init__.py} would be
        installed over Twisted's own, and uninstalled with ours.
        """
        self.assertEqual(
            sorted(
                str(path.relative_to(ROOT)) for path in ROOT.glob("twisted/**/*.py")
            ),
            [
                "twisted/plugins/pushprox_client.py",
                "twisted/plugins/pushprox_demo.py",
                "twisted/plugins/pushprox_proxy.py",
            ],
        )

    def test_clocks(self) -> None:
        """
        Reactors and clocks are handed in.
        """
        for rule in (strayReactors, wallClocks):
            self.assertContent(rule, "pushprox", "tests")

    def test_names(self) -> None:
        """
        Names are in camel case and say something.
        """
        for rule in (snakes, emptyWords):
            self.assertContent(rule, "pushprox", "tests")

    def test_sentences(self) -> None:
        """
        Modules and tests say what they are about.
        """
        self.assertContent(silentTests, "pushprox", "tests", "twisted")


class TeethTests(SynchronousTestCase):
    """
    The rules bite.
    """

    def assertBites(self, rule: Rule, name: str, *sources: str) -> None:
        """
        C{rule} complains about each source, were it module C{name}.
        """
        for source in sources:
            self.assertTrue(rule(sample(name, source)), source)

    def assertLets(self, rule: Rule, name: str, *sources: str) -> None:
        """
        C{rule} has no complaint about any source, were it module C{name}.
        """
        for source in sources:
            self.assertEqual(rule(sample(name, source)), [], source)

    def test_arrows(self) -> None:
        """
        An arrow that points up or across is seen, in whatever form.
        """
        up = (
            "import pushprox.proxy.access",
            "from pushprox import client",
            "def f():\n import pushprox.demo",
        )
        self.assertBites(wrongArrows, "pushprox.options", *up)
        self.assertLets(wrongArrows, "pushprox.demo", *up)
        self.assertBites(
            wrongArrows,
            "pushprox.client.target",
            "import pushprox.proxy",
            "import pushprox.client.service",
        )
        self.assertLets(
            wrongArrows,
            "pushprox.client.target",
            "from pushprox.client.policy import Policy",
            "from pushprox import message",
        )
        self.assertBites(relativeImports, "pushprox.x", "from . import message")

    def test_cycles(self) -> None:
        """
        Modules that need each other are seen, also by way of a third.
        """
        modules = [
            *sample("pushprox.a", "from pushprox.b import B"),
            *sample("pushprox.b", "from pushprox import c"),
        ]
        self.assertEqual(cycles(modules), [])
        forTypes = sample("pushprox.c", "if TYPE_CHECKING:\n import pushprox.a")
        self.assertEqual(cycles(modules + forTypes), [])
        modules += sample("pushprox.c", "import pushprox.a")
        self.assertEqual(len(cycles(modules)), 1)

    def test_pure(self) -> None:
        """
        Twisted in a pure module is seen.
        """
        twisted = "from twisted.internet.defer import Deferred"
        self.assertBites(needlessTwisted, "pushprox.message", twisted)
        self.assertLets(needlessTwisted, "pushprox.channel", twisted)

    def test_reactor(self) -> None:
        """
        A reactor that is imported anywhere but in makeService is seen.
        """
        line = "from twisted.internet import reactor"
        self.assertBites(
            strayReactors,
            "pushprox.x",
            line,
            f"def f():\n {line}",
            "import twisted.internet.reactor",
            "from twisted.internet.reactor import callLater",
        )
        self.assertLets(strayReactors, "pushprox.x", f"def makeService():\n {line}")

    def test_clocks(self) -> None:
        """
        A look at the wall clock is seen.
        """
        self.assertBites(
            wallClocks,
            "pushprox.x",
            "time.time()",
            "datetime.datetime.now()",
            "datetime.now(UTC)",
            "from time import monotonic",
        )
        self.assertLets(wallClocks, "pushprox.x", "datetime.fromtimestamp(0)")

    def test_snakes(self) -> None:
        """
        Snake case is seen wherever a name can be given.
        """
        self.assertBites(
            snakes,
            "pushprox.x",
            "def read_it(): pass",
            "def f(*, max_size): pass",
            "class A_b: pass",
            "max_size = 1",
            "self._max_size = 1",
            "[a_b for a_b in c]",
            "import a as a_b",
            "try:\n f()\nexcept E as the_error: pass",
        )
        self.assertLets(
            snakes,
            "pushprox.x",
            "def render_GET(self): pass",
            "def __attrs_post_init__(self): pass",
            "MAX_SIZE = _MAX = 1",
            "f(max_size=a.b_c)",
        )

    def test_emptyWords(self) -> None:
        """
        An empty word is seen as a word, not as a part of one.
        """
        self.assertBites(
            emptyWords,
            "pushprox.x",
            "class PollManager: pass",
            "def f(errorHandler): 0",
        )
        self.assertBites(emptyWords, "pushprox.utils", "")
        self.assertLets(emptyWords, "pushprox.x", "futile = handled = 1")

    def test_sentences(self) -> None:
        """
        A test without a sentence is seen.
        """
        test = "'M.'\nclass T:\n def test_a(self):\n  {}"
        for body in ("pass", "'Short.'", "'No full stop'"):
            self.assertBites(silentTests, "tests.x", test.format(body))
        self.assertBites(silentTests, "tests.x", "a = 1")
        self.assertLets(silentTests, "tests.x", test.format("'A sentence.'"))
