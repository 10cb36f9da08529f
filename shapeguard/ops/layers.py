"""Layers that look at one axis or at none: Linear, Bilinear, Embedding, Dropout, Identity, Flatten, distances."""

# ruff: noqa: A002, A006, FBT002 - torch's names, defaults and parameters

from __future__ import annotations

from typing import Any

from shapeguard.ops.demands import (
    Demands,
    axes_of,
    dim_of,
    dtype_of,
    flag_of,
    int_of,
    is_floating,
    layer,
    parameter,
    parameter_dtype,
    sizes_of,
)
from shapeguard.ops.promotion import as_real
from shapeguard.ops.registry import module, op
from shapeguard.ops.values import UNKNOWN, UNKNOWN_TENSOR, Result, Tensor
from shapeguard.shapes import shape as shapes
from shapeguard.shapes.mismatch import AxisOutOfRange, DtypeMismatch, Mismatch
from shapeguard.shapes.shape import Axis, Shape


def floating(value: Any) -> str | None:
    """The dtype of a tensor that is one of fractions; None for others, on which most layers give up or promote."""
    dtype = dtype_of(value)
    return dtype if is_floating(dtype) else None


@op(
    "torch.nn.functional.linear",
    examples=(
        "f(t(2, 5, 3), t(4, 3))",
        "f(t(2, 3), t(4, 3), t(4))",
        "f(t(2, 3), t(3))",
        "f(t(2, 3), t(4, 3), bias=None)",
        "f(t(2, 3), t(3, 4))",
        "f(t(2, 3), t(4, 3), t(3))",
        "f(t(), t(4, 3))",
    ),
)
def linear(input: Any, weight: Any, bias: Any = None) -> Result:
    """A matrix over the last axis; a vector as the weight takes it away."""
    return _linear("linear", input, weight, bias)


def _linear(name: str, input: Any, weight: Any, bias: Any) -> Result:
    if not isinstance(input, Tensor):
        return UNKNOWN
    demands = Demands(name)
    axes = demands.rank(input, 1)
    matrix = demands.rank(weight, 1, 2, "weight")
    if matrix is not None:
        demands.axis(axes, -1, matrix[-1].size)
        if len(matrix) == 2 and isinstance(bias, Tensor):  # noqa: PLR2004 - a matrix
            demands.takes(shapes.broadcast(Shape((matrix[0],)), bias.shape))
    if axes is None:
        return demands.gives(None, floating(input))
    made: tuple[Axis | None, ...] = (None,) if matrix is None else matrix[:-1]
    return demands.gives((*axes[:-1], *made), floating(input))


@module(
    "torch.nn.Linear",
    examples=(
        "f(3, 4)(t(2, 3))",
        "f(3, 4, bias=False)(t(2, 5, 3))",
        "f(in_features=3, out_features=4)(t(3))",
        "f(3, 4, dtype=torch.float64)(t(2, 3, dtype=torch.float64))",
        "f(3, 4)(t(3, 2))",
        "f(3, 4)(t())",
    ),
)
def linear_layer(
    in_features: Any, out_features: Any, bias: Any = True, device: Any = None, dtype: Any = None
) -> Result:
    """(..., in_features) to (..., out_features)."""
    del device
    made = parameter_dtype(dtype)
    weight = parameter((dim_of(out_features), dim_of(in_features)), made)
    offset = parameter((dim_of(out_features),), made, present=flag_of(bias))
    return layer(
        lambda input: _linear("Linear", input, weight, offset),
        in_features=in_features,
        out_features=out_features,
        weight=weight,
        bias=offset,
    )


@module("torch.nn.LazyLinear", examples=("f(4)(t(2, 3))", "f(4, bias=False)(t(2, 5, 3))"))
def lazy_linear_layer(out_features: Any, *rest: Any, **named: Any) -> Result:
    """A Linear that takes what comes first."""
    return linear_layer(UNKNOWN, out_features, *rest, **named)


@op(
    "torch.nn.functional.bilinear",
    examples=(
        "f(t(2, 3), t(2, 4), t(5, 3, 4))",
        "f(t(2, 3), t(2, 4), t(5, 3, 4), t(5))",
        "f(t(2, 3), t(2, 3), t(5, 3, 4))",
    ),
)
def bilinear(input1: Any, input2: Any, weight: Any, bias: Any = None) -> Result:
    """Two last axes into one."""
    return _bilinear("bilinear", input1, input2, weight, bias)


def _bilinear(name: str, input1: Any, input2: Any, weight: Any, bias: Any = None) -> Result:
    if not isinstance(input1, Tensor):
        return UNKNOWN
    demands = Demands(name)
    left = demands.rank(input1, 1, name="input1")
    right = demands.rank(input2, 1, name="input2")
    cube = demands.rank(weight, 3, 3, "weight")
    if cube is not None:
        demands.axis(left, -1, cube[1].size, "input1")
        demands.axis(right, -1, cube[2].size, "input2")
        demands.shape(bias, cube[:1], "bias")
    if left is None:
        return demands.gives(None, floating(input1))
    if right is not None:
        demands.shape(input2, (*left[:-1], right[-1]), "input2", "`input1` has these axes before its last")
    return demands.gives((*left[:-1], None if cube is None else cube[0]), floating(input1))


@module(
    "torch.nn.Bilinear",
    examples=(
        "f(3, 4, 5)(t(2, 3), t(2, 4))",
        "f(3, 4, 5, bias=False)(t(6, 2, 3), t(6, 2, 4))",
        "f(3, 4, 5)(t(2, 3), t(2, 3))",
        "f(3, 4, 5)(t(2, 3), t(6, 4))",
    ),
)
def bilinear_layer(
    in1_features: Any, in2_features: Any, out_features: Any, bias: Any = True, device: Any = None, dtype: Any = None
) -> Result:
    """(..., in1_features) and (..., in2_features) to (..., out_features)."""
    del device
    made = parameter_dtype(dtype)
    weight = parameter(map(dim_of, (out_features, in1_features, in2_features)), made)
    return layer(
        lambda input1, input2: _bilinear("Bilinear", input1, input2, weight),
        in1_features=in1_features,
        in2_features=in2_features,
        out_features=out_features,
        weight=weight,
        bias=parameter((dim_of(out_features),), made, present=flag_of(bias)),
    )


@op(
    "torch.nn.functional.embedding",
    examples=(
        "f(t(2, 3, dtype=i64), t(10, 4))",
        "f(t(dtype=i64), t(10, 4), padding_idx=0)",
        "f(t(2, 3), t(10, 4))",
        "f(t(2, dtype=i64), t(10))",
    ),
)
def embedding(input: Any, weight: Any, *_: Any, **__: Any) -> Result:
    """A row of the table for each index."""
    return _embedding("embedding", input, weight)


def _embedding(name: str, input: Any, weight: Any) -> Result:
    demands = Demands(name)
    _demand_indices(demands, input)
    table = demands.rank(weight, 2, 2, "weight")
    axes = axes_of(input)
    row = None if table is None else table[1]
    return demands.gives(None if axes is None else (*axes, row), dtype_of(weight))


def _demand_indices(demands: Demands, input: Any) -> None:
    dtype = dtype_of(input)
    if dtype is not None and dtype not in ("int64", "int32"):
        demands.note(DtypeMismatch("input", dtype, "int64 or int32"))


@module(
    "torch.nn.Embedding",
    examples=(
        "f(10, 4)(t(2, 3, dtype=i64))",
        "f(10, 4, padding_idx=0)(t(dtype=i64))",
        "f(10, 4, dtype=torch.bfloat16)(t(2, dtype=torch.int32))",
        "f(10, 4)(t(2, 3))",
    ),
)
def embedding_layer(num_embeddings: Any, embedding_dim: Any, padding_idx: Any = None, *_: Any, **named: Any) -> Result:
    """(...) of indices to (..., embedding_dim)."""
    weight = parameter((dim_of(num_embeddings), dim_of(embedding_dim)), parameter_dtype(named.get("dtype")))
    return layer(
        lambda input: _embedding("Embedding", input, weight),
        num_embeddings=num_embeddings,
        embedding_dim=embedding_dim,
        padding_idx=padding_idx,
        weight=weight,
    )


@module(
    "torch.nn.Embedding.from_pretrained",
    examples=("f(t(10, 4))(t(2, 3, dtype=i64))", "f(t(10, 4), freeze=False)(t(2, 3, dtype=i64))"),
)
def pretrained_embedding_layer(embeddings: Any, *_: Any, **__: Any) -> Result:
    """An Embedding around a table that is there already."""
    rows, columns = sizes_of(axes_of(embeddings) or (None, None))[:2]
    weight = embeddings if isinstance(embeddings, Tensor) else UNKNOWN_TENSOR
    return layer(
        lambda input: _embedding("Embedding", input, weight),
        num_embeddings=UNKNOWN if rows is None else rows,
        embedding_dim=UNKNOWN if columns is None else columns,
        weight=weight,
    )


@op(
    "torch.nn.functional.embedding_bag",
    examples=(
        "f(t(2, 3, dtype=i64), t(10, 4))",
        "f(t(7, dtype=i64), t(10, 4), t(2, dtype=i64))",
        "f(t(7, dtype=i64), t(10, 4), t(3, dtype=i64), include_last_offset=True)",
        "f(t(2, 3, 5, dtype=i64), t(10, 4))",
        "f(t(7, dtype=i64), t(10, 4))",
    ),
)
def embedding_bag(
    input: Any, weight: Any, offsets: Any = None, *_: Any, include_last_offset: Any = False, **__: Any
) -> Result:
    """One sum, mean or maximum of rows for each bag."""
    if is_floating(dtype_of(input)) and is_floating(dtype_of(weight)) is False:
        # An old order of the arguments, of which torch only warns.
        return _embedding_bag("embedding_bag", weight, input, offsets, include_last_offset)
    return _embedding_bag("embedding_bag", input, weight, offsets, include_last_offset)


def _embedding_bag(name: str, input: Any, weight: Any, offsets: Any, include_last_offset: Any) -> Result:
    demands = Demands(name)
    _demand_indices(demands, input)
    axes = demands.rank(input, 1, 2)
    table = demands.rank(weight, 2, 2, "weight")
    bags = None if axes is None else axes[0].size
    if axes is not None and len(axes) == 1:
        if offsets is None:
            demands.refuse("takes `offsets` where its input has 1 axis")
        starts = demands.rank(offsets, 1, 1, "offsets")
        bags = None if starts is None else starts[0].size
        last = flag_of(include_last_offset)
        bags = None if bags is None or last is None else bags - last
    return demands.gives((bags, None if table is None else table[1]), dtype_of(weight))


@module(
    "torch.nn.EmbeddingBag",
    examples=(
        "f(10, 4)(t(2, 3, dtype=i64))",
        "f(10, 4, mode='sum')(t(7, dtype=i64), t(2, dtype=i64))",
        "f(10, 4)(t(2, 3))",
    ),
)
def embedding_bag_layer(num_embeddings: Any, embedding_dim: Any, *_: Any, **named: Any) -> Result:
    """Bags of indices to (bags, embedding_dim)."""
    weight = parameter((dim_of(num_embeddings), dim_of(embedding_dim)), parameter_dtype(named.get("dtype")))
    last = named.get("include_last_offset", False)

    def forward(input: Any, offsets: Any = None, per_sample_weights: Any = None) -> Result:
        del per_sample_weights
        return _embedding_bag("EmbeddingBag", input, weight, offsets, last)

    return layer(forward, num_embeddings=num_embeddings, embedding_dim=embedding_dim, weight=weight)


@op(
    *(f"torch.nn.functional.{name}" for name in ("dropout", "dropout1d", "alpha_dropout", "feature_alpha_dropout")),
    examples=("f(t(2, 3, 4), 0.1, True)", "f(t(2, 3, 4), p=0.5, training=False)"),
)
@op("torch.nn.functional.dropout2d", examples=("f(t(2, 3, 4, 4), 0.1, True)",))
@op("torch.nn.functional.dropout3d", examples=("f(t(2, 3, 4, 4, 4), 0.1, True)",))
def dropout(input: Any, *_: Any, **__: Any) -> Result:
    """The same shape."""
    return Tensor(Shape(input.shape.axes), input.dtype) if isinstance(input, Tensor) else UNKNOWN


@module(
    *(f"torch.nn.{name}" for name in ("Dropout", "Dropout1d", "AlphaDropout", "FeatureAlphaDropout")),
    examples=("f(0.1)(t(2, 3, 4))", "f()(t(2, 3, 4))"),
)
@module("torch.nn.Dropout2d", examples=("f(0.1)(t(2, 3, 4, 4))",))
@module("torch.nn.Dropout3d", examples=("f(0.1)(t(2, 3, 4, 4, 4))",))
def dropout_layer(*_: Any, **__: Any) -> Result:
    """The same shape."""
    return layer(dropout)


@module("torch.nn.Identity", examples=("f()(t(2, 3))", "f(54, unused=0.1)(t(2, 3, dtype=i64))", "f()(3)"))
def identity_layer(*_: Any, **__: Any) -> Result:
    """Whatever comes in."""
    return layer(lambda input: input)


@module(
    "torch.nn.Flatten",
    examples=("f()(t(2, 3, 4))", "f(0)(t(2, 3, 4))", "f(1, 2)(t(2, 3, 4, 5))", "f()(t(2))", "f(2, 1)(t(2, 3, 4))"),
)
def flatten_layer(start_dim: Any = 1, end_dim: Any = -1) -> Result:
    """Neighbouring axes joined to one."""
    start, end = int_of(start_dim), int_of(end_dim)

    def forward(input: Any) -> Result:
        if not isinstance(input, Tensor):
            return UNKNOWN
        if start is None or end is None:
            return Tensor(Shape.unknown(), input.dtype)
        flat = shapes.flatten(input.shape, start, end)
        return flat if isinstance(flat, Mismatch) else Tensor(flat, input.dtype)

    return layer(forward, start_dim=start_dim, end_dim=end_dim)


@module(
    "torch.nn.Unflatten",
    examples=(
        "f(1, (3, 4))(t(2, 12))",
        "f(-1, (3, -1))(t(2, 12))",
        "f(0, (2, 2, 3))(t(12, 5))",
        "f(1, (3, 5))(t(2, 12))",
        "f(2, (3, 4))(t(2, 12))",
    ),
)
def unflatten_layer(dim: Any, unflattened_size: Any) -> Result:
    """One axis split into neighbours."""

    def forward(input: Any) -> Result:
        demands = Demands("Unflatten")
        axes = axes_of(input)
        position = None if axes is None else demands.position(dim, len(axes))
        if not axes and position is not None:
            demands.note(AxisOutOfRange(position, 0))
        if not axes or position is None or not isinstance(unflattened_size, tuple):
            return demands.gives(None, dtype_of(input))
        split = demands.takes(shapes.reshape(Shape((axes[position],)), list(map(dim_of, unflattened_size))))
        return demands.gives((*axes[:position], *(split or ()), *axes[position + 1 :]), dtype_of(input))

    return layer(forward, dim=dim, unflattened_size=unflattened_size)


@op(
    "torch.nn.functional.cosine_similarity",
    examples=(
        "f(t(2, 3), t(2, 3))",
        "f(t(2, 1, 3), t(5, 3), dim=-1)",
        "f(t(2, 3), t(2, 3), 0)",
        "f(t(2, 3), t(2, 4))",
        "f(t(2, 3), t(2, 3), dim=2)",
    ),
)
def cosine_similarity(x1: Any, x2: Any, dim: Any = 1, eps: Any = 1e-8) -> Result:
    """One number in place of an axis of two tensors."""
    del eps
    if not isinstance(x1, Tensor) or not isinstance(x2, Tensor):
        return UNKNOWN
    demands = Demands("cosine_similarity")
    axes = demands.takes(shapes.broadcast(x1.shape, x2.shape))
    position = None if axes is None else demands.position(dim, len(axes))
    gone = None if axes is None or position is None else (*axes[:position], *axes[position + 1 :])
    return demands.gives(gone, floating(x1))


@module(
    "torch.nn.CosineSimilarity",
    examples=("f()(t(2, 3), t(2, 3))", "f(dim=-1)(t(2, 4, 3), t(2, 4, 3))", "f()(t(2, 3), t(2, 4))"),
)
def cosine_similarity_layer(dim: Any = 1, eps: Any = 1e-8) -> Result:
    """One number in place of an axis of two tensors."""
    return layer(lambda x1, x2: cosine_similarity(x1, x2, dim), dim=dim, eps=eps)


@op(
    "torch.nn.functional.pairwise_distance",
    examples=("f(t(2, 3), t(2, 3))", "f(t(2, 3), t(2, 3), keepdim=True)", "f(t(2, 5, 3), t(3))", "f(t(2, 3), t(2, 4))"),
)
def pairwise_distance(x1: Any, x2: Any, p: Any = 2.0, eps: Any = 1e-6, keepdim: Any = False) -> Result:
    """One number in place of the last axis of two tensors."""
    del p, eps
    if not isinstance(x1, Tensor) or not isinstance(x2, Tensor):
        return UNKNOWN
    demands = Demands("pairwise_distance")
    axes = demands.takes(shapes.broadcast(x1.shape, x2.shape))
    kept = flag_of(keepdim)
    if axes is not None and not axes:
        demands.note(AxisOutOfRange(-1, 0))
    if not axes or kept is None:
        return demands.gives(None, as_real(floating(x1)))
    return demands.gives((*axes[:-1], 1) if kept else axes[:-1], as_real(floating(x1)))


@module("torch.nn.PairwiseDistance", examples=("f()(t(2, 3), t(2, 3))", "f(keepdim=True)(t(2, 3), t(2, 3))"))
def pairwise_distance_layer(p: Any = 2.0, eps: Any = 1e-6, keepdim: Any = False) -> Result:
    """One number in place of the last axis of two tensors."""
    return layer(lambda x1, x2: pairwise_distance(x1, x2, p, eps, keepdim))
