"""The code and the libraries that decide a stage's result, read from the source files.

A stage's result is decided by the modules of its room and by what they import inside the
package, imports inside functions and worker modules among them. Nothing is imported to find
that out: a stage whose libraries aren't installed has a key all the same.
"""

import ast
import hashlib
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from typing import Final

from synthdata.config.base import StageName
from synthdata.files import sha256_json

_NAME: Final = "synthdata"
_ROOT: Final = Path(__file__).parents[1]
ENTRY_MODULES: Final[Mapping[StageName, str]] = {
    "prepare": "synthdata.datasets.prepare",
    "fit": "synthdata.training.fit",
    "layout": "synthdata.layout.run",
    "generate": "synthdata.generators.pools",
    "score": "synthdata.scoring",
    "filter": "synthdata.filters.run",
    "version": "synthdata.versioning.write",
    "train": "synthdata.detectors.arms",
    "report": "synthdata.report.write",
}
# They decide when a stage runs and what is said about it. The values of config models are in the
# section. The report's own code is left out of every key but the report's.
_LEFT_OUT: Final = tuple(
    f"{_NAME}.{name}"
    for name in (
        "cli",
        "config",
        "errors",
        "looks",
        "loop",
        "plan",
        "runfolder",
        "stages",
        "upstream",
    )
)
_REPORT: Final = f"{_NAME}.report"
# They show, fetch, lock or check, and change no value.
_DECIDE_NOTHING: Final = frozenset(
    {"cachetools", "filelock", "platformdirs", "psutil", "pydantic", "requests", "rich", "tqdm",
     "typer"}
)  # fmt: skip
# What can't be found under the name of the import; asking each distribution takes a second.
_DISTRIBUTIONS: Final[Mapping[str, str]] = {
    "PIL": "pillow",
    "sklearn": "scikit-learn",
    "ultralytics": "ultralytics-opencv-headless",
    "yaml": "pyyaml",
}


@dataclass(frozen=True)
class DecidingCode:
    """What decides a stage's result beside its settings and inputs.

    Attributes:
        sha256: Digest of the modules, without comments and docstrings, and of their templates.
        modules: Their names.
        libraries: Name and version of each library that they import, such as `numpy 2.0.0`.
    """

    sha256: str
    modules: tuple[str, ...]
    libraries: tuple[str, ...]


@dataclass(frozen=True)
class _Module:
    sha256: str
    imports: frozenset[str]


@cache
def installed_code(stage: StageName) -> DecidingCode:
    """Return the deciding code of a stage of this installation, read once per process."""
    return deciding_code(stage, _ROOT)


def deciding_code(stage: StageName, root: Path) -> DecidingCode:
    """Return the code and the libraries that decide a stage's result.

    The digest is of syntax trees, whose form differs between minor versions of Python.

    Args:
        stage: The stage.
        root: The folder of a package `synthdata`.

    Raises:
        FileNotFoundError: If the stage's entry module isn't in it.
    """
    left_out = _LEFT_OUT if stage == "report" else (*_LEFT_OUT, _REPORT)
    modules: dict[str, _Module] = {}
    names = [ENTRY_MODULES[stage]]
    while names:
        name = names.pop()
        if name not in modules and not _is_within(name, left_out):
            modules[name] = _read(name, root)
            names += _modules_of(modules[name].imports, root)
    digests: dict[str, str] = {name: modules[name].sha256 for name in sorted(modules)}
    if stage == "report":
        digests |= {path.name: _digest(path) for path in _templates(root)}
    imported = {name.partition(".")[0] for module in modules.values() for name in module.imports}
    libraries = imported - {_NAME, "__future__"} - sys.stdlib_module_names - _DECIDE_NOTHING
    return DecidingCode(
        sha256=sha256_json([f"{sys.version_info.major}.{sys.version_info.minor}", digests]),
        modules=tuple(sorted(modules)),
        libraries=tuple(_with_version(name) for name in sorted(libraries)),
    )


def _is_within(name: str, packages: Iterable[str]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def _templates(root: Path) -> list[Path]:
    return sorted((root / "report" / "templates").glob("*"))


def _modules_of(imports: Iterable[str], root: Path) -> Iterator[str]:
    """Yield the package's modules that imported names are, or are in.

    A package that a module lies in isn't among them: all that it does is to export others.
    """
    for name in imports:
        parts = name.split(".")
        if parts[0] == _NAME:
            modules = (".".join(parts[:end]) for end in range(len(parts), 0, -1))
            yield next(module for module in modules if _path(module, root) is not None)


def _path(name: str, root: Path) -> Path | None:
    inside = root.joinpath(*name.split(".")[1:])
    candidates = (inside / "__init__.py", inside.with_suffix(".py"))
    return next((path for path in candidates if path.is_file()), None)


def _read(name: str, root: Path) -> _Module:
    path = _path(name, root)
    if path is None:
        raise FileNotFoundError(f"{root} holds no module {name}, which decides a stage's result")
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    state = path.stat()
    return _parse(path, package, state.st_mtime_ns, state.st_size)


@cache
def _parse(path: Path, package: str, _mtime_ns: int, _size: int) -> _Module:
    """Return a module's digest and imports; several stages share most modules."""
    tree = ast.parse(path.read_bytes())
    imports: set[str] = set()
    for node in ast.walk(tree):
        _drop_docstrings(node)
        imports.update(_imports_of(node, package))
    return _Module(hashlib.sha256(ast.dump(tree).encode()).hexdigest(), frozenset(imports))


def _drop_docstrings(node: ast.AST) -> None:
    body = getattr(node, "body", None)
    if isinstance(body, list):
        body[:] = [statement for statement in body if not _is_docstring(statement)]


def _is_docstring(statement: ast.AST) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _imports_of(node: ast.AST, package: str) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        parents = package.split(".")[: len(package.split(".")) + 1 - node.level]
        base = ".".join([*(parents if node.level else []), *filter(None, [node.module])])
        yield from (f"{base}.{alias.name}" for alias in node.names)
    elif (
        # A worker module, run by `python -m`, is named by a string.
        isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and re.fullmatch(rf"{_NAME}(\.\w+)+", node.value)
    ):
        yield node.value


@cache
def _with_version(package: str) -> str:
    """Return an imported package's distribution and its version, `none` where it is missing."""
    for name in filter(None, (package, _DISTRIBUTIONS.get(package))):
        try:
            return f"{name} {version(name)}"
        except PackageNotFoundError:
            continue
    names = _distributions().get(package, ())
    return ", ".join(f"{name} {version(name)}" for name in sorted(set(names))) or f"{package} none"


@cache
def _distributions() -> Mapping[str, list[str]]:
    return packages_distributions()


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
