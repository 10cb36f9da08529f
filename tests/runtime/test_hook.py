"""What the import hook puts under guard, and that everything else stays as it was."""

import importlib
import inspect
import py_compile
import runpy
import subprocess
import sys
import traceback
from importlib.machinery import PathFinder, SourceFileLoader
from textwrap import dedent
from types import ModuleType

import pytest
import torch
from torch import ones

from shapeguard import GuardWarning, ShapeError
from shapeguard.runtime import rewrite
from shapeguard.runtime.decorate import is_guarded
from shapeguard.runtime.hook import guard_imports

HEAD = "from jaxtyping import Float\nfrom torch import Tensor\n"
LATER = "from __future__ import annotations\n"
ADD = 'def add(a: Float[Tensor, "n"], b: Float[Tensor, "n"]): return a + b\n'


class Sample:
    """Modules of one package, written to a folder of their own and imported under the hook."""

    def __init__(self, folder):
        self.folder = folder

    def write(self, **sources):
        for name, source in sources.items():
            path = self.folder / "sample" / f"{name.replace('__in__', '/')}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(dedent(source))
        importlib.invalidate_caches()

    def bare(self, name="sample.module"):
        self.forget()
        return importlib.import_module(name)

    def guarded(self, name="sample.module", packages=("sample",)):
        self.forget()
        with guard_imports(*packages):
            return importlib.import_module(name)

    def forget(self):
        for name in [name for name in sys.modules if name.partition(".")[0] == "sample"]:
            del sys.modules[name]


@pytest.fixture
def sample(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    sample = Sample(tmp_path)
    before = list(sys.meta_path)
    yield sample
    sample.forget()
    sys.meta_path[:] = before


def load(sample, source, head=HEAD):
    sample.write(module=head + dedent(source))
    return sample.guarded()


def refuses(call, *arguments):
    with pytest.raises(ShapeError) as caught:
        call(*arguments)
    return caught.value


def is_bare(function):
    return not is_guarded(function) and function.__code__.co_filename.endswith("module.py")


def test_functions_are_guarded_without_a_change_to_their_code(sample):
    module = load(sample, ADD)
    assert torch.equal(module.add(ones(2), ones(2)), ones(2) * 2)
    assert "`b` axis 0 is 3, expected n = 2" in str(refuses(module.add, ones(2), ones(3)))


def test_every_kind_of_method_is_guarded(sample):
    module = load(
        sample,
        """
        from torch import nn

        class Model(nn.Module):
            def forward(self, x: Float[Tensor, "b 2"]): return x

            @property
            def weight(self) -> Float[Tensor, "3"]: return Tensor([1, 2])

            @classmethod
            def build(cls, x: Float[Tensor, "3"]): return cls()

            @staticmethod
            def apply_to(x: Float[Tensor, "3"]): return x

            async def later(self, x: Float[Tensor, "3"]): return x

            class Inner:
                def method(self, x: Float[Tensor, "3"]): return x
        """,
    )
    model = module.Model()
    refuses(model, ones(4, 3))
    refuses(lambda: model.weight)
    refuses(module.Model.build, ones(2))
    refuses(module.Model.apply_to, ones(2))
    refuses(module.Model.Inner().method, ones(2))
    assert inspect.iscoroutinefunction(model.later)
    refuses(model.later(ones(2)).send, None)


@pytest.mark.parametrize("head", [HEAD, LATER + HEAD])
def test_dataclass_is_checked_when_it_is_made(sample, head):
    module = load(
        sample,
        """
        import dataclasses
        from dataclasses import dataclass

        @dataclass
        class Pair:
            a: Float[Tensor, "n"]
            b: Float[Tensor, "n"]

        @dataclasses.dataclass(slots=True)
        class Triple(Pair):
            c: Float[Tensor, "n"]

        @dataclass
        class Config:
            size: int
        """,
        head,
    )
    assert module.Pair(ones(2), ones(2)) is not None
    refuses(module.Pair, ones(2), ones(3))
    refuses(module.Triple, ones(2), ones(2), ones(3))
    assert not is_guarded(module.Config.__init__)


def test_function_without_arrays_is_the_one_that_was_written(sample):
    module = load(
        sample,
        """
        import dataclasses, torch
        from typing import Literal, Optional

        def plain(a, b: int, *c: str) -> dict[str, "list[int]"]: return {}
        def typed(x: Tensor, kind: Literal["a[b", "c"], y: Optional["Unknown"] = None) -> "torch.Size": return x.shape
        class Bare:
            def method(self, other: "Bare") -> "Bare": return self
        """,
    )
    assert all(map(is_bare, (module.plain, module.typed, module.Bare.method)))


@pytest.mark.parametrize(
    "source",
    [
        "Row = Float[Tensor, 'n']\ndef call(a: Row, b: Row): pass; return a",
        "from typing import Optional\nRow = Optional[Float[Tensor, 'n']]\ndef call(a: Row, b: 'Row | None'): return a",
        "from sample.types import Row\ndef call(a: Row, b: Row): return a",
        "from sample import types\ndef call(a: types.Row, b: types.Row): return a",
        "from sample.types import F\ndef call(a: F[Tensor, 'n'], b: F[Tensor, 'n']): return a",
        "import jaxtyping as jt\ndef call(a: jt.Float[Tensor, 'n'], b: jt.Float[Tensor, 'n']): return a",
        "def call(a: 'Float[Tensor, \"n\"]', b: 'Float[Tensor, \"n\"]'): return a",
        "from typing import Optional\ndef call(a: Float[Tensor, 'n'], b: Optional['Float[Tensor, \"n\"]']): return a",
    ],
)
@pytest.mark.parametrize("head", [HEAD, LATER + HEAD])
def test_arrays_are_found_behind_other_names(sample, head, source):
    sample.write(types=HEAD + "F = Float\nRow = Float[Tensor, 'n']")
    refuses(load(sample, source, head).call, ones(2), ones(3))


def test_alias_may_come_after_the_function(sample):
    module = load(sample, "def call(a: Row, b: Row): return a\nRow = Float[Tensor, 'n']", LATER + HEAD)
    refuses(module.call, ones(2), ones(3))


def test_class_may_stand_in_its_own_methods(sample):
    module = load(
        sample, "class Node:\n    def call(self, a: Float[Tensor, '2'], b: Node) -> Node: return b", LATER + HEAD
    )
    assert isinstance(module.Node().call(ones(2), module.Node()), module.Node)
    refuses(module.Node().call, ones(3), module.Node())


def test_default_that_breaks_its_annotation_may_be_left_out_from_the_first_call_on(sample):
    module = load(sample, "def call(a: Float[Tensor, '2'], b: Later = None): return b\nclass Later: ...", LATER + HEAD)
    assert module.call(ones(2)) is None
    assert module.call(ones(2)) is None
    refuses(module.call, ones(2), None)
    refuses(module.call, ones(3))


def test_package_may_be_imported_by_torch_itself(sample, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", ModuleType("torch"))
    module = load(sample, "class Array: ...\ndef plain(a: Array): return a", head="")
    assert is_bare(module.plain)


def test_what_others_got_hold_of_is_guarded_too(sample):
    module = load(
        sample,
        """
        registry = {}
        def register(function): registry[function.__name__] = function; return None

        @register
        def call(a: Float[Tensor, "2"]): return a

        def default(a: Float[Tensor, "2"]): return a
        def uses(a, function=default): return function(a)
        """,
    )
    refuses(module.registry["call"], ones(3))
    refuses(module.uses, ones(3))


def test_expect_works_inside(sample):
    module = load(
        sample,
        """
        from shapeguard import expect
        def call(a: Float[Tensor, "n"], b): return expect(b, "n n")
        """,
    )
    assert module.call(ones(2), ones(2, 2)).shape == (2, 2)
    assert "expected n = 2" in str(refuses(module.call, ones(2), ones(2, 3)))


# Where things stand


LINES = '''\
#!/usr/bin/env python
"""A docstring."""

from __future__ import annotations

import dataclasses
import functools
from jaxtyping import Float
from torch import Tensor


@functools.lru_cache(
    maxsize=None,
)
def cached(
    a: Float[Tensor, "n"],
) -> None:
    raise ValueError


@dataclasses.dataclass(
    frozen=True
)
class Pair:
    """Two."""
    a: Float[Tensor, "n"]

    @property
    def first(self) -> Float[Tensor, "n"]:
        def inner(x: Float[Tensor, "2"]): return x
        return inner(self.a)
'''


def codes(code):
    yield code.co_qualname, code.co_firstlineno, {line for *_, line in code.co_lines()} - {None}
    for constant in code.co_consts:
        if inspect.iscode(constant):
            yield from codes(constant)


def test_every_line_keeps_its_number():
    tree = rewrite.decorate(compile(LINES, "module.py", "exec", 1024))
    assert list(codes(compile(tree, "module.py", "exec"))) == list(codes(compile(LINES, "module.py", "exec")))


def test_source_docstring_and_traceback_are_those_of_the_file(sample):
    module = load(sample, LINES, head="")
    assert module.__doc__ == "A docstring."
    assert inspect.getsource(module.cached).startswith("@functools.lru_cache(\n")
    assert inspect.getsource(module.Pair).startswith("@dataclasses.dataclass(\n")
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - only its place counts
        module.cached(ones(2))
    assert traceback.extract_tb(caught.value.__traceback__)[-1].lineno == 18


def test_file_with_nothing_to_guard_is_compiled_as_it_is():
    source = '"""Doc."""\nfrom __future__ import annotations\ndef plain(a: int) -> str: ...\nclass Bare: ...\n'
    tree = rewrite.decorate(compile(source, "module.py", "exec", 1024))
    assert list(codes(compile(tree, "module.py", "exec"))) == list(codes(compile(source, "module.py", "exec")))
    assert not hasattr(tree.body[-1], "decorator_list") or not tree.body[-1].decorator_list


def test_syntax_error_is_pythons_own(sample):
    sample.write(module="x = 1\ndef broken(:\n")
    with pytest.raises(SyntaxError) as caught:
        sample.guarded()
    assert (caught.value.lineno, caught.value.filename) == (2, str(sample.folder / "sample" / "module.py"))


# What is left alone


def test_bodies_without_a_statement_are_left_alone(sample):
    module = load(
        sample,
        """
        from abc import ABC, abstractmethod
        from typing import Protocol, overload

        @overload
        def call(a: Float[Tensor, "2"]) -> None: ...
        @overload
        def call(a: int) -> int: ...
        def call(a: Float[Tensor, "2"] | int) -> int | None: return a if isinstance(a, int) else None

        class Layer(Protocol):
            def forward(self, a: Float[Tensor, "2"]) -> Float[Tensor, "2"]: ...

        class Base(ABC):
            @abstractmethod
            def forward(self, a: Float[Tensor, "2"]) -> Float[Tensor, "2"]:
                '''Doubles.'''

        class Double(Base):
            def forward(self, a: Float[Tensor, "2"]) -> Float[Tensor, "2"]:
                super().forward(a)
                return 2 * a
        """,
    )
    assert is_bare(module.Layer.forward)
    assert is_bare(module.Base.forward)
    assert module.Base.__abstractmethods__ == {"forward"}
    assert module.call(3) == 3
    refuses(module.call, ones(3))
    refuses(module.Double().forward, ones(3))


def test_no_type_check_is_obeyed(sample):
    module = load(
        sample,
        """
        import typing
        from typing import no_type_check

        @no_type_check
        def call(a: Float[Tensor, "2"]): return a

        @typing.no_type_check
        class Bare:
            def call(self, a: Float[Tensor, "2"]): return a
        """,
    )
    assert is_bare(module.call)
    assert is_bare(module.Bare.call)


@pytest.mark.parametrize(
    ("imported", "name"),
    [
        ("from shapeguard import guard", "guard"),
        ("from shapeguard import guard as checked", "checked"),
        ("import shapeguard", "shapeguard.guard"),
        ("import shapeguard as sg", "sg.guard"),
    ],
)
def test_guard_written_by_hand_keeps_its_settings(sample, imported, name):
    module = load(
        sample,
        f"""
        {imported}

        @{name}(mode="off")
        def off(a: Float[Tensor, "2"]): return a

        @{name}(mode="off")
        class Off:
            def call(self, a: Float[Tensor, "2"]): return a
            class Inner:
                def call(self, a: Float[Tensor, "2"]): return a

        @{name}(self_dims="d")
        class Remembers:
            def call(self, a: Float[Tensor, "d"]): return a

        @{name}
        def once(a: Float[Tensor, "2"]): return a
        """,
    )
    assert is_bare(module.off)
    assert is_bare(module.Off.call)
    refuses(module.Off.Inner().call, ones(3))
    remembers = module.Remembers()
    remembers.call(ones(2))
    refuses(remembers.call, ones(3))
    assert is_bare(inspect.unwrap(module.once))
    assert module.once.__wrapped__ is inspect.unwrap(module.once)


def test_other_packages_are_left_alone(sample):
    sample.write(module=HEAD + ADD)
    hook = guard_imports("sample.modul", "sample.module.deeper", "ample")
    module = sample.bare()
    hook.uninstall()
    assert is_bare(module.add)


def test_module_without_source_is_imported_as_it_is(sample):
    sample.write(module=HEAD + ADD)
    path = sample.folder / "sample" / "module.py"
    py_compile.compile(path, cfile=path.with_suffix(".pyc"))
    path.unlink()
    assert not is_guarded(sample.guarded().add)


def test_module_that_another_hook_loads_is_left_to_it(sample):
    sample.write(module=HEAD + ADD)

    class OtherLoader(SourceFileLoader):
        pass

    class OtherFinder:
        @staticmethod
        def find_spec(name, path=None, target=None):
            spec = PathFinder.find_spec(name, path, target)
            if name == "sample.module":
                spec.loader = OtherLoader(spec.loader.name, spec.loader.path)
            return spec

    sys.meta_path.insert(0, OtherFinder)
    with pytest.warns(GuardWarning, match=r"sample.module is loaded by .*OtherLoader; it is not guarded"):
        assert is_bare(sample.guarded().add)


# Installing


def test_hook_stays_until_it_is_uninstalled(sample):
    sample.write(module=HEAD + ADD, other=HEAD + ADD)
    hook = guard_imports("sample")
    assert is_guarded(sample.bare().add)
    hook.uninstall()
    hook.uninstall()
    assert not is_guarded(importlib.import_module("sample.other").add)
    refuses(sys.modules["sample.module"].add, ones(2), ones(3))


def test_hook_goes_when_the_block_raises(sample):
    before = list(sys.meta_path)
    with pytest.raises(ZeroDivisionError), guard_imports("sample"):
        raise ZeroDivisionError
    assert sys.meta_path == before


def test_hooks_over_the_same_package_guard_once(sample):
    sample.write(module=HEAD + ADD)
    with guard_imports("sample.module"), guard_imports("sample"):
        module = sample.bare()
    assert is_bare(module.add.__wrapped__)


def test_packages_that_came_before_the_hook_are_named(sample):
    sample.write(module=HEAD + ADD, __init__="")
    sample.bare()
    with pytest.warns(GuardWarning) as caught, guard_imports("sample"):
        pass
    assert [str(entry.message) for entry in caught] == [
        "sample was imported before the hook; its modules are not guarded (sample and 1 more)"
    ]
    assert caught[0].filename == __file__


def test_packages_under_an_earlier_hook_did_not_come_too_early(sample):
    sample.write(module=HEAD + ADD)
    sample.guarded()
    guard_imports("sample").uninstall()


def test_package_may_guard_itself(sample):
    sample.write(
        __init__="""
        from shapeguard.runtime.hook import guard_imports
        with guard_imports("sample"):
            from . import module
        """,
        module=HEAD + ADD,
    )
    refuses(sample.bare("sample").module.add, ones(2), ones(3))


def test_package_that_is_never_imported_is_named(sample):
    with pytest.warns(GuardWarning, match="no module of smaple was imported"), guard_imports("smaple"):
        pass


@pytest.mark.parametrize(
    ("packages", "error", "message"),
    [
        ((), TypeError, "takes the names of packages"),
        ((["sample"],), TypeError, "one argument each"),
        (("src/sample",), ValueError, "'src/sample' is no name of a package"),
        (("sample.*",), ValueError, "as in an import"),
    ],
)
def test_what_is_no_package_says_so(packages, error, message):
    before = list(sys.meta_path)
    with pytest.raises(error, match=message):
        guard_imports(*packages)
    assert sys.meta_path == before


def test_namespace_package_is_guarded(sample):
    sample.write(deep__in__deeper__in__module=HEAD + ADD)
    refuses(sample.guarded("sample.deep.deeper.module").add, ones(2), ones(3))


def test_guarded_module_runs_as_a_program(sample, capsys):
    sample.write(
        __init__="", module=HEAD + ADD + "from torch import ones\nif __name__ == '__main__': add(ones(2), ones(3))"
    )
    with guard_imports("sample"), pytest.raises(ShapeError):
        runpy.run_module("sample.module", run_name="__main__")


def test_bytecode_is_kept_apart(sample, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    sample.write(module=HEAD + ADD)
    for _ in range(2):
        assert is_guarded(sample.guarded().add)
        assert is_bare(sample.bare().add)
    assert len(list(sample.folder.rglob("*.pyc"))) == 2
    sample.write(module=HEAD + ADD + "\nnew = True")
    assert sample.guarded().new


# Annotations that can't be read


def test_bad_annotation_names_module_and_function(sample):
    with pytest.raises(ValueError, match="b\\+") as caught:
        load(sample, "class Model:\n    def call(self, a: Float[Tensor, 'b b+']): return a", LATER + HEAD)
    assert caught.value.__notes__ == ["in sample.module.Model.call(), which guard_imports was putting under guard"]
    assert traceback.extract_tb(caught.value.__traceback__)


LATE = """
from __future__ import annotations
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sample.parts
    import sample.parts as parts
    from jaxtyping import Float
    from torch import Tensor
    from .parts import Part

def call(a: Float[Tensor, "n"], b: Float[Tensor, "n"], c: sample.parts.Part | None = None, d: parts.Part | None = None, e: Part | None = None):
    return a

def other(part: Part) -> Part: return part
"""


def test_names_for_type_checkers_count_when_they_are_loaded(sample):
    sample.write(parts="class Part: pass")
    module = load(sample, LATE, head="")
    importlib.import_module("sample.parts")
    module.call(ones(2), ones(2))
    refuses(module.call, ones(2), ones(3))
    refuses(module.call, ones(2), ones(2), 3)
    refuses(module.call, ones(2), ones(2), None, None, 3)
    assert is_bare(module.other)


def test_names_that_are_not_loaded_are_warned_of_when_they_are_needed(sample):
    module = load(
        sample, LATE.replace("c: sample.parts.Part | None = None, d: parts.Part | None = None, e", "e"), head=""
    )
    with pytest.warns(
        GuardWarning, match=r"call\(\): the annotation of `e`, 'Part . None', can't be resolved"
    ) as caught:
        module.call(ones(2), ones(2))
    assert len(caught) == 1
    refuses(module.call, ones(2), ones(3))


def test_functions_inside_functions_are_left_alone(sample):
    module = load(
        sample,
        """
        def outer():
            def inner(a: Float[Tensor, "2"]): return a
            return inner
        """,
    )
    assert is_bare(module.outer())


# The shape of what it costs


def test_hook_loads_no_torch():
    program = "import sys; from shapeguard import guard_imports; guard_imports('x'); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)
