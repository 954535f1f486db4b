"""The modules and the way of the data: what may import what."""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import tagkin

ROOT = Path(tagkin.__file__).parent

# The way of the data. A unit imports from its own step or an earlier one; what is not listed here
# are tools, which import none of these.
STEPS = [
    {"sources", "library"},
    {"duplicates", "embedded_images", "source_changes", "writers"},
    {"prepare_report", "preparing"},
    {"embeddings", "reading", "thumbnails_ahead"},
    {"distributed", "training", "tagger", "similarity", "variants"},
    {"recommending", "checking", "suspects"},
    {"web"},
    {"cli"},
    {"__main__"},
]
STEP_OF = {unit: number for number, units in enumerate(STEPS) for unit in units}


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(ROOT.rglob("*.py"))}


def statements(node: ast.AST, *, inside_functions: bool) -> Iterator[ast.Import | ast.ImportFrom]:
    """Yields the imports of a module but for those that only a type checker sees."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for other in child.orelse:
                yield from statements(other, inside_functions=inside_functions)
        elif inside_functions or not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from statements(child, inside_functions=inside_functions)


def imported(name: str, *, inside_functions: bool) -> set[str]:
    """Returns the modules of Tagkin that a module imports."""
    found = set()
    tree = ast.parse(MODULES[name].read_text("utf-8"))
    for statement in statements(tree, inside_functions=inside_functions):
        if isinstance(statement, ast.Import):
            names = [alias.name for alias in statement.names]
        else:
            assert not statement.level, f"{name} has a relative import"
            base = statement.module or ""
            names = [f"{base}.{alias.name}" for alias in statement.names]
        for full in names:  # `from tagkin.a import b`: b is a module or something in tagkin.a
            known = full if full in MODULES else full.rpartition(".")[0]
            if known in MODULES and known != name:
                found.add(known)
    return found


def unit(name: str) -> str:
    """The package or module right below ``tagkin``; empty for ``tagkin`` itself."""
    return ".".join(name.split(".")[1:2])


def test_only_the_command_line_imports_the_command_line() -> None:
    for name in MODULES:
        if unit(name) not in ("cli", "__main__"):
            users = {unit(used) for used in imported(name, inside_functions=True)}
            assert "cli" not in users, f"{name} imports the command line"


def test_no_module_imports_itself_in_a_circle() -> None:
    # A package is imported before its modules; that it imports them in turn is how it is built.
    graph = {name: imported(name, inside_functions=False) for name in MODULES}
    assert_no_circle(graph)


def test_no_unit_imports_itself_in_a_circle() -> None:
    graph: dict[str, set[str]] = {}
    for name in MODULES:
        used = {unit(other) for other in imported(name, inside_functions=True)}
        graph.setdefault(unit(name), set()).update(used - {unit(name), ""})
    assert_no_circle(graph)


@pytest.mark.parametrize("name", [name for name in MODULES if unit(name)])
def test_data_flows_one_way(name: str) -> None:
    step = STEP_OF.get(unit(name), -1)
    for used in imported(name, inside_functions=True):
        assert STEP_OF.get(unit(used), -1) <= step, f"{name} imports {used}, which comes later"


def test_every_step_exists() -> None:
    assert set(STEP_OF) <= {unit(name) for name in MODULES}


def assert_no_circle(graph: dict[str, set[str]]) -> None:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"imports go round in a circle: {' -> '.join(error.args[1])}")
