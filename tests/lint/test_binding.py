"""Which assignment a name has its value from: what is said to be sure is what programs show when they run."""

import ast
import random
from collections import defaultdict
from contextlib import contextmanager, nullcontext, suppress

import pytest

from shapeguard.lint.binding import Binding
from shapeguard.lint.reading import Reading
from shapeguard.source.file import Source

# Programs, in which `see(number, x)` reads a name


def reading(text):
    file = Reading(Source("case.py", text), dict)
    assert not file.source.errors, text
    return file


def defined(text, number=1):
    """The line of the binding that is said to be the one of a read, or None."""
    file = reading(text)
    for call in file.calls("see"):
        if isinstance(call.args[0], ast.Constant) and call.args[0].value == number:
            binding = file.definition(call.args[1])
            return None if binding is None else binding.target.lineno
    raise AssertionError(text)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("x = 1\nsee(1, x)", 1),
        ("x = 1\nx = 2\nsee(1, x)", 2),
        ("x = 1\nx = see(1, x)", 1),
        ("x = 1\nx += see(1, x)", 1),
        ("x = 1\nx += 2\nsee(1, x)", 2),
        ("x = 1\nx: int\nsee(1, x)", 1),
        ("x = 1\nx: int = 2\nsee(1, x)", 2),
        ("x = 1\ndel x\nsee(1, x)", None),
        ("x, y = 1, 2\nsee(1, x)", 1),
        ("see(1, x)\nx = 1", None),
        ("x = 1\ny = [see(1, x) for x in z]", None),
        ("x = 1\ny = [v for v in see(1, x) for x in v]", 1),
        ("x = 1\ny = [v for x in see(1, x)]", 1),
        ("x = 1\ny = [v for v in w for x in see(1, x)]", None),
        ("x = 1\ny = [see(1, x) for v in z]", 1),
        ("x = 1\ny = (see(1, x) for v in z)\nx = 2", None),
        ("x = 1\nx = 2\ny = list(see(1, x) for v in z)", 2),
        ("x = 1\ny = {see(1, x): 1 for v in z if (x := v)}", None),
        ("x = 1\ny = [1 for v in z if (x := v)]\nsee(1, x)", None),
        ("x = 1\ny = lambda x: see(1, x)", 2),
        ("x = 1\ny = lambda: see(1, x)", 1),
        ("x = 1\ny = lambda: see(1, x)\nx = 2", None),
        ("x = 1\ny = lambda x=see(1, x): x", 1),
        ("x = 1\ndef f(x, y=see(1, x)): pass", 1),
        ("x = 1\n@see(1, x)\ndef f(x): pass", 1),
        ("x = 1\ndef f(x: see(1, x)): pass", 1),
        ("x = 1\ndef f(x) -> see(1, x): pass", 1),
        ("x = 1\ndef f(x):\n    see(1, x)", 2),
        ("x = 1\ndef f():\n    see(1, x)", 1),
        ("x = 1\ndef f():\n    see(1, x)\n    x = 2", None),
        ("def f(x):\n    x = 2\n    class A(see(1, x)): pass", 2),
        ("def f(x):\n    x = 2\n    class A:\n        y = see(1, x)", 2),
        ("x = 1\nclass A:\n    x = 2\n    y = see(1, x)", 3),
        ("x = 1\nclass A:\n    x = 2\n    def f(self):\n        see(1, x)", 1),
        ("x = 1\nclass A:\n    x = 2\n    def f(self, y=see(1, x)): pass", 3),
        ("x = 1\nclass A:\n    y = see(1, x)\n    x = 2", None),
        ("x = 1\ndef f():\n    global x\n    x = 2\nf()\nsee(1, x)", None),
        ("def f():\n    global x\n    def g():\n        see(1, x)", None),
        ("def f():\n    x = 1\n    def g():\n        nonlocal x\n        x = 2\n    g()\n    see(1, x)", None),
        ("def f(device): see(1, device)\ndef g():\n    global device\n    device = 1", 1),
        ("x = 1\nif c: x = 2\nsee(1, x)", None),
        ("x = 1\nif c: x = 2\nelse: see(1, x)", 1),
        ("x = 1\nif (x := f()): see(1, x)", 2),
        ("x = 1\nif (x := f()) is None: pass\nelse: see(1, x)", 2),
        ("x = 1\nif c and (x := f()): see(1, x)", None),
        ("x = 1\nif (x := f()) and c: see(1, x)", 2),
        ("x = 1\ny = (x := 2) + see(1, x)", None),
        ("x = 1\ny = (x := 2) if c else 3\nsee(1, x)", None),
        ("x = 1\ny = (x := see(1, x))", 1),
        ("x = 1\nwhile (x := f()): see(1, x)", 2),
        ("x = 1\nwhile see(1, x): x = 2", None),
        ("x = 1\nwhile c: see(1, x)", 1),
        ("x = 1\nwhile c:\n    see(1, x)\n    x = 2", None),
        ("x = 1\nwhile c:\n    x = 2\n    see(1, x)", 3),
        ("x = 1\nwhile c:\n    x = see(1, x)", None),
        ("x = 1\nwhile c: x = 2\nelse: see(1, x)", None),
        ("x = 1\nfor x in y: see(1, x)", 2),
        ("x = 1\nfor x in y: pass\nsee(1, x)", None),
        ("x = 1\nfor x in see(1, x): pass", 1),
        ("x = 1\nfor x in y: pass\nelse: see(1, x)", None),
        ("x = 1\nfor v in y:\n    if c: see(1, x)\n    x = 2", None),
        ("for x in y:\n    def f(): see(1, x)", 1),
        ("x = 1\ntry: x = 2\nexcept E: see(1, x)", None),
        ("x = 1\ntry: f()\nexcept E: see(1, x)", 1),
        ("x = 1\ntry: f()\nexcept E as x: see(1, x)", 3),
        ("x = 1\ntry: f()\nexcept E: x = 2\nexcept F: see(1, x)", 1),
        ("x = 1\ntry: x = 2\nexcept E: pass\nelse: see(1, x)", 2),
        ("x = 1\ntry: x = 2\nfinally: see(1, x)", None),
        ("x = 1\ntry: f()\nexcept E: x = 2\nfinally: see(1, x)", None),
        ("x = 1\ntry: x = 2\nexcept E: pass\nsee(1, x)", None),
        ("x = 1\ntry: pass\nfinally: x = 2\nsee(1, x)", 3),
        ("x = 1\ntry: pass\nexcept* E: x = 2\nsee(1, x)", None),
        ("with f() as x: see(1, x)", 1),
        ("with f() as x: pass\nsee(1, x)", 1),
        ("x = 1\nwith f() as x, see(1, x): pass", 2),
        ("x = 1\nwith see(1, x), f() as x: pass", 1),
        ("x = 1\nwith f(): x = 2\nsee(1, x)", 2),
        ("x = 1\nwith suppress(E): x = 2\nsee(1, x)", None),
        ("x = 1\nwith pytest.raises(E): x = 2\nsee(1, x)", None),
        ("x = 1\nmatch y:\n    case [x]: see(1, x)", 3),
        ("x = 1\nmatch y:\n    case [x] if see(1, x): pass", 3),
        ("x = 1\nmatch y:\n    case [x, 1]: pass\n    case _: see(1, x)", None),
        ("x = 1\nmatch y:\n    case {'a': 1, **x}: see(1, x)", 3),
        ("x = 1\nmatch y:\n    case [_, *x]: see(1, x)", 3),
        ("x = 1\nmatch y:\n    case 1: x = 2\n    case 2: see(1, x)", None),
        ("x = 1\nmatch y:\n    case 1: x = 2\nsee(1, x)", None),
        ("import x\nsee(1, x)", 1),
        ("x = 1\ndef x(): pass\nsee(1, x)", 2),
    ],
)  # fmt: skip
def test_definition(text, line):
    assert defined(text) == line


def test_parts_of_what_is_taken_apart():
    file = reading("b, t, d = x.shape\nsee(1, t)\n")
    (call,) = file.calls("see")
    binding = file.definition(call.args[1])
    assert isinstance(binding, Binding)
    assert (binding.index, binding.count) == (1, 3)
    assert file.origin(call.args[1]) is call.args[1]


def test_origin_and_uses():
    file = reading("a = f()\nb = a\nb.g(b)\nc = [b for b in b]\ndef h(): return a\n")
    statements = file.source.tree.body
    target = statements[1].targets[0]
    read = statements[2].value.func.value
    assert file.origin(read) is statements[0].value
    assert [each.lineno for each in file.uses(target)] == [3, 3, 4]


# Random programs, run


class Value(int):
    """A number that says where it was bound: `x += Value(3)` is bound by 3."""

    def __add__(self, other):
        return Value(int(other))

    __iadd__ = __add__

    def __bool__(self):
        return random.random() < 0.5  # noqa: S311 - which way a program goes


class Boom(Exception):  # noqa: N818 - it is thrown on purpose
    pass


class Writer:
    """Writes random programs that bind `x` and `y` in every way there is; each binding has a number of its own."""

    def __init__(self, seed):
        self.chance = random.Random(seed)  # noqa: S311 - for variety
        self.count = 0
        self.functions = 0

    def number(self):
        self.count += 1
        return self.count

    def value(self):
        return f"V({self.number()})"

    def name(self):
        return self.chance.choice("xxxy")

    def see(self):
        return f"see({self.number()}, {self.name()})"

    def expression(self, depth=2):  # noqa: PLR0911 - one a kind
        name = self.name()
        match self.chance.randrange(12 if depth else 3):
            case 0 | 1:
                return self.see()
            case 2:
                return f"({name} := {self.value()})"
            case 3:
                return f"({self.expression(depth - 1)} and {self.expression(depth - 1)})"
            case 4:
                return (
                    f"({self.expression(depth - 1)} if {self.expression(depth - 1)} else {self.expression(depth - 1)})"
                )
            case 5:
                return f"[{self.expression(depth - 1)} for {name} in some({self.number()})]"
            case 6:
                return f"[{self.see()} for z in [{self.expression(0)}] if {self.see()}]"
            case 7:
                return f"list({self.see()} for {name} in [{self.see()}, 1])"
            case 8:
                return f"(lambda {name}={self.value()}: {self.see()})()"
            case 9:
                return f"(lambda: {self.see()})()"
            case 10:
                return f"[{self.expression(depth - 1)}, {self.expression(depth - 1)}]"
            case _:
                return f"(V(0) <= bool({self.expression(depth - 1)}) <= bool({self.expression(depth - 1)}))"

    def block(self, depth, *, loop=False, function=False):
        lines = []
        for _ in range(self.chance.randint(1, 4)):
            lines += self.statement(depth, loop=loop, function=function)
        return ["    " + line for line in lines]

    def statement(self, depth, **inside):
        simple = self.chance.random() < 0.55 or depth == 0
        return self.simple(**inside) if simple else self.compound(depth - 1, **inside)

    def simple(self, *, loop, function):
        name = self.name()
        choices = [
            self.see(), self.see(), self.see(),
            f"{name} = {self.value()}",
            f"{name} = {self.value()}",
            f"{name} += {self.value()}",
            f"{name}: int",
            f"{name}: int = {self.value()}",
            f"x, y = {self.value()}, {self.value()}",
            f"q = {self.expression()}",
            f"{name} = keep({self.value()}, {self.see()})",
            "boom()",
            f"del {name}; {name} = {self.value()}" if self.chance.random() < 0.5 else self.see(),
        ]  # fmt: skip
        choices += ["if V(0): break", "if V(0): continue"] if loop else []
        choices += ["if V(0): return"] if function else []
        return [self.chance.choice(choices)]

    def compound(self, depth, **inside):  # noqa: PLR0911 - one a kind
        name, again = self.name(), {**inside, "loop": True}
        otherwise = ["else:", *self.block(depth, **inside)] if self.chance.random() < 0.5 else []
        match self.chance.randrange(12):
            case 0 | 1:
                return [f"if {self.expression()}:", *self.block(depth, **inside), *otherwise]
            case 2:
                return [f"while more() and {self.expression()}:", *self.block(depth, **again), *otherwise]
            case 3:
                head = f"for {name} in some({self.number()}):"
                return [head, *self.block(depth, **again), *otherwise]
            case 4:
                return [f"for _ in [{self.see()}, V(0)]:", *self.block(depth, **again), *otherwise]
            case 5 | 6:
                return self.trying(depth, inside, otherwise)
            case 7:
                manager = self.chance.choice(["nullcontext", "suppress", "quiet"])
                given = {"nullcontext": self.value(), "suppress": "Boom", "quiet": self.value()}[manager]
                target = f" as {name}" if manager != "suppress" else ""
                head = f"with {manager}({given}){target}, nullcontext({self.see()}):"
                return [head, *self.block(depth, **inside)]
            case 8:
                cases = [
                    f"    case [{name}, 1]:",
                    *(f"    {line}" for line in self.block(depth, **inside)),
                    f"    case [{name}, *_] if {self.see()}:",
                    *(f"    {line}" for line in self.block(depth, **inside)),
                    "    case _:",
                    *(f"    {line}" for line in self.block(depth, **inside)),
                ]
                return [f"match pair({self.number()}):", *cases]
            case 9:
                return ["class A:", *self.block(depth, loop=False, function=False)]
            case _:
                return self.function(depth)

    def trying(self, depth, inside, otherwise):
        finally_ = ["finally:", *self.block(depth, **{**inside, "loop": False})] if self.chance.random() < 0.4 else []
        caught = self.chance.choice(["except Boom:", "except Boom as e:"])
        handled = [caught, *self.block(depth, **inside)] if not finally_ or self.chance.random() < 0.7 else []
        return ["try:", *self.block(depth, **inside), *handled, *(otherwise if handled else []), *finally_]

    def function(self, depth):
        self.functions += 1
        name = f"f{self.functions}"
        head = self.chance.choice(["", f"x={self.value()}", f"x={self.value()}, y={self.see()}"])
        outer = self.chance.choice(["global x", "pass", "pass"]) if "x=" not in head else "pass"
        call = [f"{name}()"] if self.chance.random() < 0.8 else []
        body = self.block(depth, loop=False, function=True)
        return [f"def {name}({head}):", f"    {outer}", *body, *call, *([self.see()] if call else [])]

    def program(self):
        lines = [f"x = {self.value()}", f"y = {self.value()}"]
        if self.chance.random() < 0.5:  # within a function, where a name is local or isn't
            body = [*lines, *(line[4:] for line in self.block(3, function=True))]
            return "\n".join(["def main():", *("    " + line for line in body), "main()"])
        return "\n".join([*lines, *(line[4:] for line in self.block(3))])


def run(code, seed, seen):
    """Run a program one way, and note what each read sees."""
    random.seed(seed)
    fuel = [30]

    def see(number, value):
        seen[number].add(int(value) if isinstance(value, Value) else repr(value))
        return Value(0)

    def more():
        fuel[0] -= 1
        return fuel[0] > 0

    def some(number):
        return [Value(number)] * random.choice([0, 1, 2])  # noqa: S311 - which way it goes

    def boom():
        if not Value(0):
            raise Boom

    def pair(number):
        return random.choice([[Value(number), 1], [Value(number), 2], None])  # noqa: S311 - which way it goes

    @contextmanager
    def quiet(value):
        yield value

    names = {"V": Value, "Boom": Boom, "nullcontext": nullcontext, "suppress": suppress, "quiet": quiet}
    names |= {"see": see, "more": more, "some": some, "boom": boom, "pair": pair, "keep": lambda value, _: value}
    with suppress(Boom, NameError, RecursionError):
        exec(code, names)  # noqa: S102 - it is what this test does


def number_of(binding, file):
    """The number of a binding; None where it has none."""
    match binding:
        case Binding(statement=ast.MatchAs() as pattern):
            match_ = next(each for each in file.around(pattern) if isinstance(each, ast.Match))
            return match_.subject.args[0].value
        case Binding(statement=ast.For(iter=ast.Call(args=[ast.Constant(value=number)]))):
            return number
        case Binding(statement=ast.withitem(context_expr=ast.Call(args=[value]))):
            return value.args[0].value
        case Binding(statement=ast.AugAssign(value=value)):
            return value.args[0].value
        case Binding(statement=ast.arg() as parameter):
            arguments = file.parent(parameter)
            return arguments.defaults[arguments.args.index(parameter)].args[0].value
        case Binding(value=ast.Call(args=[ast.Call() as value, _])):
            return value.args[0].value
        case Binding(value=ast.Call(args=[ast.Constant(value=number)])):
            return number
    raise AssertionError(ast.dump(binding.statement))


def wrong_in(seed, runs=40):
    """What is said of the names in a random program and isn't so; and how many of its reads something is said of."""
    text = Writer(seed).program()
    try:
        code = compile(text, "program", "exec")
    except SyntaxError:  # `global x` with an `x: int` below it
        return [], 0, 0
    file = reading(text)
    seen = defaultdict(set)
    for each in range(runs):
        run(code, each, seen)
    wrong, said, sure = [], 0, 0
    for call in file.calls("see"):
        number, values = call.args[0].value, seen[call.args[0].value]
        binding = file.definition(call.args[1])
        sure += len(values) == 1
        if binding is None or not values:
            continue
        said += 1
        if isinstance(binding.statement, ast.arg) and binding.target.arg == "y":
            continue  # its default is what another read gave
        if values != {number_of(binding, file)}:
            wrong.append(f"{text}\n\nsee({number}): {values}, not {number_of(binding, file)}")
    return wrong, said, sure


def test_what_is_sure_is_what_programs_show():
    results = [wrong_in(seed) for seed in range(400)]
    assert not [each for wrong, *_ in results for each in wrong][:1]
    said, sure = sum(said for _, said, _ in results), sum(sure for *_, sure in results)
    assert said > 0.5 * sure  # and it isn't sure because it says nothing
