"""What a call gives: torch's by the operations, Python's by its own functions, that of code which is read by following it."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from shapeguard.infer import changes, follow, hugging_face
from shapeguard.infer.claims import claimed_shape, with_defaults
from shapeguard.infer.operations import as_operand, attempt, call_op
from shapeguard.infer.python import PYTHON
from shapeguard.infer.values import (
    GROWS,
    NOTHING,
    OPAQUE,
    Bound,
    Chain,
    Class,
    Dictionary,
    External,
    Function,
    Instance,
    Many,
    OneOf,
    Scope,
    Symbol,
    certain,
    join,
)
from shapeguard.ops.registry import Op, find
from shapeguard.ops.values import UNKNOWN, Module, Tensor
from shapeguard.shapes.annotation import AnnotationSyntaxError, parse
from shapeguard.shapes.dim import Dim
from shapeguard.shapes.mismatch import Mismatch
from shapeguard.shapes.shape import Shape

if TYPE_CHECKING:
    from shapeguard.infer.expressions import Evaluator

_READS = frozenset({"size", "dim", "numel", "item", "tolist", "stride", "nelement", "ndimension", "element_size"})
"""Methods of tensors that give no tensor."""
_FROM_CONFIG = frozenset({"_from_config", "from_config"})
_REGISTERS = frozenset({"register_buffer", "register_parameter", "add_module", "register_module"})


def call(evaluator: Evaluator, node: ast.Call) -> Any:
    """The result of a call."""
    special = _special(evaluator, node)
    if special is not None:
        return special[0]
    function = evaluator.value(node.func)
    arguments, named = _given(evaluator, node)
    if arguments is None or named is None:
        return UNKNOWN
    if isinstance(node.func, ast.Attribute) and node.func.attr in _FROM_CONFIG:
        owner = evaluator.value(node.func.value)
        if isinstance(owner, Class) and owner.find(node.func.attr) is None:
            # The base class, which isn't followed, makes an instance.
            return follow.instantiate(evaluator, owner, arguments, {})
    if (function is UNKNOWN or isinstance(function, Symbol)) and isinstance(node.func, ast.Attribute):
        return _call_unknown(evaluator, node.func, arguments)
    if isinstance(function, External) and function.name in _TENSOR_CLASSES and _reads_sequence(node, arguments):
        return _tensor_of_sizes(node.args[0], arguments[0])
    result = apply(evaluator, function, arguments, named)
    reads = isinstance(node.func, ast.Attribute) and node.func.attr in _READS
    if result is UNKNOWN and not reads and not evaluator.depth and not evaluator.rehearsing:
        owner = function.owner if isinstance(function, Bound) else None
        if any(isinstance(certain(value), Tensor) for value in (owner, *arguments, *named.values())):
            evaluator.reporter.lose(evaluator, node)
    _forget_changed(evaluator, node, function)
    if isinstance(result, Tensor) and isinstance(node.func, ast.Attribute) and node.func.attr.endswith("_"):
        _keep_in_place(evaluator, node.func.value, result)
    return result


def _forget_changed(evaluator: Evaluator, node: ast.Call, function: Any) -> None:
    """Lists and dicts that a followed function changes under the names of its parameters are not known behind it."""
    method = function.call if isinstance(function, Bound) else function
    if not isinstance(method, Function) or not method.changes:
        return
    parameters = [argument.arg for argument, _ in with_defaults(method.node.args)][isinstance(function, Bound) :]
    given = [*zip(parameters, node.args, strict=False), *((each.arg, each.value) for each in node.keywords)]
    for name, argument in given:
        if name in method.changes and isinstance(argument, ast.Name):
            held = certain(evaluator.lookup(argument.id))
            if isinstance(held, tuple | Many):
                evaluator.replace(held, Many(UNKNOWN))
                evaluator.scope[argument.id] = Many(UNKNOWN)
            elif isinstance(held, Dictionary):
                evaluator.scope[argument.id] = Dictionary((), is_open=True)


def _call_unknown(evaluator: Evaluator, function: ast.Attribute, arguments: list[Any]) -> Any:
    """The result of a method of something unknown, which a file that uses transformers may know by its name."""
    if not evaluator.home.uses_transformers:
        return UNKNOWN
    of_self = isinstance(function.value, ast.Name) and function.value.id == "self"
    return hugging_face.method(function.attr, [certain(value) for value in arguments], of_self=of_self)


_TENSOR_CLASSES = frozenset(
    f"torch.{name}Tensor" for name in ("", "Float", "Double", "Half", "Long", "Int", "Short", "Byte", "Bool")
)


def _reads_sequence(node: ast.Call, arguments: list[Any]) -> bool:
    """Whether a call has one argument, a sequence that isn't written out: sizes or data, that depends on its type."""
    if len(node.args) != 1 or not isinstance(arguments[0], tuple):
        return False
    return not isinstance(node.args[0], ast.List | ast.Tuple | ast.Starred)


def _tensor_of_sizes(node: ast.expr, value: tuple[Any, ...]) -> Any:
    """`torch.Tensor(x.shape)`: a tensor of these sizes; of another sequence little is known."""
    reads_sizes = isinstance(node, ast.Attribute) or (isinstance(node, ast.Call) and not node.args)
    if not reads_sizes:
        return Tensor(Shape.unknown())
    return Tensor(Shape.of(*(size if isinstance(size, Dim) else None for size in value)))


def _keep_in_place(evaluator: Evaluator, owner: ast.expr, result: Tensor) -> None:
    """`x.unsqueeze_(0)` changes what `x` is."""
    if not isinstance(owner, ast.Name):
        return
    value = evaluator.scope.get(owner.id)
    known = certain(value)
    if isinstance(known, Tensor) and known.shape != result.shape:
        evaluator.replace(value, Tensor(result.shape, known.dtype))


def _given(evaluator: Evaluator, node: ast.Call) -> tuple[list[Any] | None, Scope | None]:
    """The positional and the named values of a call; None for those that can't be told apart."""
    arguments: list[Any] | None = []
    for argument in node.args:
        value = evaluator.value(argument)
        if not isinstance(argument, ast.Starred):
            if arguments is not None:
                arguments.append(value)
            continue
        value = certain(value)
        if isinstance(value, Many) and len(node.args) == 1:
            value = (value,)
        if isinstance(value, tuple) and arguments is not None:
            arguments += value
        else:
            arguments = None
    named: Scope | None = {}
    for keyword in node.keywords:
        value = evaluator.value(keyword.value)
        if named is None:
            continue
        if keyword.arg is not None:
            named[keyword.arg] = value
        elif isinstance(value := certain(value), Dictionary) and all(isinstance(key, str) for key, _ in value.items):
            named.update({str(key): entry for key, entry in value.items})
            if value.is_open:
                named["**"] = True
        else:
            named["**"] = True
    return arguments, named


def _special(evaluator: Evaluator, node: ast.Call) -> tuple[Any] | None:  # noqa: PLR0911 - one case a form
    """Calls that are known by their form: `super()`, what registers a tensor with a module, what changes a list."""
    function = node.func
    if isinstance(function, ast.Name):
        if function.id == "super":
            return (External("super"),)
        if function.id == "getattr" and len(node.args) in (2, 3):
            return _read_attribute(evaluator, node.args)
        if function.id == "setattr" and len(node.args) == 3:  # noqa: PLR2004 - the owner, the name, the value
            owner, name, value = map(evaluator.value, node.args)
            if isinstance(owner, Instance) and isinstance(name, str):
                owner.set(name, value)
            return (None,)
        return None
    if not isinstance(function, ast.Attribute):
        return None
    if (
        isinstance(function.value, ast.Call)
        and isinstance(function.value.func, ast.Name)
        and function.value.func.id == "super"
    ):
        return (_call_super(evaluator, node, function.attr),)
    if function.attr in _REGISTERS and len(node.args) >= 2:  # noqa: PLR2004 - a name and what is registered
        name, value = evaluator.value(node.args[0]), evaluator.value(node.args[1])
        instance = evaluator.value(function.value)
        if isinstance(instance, Instance) and isinstance(name, str):
            instance.set(name, value)
        return (None,)
    if function.attr in GROWS:
        return _change(evaluator, node, function)
    return None


def _read_attribute(evaluator: Evaluator, parts: list[ast.expr]) -> tuple[Any] | None:
    owner, name, *default = map(evaluator.value, parts)
    owner = certain(owner)
    if not isinstance(name, str):
        return (UNKNOWN,)
    if isinstance(owner, Instance) and name not in owner.attributes and owner.cls.find(name) is None and default:
        return (default[0] if not owner.cls.foreign else UNKNOWN,)
    found = evaluator.attribute(owner, name)
    if isinstance(found, Symbol) and default and isinstance(default[0], Tensor | bool | str | tuple):
        return (UNKNOWN,)
    return (
        default[0]
        if found is UNKNOWN and default and not isinstance(owner, Instance) and owner is not UNKNOWN
        else found,
    )


def _change(evaluator: Evaluator, node: ast.Call, function: ast.Attribute) -> tuple[Any] | None:
    """`items.append(x)` and its like, on what is known to be a list or a dict."""
    evaluator.rehearsing += 1
    owner = certain(evaluator.value(function.value))
    evaluator.rehearsing -= 1
    if not isinstance(owner, tuple | Many | Dictionary):
        return None
    arguments, named = _given(evaluator, node)
    changed, result = changes.changed(owner, function.attr, arguments, named)
    if isinstance(function.value, ast.Name) and owner != ():
        evaluator.replace(evaluator.lookup(function.value.id), changed)
    evaluator.assign(function.value, changed, None)
    return (result,)


def _call_super(evaluator: Evaluator, node: ast.Call, name: str) -> Any:
    arguments, named = _given(evaluator, node)
    instance = next((value for value in evaluator.scope.values() if isinstance(value, Instance | Class)), None)
    if evaluator.owner is None or instance is None or arguments is None or named is None:
        return UNKNOWN
    following = instance.cls.ancestry if isinstance(instance, Instance) else evaluator.owner.ancestry
    if evaluator.owner in following:
        following = following[following.index(evaluator.owner) + 1 :]
    member = next((cls.members[name] for cls in following if name in cls.members), None)
    if isinstance(member, Function):
        return follow.call_function(evaluator, member, [instance, *arguments], named)
    if not isinstance(instance, Instance):
        return UNKNOWN
    if name == "__init__":
        named.pop("**", None)
        if not follow.derive(instance, arguments, named):
            follow.take_over(instance, arguments, named)
        return None
    if name in ("forward", "__call__") and instance.base is not None:
        return apply(evaluator, instance.base, arguments, named)
    return UNKNOWN


def apply(evaluator: Evaluator, function: Any, arguments: list[Any], named: Scope) -> Any:
    """Call a value with values."""
    function = certain(function)
    follows = _FOLLOWED.get(type(function))
    if follows is not None:
        found = follows(evaluator, function, arguments, named)
        if found is not _NOT_FOLLOWED:
            return found
    if isinstance(function, External) and any(isinstance(value, Many) for value in arguments):
        spread = _spread(evaluator, function, arguments, named)
        if spread is not None:
            return spread
    works_out = _WORKED_OUT.get(type(function))
    if works_out is None:
        return UNKNOWN
    is_open = named.pop("**", False)
    result = works_out(
        evaluator,
        function,
        [certain(value) for value in arguments],
        {name: certain(value) for name, value in named.items()},
    )
    # Something may be given that isn't seen here.
    return UNKNOWN if is_open and isinstance(result, Mismatch) else result


_NOT_FOLLOWED = object()


def _apply_bound(evaluator: Evaluator, function: Bound, arguments: list[Any], named: Scope) -> Any:
    if isinstance(function.call, Function):
        return follow.call_function(evaluator, function.call, [function.owner, *arguments], named)
    return _NOT_FOLLOWED


def _apply_instance(evaluator: Evaluator, function: Instance, arguments: list[Any], named: Scope) -> Any:
    forward = function.cls.find("forward") or function.cls.find("__call__")
    if isinstance(forward, Function):
        return follow.call_function(evaluator, forward, [function, *arguments], named)
    return UNKNOWN if function.base is None else apply(evaluator, function.base, arguments, named)


def _apply_options(evaluator: Evaluator, function: OneOf, arguments: list[Any], named: Scope) -> Any:
    result: Any = NOTHING
    evaluator.uncertain += 1
    kept = len(evaluator.refusals)
    for option in function.options:
        each = apply(evaluator, option, list(arguments), dict(named))
        result = join(result, UNKNOWN if isinstance(each, Mismatch) else each)
    evaluator.uncertain -= 1
    # One of them takes what it is given.
    del evaluator.refusals[kept:]
    return result


def _apply_chain(evaluator: Evaluator, function: Chain, arguments: list[Any], _: Scope) -> Any:
    value = arguments[0] if arguments else UNKNOWN
    for module in function.modules:
        if isinstance(module, Many):
            once = apply(evaluator, module.any_item, [value], {})
            twice = once if once == value else apply(evaluator, module.any_item, [once], {})
            value = once if once == value else join(once, twice)
        else:
            value = apply(evaluator, module, [value], {})
        if isinstance(value, Mismatch):
            return value
    return value


_FOLLOWED: dict[type, Callable[[Evaluator, Any, list[Any], Scope], Any]] = {
    Function: follow.call_function,
    Bound: _apply_bound,
    Class: follow.instantiate,
    Instance: _apply_instance,
    OneOf: _apply_options,
    Chain: _apply_chain,
}


def _work_out_bound(_: Evaluator, function: Bound, arguments: list[Any], named: Scope) -> Any:
    work = function.call
    if isinstance(work, Op):
        return call_op(work, [function.owner, *arguments], named)
    assert not isinstance(work, Function)
    return attempt(lambda: work(*arguments, **named))


def _work_out_module(_: Evaluator, function: Module, arguments: list[Any], named: Scope) -> Any:
    values = [as_operand(value) for value in arguments]
    inputs = {name: as_operand(value) for name, value in named.items()}
    return attempt(lambda: function.forward(*values, **inputs))


def _work_out_external(evaluator: Evaluator, function: External, arguments: list[Any], named: Scope) -> Any:
    return attempt(lambda: _call_external(evaluator, function.name, arguments, named))


_WORKED_OUT: dict[type, Callable[[Evaluator, Any, list[Any], Scope], Any]] = {
    External: _work_out_external,
    Bound: _work_out_bound,
    Module: _work_out_module,
}


def _spread(evaluator: Evaluator, function: External, arguments: list[Any], named: Scope) -> Any:
    """What holds of a call for a list of two, of three and so of any number of items."""
    if find(function.name) is None:
        return None
    answers = []
    for count in (2, 3):
        given = [
            (*value.first, *(value.item,) * count, *value.last)
            if isinstance(value, Many) and value.item is not NOTHING
            else value
            for value in arguments
        ]
        if any(isinstance(value, Many) for value in given):
            return None
        answers.append(apply(evaluator, function, given, dict(named)))
    return UNKNOWN if any(isinstance(answer, Mismatch) for answer in answers) else join(*answers)


_SAME = frozenset({
    "torch.nn.Parameter",
    "torch.nn.Buffer",
    "torch.nn.parameter.Parameter",
    "torch.nn.parameter.Buffer",
    "torch.compile",
    "torch.jit.script",
    "shapeguard.expect",
    "shapeguard.reveal_shape",
    "copy.copy",
    "copy.deepcopy",
    "typing.cast",
    "torch.nn.utils.weight_norm",
    "torch.nn.utils.remove_weight_norm",
    "torch.nn.utils.spectral_norm",
    "torch.nn.utils.parametrizations.weight_norm",
    "torch.nn.utils.parametrizations.spectral_norm",
    "torch.nn.utils.parametrizations.orthogonal",
})  # fmt: skip
_LAST = frozenset({"typing.cast"})


def _call_external(evaluator: Evaluator, name: str, arguments: list[Any], named: Scope) -> Any:  # noqa: PLR0911 - one case a kind of name
    if name in PYTHON:
        return PYTHON[name](*arguments, **named)
    if name == "shapeguard.expect" and len(arguments) > 1 and isinstance(arguments[1], str):
        return _expected(arguments[0], arguments[1])
    if name in _SAME:
        return arguments[-1 if name in _LAST else 0] if arguments else named.get("data", UNKNOWN)
    if name in _CONTAINERS:
        return _CONTAINERS[name](arguments)
    if name == "functools.partial" and arguments:
        first, *rest = arguments
        return Bound(UNKNOWN, lambda *more, **others: apply(evaluator, first, [*rest, *more], {**named, **others}))
    if name.endswith(".apply_chunking_to_forward") and len(arguments) > 3:  # noqa: PLR2004 - the function, two numbers, then its arguments
        return apply(evaluator, arguments[0], arguments[3:], {})
    if name == "torch.utils.checkpoint.checkpoint" and arguments:
        more = {key: value for key, value in named.items() if key not in ("use_reentrant", "preserve_rng_state")}
        return apply(evaluator, arguments[0], arguments[1:], more)
    operation = find(name)
    if operation is not None:
        return call_op(operation, arguments, named)
    result = hugging_face.function(name, arguments, named)
    # What becomes of a function that is handed to another isn't known.
    return OPAQUE if result is UNKNOWN and any(isinstance(value, Function) for value in arguments) else result


def _expected(value: Any, text: str) -> Any:
    """`expect(x, "b t d")`: what isn't known of a tensor is as it is expected to be."""
    try:
        shape = claimed_shape(parse(text))
    except AnnotationSyntaxError:
        return value
    known = value.shape.axes if isinstance(value, Tensor) else None
    dtype = value.dtype if isinstance(value, Tensor) else None
    if shape.axes is None or (known is not None and len(known) != len(shape.axes)):
        return value if isinstance(value, Tensor) else Tensor(Shape.unknown())
    if known is None:
        return Tensor(shape, dtype)
    return Tensor(Shape(tuple(b if a.size is None else a for a, b in zip(known, shape.axes, strict=True))), dtype)


def _sequential(modules: list[Any]) -> Any:
    if len(modules) == 1 and isinstance(modules[0], Dictionary):
        return Chain(tuple(value for _, value in modules[0].items))
    return Chain(tuple(modules))


def _list(given: list[Any]) -> Any:
    return given[0] if given and isinstance(given[0], tuple | Many) else () if not given else UNKNOWN


def _dictionary(given: list[Any]) -> Any:
    if not given:
        return Dictionary()
    return given[0] if isinstance(given[0], Dictionary) else Dictionary((), is_open=True)


_CONTAINERS: dict[str, Callable[[list[Any]], Any]] = {
    "torch.nn.Sequential": _sequential,
    "torch.nn.ModuleList": _list,
    "torch.nn.ParameterList": _list,
    "torch.nn.ModuleDict": _dictionary,
    "torch.nn.ParameterDict": _dictionary,
    "collections.OrderedDict": lambda given: _ordered(given[0]) if given else Dictionary(),
    "torch.Size": _list,
}


def _ordered(entries: Any) -> Any:
    if isinstance(entries, Dictionary):
        return entries
    if not isinstance(entries, tuple) or not all(isinstance(each, tuple) and len(each) == 2 for each in entries):  # noqa: PLR2004 - a key and a value
        return UNKNOWN
    return Dictionary().with_items(entries)
