"""Imports point one way, without circles.

What is made of posts may use what lies before it, never what follows; and no two files import each
other, be it through others.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1] / "src"

# From the first to the last: a module imports from its own layer and from those above its line.
# The longest name that fits a module decides, so a part of a package can lie elsewhere.
LAYERS = (
    "evoked",  # the package's own file, which imports the others only when they are asked for
    "evoked.sentences",
    "evoked.errors",
    "evoked.files",
    "evoked.parquet",
    "evoked.processes",
    "evoked.progress",
    "evoked.settings",
    "evoked.posts",
    "evoked.targets",
    "evoked.features.captions",
    "evoked.features.phrases",
    "evoked.features.packing",
    "evoked.features.table",
    "evoked.features.encoders",
    "evoked.layers",
    "evoked.affect",  # made of encoders and layers; one of the features is what it reads
    "evoked.features",
    "evoked.training",
    "evoked.models",
    "evoked.evaluation",
    "evoked.testing",  # checks that whoever writes a model runs on it
    "evoked.affect.reader",  # fits and scores readers on datasets
    "evoked.experiments",
    "evoked.runs",
    "evoked.analysis",
    "evoked.explain",
    "evoked.advice",
    "evoked.scoring",
    "evoked.runtime",  # reads what exporting writes, with the light parts of the rooms above
    "evoked.exporting",
    "evoked.report",
    "evoked.laboratory",
    "evoked.serve",
    "evoked.cli",
    "evoked.__main__",
)
_PLACE = {name: place for place, name in enumerate(LAYERS)}


def module_name(path: Path) -> str:
    name = ".".join(path.relative_to(SOURCE).with_suffix("").parts)
    return name.removesuffix(".__init__")


FILES = {module_name(path): path for path in sorted(SOURCE.glob("evoked/**/*.py"))}


def layer(module: str) -> str:
    """The longest name in LAYERS that is the module's or begins it."""
    while module not in _PLACE:
        module = module.rpartition(".")[0]
    return module


def imported(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and name of every import that is carried out, those within functions included."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (
                (node.lineno, name if name in FILES else str(node.module)) for name in names
            )
        else:
            yield from imported(node)


def upward(module: str, tree: ast.AST) -> list[str]:
    own = _PLACE[layer(module)]
    return [
        f"line {line}: {module} imports {name}"
        for line, name in imported(tree)
        if name.split(".")[0] == "evoked" and _PLACE[layer(name)] > own
    ]


def circle(trees: dict[str, ast.Module]) -> list[str]:
    """Files that import each other, each named before the one that imports it; empty if there are
    none."""
    imports = {
        module: {name for _, name in imported(tree) if name in trees}
        for module, tree in trees.items()
    }
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        found: list[str] = error.args[1]
        return found
    return []


def test_every_package_has_its_layer() -> None:
    strangers = [name for name in FILES if name != "evoked" and layer(name) == "evoked"]
    assert not strangers, f"give them a place in LAYERS: {strangers}"


def test_imports_point_one_way() -> None:
    assert [found for name, tree in _trees().items() for found in upward(name, tree)] == []


def test_no_files_import_each_other() -> None:
    assert circle(_trees()) == []


def test_an_import_upward_is_found_wherever_it_stands() -> None:
    code = """
if TYPE_CHECKING:
    from evoked.runs.posts import Run
from evoked.posts import dataset
def read():
    import evoked.cli
    try:
        from evoked.features import extract
    except ImportError:
        pass
"""
    assert upward("evoked.features.encoders.base", ast.parse(code)) == [
        "line 6: evoked.features.encoders.base imports evoked.cli",
        "line 8: evoked.features.encoders.base imports evoked.features.extract",
    ]


def test_a_circle_is_found_through_functions_and_other_files() -> None:
    base, blocks, network = "evoked.models.base", "evoked.layers.attention", "evoked.models.abmf"
    lazily = "def build():\n    from evoked.models.abmf import ABMF"
    for_types = "if TYPE_CHECKING:\n    from evoked.models.abmf import ABMF"
    others = {
        blocks: ast.parse("from evoked.models.base import Model"),
        network: ast.parse("import evoked.layers.attention"),
    }
    found = circle({base: ast.parse(lazily), **others})
    assert set(found) == {base, blocks, network}
    assert circle({base: ast.parse(for_types), **others}) == []


def _trees() -> dict[str, ast.Module]:
    return {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in FILES.items()}
