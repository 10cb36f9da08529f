"""What layers do to sizes that are names: the shape that follows, a mismatch, or a doubt."""

import pytest

from shapeguard.ops.registry import find
from shapeguard.ops.values import UNKNOWN, Module, Tensor
from shapeguard.shapes.dim import Dim
from shapeguard.shapes.expression import parse_dim
from shapeguard.shapes.mismatch import Mismatch
from shapeguard.shapes.shape import Shape


def value(entry):
    """ "b t d" is a tensor, "@d" a size, "=same" a string, "?" an unknown value; the rest as the interpreter gives it."""
    if isinstance(entry, str):
        if entry == "?":
            return UNKNOWN
        if entry.startswith("="):
            return entry[1:]
        if entry.startswith("@"):
            return parse_dim(entry[1:])
        words = entry.removeprefix("i64 ").split()
        dtype = "int64" if entry.startswith("i64 ") else "float32"
        return Tensor(Shape.of(*(None if word == "_" else parse_dim(word) for word in words)), dtype)
    if isinstance(entry, dict):
        return {name: value(item) for name, item in entry.items()}
    if isinstance(entry, tuple):
        return tuple(map(value, entry))
    return Dim(entry) if isinstance(entry, int) and not isinstance(entry, bool) else entry


def call(name, *groups):
    """Call what stands under a name, and what that gives, with one group of arguments each."""
    result = None
    for position, group in enumerate(groups):
        function = result.forward if isinstance(result, Module) else find(f"torch.nn.{name}")
        named = group[-1] if group and isinstance(group[-1], dict) else {}
        result = function(*map(value, group[: len(group) - bool(named)]), **value(named))
        if isinstance(result, Mismatch):
            assert position == len(groups) - 1
    return result


def text(result):
    """Shapes as one line, a mismatch as its sentence, a doubt after a question mark."""
    if isinstance(result, Mismatch):
        return result.sentence()
    if isinstance(result, tuple):
        return "; ".join(map(text, result))
    if not isinstance(result, Tensor):
        return repr(result)
    doubt = result.shape.doubt
    return str(result.shape) + (f" ? {doubt.sentence()}" if doubt else "")


CASES = [
    ("Linear", [("@d", "@3*d"), ("b t d",)], "(b, t, 3*d)"),
    ("Linear", [(16, 4), ("b t 3*d",)], "`Linear` expects 16 in its last axis and gets 3*d"),
    ("Linear", [("@d", 4), ("b t d+1",)], "`Linear` expects d in its last axis and gets d+1"),
    ("Linear", [("@d", 4), ("b t e",)], "(b, t, 4) ? `Linear` expects d in its last axis and gets e"),
    ("Linear", [("?", 4), ("b t e",)], "(b, t, 4)"),
    ("Linear", [("@d", "?"), ("b _ d",)], "(b, ?, ?)"),
    ("Linear", [("@d", 4, {"out": 1})], "UNKNOWN"),
    ("functional.linear", [("b t d", "?")], "(b, t, ?)"),
    ("functional.linear", [("b t d", "v d")], "(b, t, v)"),
    ("Embedding", [("@v", "@d"), ("?",)], "(...)"),
    ("functional.embedding", [("?", "v d")], "(...)"),
    ("Dropout", [(0.1,), ("b t d",)], "(b, t, d)"),
    ("Identity", [(), ("?",)], "UNKNOWN"),
    ("Flatten", [(), ("b c h w",)], "(b, c*h*w)"),
    ("Unflatten", [(-1, ("@h", -1)), ("b t h*d",)], "(b, t, h, d)"),
    ("LayerNorm", [("@d",), ("b t 4*d+1",)], "`LayerNorm` expects d in its last axis and gets 4*d+1"),
    ("LayerNorm", [(("@c", "@d"),), ("b c d",)], "(b, c, d)"),
    ("LayerNorm", [("?",), ("b c d",)], "(b, c, d)"),
    ("RMSNorm", [("@d",), ("b t d",)], "(b, t, d)"),
    ("BatchNorm2d", [("@c",), ("b c h w",)], "(b, c, h, w)"),
    ("BatchNorm2d", [("@c",), ("b c t",)], "`BatchNorm2d` takes 4 axes in `input`, and (b, c, t) has 3"),
    ("GroupNorm", [(32, "@32*c"), ("b 32*c h w",)], "(b, 32*c, h, w)"),
    ("GroupNorm", [(32, "@c"), ("b c h w",)], "(b, c, h, w)"),
    ("GroupNorm", [(4, 6)], "`GroupNorm` divides num_channels by 4, and 6 is no multiple of it"),
    ("functional.softmax", [("b h t t", {"dim": 4})], "axis 4 does not exist: there are 4 axes (0 to 3)"),
    ("functional.softmax", [("b h t t", {"dim": "?"})], "(b, h, t, t)"),
    ("functional.glu", [("b 2*d t", 1)], "(b, d, t)"),
    ("functional.glu", [("b 2*d+1 t", 1)], "`glu` divides axis 1 by 2, and 2*d+1 is no multiple of it"),
    ("functional.pad", [("b t d", (0, 0, "@k-1", 0))], "(b, k+t-1, d)"),
    ("functional.pad", [("b t d", "?")], "(?, ?, ?)"),
    ("functional.interpolate", [("b c h w", {"scale_factor": 2.0})], "(b, c, 2*h, 2*w)"),
    ("functional.interpolate", [("b c h w", {"scale_factor": 0.5})], "(b, c, h//2, w//2)"),
    ("functional.interpolate", [("b c h w", {"size": ("@p", "@q")})], "(b, c, p, q)"),
    ("functional.interpolate", [("b c h w", {"size": "?"})], "(b, c, ?, ?)"),
    ("PixelShuffle", [("@r",), ("b c*r**2 h w",)], "(b, c, h*r, r*w)"),
    ("PixelUnshuffle", [(2,), ("b c 2*h 2*w",)], "(b, 4*c, h, w)"),
    (
        "functional.unfold",
        [
            ("b c 8 8", 2),
        ],
        "(b, 4*c, 49)",
    ),
    ("Conv1d", [("@c", "@o", "@k"), ("b c t",)], "(b, o, t-k+1)"),
    ("Conv1d", [("@c", "@o", "@k", {"padding": "@k//2"}), ("c t",)], "(o, 2*(k//2)-k+t+1)"),
    ("Conv2d", [(3, "@d", "@p", "@p"), ("b 3 h w",)], "(b, d, h//p, w//p)"),
    ("Conv2d", [(3, 8, 3, 2, 1), ("b 3 h w",)], "(b, 8, (h+1)//2, (w+1)//2)"),
    ("Conv2d", [(3, 8, "@k", "@s", "@p"), ("b 3 h w",)], "(b, 8, (h-k+2*p)//s+1, (2*p-k+w)//s+1)"),
    ("Conv2d", [(3, 8, 3, {"padding": "=same"}), ("b 3 h w",)], "(b, 8, h, w)"),
    ("Conv2d", [(3, 8, 3, {"padding": 1}), ("b h w 3",)], "(b, 8, w, 3) ? `Conv2d` expects 3 in axis 1 and gets h"),
    ("Conv2d", [("@c", 8, 3), ("b 2*c+1 h w",)], "`Conv2d` expects c in axis 1 and gets 2*c+1"),
    ("Conv2d", [("@c", 8, 3), ("b c 2 w",)], "`Conv2d` expects at least 3 in axis 2 and gets 2"),
    ("Conv2d", [(3, 8, "?", "?"), ("b 3 h w",)], "(b, 8, ?, ?)"),
    ("functional.conv2d", [("b c h w", "o c 3 3", None, "?")], "(b, o, ?, ?)"),
    ("ConvTranspose2d", [("@c", "@o", 2, 2), ("b c h w",)], "(b, o, 2*h, 2*w)"),
    ("ConvTranspose2d", [("@c", "@o", 4, 2, 1), ("b c h w",)], "(b, o, 2*h, 2*w)"),
    ("MaxPool2d", [(2,), ("b c h w",)], "(b, c, h//2, w//2)"),
    ("MaxPool2d", [(2, {"ceil_mode": True}), ("b c h w",)], "(b, c, (h+1)//2, (w+1)//2)"),
    ("MaxPool2d", [(2, {"return_indices": "?"}), ("b c h w",)], "UNKNOWN"),
    ("AvgPool1d", [("@k",), ("b c k*t",)], "(b, c, t)"),
    ("AdaptiveAvgPool2d", [((1, None),), ("b c h w",)], "(b, c, 1, w)"),
    ("AdaptiveAvgPool2d", [("?",), ("b c h w",)], "(b, c, ?, ?)"),
    ("GRU", [("@d", "@h"), ("t b d",)], "(t, b, h); (1, b, h)"),
    (
        "LSTM",
        [("@d", "@h", "@n", {"batch_first": True, "bidirectional": True}), ("b t d",)],
        "(b, t, 2*h); (2*n, b, h); (2*n, b, h)",
    ),
    ("LSTM", [("@d", "@h", {"batch_first": "?"}), ("b t d",)], "(b, t, h); (1, ?, h); (1, ?, h)"),
    ("LSTM", [("@d", "@h"), ("?",)], "UNKNOWN; (...); (...)"),
    ("GRU", [("@d", "@h"), ("t b d", "1 b+1 h")], "`GRU` takes `h_0` (1, b, h), and it is (1, b+1, h)"),
    ("GRUCell", [("@d", "@h"), ("b d", "b h")], "(b, h)"),
    (
        "MultiheadAttention",
        [("@d", "@h", {"batch_first": True}), ("b t d", "b s d", "b s d")],
        "(b, t, d); (b, t, s)",
    ),
    (
        "MultiheadAttention",
        [("@d", 8), ("t b d", "s b d", "s+1 b d")],
        "`MultiheadAttention` takes `value` (s, b, d), as there is one for each `key`, and it is (s+1, b, d)",
    ),
    (
        "functional.scaled_dot_product_attention",
        [("b h t d", "b h s d", "b h s e")],
        "(b, h, t, e)",
    ),
    (
        "functional.scaled_dot_product_attention",
        [("b h t d", "b h s d+1", "b h s d")],
        "`scaled_dot_product_attention` expects d in the last axis of `key` and gets d+1",
    ),
    ("TransformerEncoderLayer", [("@d", 8), ("t b d",)], "(t, b, d)"),
    ("functional.cross_entropy", [("b v t", "i64 b t")], "()"),
    (
        "functional.cross_entropy",
        [("b 5 7", "i64 b 5")],
        "`cross_entropy` takes `target` (b, 7), as the classes are axis 1 of `input` (b, 5, 7), and it is (b, 5)",
    ),
    ("functional.cross_entropy", [("?", "?")], "()"),
    ("functional.cross_entropy", [("?", "?", {"reduction": "?"})], "(...)"),
    ("CrossEntropyLoss", [({"reduction": "=none", "weight": "v"},), ("b v t", "i64 b t")], "(b, t)"),
    ("functional.mse_loss", [("b 1", "b")], "() ? `mse_loss` takes `target` (b, 1), and it is (b,)"),
    (
        "functional.mse_loss",
        [
            ("b d", "b d"),
        ],
        "()",
    ),
    ("GaussianNLLLoss", [({"reduction": "=none"},), ("b d", "b d", "b 1")], "(b, d)"),
]


@pytest.mark.parametrize(("name", "groups", "expected"), CASES)
def test_sizes_that_are_names(name, groups, expected):
    assert text(call(name, *groups)) == expected
