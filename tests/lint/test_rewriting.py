"""What a rule wants changed, made as edits: the result means what is wanted, and all else stays."""

import ast

import pytest

from shapeguard.fixes import fixed_text
from shapeguard.lint.reading import Reading
from shapeguard.lint.rewriting import fix_from
from shapeguard.lint.rule import Argument, Arguments, Repair, Replacement
from shapeguard.source.comments import scan_comments
from shapeguard.source.file import Source


def reading(text):
    file = Reading(Source("case.py", text), dict)
    assert not file.source.errors
    return file


def fix_of(file, *changes):
    return fix_from(file, Repair("", changes, "safe"))


def after(file, *changes):
    fix = fix_of(file, *changes)
    assert fix is not None
    text, made = fixed_text(file.source.text, [fix])
    assert made == (fix,)
    ast.parse(text)
    return text


def call_of(file, name="f"):
    (call,) = file.calls(name)
    return call


# Arguments of calls


@pytest.mark.parametrize(
    ("before", "wanted"),
    [
        ("y = f()", "y = f(dim=-1)"),
        ("y = f(  )", "y = f(  dim=-1)"),
        ("y = f(x)", "y = f(x, dim=-1)"),
        ("y = f( x )", "y = f( x, dim=-1 )"),
        ("y = f(x,)", "y = f(x, dim=-1,)"),
        ("y = f(x, )", "y = f(x, dim=-1, )"),
        ("y = f(x ,)", "y = f(x , dim=-1,)"),
        ("y = f (x)", "y = f (x, dim=-1)"),
        ("y = (f)(x)", "y = (f)(x, dim=-1)"),
        ("y = ((f(x)))", "y = ((f(x, dim=-1)))"),
        ("y = f((x, z))", "y = f((x, z), dim=-1)"),
        ("y = f(x, dim=None)", "y = f(x, dim=-1)"),
        ("y = f(x, dim = None)", "y = f(x, dim = -1)"),
        ("y = f(dim=None, x=1)", "y = f(dim=-1, x=1)"),
        ("y = f(x, dim=(None))", "y = f(x, dim=-1)"),
        ("y = f(*args)", "y = f(*args, dim=-1)"),
        ("y = f(x, **options)", "y = f(x, **options, dim=-1)"),
        ("y = f(lambda: x)", "y = f(lambda: x, dim=-1)"),
        ("y = f(lambda a, *b, c=1: (a, b))", "y = f(lambda a, *b, c=1: (a, b), dim=-1)"),
        ("y = f(a if b else c)", "y = f(a if b else c, dim=-1)"),
        ("y = f(z := x)", "y = f(z := x, dim=-1)"),
        ("y = f(v for v in x)", "y = f((v for v in x), dim=-1)"),
        ("y = f((v for v in x))", "y = f((v for v in x), dim=-1)"),
        ("y = f([v for v in x])", "y = f([v for v in x], dim=-1)"),
        ("async def g():\n    y = f(await x)", "async def g():\n    y = f(await x, dim=-1)"),
        ("async def g():\n    y = await f(x)", "async def g():\n    y = await f(x, dim=-1)"),
        ("def g():\n    y = yield f((yield x))", "def g():\n    y = yield f((yield x), dim=-1)"),
        ("y = f(f'{x}')", "y = f(f'{x}', dim=-1)"),
        ("y = f(f'{x!r:>{w}}', ')')", "y = f(f'{x!r:>{w}}', ')', dim=-1)"),
        ("y = f('''a\n)# no''')", "y = f('''a\n)# no''', dim=-1)"),
        ("é = 'ü😀'; y = f('é', ü) + 'ß'", "é = 'ü😀'; y = f('é', ü, dim=-1) + 'ß'"),
        ("y = f(x)(z)[f2(0)]", "y = f(x, dim=-1)(z)[f2(0)]"),
        ("y = f(x).g(z)", "y = f(x, dim=-1).g(z)"),
        ("y = f(x \\\n  )", "y = f(x, dim=-1 \\\n  )"),
        ("if f(x): pass\nelse: pass", "if f(x, dim=-1): pass\nelse: pass"),
        ("if a:\n    pass\nelif f(x):\n    pass\nelse:\n    pass", "if a:\n    pass\nelif f(x, dim=-1):\n    pass\nelse:\n    pass"),
        ("class A:\n\tdef g(self):\n\t\tif f(x):\n\t\t\tpass\n\t\telse:\n\t\t\tpass", "class A:\n\tdef g(self):\n\t\tif f(x, dim=-1):\n\t\t\tpass\n\t\telse:\n\t\t\tpass"),
        ("@f(x)\n@other\ndef g(): pass", "@f(x, dim=-1)\n@other\ndef g(): pass"),
        ("class A:\n    @other\n    @f(\n      x)\n    async def g(): pass", "class A:\n    @other\n    @f(\n      x,\n      dim=-1)\n    async def g(): pass"),
        ("class A(f(x)): pass", "class A(f(x, dim=-1)): pass"),
        ("def g(a=f(x)) -> int: pass", "def g(a=f(x, dim=-1)) -> int: pass"),
        ("with f(x) as y, z: pass", "with f(x, dim=-1) as y, z: pass"),
        ("match f(x):\n    case A(): pass", "match f(x, dim=-1):\n    case A(): pass"),
        ("match a:\n    case A() if f(x): pass", "match a:\n    case A() if f(x, dim=-1): pass"),
        ("try: pass\nexcept f(x): pass", "try: pass\nexcept f(x, dim=-1): pass"),
        ("y = [v for v in f(x) if v]", "y = [v for v in f(x, dim=-1) if v]"),
        ("if a: y = 1; z = f(x); w = 2", "if a: y = 1; z = f(x, dim=-1); w = 2"),
        ("if a:\n\f    y = f(x)", "if a:\n\f    y = f(x, dim=-1)"),
    ],
)  # fmt: skip
def test_keyword_is_added(before, wanted):
    file = reading(before)
    assert after(file, Argument(call_of(file), "-1", "dim")) == wanted


LAYOUTS = [
    ("y = f(\n    x\n)", "y = f(\n    x,\n    dim=-1\n)"),
    ("y = f(\n    x,\n)", "y = f(\n    x,\n    dim=-1,\n)"),
    ("y = f(\n    x, z\n)", "y = f(\n    x, z, dim=-1\n)"),
    ("y = f(x,\n      z)", "y = f(x,\n      z,\n      dim=-1)"),
    ("y = f(\n    a,  # first\n    b,  # second\n)", "y = f(\n    a,  # first\n    b,  # second\n    dim=-1,\n)"),
    ("y = f(\n    a,  # first\n    b  # second\n)", "y = f(\n    a,  # first\n    b,  # second\n    dim=-1\n)"),
    ("y = f(\n    a, b,  # both\n)", "y = f(\n    a, b, dim=-1,  # both\n)"),
    ("y = f(  # open\n    a,\n    # above\n    b,\n    # last\n)", "y = f(  # open\n    a,\n    # above\n    b,\n    dim=-1,\n    # last\n)"),
    ("y = f(  # none\n)", "y = f(  # none\ndim=-1)"),
    ("y = f(\n    a,\n    dim=None,  # torch picks\n)", "y = f(\n    a,\n    dim=-1,  # torch picks\n)"),
    ("y = f(\n    g(\n        a,  # in\n    ),\n)", "y = f(\n    g(\n        a,  # in\n    ),\n    dim=-1,\n)"),
]  # fmt: skip


@pytest.mark.parametrize(("before", "wanted"), LAYOUTS)
def test_added_argument_is_set_as_the_last_one_is(before, wanted):
    file = reading(before)
    assert after(file, Argument(call_of(file), "-1", "dim")) == wanted
    assert fix_of(file, Argument(call_of(file), "-1", "dim")).applicability == "safe"


@pytest.mark.parametrize(("before", "wanted"), LAYOUTS)
def test_comments_stay(before, wanted):
    def comments(text):
        return [each.text for each in scan_comments(text).values()]

    assert comments(before) == comments(wanted)


@pytest.mark.parametrize(
    ("before", "wanted"),
    [
        ("y = f()", "y = f(2)"),
        ("y = f(x)", "y = f(x, 2)"),
        ("y = f(x, k=1)", "y = f(x, 2, k=1)"),
        ("y = f(k=1,)", "y = f(2, k=1,)"),
        ("y = f(**o)", "y = f(2, **o)"),
        ("y = f(*a)", "y = f(*a, 2)"),
        ("y = f(v for v in x)", "y = f((v for v in x), 2)"),
        ("y = f(\n    a,  # first\n    k=1,\n)", "y = f(\n    a,  # first\n    2,\n    k=1,\n)"),
    ],
)
def test_positional_argument_comes_after_those_that_are_there(before, wanted):
    file = reading(before)
    assert after(file, Argument(call_of(file), "2")) == wanted


@pytest.mark.parametrize(
    ("text", "change"),
    [
        ("y = f(k=1, *a)", ("2", None)),  # no positional argument can stand behind `*a` here
        ("y = f'{f(x)}'", ("-1", "dim")),
        ("y = f'''\n\n {f(x)}'''", ("-1", "dim")),
        ("y = f(x)", ("-1 +", "dim")),
    ],
)
def test_what_cannot_be_changed_has_no_fix(text, change):
    file = reading(text)
    assert fix_of(file, Argument(call_of(file), *change)) is None


@pytest.mark.parametrize(
    ("before", "values", "wanted"),
    [
        ("y = f(x, 1)", ("0",), "y = f(0)"),
        ("y = f()", ("0", "-1"), "y = f(0, -1)"),
        ("y = f( *a, **k )", (), "y = f()"),
        ("y = f(\n    x,\n    1,\n)", ("1", "2"), "y = f(1, 2)"),
    ],
)
def test_arguments_are_replaced(before, values, wanted):
    file = reading(before)
    assert after(file, Arguments(call_of(file), values)) == wanted


def test_change_that_loses_a_comment_is_only_shown():
    file = reading("y = f(\n    x,  # why\n)\n")
    assert fix_of(file, Arguments(call_of(file), ("0",))).applicability == "display"
    call = call_of(file)
    assert fix_of(file, Replacement(call, "{}.g()", (call.args[0],))).applicability == "display"
    assert fix_of(file, Replacement(call, "{}.g()", (call,))).applicability == "safe"


# Replacements


def replaced(before, template):
    """The call of f replaced by a template that is given its arguments."""
    file = reading(before)
    call = call_of(file)
    return after(file, Replacement(call, template, tuple(call.args)))


@pytest.mark.parametrize(
    ("before", "template", "wanted"),
    [
        ("y = f(x)", "{}", "y = x"),
        ("y = f(a + b)", "{}", "y = a + b"),
        ("y = f(a + b) * 2", "{}", "y = (a + b) * 2"),
        ("y = f(a * b) + 2", "{}", "y = a * b + 2"),
        ("y = 2 - f(a - b)", "{}", "y = 2 - (a - b)"),
        ("y = f(a - b) - 2", "{}", "y = a - b - 2"),
        ("y = -f(a + b)", "{}", "y = -(a + b)"),
        ("y = -f(a ** b)", "{}", "y = -a ** b"),
        ("y = f(-a) ** 2", "{}", "y = (-a) ** 2"),
        ("y = 2 ** f(-a)", "{}", "y = 2 ** -a"),
        ("y = f(a < b) < c", "{}", "y = (a < b) < c"),
        ("y = not f(a == b)", "{}", "y = not a == b"),
        ("y = f(not a) == b", "{}", "y = (not a) == b"),
        ("y = f(a or b) and c", "{}", "y = (a or b) and c"),
        ("y = f(a if b else c) or d", "{}", "y = (a if b else c) or d"),
        ("y = f(lambda: a)()", "{}", "y = (lambda: a)()"),
        ("y = f(lambda: a), b", "{}", "y = lambda: a, b"),
        ("y = f(a + b).g", "{}", "y = (a + b).g"),
        ("y = f(a + b)[0]", "{}", "y = (a + b)[0]"),
        ("y = x[f(a + b)]", "{}", "y = x[a + b]"),
        ("y = x[f(a):g(b)]", "{} + 1", "y = x[a + 1:g(b)]"),
        ("y = x[f((a, b))]", "{}", "y = x[(a, b)]"),
        ("y = f((a, b))", "{}", "y = (a, b)"),
        ("y = g(f((a, b)))", "{}", "y = g((a, b))"),
        ("y = g(*f(a or b))", "{}", "y = g(*a or b)"),
        ("y = f(v for v in x)", "{}", "y = (v for v in x)"),
        ("y = g(f(v for v in x))", "{}", "y = g((v for v in x))"),
        ("y = f(z := x)", "{}", "y = (z := x)"),
        ("async def g():\n    y = await f(a + b)", "{}", "async def g():\n    y = await (a + b)"),
        ("async def g():\n    y = f(await a).b", "{}", "async def g():\n    y = (await a).b"),
        ("async def g():\n    y = f(await a) ** 2", "{}", "async def g():\n    y = await a ** 2"),
        ("def g():\n    y = f((yield a))", "{}", "def g():\n    y = yield a"),
        ("def g():\n    y = f((yield a)) + 1", "{}", "def g():\n    y = (yield a) + 1"),
        ("y = f(1)", "{}.real", "y = (1).real"),
        ("y = f(1.5)", "{}.real", "y = 1.5.real"),
        ("y = f(a + b)", "{}.g(-1)", "y = (a + b).g(-1)"),
        ("y = f(a + b)", "g({})", "y = g(a + b)"),
        ("y = f(a + b, c)", "{}.g({})", "y = (a + b).g(c)"),
        ("y = f(a, b + c)", "{} * {}", "y = a * (b + c)"),
        ("y = f(a, b + c)[0]", "{} * {}", "y = (a * (b + c))[0]"),
        ("y = f(a, b, c, d, e + 1)", "{} * {} * {} * {} * {}", "y = a * b * c * d * (e + 1)"),
        ("y = f(a if b else c, d)", "{} + {}", "y = (a if b else c) + d"),
        ("y = (f(x)) * 2", "{} + 1", "y = (x + 1) * 2"),
        ("y = f(a\n      + b)", "{}", "y = (a\n      + b)"),
        ("y = f(a\n  .b(\n  ))", "{}", "y = (a\n  .b(\n  ))"),
        ("y = f(g(\n  a,  # c\n))", "{}", "y = g(\n  a,  # c\n)"),
        ("y = (f(a\n      + b)  # c\n)", "{} * 2", "y = ((a\n      + b) * 2  # c\n)"),
        ("if f(a\n     or b): pass", "{}", "if (a\n     or b): pass"),
        ("return_ = f(a); z = 1", "{} + 1", "return_ = a + 1; z = 1"),
        ("for v in f(a or b): pass", "{}", "for v in a or b: pass"),
        ("y = [v for v in f(a if b else c)]", "{}", "y = [v for v in (a if b else c)]"),
        ("y = {**f(a or b)}", "{}", "y = {**(a or b)}"),
        ("x: f(a) = 1", "{}[0]", "x: a[0] = 1"),
        ("assert f(a, b)", "{}, {}", "assert (a, b)"),
        ("y = 'é' + f(ü + ß)  # ö", "{}.g", "y = 'é' + (ü + ß).g  # ö"),
        ("print(f(a), file=x)", "{} + '\"'", "print(a + '\"', file=x)"),
        ("y = f(x)", "{{'a': {}}}", "y = {'a': x}"),
        ("y = f(x)", "g({0}, {0})", "y = g(x, x)"),
    ],
)  # fmt: skip
def test_replacement_has_the_parentheses_that_it_needs_and_no_more(before, template, wanted):
    assert replaced(before, template) == wanted


def test_replacement_of_a_function_keeps_the_call():
    file = reading("y = F.softmax(\n    x,  # scores\n    dim=1,\n)\n")
    (call,) = file.calls("softmax")
    text = after(file, Replacement(call.func, "{}.log_softmax", (call.func.value,)))
    assert text == "y = F.log_softmax(\n    x,  # scores\n    dim=1,\n)\n"


def test_edit_covers_only_what_changes():
    file = reading("y = torch.squeeze(input=some_long_name)\n")
    (call,) = file.calls("squeeze")
    (edit,) = fix_of(file, Argument(call, "-1", "dim")).edits
    assert edit.text == ", dim=-1"
    assert (edit.span.line, edit.span.column, edit.span.end_column) == (1, 39, 39)


def test_change_that_changes_nothing_is_no_fix():
    file = reading("y = f(x, dim=-1)\n")
    assert fix_of(file, Argument(call_of(file), "-1", "dim")) is None


def test_several_changes_are_made_together():
    file = reading("y = f(g(x), h(z))\nw = k(y)\n")
    f, g, h, k = (call_of(file, name) for name in "fghk")
    changes = (Argument(f, "1", "a"), Argument(g, "2"), Replacement(h, "{}", (h.args[0],)), Argument(k, "3"))
    assert after(file, *changes) == "y = f(g(x, 2), z, a=1)\nw = k(y, 3)\n"


def test_changes_that_get_in_each_others_way_are_no_fix():
    file = reading("y = f(g(x))\n")
    f, g = call_of(file, "f"), call_of(file, "g")
    assert fix_of(file, Replacement(f, "{}.h()", (g,)), Argument(g, "1")) is None
    assert fix_of(file, Argument(f, "1"), Argument(f, "2")) is None
    # What the outer one takes away can't be changed as well.
    assert fix_of(file, Replacement(f, "k"), Argument(g, "1")) is None


def test_one_change_that_cannot_be_made_is_no_fix_at_all():
    file = reading("y = f(x)\nz = f'{g(x)}'\n")
    assert fix_of(file, Argument(call_of(file, "f"), "1"), Argument(call_of(file, "g"), "1")) is None
