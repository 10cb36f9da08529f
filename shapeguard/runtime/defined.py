"""What the import hook's decorators do with a function or a class when it is defined.

Where the text shows an array, the function is guarded. Where there are but names, such as those of aliases, it is asked
what they mean, and a function without arrays is given back as it came.
"""

from __future__ import annotations

import functools
import importlib.util
import sys
from collections.abc import Iterator, Mapping
from types import FrameType, FunctionType
from typing import Any

from shapeguard.runtime.decorate import guard_among, is_guarded
from shapeguard.runtime.demand import mentions_array

LATE = "__shapeguard_late__"
"""The variable of a changed module that says where the names come from which it imports for type checkers alone."""


def guard_array(function: FunctionType) -> Any:
    """Guard a function whose text shows an array in its annotations."""
    names = _NamesAround(function, sys._getframe(1))  # noqa: SLF001 - documented
    return _guard_named(function, names)


def guard_if_array(function: FunctionType) -> Any:
    """Guard a function if the names in its annotations stand for an array."""
    names = _NamesAround(function, sys._getframe(1))  # noqa: SLF001 - documented
    if any(map(mentions_array, names.hints)):
        return _guard_named(function, names)
    return function


def guard_init(cls: Any) -> Any:
    """Guard the `__init__` that a decorator or a base has written for a class with arrays among its fields."""
    return _guard_init(cls, sys._getframe(1), shows_array=True)  # noqa: SLF001 - documented


def guard_init_if_array(cls: Any) -> Any:
    """Guard the `__init__` that a decorator or a base has written for a class, if it takes an array."""
    return _guard_init(cls, sys._getframe(1), shows_array=False)  # noqa: SLF001 - documented


def _guard_init(cls: Any, frame: FrameType, *, shows_array: bool) -> Any:
    init = vars(cls).get("__init__") if isinstance(cls, type) else None
    if isinstance(init, FunctionType) and not is_guarded(init):
        names = _NamesAround(init, frame)
        if shows_array or any(map(mentions_array, names.hints)):
            cls.__init__ = _guard_named(init, names)
    return cls


def _guard_named(function: FunctionType, names: Mapping[str, Any]) -> Any:
    try:
        return guard_among(function, names)
    except Exception as error:
        error.add_note(
            f"in {function.__module__}.{function.__qualname__}(), which guard_imports was putting under guard"
        )
        raise


class _NamesAround(Mapping[str, Any]):
    """The names that a definition's annotations may use beside the module's own: local ones, and late ones.

    Late are those that the module imports for type checkers alone; they count as soon as something else has loaded
    them.
    """

    def __init__(self, function: FunctionType, frame: FrameType) -> None:
        self.function = function
        self.local_names = {} if frame.f_locals is frame.f_globals else frame.f_locals

    def __getitem__(self, name: str) -> Any:
        return self.now()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.now())

    def __len__(self) -> int:
        return len(self.now())

    def __bool__(self) -> bool:
        return True  # what is empty now may not be later

    def now(self) -> dict[str, Any]:
        """The names as far as they are there."""
        global_names = self.function.__globals__
        late = global_names.get(LATE, {})
        found = ((name, _loaded(global_names, *late[name])) for name in late if name not in global_names)
        return {**{name: value for name, value in found if value is not None}, **self.local_names}

    @functools.cached_property
    def hints(self) -> tuple[Any, ...]:
        """What the annotations mean; those that can't be told yet stay text."""
        names = self.now()
        return tuple(_meaning(part, self.function.__globals__, names) for part in _annotations_of(self.function))


def _loaded(global_names: Mapping[str, Any], module: str, attribute: str) -> Any:
    """What an import would give, or None where it would have to load something."""
    try:
        name = importlib.util.resolve_name(module, global_names.get("__package__"))
    except ImportError:
        return None
    value = sys.modules.get(name)
    return getattr(value, attribute, sys.modules.get(f"{name}.{attribute}")) if attribute else value


def _annotations_of(function: FunctionType) -> Iterator[Any]:
    try:
        yield from function.__annotations__.values()
    except NameError:  # from Python 3.14 on they are evaluated here
        return


def _meaning(annotation: Any, global_names: dict[str, Any], names: Mapping[str, Any]) -> Any:
    if not isinstance(annotation, str):
        return annotation
    try:
        return eval(annotation, global_names, names)  # noqa: S307 - the module's own text, as typing.get_type_hints reads it
    except Exception:  # noqa: BLE001 - whatever evaluating an annotation raises
        return annotation
