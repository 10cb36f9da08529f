"""What a call in the code gives: what is called, with which values, and what that changes on the side."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from shapeguard.infer import changes, follow, hugging_face, silent
from shapeguard.infer.applying import apply
from shapeguard.infer.claims import with_defaults
from shapeguard.infer.values import (
    GROWS,
    Bound,
    Class,
    Dictionary,
    External,
    Function,
    Instance,
    Many,
    Scope,
    Symbol,
    certain,
)
from shapeguard.ops.values import UNKNOWN, Tensor
from shapeguard.shapes.dim import Dim
from shapeguard.shapes.shape import Shape

if TYPE_CHECKING:
    from shapeguard.infer.evaluator import Evaluator

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
    spreads = bool(node.args) and isinstance(node.args[0], ast.Starred)
    if spreads and arguments and isinstance(arguments[0], Many) and not isinstance(function, External):
        # Which parameters so many values go to can't be told.
        return UNKNOWN
    if isinstance(node.func, ast.Attribute) and node.func.attr in _FROM_CONFIG:
        owner = evaluator.value(node.func.value)
        if isinstance(owner, Class) and owner.find(node.func.attr) is None:
            # The base class, which isn't followed, makes an instance.
            return follow.instantiate(evaluator, owner, arguments, {})
    if (function is UNKNOWN or isinstance(function, Symbol)) and isinstance(node.func, ast.Attribute):
        result = _call_unknown(evaluator, node.func, arguments)
        silent.written(evaluator, node, result)
        return result
    if isinstance(function, External) and function.name in _TENSOR_CLASSES and _reads_sequence(node, arguments):
        return _tensor_of_sizes(node.args[0], arguments[0])
    evaluator.calling = node
    result = apply(evaluator, function, arguments, named)
    silent.written(evaluator, node, result)
    silent.called(evaluator, node, function, arguments, named, result)
    reads = isinstance(node.func, ast.Attribute) and node.func.attr in _READS
    if result is UNKNOWN and not reads and not evaluator.depth and not evaluator.aside:
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
    if not isinstance(name, str) or not name.isidentifier():
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
    evaluator.aside += 1
    owner = certain(evaluator.value(function.value))
    evaluator.aside -= 1
    if isinstance(function.value, ast.Name):
        evaluator.lengths.pop(function.value.id, None)
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
