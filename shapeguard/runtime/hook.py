"""`guard_imports`: an import hook that puts whole packages under guard without a change to their code."""

from __future__ import annotations

import ast
import functools
import importlib.util
import sys
import warnings
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType, TracebackType
from typing import TYPE_CHECKING, Any, Self

from shapeguard.runtime import rewrite
from shapeguard.runtime.plan import GuardWarning

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


def guard_imports(*packages: str) -> GuardedImports:
    """Put under guard whatever is imported from these packages from now on.

    That is every function, method and dataclass that has an array in its annotations, and nothing else. The hook stays
    until `uninstall` is called, or for the length of a `with` block; what was imported meanwhile stays under guard.

        with guard_imports("mypackage"):
            import mypackage.model
    """
    if not packages:
        message = 'guard_imports takes the names of packages, such as guard_imports("mypackage")'
        raise TypeError(message)
    names: tuple[object, ...] = packages
    for package in names:
        if not isinstance(package, str):
            message = f"guard_imports takes the names of packages, one argument each, and not {package!r}"
            raise TypeError(message)
        if not all(part.isidentifier() for part in package.split(".")):
            message = f"{package!r} is no name of a package; it is written as in an import, such as 'mypackage.models'"
            raise ValueError(message)
    hook = GuardedImports(packages, met=frozenset(filter(_warn_of_loaded, packages)))
    sys.meta_path.insert(0, hook)
    return hook


class GuardedImports(MetaPathFinder):
    """The hook in place: finds the modules of its packages where others find them, and has them loaded under guard."""

    def __init__(self, packages: tuple[str, ...], met: frozenset[str] = frozenset()) -> None:
        self.packages = packages
        self.met = set(met)
        """The packages of which a module has been imported."""

    @property
    def unmet(self) -> list[str]:
        """The packages of which nothing has been imported: misspelled, perhaps."""
        return [package for package in self.packages if package not in self.met]

    def find_spec(self, fullname: str, path: Any = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """What the finders after this one find."""
        packages = [package for package in self.packages if _is_within(fullname, package)]
        if not packages or self not in sys.meta_path:
            return None
        for finder in sys.meta_path[sys.meta_path.index(self) + 1 :]:
            find = getattr(finder, "find_spec", None)
            spec: ModuleSpec | None = find(fullname, path, target) if find is not None else None
            if spec is not None:
                self.met.update(packages)
                return _with_guarding_loader(spec)
        return None

    def uninstall(self) -> None:
        """Leave alone whatever is imported from now on."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.uninstall()
        if error is None and self.unmet:
            message = f"guard_imports: no module of {', '.join(self.unmet)} was imported inside the `with` block"
            warnings.warn(message, GuardWarning, stacklevel=2)


def _is_within(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def _warn_of_loaded(package: str) -> bool:
    """Name the modules of a package that came before the hook; whether there are any."""
    loaded = [name for name, module in list(sys.modules.items()) if _is_within(name, package) and _is_bare(module)]
    if not loaded:
        return False
    others = f" and {len(loaded) - 1} more" if len(loaded) > 1 else ""
    warnings.warn(
        f"{package} was imported before the hook; its modules are not guarded ({loaded[0]}{others})",
        GuardWarning,
        stacklevel=3,
    )
    return True


def _is_bare(module: ModuleType | None) -> bool:
    """Whether a module's source was loaded without guard, to the end: a package may install the hook for itself."""
    is_source = str(getattr(module, "__file__", None)).endswith(".py")
    is_loading = getattr(getattr(module, "__spec__", None), "_initializing", False)
    return is_source and not is_loading and not isinstance(getattr(module, "__loader__", None), _GuardingLoader)


def _with_guarding_loader(spec: ModuleSpec) -> ModuleSpec:
    """Change how a module's source is compiled, if it has one and nobody else changes that already."""
    loader = spec.loader
    if type(loader) is SourceFileLoader:
        spec.loader = _GuardingLoader(loader.name, loader.path)
    elif isinstance(loader, SourceFileLoader) and not isinstance(loader, _GuardingLoader):
        kind = f"{type(loader).__module__}.{type(loader).__qualname__}"
        warnings.warn(f"{spec.name} is loaded by {kind}; it is not guarded", GuardWarning, stacklevel=2)
    return spec


class _GuardingLoader(SourceFileLoader):
    """Compiles the changed tree, and keeps its bytecode apart from that of the bare module."""

    def source_to_code(self, data: Any, path: Any, **options: Any) -> CodeType:  # type: ignore[override]
        tree = compile(data, path, "exec", ast.PyCF_ONLY_AST, dont_inherit=True)
        assert isinstance(tree, ast.Module)
        code: CodeType = super().source_to_code(rewrite.decorate(tree), path, **options)
        return code

    def get_data(self, path: str) -> bytes:
        return super().get_data(_own_bytecode(path))

    def set_data(self, path: str, data: ReadableBuffer, *, _mode: int = 0o666) -> None:
        super().set_data(_own_bytecode(path), data, _mode=_mode)


def _own_bytecode(path: str) -> str:
    """Another name for the same file if it is bytecode, in the form that Python uses for its own variants."""
    stem = path.removesuffix(".pyc")
    if stem == path:
        return path
    return f"{stem}{'' if '.opt-' in Path(path).name else '.opt-'}shapeguard{_version()}.pyc"


@functools.cache
def _version() -> str:
    """Changes whenever the tree could be changed in another way."""
    return importlib.util.source_hash(Path(rewrite.__file__).read_bytes()).hex()
