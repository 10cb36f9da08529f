"""What a layer of torch makes of the form that it is given."""

from __future__ import annotations

import ast

from shapeguard.lint.axis_names import KEEPING_LAYERS
from shapeguard.lint.form import OPEN, Form, Part
from shapeguard.lint.layouts import layout_of
from shapeguard.lint.reading import Reading, argument, last_name, number

_KEEPING_AXES = KEEPING_LAYERS | frozenset(
    "BatchNorm3d InstanceNorm2d ReLU6 Mish SELU Hardtanh LogSigmoid Hardswish MaxPool2d AvgPool2d AdaptiveAvgPool2d"  # noqa: SIM905 - a list of so many words reads better so
    " AdaptiveMaxPool2d Upsample TransformerEncoder TransformerDecoder TransformerEncoderLayer TransformerDecoderLayer".split()
)
"""Layers that give as many axes as they take, some of other sizes."""
_CONVOLUTIONS = {"Conv1d": 1, "Conv2d": 2, "Conv3d": 3, "ConvTranspose1d": 1, "ConvTranspose2d": 2}
_LINEAR = {"Linear": 1, "LazyLinear": 0, "Bilinear": 2}
"""Layer -> the position of its `out_features`."""


def through(file: Reading, layer: ast.expr, given: Form) -> Form | None:
    """What a layer gives."""
    if not isinstance(layer, ast.Call) or not (file.full_name(layer.func) or "").startswith("torch.nn."):
        return None
    name = last_name(layer.func)
    if name == "Sequential":
        form: Form | None = given
        for each in layer.args:
            form = None if isinstance(each, ast.Starred) else through(file, file.origin(each), form or OPEN)
        return form
    if name in _LINEAR:
        last = _size(argument(layer, _LINEAR[name], "out_features"))
        return given.with_last(last) if given.parts else Form((last,), is_open=True)
    if name in _CONVOLUTIONS:
        over: Part = "time" if _CONVOLUTIONS[name] == 1 else "space"
        return Form(("batch", _size(argument(layer, 1, "out_channels")), *(over,) * _CONVOLUTIONS[name]))
    if name == "Embedding":
        return Form((*given.parts, "feature"), given.is_open)
    if name == "Flatten" and not layer.args and not layer.keywords:
        return Form(("batch", "feature"))
    return _kept(file, layer, name, given)


def _size(node: ast.expr | None) -> Part:
    size = number(node)
    return size if size is not None else "feature"


def _kept(file: Reading, layer: ast.Call, name: str, given: Form) -> Form | None:
    """What a layer gives that keeps the axes; some of them tell how many there are."""
    if name not in _KEEPING_AXES:
        return None
    if given.is_open and name.startswith("Transformer"):
        return laid_out(file, layer)
    if given.is_open and name == "BatchNorm1d" and given.parts:
        return Form(("batch", given.parts[-1]))
    return given


def laid_out(file: Reading, layer: ast.Call) -> Form | None:
    """What a layer takes and gives by its layout."""
    layout = layout_of(file, layer)
    return None if layout is None else Form(layout)
