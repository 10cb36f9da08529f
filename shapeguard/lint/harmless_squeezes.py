"""Where a squeeze without an axis does no harm: what isn't torch's, what is one example, where the rank is looked at."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from shapeguard.lint.reading import Reading, last_name, number
from shapeguard.lint.squeezing import Squeeze, is_one_number_a_row, source

_OTHER_LIBRARIES = frozenset(
    "numpy scipy pandas cv2 jax tensorflow sklearn skimage PIL cupy mxnet librosa".split()  # noqa: SIM905 - a list of so many words reads better so
)
_LEAVING_TORCH = frozenset(
    "numpy asarray to_numpy".split()  # noqa: SIM905 - a list of so many words reads better so
)
_SINGLE_WORDS = frozenset(
    "wav wave waveform audio speech spectrogram spec mel logmel signal sig snt sound pcm f0 voice vocoder"  # noqa: SIM905 - a list of so many words reads better so
    " image img pil canvas picture frame video depth map mask transform weight bias param kernel".split()
)
"""Parts of names of what comes one at a time, or is no data at all."""
_SHOWING = frozenset(
    "imshow plot scatter imsave imwrite save savefig add_image add_audio add_figure to_pil_image fromarray hist write"  # noqa: SIM905 - a list of so many words reads better so
    " show bar save_image".split()
)
_ONE_ELEMENT = frozenset(
    "rand randn zeros ones empty full".split()  # noqa: SIM905 - a list of so many words reads better so
)
_OF_ONE = re.compile(
    r"(\.shape\[0\]|\.size\(0\)|\.size\(\)\[0\]|batch_size|\bbsz?) *(==|<=?|>|!=) *[12]\b|\blen\(\w+\) *== *1\b"
)
"""A test for a batch of one."""
_RANK = re.compile(r"\.(dim\(\)|ndim\b|ndimension\(\))|len\([\w.]+\.(shape|size\(\))\)")


def is_harmless(file: Reading, squeeze: Squeeze) -> bool:
    """Whether the code around says that no axis of a batch is at stake, or is ready to lose it."""
    return (
        is_elsewhere(file, squeeze)
        or is_one_example(file, squeeze.value)
        or is_guarded(file, squeeze)
        or _is_of_one_element(file, squeeze.value)
        or _is_state(file, squeeze.value)
        or (_is_media(file, squeeze) and not is_one_number_a_row(file, squeeze.value))
        or _is_wrapper(file, squeeze.call)
    )


def is_elsewhere(file: Reading, squeeze: Squeeze) -> bool:
    """Whether what is squeezed is an array of another library."""
    if squeeze.is_function:
        return False
    for node in _behind(file, squeeze.value):
        match node:
            case ast.Call(func=ast.Attribute(attr=name)) if name in _LEAVING_TORCH:
                return True
            case ast.Call(func=func) if (file.full_name(func) or "").partition(".")[0] in _OTHER_LIBRARIES:
                return True
            case ast.Attribute(attr="values") if not isinstance(file.parent(node), ast.Call):
                return True
            case ast.Name(id=name):
                if set(name.lower().split("_")) & {"np", "numpy", "df"} or _is_annotated_as_array(file, node):
                    return True
    around = list(file.around(squeeze.call))
    calls = [each for each in around if isinstance(each, ast.Call)]
    if any((file.full_name(each.func) or "").partition(".")[0] in _OTHER_LIBRARIES for each in calls):
        return True
    tests = [file.text(each.test) for each in around if isinstance(each, ast.If | ast.IfExp)]
    return any("ndarray" in each or "numpy" in each for each in tests)


def _behind(file: Reading, value: ast.expr) -> Iterator[ast.expr]:
    """What a value is taken from: the owners of methods and attributes, and what names stand for."""
    node = value
    for _ in range(16):
        yield node
        match node:
            case ast.Call(func=ast.Attribute(value=inner)) | ast.Attribute(value=inner) | ast.Subscript(value=inner):
                node = inner
            case ast.BinOp(left=inner):
                node = inner
            case ast.Name():
                inner = file.origin(node)
                if inner is node:
                    return
                node = inner
            case _:
                return


def _is_annotated_as_array(file: Reading, name: ast.Name) -> bool:
    binding = file.definition(name)
    target = None if binding is None else binding.target
    annotation = target.annotation if isinstance(target, ast.arg) else None
    return annotation is not None and any(word in file.text(annotation) for word in ("ndarray", "NDArray", "np."))


def is_one_example(file: Reading, value: ast.expr) -> bool:
    """Whether a value is one example, with or without a batch's axis around it."""
    node = source(file, value)
    if isinstance(node, ast.Name):
        return _is_element(file, node)
    for each in _behind(file, node):
        match each:
            case ast.Subscript(slice=ast.Tuple(elts=[first, *_])) if number(first) is not None:
                return True
            case ast.Subscript(slice=ast.Name() as index) if _is_counter(file, index):
                return True
            case ast.Call(func=ast.Attribute(attr="unique" | "tokenize" | "from_numpy")):
                return True
            case ast.Call():
                given = [*each.args, *(keyword.value for keyword in each.keywords)]
                if any(_has_new_batch(file, one) for one in given):
                    return True
    return False


def _is_element(file: Reading, name: ast.Name) -> bool:
    """Whether a name is the variable of a loop over something else than batches."""
    binding = file.definition(name)
    if binding is None:
        return False
    statement = binding.statement
    if not isinstance(statement, ast.For | ast.comprehension):
        return False
    return not re.search(r"load|batch|dataset|\bdl\b|iterator", file.text(statement.iter).lower())


def _is_counter(file: Reading, index: ast.Name) -> bool:
    binding = file.definition(index)
    return binding is not None and isinstance(binding.statement, ast.For | ast.comprehension)


def _has_new_batch(file: Reading, node: ast.expr) -> bool:
    """Whether a batch of one is made on the spot, or one step before: `x.unsqueeze(0)`, `x[None]`, one string."""
    inner = node.value if isinstance(node, ast.Starred) else node
    for each in _behind(file, inner):
        match each:
            case ast.Call(func=ast.Attribute(attr="unsqueeze")):
                if number(file.given(each, 1, "dim")) == 0:
                    return True
            case ast.Call(func=func, args=[ast.List(elts=[_]), *_]) if last_name(func) in {"tensor", "Tensor"}:
                return True
            case ast.Call(func=func, args=[first, *_]) if "token" in last_name(func).lower() or _is_encoder(func):
                if isinstance(file.origin(first), ast.JoinedStr | ast.BinOp) or _is_text(file, first):
                    return True
            case ast.Subscript(slice=place):
                first = place.elts[0] if isinstance(place, ast.Tuple) and place.elts else place
                if isinstance(first, ast.Constant) and first.value is None:
                    return True
    return False


def _is_encoder(func: ast.expr) -> bool:
    return isinstance(func, ast.Attribute) and func.attr in {"encode", "encode_plus"}


def _is_text(file: Reading, node: ast.expr) -> bool:
    inner = file.origin(node)
    if isinstance(inner, ast.Constant):
        return isinstance(inner.value, str)
    if not isinstance(inner, ast.Name):
        return False
    binding = file.definition(inner)
    target = None if binding is None else binding.target
    if isinstance(target, ast.arg) and target.annotation is not None:
        return file.text(target.annotation) == "str"
    return inner.id.lower() in {"text", "sentence", "prompt", "query", "question", "string"}


def is_guarded(file: Reading, squeeze: Squeeze) -> bool:
    """Whether a test around a squeeze, or behind it in the same function, looks at a rank."""
    function = file.function(squeeze.call)
    for each in file.around(squeeze.call):
        if isinstance(each, ast.If | ast.IfExp | ast.While):
            text = file.text(each.test)
            if _RANK.search(text) or _OF_ONE.search(text):
                return True
        if each is function:
            break
    names = {each.id for each in ast.walk(squeeze.value) if isinstance(each, ast.Name)}
    statement = file.statement(squeeze.call)
    names |= {each.id for each in ast.walk(statement) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)}
    places: list[ast.If | ast.IfExp | ast.Assert] = [*file.all(ast.If), *file.all(ast.IfExp), *file.all(ast.Assert)]
    tests = [each.test for each in places]
    for test in tests:
        if file.function(test) is function and _OF_ONE.search(file.text(test)):
            return True
        near = names if file.function(test) is function else _lists_in(statement)
        if any(isinstance(each, ast.Name) and each.id in near for each in ast.walk(test)):
            text = file.text(test)
            if _RANK.search(text) or ".numel()" in text:
                return True
    return False


def _lists_in(statement: ast.stmt) -> set[str]:
    """The list into which a statement puts something."""
    match statement:
        case ast.AugAssign(target=ast.Name(id=name)):
            return {name}
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="append" | "extend"))):
            return {name}
    return set()


def _is_of_one_element(file: Reading, value: ast.expr) -> bool:
    """Whether it is a number in a tensor, or worked out of some."""
    for each in _behind(file, value):
        if not isinstance(each, ast.Call) or not each.args:
            continue
        if file.is_torch(each, *_ONE_ELEMENT):
            return len(each.args) == 1 and number(each.args[0]) == 1
        if file.is_torch(each, "tensor", "Tensor"):
            given = each.args[0]
            return isinstance(given, ast.Constant) or (isinstance(given, ast.List) and len(given.elts) == 1)
    return False


def _is_state(file: Reading, value: ast.expr) -> bool:
    """Whether it is a parameter or buffer: of self, or of a layer."""
    for each in _behind(file, source(file, value)):
        match each:
            case ast.Call() | ast.BinOp():
                return False
            case ast.Attribute(attr="weight" | "bias" | "data" | "gamma" | "beta"):
                return True
            case ast.Attribute(value=ast.Name(id="self")):
                return True
    return False


def _is_media(file: Reading, squeeze: Squeeze) -> bool:
    """Whether names tell of sound, pictures or weights, or it is shown or saved."""
    statement = file.statement(squeeze.call)
    function = file.function(squeeze.call)
    names = [each.id for each in ast.walk(squeeze.value) if isinstance(each, ast.Name)]
    names += [each.attr for each in ast.walk(squeeze.value) if isinstance(each, ast.Attribute)]
    if isinstance(statement, ast.Assign):
        names += [last_name(each) for each in statement.targets]
    if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
        names.append(function.name)
    if any(set(re.split(r"[_\d]+", name.lower())) & _SINGLE_WORDS for name in names):
        return True
    calls = [each for each in file.around(squeeze.call) if isinstance(each, ast.Call)]
    return any(last_name(each.func) in _SHOWING for each in calls)


def _is_wrapper(file: Reading, call: ast.Call) -> bool:
    """Whether it is another name of squeeze, or what is done where no axis was asked for."""
    function = file.function(call)
    if isinstance(function, ast.FunctionDef) and "squeeze" in function.name:
        return True
    tests = [each.test for each in file.around(call) if isinstance(each, ast.If | ast.IfExp)]
    return any(re.search(r"\b(dim|axis|keepdim|keepdims)\b", file.text(each)) for each in tests)
