"""What can be put under guard, and that it stays what it was."""

import asyncio
import contextlib
import dataclasses
import functools
import gc
import inspect
import linecache
import pickle
import weakref
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from typing import NamedTuple, ParamSpec, TypedDict, TypeVar, Unpack

import jaxtyping
import pytest
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from shapeguard import GuardWarning, ShapeError, guard, switch


@guard
def add(a: Float[Tensor, "n"], b: Float[Tensor, "n"]) -> Float[Tensor, "n"]:
    """Adds."""
    return a + b


def test_right_call_gives_what_the_bare_function_gives():
    assert torch.equal(add(torch.ones(3), torch.ones(3)), torch.full((3,), 2.0))


def test_wrong_call_raises_before_the_body_runs():
    ran = []

    @guard
    def body(a: Float[Tensor, "n"], b: Float[Tensor, "n"]) -> None:
        ran.append(True)

    with pytest.raises(ShapeError):
        body(torch.ones(3), torch.ones(4))
    assert not ran


def test_error_is_a_type_error_and_jaxtypings():
    for family in (TypeError, jaxtyping.TypeCheckError):
        with pytest.raises(family, match="`b` axis 0 is 4, expected n = 3"):
            add(torch.ones(3), torch.ones(4))


def test_error_survives_pickling():
    with pytest.raises(ShapeError) as caught:
        add(torch.ones(3), torch.ones(4))
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)  # noqa: S301


def test_wrong_result_is_refused():
    @guard
    def score(hidden: Float[Tensor, "batch d"]) -> Float[Tensor, "batch"]:
        return hidden[:, :1]

    with pytest.raises(ShapeError, match=r"`result` has 2 axes \(4, 1\), expected 1") as caught:
        score(torch.ones(4, 3))
    assert "hint: `result.squeeze(-1)` is (4,)" in str(caught.value)


def test_signature_name_and_docstring_stay():
    assert str(inspect.signature(add)).startswith("(a: ")
    assert (add.__name__, add.__doc__, add.__module__) == ("add", "Adds.", __name__)
    assert inspect.signature(add) == inspect.signature(add.__wrapped__)


def test_missing_argument_is_pythons_own_error():
    with pytest.raises(TypeError, match=r"add\(\) missing 1 required positional argument: 'b'"):
        add(torch.ones(3))


def test_every_kind_of_parameter_is_passed_on():
    @guard
    def mixed(
        a: Float[Tensor, "n"], /, b: int, *rest: Float[Tensor, "n"], key: str = "k", **more: Float[Tensor, "n"]
    ) -> tuple:
        return a, b, rest, key, more

    x = torch.ones(2)
    assert mixed(x, 1) == (x, 1, (), "k", {})
    _, b, rest, key, more = mixed(x, 2, x, x, key="z", y=x)
    assert (b, len(rest), key, list(more)) == (2, 2, "z", ["y"])
    with pytest.raises(ShapeError, match=r"`rest\[1\]` axis 0 is 3, expected n = 2"):
        mixed(x, 1, x, torch.ones(3))
    with pytest.raises(ShapeError, match=r"`more\['y'\]` axis 0 is 3"):
        mixed(x, 1, y=torch.ones(3))
    with pytest.raises(ShapeError, match="`b` is str, expected int"):
        mixed(x, "1")


def test_default_that_breaks_its_annotation_counts_only_when_passed():
    @guard
    def masked(x: Float[Tensor, "n"], mask: Float[Tensor, "n"] = None) -> bool:
        return mask is None

    assert masked(torch.ones(2))
    with pytest.raises(ShapeError, match="`mask` is NoneType, expected Tensor"):
        masked(torch.ones(2), None)


class Head(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.linear = nn.Linear(width, 1)

    def forward(self, hidden: Float[Tensor, "batch {self.width}"]) -> Float[Tensor, "batch"]:
        return self.linear(hidden).squeeze(-1)

    @staticmethod
    def mean(x: Float[Tensor, "batch"]) -> Float[Tensor, ""]:
        return x.mean()

    @classmethod
    def make(cls, weight: Float[Tensor, "1 width"]) -> "Head":
        return cls(weight.shape[1])

    @property
    def weight(self) -> Float[Tensor, "1 {self.width}"]:
        return self.linear.weight

    def untouched(self, x):
        return x


GuardedHead = guard(type("GuardedHead", (Head,), dict(vars(Head))))


def test_class_guards_its_methods_in_place():
    head = guard(type("AnotherHead", (nn.Module,), {**vars(Head), "__init__": nn.Module.__init__}))
    assert isinstance(head, type)
    assert head.untouched is Head.untouched
    with pytest.raises(ShapeError):
        head.mean(torch.ones(2, 2))


def test_built_module_is_guarded_alone():
    bare, guarded = Head(4), Head(4)
    assert guard(guarded) is guarded
    assert guarded(torch.ones(2, 4)).shape == (2,)
    with pytest.raises(ShapeError, match=r"`hidden` axis 1 is 3, expected \{self.width\} = 4"):
        guarded(torch.ones(2, 3))
    with pytest.raises(RuntimeError):
        bare(torch.ones(2, 3))


def test_module_inside_a_built_module_is_guarded():
    model = guard(nn.Sequential(OrderedDict(body=nn.Linear(3, 4), head=Head(4))))
    with pytest.raises(ShapeError, match=r"in Head\.forward"):
        model(torch.ones(3))


def test_dataclass_fields_are_checked():
    @guard
    @dataclasses.dataclass(frozen=True)
    class Batch:
        tokens: Int[Tensor, "batch seq"]
        mask: Int[Tensor, "batch seq"]
        name: str = "train"

    tokens = torch.ones(2, 3, dtype=torch.long)
    assert Batch(tokens, tokens).name == "train"
    with pytest.raises(ShapeError, match="`mask` axis 1 is 2, expected seq = 3"):
        Batch(tokens, tokens[:, :2])


def test_coroutine_is_checked_when_it_returns():
    @guard
    async def fetch(x: Float[Tensor, "n"], good: bool) -> Float[Tensor, "n"]:
        await asyncio.sleep(0)
        return x if good else x[1:]

    assert inspect.iscoroutinefunction(fetch)
    assert asyncio.run(fetch(torch.ones(3), True)).shape == (3,)
    with pytest.raises(ShapeError, match="`result` axis 0 is 2, expected n = 3"):
        asyncio.run(fetch(torch.ones(3), False))


def test_generator_checks_yields_sends_and_result():
    @guard
    def accumulate(start: Float[Tensor, "n"]) -> Generator[Float[Tensor, "n"], Float[Tensor, "n"], Float[Tensor, ""]]:
        total = start
        while total.sum() < 10:
            total = total + (yield total)
        return total.sum()

    run = accumulate(torch.ones(3))
    assert next(run).shape == (3,)
    assert run.send(torch.ones(3)).sum() == 6
    with pytest.raises(ShapeError, match="`send` axis 0 is 2, expected n = 3"):
        run.send(torch.ones(2))
    run = accumulate(torch.ones(3))
    next(run)
    with pytest.raises(StopIteration) as stop:
        run.send(torch.full((3,), 5.0))
    assert stop.value.value == 18

    @guard
    def shrinking(x: Float[Tensor, "n"]) -> Iterator[Float[Tensor, "n"]]:
        yield x
        yield x[1:]

    first = shrinking(torch.ones(3))
    next(first)
    with pytest.raises(ShapeError, match="`yield` axis 0 is 2, expected n = 3"):
        next(first)


def test_wrong_yield_is_not_blamed_on_an_argument():
    @guard
    def means(x: Float[Tensor, "n d"]) -> Iterator[Float[Tensor, "d"]]:
        yield x.mean(1)

    with pytest.raises(ShapeError, match="`yield` axis 0 is 2, expected d = 3"):
        next(means(torch.ones(2, 3)))


def test_generator_passes_exceptions_in_and_is_closed():
    seen = []

    @guard
    def listening(x: Float[Tensor, "n"]) -> Iterator[Float[Tensor, "n"]]:
        try:
            while True:
                try:
                    yield x
                except KeyError as error:
                    seen.append(error)
        finally:
            seen.append("closed")

    run = listening(torch.ones(2))
    next(run)
    assert run.throw(KeyError("k")).shape == (2,)
    run.close()
    assert isinstance(seen[0], KeyError)
    assert seen[1] == "closed"


def test_async_generator_is_checked():
    @guard
    async def stream(x: Float[Tensor, "n"]) -> AsyncIterator[Float[Tensor, "n"]]:
        yield x
        yield x[1:]

    async def read():
        return [item async for item in stream(torch.ones(3))]

    with pytest.raises(ShapeError, match="`yield` axis 0 is 2, expected n = 3"):
        asyncio.run(read())


def test_self_dims_hold_from_init_on():
    @guard(self_dims="d")
    class Scale(nn.Module):
        def __init__(self, weight: Float[Tensor, "d"]) -> None:
            super().__init__()
            self.weight = nn.Parameter(weight)

        def forward(self, x: Float[Tensor, "batch d"]) -> Float[Tensor, "batch d"]:
            return x * self.weight

    scale = Scale(torch.ones(3))
    assert scale(torch.ones(2, 3)).shape == (2, 3)
    with pytest.raises(ShapeError, match=r"`x` axis 1 is 1, expected d = 3 \(bound by `self`\)"):
        scale(torch.ones(2, 1))
    assert Scale(torch.ones(1))(torch.ones(2, 1)).shape == (2, 1)


def test_self_dims_are_learned_by_the_first_call():
    @guard(self_dims="d")
    class Average:
        def update(self, x: Float[Tensor, "batch d"]) -> Float[Tensor, "d"]:
            return x.mean(0)

    average = Average()
    average.update(torch.ones(2, 3))
    average.update(torch.ones(5, 3))
    with pytest.raises(ShapeError, match="expected d = 3"):
        average.update(torch.ones(2, 4))


class Pair(NamedTuple):
    chosen: Float[Tensor, "pairs"]
    rejected: Float[Tensor, "pairs"]


class Tokens(TypedDict):
    input_ids: Int[Tensor, "batch seq"]
    labels: Int[Tensor, "batch seq"]


@dataclasses.dataclass
class Output:
    loss: Float[Tensor, ""] | None
    logits: Float[Tensor, "batch seq vocab"]


def test_every_tensor_in_a_container_is_checked():
    @guard
    def listed(xs: list[Float[Tensor, "n"]]) -> int:
        return len(xs)

    assert listed([torch.ones(3)] * 10) == 10
    for wrong in range(10):
        items = [torch.ones(3)] * 10
        items[wrong] = torch.ones(4)
        with pytest.raises(ShapeError, match=r"`xs\[\d\]` axis 0 is"):
            listed(items)


def test_records_are_checked():
    @guard
    def read(pair: Pair, tokens: Tokens, output: Output) -> None: ...

    pair = Pair(torch.ones(2), torch.ones(2))
    ids = torch.ones(2, 3, dtype=torch.long)
    tokens = Tokens(input_ids=ids, labels=ids)
    output = Output(None, torch.ones(2, 3, 5))
    read(pair, tokens, output)
    with pytest.raises(ShapeError, match=r"`pair.rejected` axis 0 is 1, expected pairs = 2"):
        read(pair._replace(rejected=torch.ones(1)), tokens, output)
    with pytest.raises(ShapeError, match=r"`tokens\['labels'\]` axis 1 is 2, expected seq = 3"):
        read(pair, {**tokens, "labels": ids[:, 1:]}, output)
    with pytest.raises(ShapeError, match=r"`output.logits` axis 1 is 4, expected seq = 3"):
        read(pair, tokens, Output(None, torch.ones(2, 4, 5)))


def test_expression_may_stand_before_its_names():
    @guard
    def shifted(logits: Float[Tensor, "b s-1 v"], labels: Int[Tensor, "b s"]) -> None: ...

    labels = torch.ones(2, 5, dtype=torch.long)
    shifted(torch.ones(2, 4, 7), labels)
    with pytest.raises(ShapeError, match="`labels` axis 1 is 5, expected s = 6"):
        shifted(torch.ones(2, 5, 7), labels)


def test_guarding_twice_is_guarding_once():
    assert guard(add) is add


def test_abstract_methods_and_inheritance_stay():
    @guard
    class Base(ABC):
        @abstractmethod
        def forward(self, x: Float[Tensor, "n"]) -> Float[Tensor, "n"]: ...

    with pytest.raises(TypeError, match="abstract"):
        Base()

    @guard
    class Child(Base):
        def forward(self, x: Float[Tensor, "n"]) -> Float[Tensor, "n"]:
            return x

    with pytest.raises(ShapeError):
        Child().forward(torch.ones(1, 1))


def test_name_defined_later_is_resolved_at_the_first_call():
    scope = {"guard": guard, "Float": Float, "Tensor": Tensor}
    exec("@guard\ndef f(x: 'Vector') -> None: ...\n", scope)  # noqa: S102
    scope["Vector"] = Float[Tensor, "n"]
    scope["f"](torch.ones(3))
    with pytest.raises(ShapeError, match=r"`x` has 2 axes \(1, 1\)"):
        scope["f"](torch.ones(1, 1))


def test_unresolvable_annotation_warns_once_and_by_name():
    @guard
    def f(x: "Nowhere", y: Float[Tensor, "n"]) -> None: ...

    with pytest.warns(GuardWarning, match="the annotation of `x`, 'Nowhere', can't be resolved") as caught:
        f(1, torch.ones(2))
    assert len(caught) == 1
    assert (caught[0].filename, caught[0].lineno) == (__file__, f.__wrapped__.__code__.co_firstlineno)
    f(1, torch.ones(2))
    with pytest.raises(ShapeError):
        f(1, torch.ones(2, 2))


def test_array_inside_a_callable_is_said_not_to_be_checked():
    with pytest.warns(GuardWarning, match="`loss`: the arrays inside `Callable"):

        @guard
        def train(loss: Callable[[Float[Tensor, "n"]], Tensor]) -> None: ...


def test_function_without_annotations_warns():
    with pytest.warns(GuardWarning, match=r"guard on f\(\): it has no annotation that could be checked") as caught:

        @guard
        def f(x): ...

    assert caught[0].filename == __file__


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (3, "guard takes a function, a method, a class or a torch module, and not the int 3"),
        (functools.partial(print), "guard a function that calls it"),
        (print, "guard a function that calls it"),
        (nn.Linear(1, 1), "no method of it or of the modules inside it has an array"),
        (dict, "none of its methods has an array in its annotations"),
    ],
)
def test_what_cannot_be_guarded_says_so(target, message):
    with pytest.raises(TypeError, match=message):
        guard(target)


# What a careful reader once broke


def test_first_call_is_checked_in_full_where_names_come_later():
    scope = {"guard": guard, "Float": Float, "Tensor": Tensor}
    exec("@guard\ndef f(x: 'Later') -> 'Later': return x[:1]\n", scope)  # noqa: S102
    scope["Later"] = Float[Tensor, "n"]
    with pytest.raises(ShapeError, match="`result` axis 0 is 1, expected n = 4"):
        scope["f"](torch.ones(4))


def test_parameter_specifications_pass():
    parameters, result = ParamSpec("parameters"), TypeVar("result")

    class Options(TypedDict):
        k: int

    @guard
    def call(
        function: Callable[parameters, result],
        x: Float[Tensor, "n"],
        *rest: parameters.args,
        **named: parameters.kwargs,
    ) -> result:
        return function(*rest, **named)

    @guard
    def options(x: Float[Tensor, "n"], **named: Unpack[Options]) -> int:
        return named["k"]

    assert call(lambda a: a, torch.ones(2), 5) == 5
    assert options(torch.ones(2), k=3) == 3
    with pytest.raises(ShapeError):
        call(lambda a: a, torch.ones(2, 2), 5)


def test_type_variable_bound_to_an_array_is_checked():
    bound = TypeVar("bound", bound=Float[Tensor, "a b"])

    @guard
    def f(x: bound, y: Float[Tensor, "a"]) -> None: ...

    f(torch.ones(2, 3), torch.ones(2))
    with pytest.raises(TypeError):
        f(torch.ones(2, 3), torch.ones(4))


def test_generator_function_stays_one():
    @guard
    def rows(x: Float[Tensor, "n d"]) -> Iterator[Float[Tensor, "d"]]:
        yield from x

    assert inspect.isgeneratorfunction(rows)
    assert len(list(rows(torch.ones(3, 2)))) == 3
    with switch("off"):
        assert len(list(rows(torch.ones(3)))) == 3
    managed = contextlib.contextmanager(rows)
    with managed(torch.ones(1, 2)) as row:
        assert row.shape == (2,)


def test_guard_above_a_context_manager_says_what_it_cannot_check():
    with pytest.warns(GuardWarning, match="a decorator has made something else of its result"):

        @guard
        @contextlib.contextmanager
        def opened(x: Float[Tensor, "n"]) -> Iterator[Float[Tensor, "n"]]:
            yield x

    with opened(torch.ones(3)) as x:
        assert x.shape == (3,)
    with pytest.raises(ShapeError):
        opened(torch.ones(1, 1))


def test_expression_that_divides_by_zero_is_refused_as_jaxtyping_does():
    @guard
    def f(x: Float[Tensor, "n"], k: Float[Tensor, "k"], w: Float[Tensor, "n//k"]) -> None: ...

    f(torch.ones(6), torch.ones(3), torch.ones(2))
    with pytest.raises(jaxtyping.TypeCheckError):
        f(torch.ones(3), torch.ones(0), torch.ones(3))


def test_field_that_is_none_by_default_may_be_none():
    @dataclasses.dataclass
    class Outcome:
        logits: Float[Tensor, "b c"]
        loss: Float[Tensor, ""] = None
        cache: Float[Tensor, "b"] = dataclasses.field(init=False)

    @guard
    def read(outcome: Outcome) -> None: ...

    read(Outcome(torch.ones(2, 3)))
    with pytest.raises(ShapeError, match=r"`outcome\.loss` has 1 axis"):
        read(Outcome(torch.ones(2, 3), torch.ones(1)))


@dataclasses.dataclass
class Node:
    value: Float[Tensor, "d"]
    children: "list[Node]"


def test_record_that_holds_itself_warns():
    with pytest.warns(GuardWarning, match="`Node` holds others of its kind"):

        @guard
        def total(node: Node) -> None: ...

    with pytest.raises(ShapeError):
        total(Node(torch.ones(1, 1), []))


def test_refused_call_keeps_nothing_alive():
    alive = []
    gc.disable()
    try:
        for _ in range(3):
            x = torch.ones(2, 2)
            alive.append(weakref.ref(x))
            with pytest.raises(ShapeError):
                add(x, x)
            del x
        assert [reference() for reference in alive] == [None] * 3
    finally:
        gc.enable()


def test_source_goes_with_the_function():
    before = len(linecache.cache)
    for _ in range(20):
        guard(make_adder())
    gc.collect()
    assert len(linecache.cache) <= before + 1


def make_adder():
    def adder(a: Float[Tensor, "n"]) -> Float[Tensor, "n"]:
        return a

    return adder


def test_loop_lets_go_of_the_last_item():
    @guard
    def consume(xs: list[Float[Tensor, "n"]]) -> bool:
        last = weakref.ref(xs[-1])
        xs.clear()
        return last() is None

    assert consume([torch.ones(2), torch.ones(2)])


def test_sizes_of_an_instance_are_kept_only_if_the_call_succeeds():
    @guard(self_dims="d")
    class Average:
        def update(self, x: Float[Tensor, "b d"]) -> None:
            if x.shape[1] > 9:
                raise OverflowError

        @staticmethod
        def plain(x: Float[Tensor, "d"]) -> None: ...

        @classmethod
        def made(cls, x: Float[Tensor, "d"]):
            return cls()

    average = Average.made(torch.ones(7))
    with pytest.raises(OverflowError):
        average.update(torch.ones(2, 99))
    average.update(torch.ones(2, 3))
    Average.plain(torch.ones(5))
    with pytest.raises(ShapeError, match="expected d = 3"):
        average.update(torch.ones(2, 4))


def test_instance_without_a_dict_cannot_keep_sizes():
    with pytest.raises(TypeError, match="its instances have no __dict__"):

        @guard(self_dims="d")
        class Slotted:
            __slots__ = ()

            def f(self, x: Float[Tensor, "d"]) -> None: ...


def test_body_that_reshapes_an_argument_is_not_blamed_on_the_result():
    @guard
    def f(x: Float[Tensor, "n"]) -> Float[Tensor, "n"] | list[Float[Tensor, "n"]]:
        y = x.clone()
        x.resize_(1, x.numel())
        return y

    assert f(torch.ones(3)).shape == (3,)
