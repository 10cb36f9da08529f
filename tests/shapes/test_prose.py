"""Shapes are read as people write them, and nothing else is taken for one."""

from __future__ import annotations

import pytest

from shapeguard.shapes.annotation import parse
from shapeguard.shapes.axis_words import read_axis
from shapeguard.shapes.dim import Dim
from shapeguard.shapes.docstring import docstring_shapes
from shapeguard.shapes.prose import comment_shape


@pytest.mark.parametrize(
    ("comment", "annotation"),
    [
        ("(B, T, C)", "B T C"),
        ("(b, t, c)", "b t c"),
        ("(B,)", "B"),
        ("[N]", "N"),
        ("[batch, seq]", "batch seq"),
        ("(batch_size, sequence_length, hidden_size)", "batch_size sequence_length hidden_size"),
        ("(batch size, seq-len)", "batch_size seq_len"),
        ("[B, t-1, H/4, 3D]", "B t-1 H//4 3*D"),
        ("[B, 1 + X, L * N]", "B 1+X L*N"),
        ("(N, K²)", "N K**2"),
        ("(B, -1, ?, D')", "B _ _ _"),
        ("(b, n+n', 1)", "b _ 1"),
        ("(B, len(x))", "B _"),
        ("(B=2, C, 3)", "2 C 3"),
        ("(..., T, d_model)", "... T d_model"),
        ("[*, N, C_s]", "... N C_s"),
        ("shape (*batch, 3)", "*batch 3"),
        ("[B K]", "B K"),
        ("[K, PH, IY]", "K PH IY"),
        ("(B, odim, Lmax)", "B odim Lmax"),
        ("(B*C, target_h, target_w)", "B*C target_h target_w"),
        ("(B, (H W), C)", "B H*W C"),
        ("B x T x C", "B T C"),
        ("B\u00d7T\u00d7C", "B T C"),
        ("Bx3xHxW", "B 3 H W"),
        ("bsz x seqlen x dim", "bsz seqlen dim"),
        ("batch_shape x q x d", "*batch_shape q d"),
        ("[bs x num_heads x 1]", "bs num_heads 1"),
        ("N,C,H,W", "N C H W"),
        ("shape: T, B, C", "T B C"),
        ("shape: (N, C, H, W)", "N C H W"),
        ("of shape `(2, 3)`", "2 3"),
        ("shape []", ""),
        ("torch.Size([2, 3])", "2 3"),
        ("float32[B, T]", "B T"),
        ("-> (B, T, C)", "B T C"),
        ("T x C -> C x T", "C T"),
        ("b c (h w) -> b (h w) c", "b h*w c"),
        ("(B, T, C), normalized over C", "B T C"),
        ("(batch_size, 1) or None", None),
        ("reshape to [batch_size, num_heads, seq_len]", "batch_size num_heads seq_len"),
        ("形状: (B, T, C)", "B T C"),
        ("输出 (B, T, C)", "B T C"),
        ("теперь форма (B, T)", "B T"),
    ],
)
def test_comment_shape_reads(comment, annotation):
    shape = comment_shape(comment)
    assert (None if shape is None else shape.annotation) == annotation


@pytest.mark.parametrize(
    "comment",
    [
        "(see above)",
        "(optional)",
        "(batch)",
        "(0, 1)",
        "(3, 3)",
        "[0, num_labels - 1]",
        "c is in [1, n_classes - 1]",
        "[CLS]",
        "two [SEP] tokens",
        "[1]",
        "(e.g., foo, bar)",
        "f(x, y)",
        "Autocorrelation(Q,K)",
        "x[B, T]",
        "torch.zeros((B, T))",
        "(x, y)",
        "(cx, cy, w, h)",
        "(h, w)",
        "image size (height, width)",
        "[p5, p4, p3, p2]",
        "(loss, logits)",
        "total size (base + added)",
        "patch size (`config.patch_size`)",
        "retries (2s, 4s, 8s, ...)",
        "H x1",
        "(counts, num_samples)",
        "(BxT)",
        "(batch, n, ...) -> n x [batch, ...]",
        "(n_cols, n_rows)",
        "(stride_h, stride_w)",
        '["B-LABEL", "I-LABEL"]',
        "one positive and 4 items of (bsz, dim)",
        "3 * [B, T]",
        "(S, D)' @ (S, V)",
        "[K P] [w] = [dst]",
        "sample_shape x batch_shape x q",
        "type: ignore[assignment]",
        "a -> b",
        "# noqa: E501",
    ],
)
def test_comment_shape_takes_nothing_else_for_a_shape(comment):
    assert comment_shape(comment) is None


@pytest.mark.parametrize(
    "comment",
    [
        "(B, T) or (T,)",
        "(B, T, C) if batched",
        "(B, N, C), (B, N)",
        "each (B, T)",
        "both [B*S, K]",
        "list of (B, T)",
        "broadcast [B, 1] over [B, V]",
        "expects (B, T, C)",
        "one channel as it reads a (B, H, W) mask next to an image",
    ],
)
def test_comment_shape_gives_up_on_several_shapes_conditions_and_other_things(comment):
    assert comment_shape(comment) is None


def test_the_last_shape_behind_an_arrow_is_the_value_and_the_others_are_kept():
    comment = " (B, nh, T, hs) x (B, nh, hs, T) -> (B, nh, T, T)"
    shape = comment_shape(comment)
    assert shape is not None
    assert shape.annotation == "B nh T T"
    assert [before.annotation for before in shape.before] == ["B nh T hs", "B nh hs T"]


@pytest.mark.parametrize(
    "comment", ["  q: (B, T)", "q has shape `[B, T, C]`;", "B x T", "a b -> b a", "shape: B, T, C"]
)
def test_the_span_is_that_of_the_text(comment):
    shape = comment_shape(comment)
    assert shape is not None
    assert comment[shape.start : shape.end] == shape.text


@pytest.mark.parametrize(
    ("comment", "subject"),
    [
        ("q: (B, T)", "q"),
        ("self.weight = (B, T)", "self.weight"),
        ("x.shape == (B, T)", "x"),
        ("x: tensor [B, T]", "x"),
        ("q has shape (B, T)", "q"),
        ("Shape: (B, T)", ""),
        ("of shape (B, T)", ""),
        ("(B, T)", ""),
    ],
)
def test_a_name_ahead_of_a_shape_is_its_subject(comment, subject):
    shape = comment_shape(comment)
    assert shape is not None
    assert shape.subject == subject


def test_sizes_stand_before_and_behind_a_variadic_axis():
    shape = comment_shape("(B, ..., 3*D, ?)")
    assert shape is not None
    assert shape.variadic == 1
    assert shape.prefix == (Dim("B"),)
    assert shape.suffix == (3 * Dim("D"), None)


def test_an_attribute_is_a_size():
    shape = comment_shape("(B, self.num_heads)")
    assert shape is not None
    assert shape.prefix == (Dim("B"), Dim("self.num_heads"))


@pytest.mark.parametrize(
    "item", ["C_in", r"C_{in}", r"C_{\text{in}}", "3*D", "2D", "H/4", "T-1", r"\frac{H}{2}", "*", "?", "n heads", "a.b"]
)
def test_every_axis_word_is_one_of_the_annotation_grammar(item):
    word = read_axis(item)
    assert word is not None
    assert len(parse(word).axes) == 1


@pytest.mark.parametrize("item", ["", "1e-5", "0.5", "-100", "see above", "the end", "a;b", "<s>"])
def test_what_can_be_no_size_is_no_axis(item):
    assert read_axis(item) is None


def annotations(text):
    return {name: shape.annotation for name, shape in docstring_shapes(text).items()}


def test_huggingface_docstring():
    text = """
        Args:
            input_ids (`torch.LongTensor` of shape `(batch_size, sequence_length)`, *optional*):
                Indices in `[0, ..., config.vocab_size - 1]`.

                See [`Tokenizer`] for (x, y).
            mask (`torch.Tensor`, *optional*, of shape `(batch_size,
                sequence_length)`):
                Values in `[0, 1]`.
            past (`tuple(torch.Tensor)` of shape `(batch_size, 1)`): Several.
            labels (`torch.Tensor` of shape `(batch_size,)` or `(batch_size, 1)`): Either.
            size (`tuple[int, int]`): The size (height, width).

        Returns:
            `torch.Tensor` of shape `(batch_size, hidden_size)`.
        """
    assert annotations(text) == {
        "input_ids": "batch_size sequence_length",
        "mask": "batch_size sequence_length",
        "return": "batch_size hidden_size",
    }


def test_google_docstring():
    text = """Mix.

    Args:
        x: (B, T, C) tensor.
        y (Tensor): Input of shape [B, T].
        z (Tensor[N, 4]): Boxes in (x1, y1, x2, y2) format.
        scale: A factor in (0, 1).

    Returns:
        Tensor: The result, with shape `(B, T, C)`.

    Example:
        w: (B, T)
    """
    assert annotations(text) == {"x": "B T C", "y": "B T", "z": "N 4", "return": "B T C"}


def test_numpy_docstring():
    text = """Mix.

    Parameters
    ----------
    x : ndarray, shape=(n, m)
        The values.
    y : torch.Tensor
        A tensor of shape [batch, time].

    Returns
    -------
    torch.Tensor
        Of shape (n,).

    Example
    -------
    z : torch.Tensor (batch, time)
    """
    assert annotations(text) == {"x": "n m", "y": "batch time", "return": "n"}


def test_sphinx_docstring():
    text = """Mix.

    :param x: input of shape (B, T)
    :param Tensor y: a factor
    :returns: a tensor of shape (B, T, C)
    """
    assert annotations(text) == {"x": "B T", "return": "B T C"}


def test_docstring_without_sections():
    assert annotations("x: (B, T, C)\n    y: float\n    Returns: (B, T)") == {"x": "B T C", "return": "B T"}


def test_mathematical_markup():
    assert annotations("Args:\n    x: images of shape :math:`(B, C_{in}, H, W)`.\n") == {"x": "B C_in H W"}


@pytest.mark.parametrize(
    "entry",
    [
        "x: (B, T) values, or (B, T, C) for many.",
        "x: a list of tensors of shape (B, T)",
        "x: has the same shape as y of shape (B, T)",
        "x: Original image dimensions (height, width).",
        "x: number of heads. The weight is of shape (H, 1, K)",
        "x: if batched, of shape (B, T)",
        "x: int, the last of the axes; input shape should be (B, T)",
        "x: Function mapping a mask of shape (B, T) to weights",
        "x: ``(n_cols, n_rows)``, as given by `y`",
    ],
)
def test_docstring_shapes_give_up_where_there_is_doubt(entry):
    assert annotations(f"Args:\n    {entry}\n    y: (B, T)\n") == {"y": "B T"}


def test_several_returned_values_have_no_one_shape():
    assert annotations("Returns:\n    loss: a scalar\n    logits: (B, T, V)\n") == {}


def test_docstring_span():
    text = "Args:\n    x: Input.\n        Its shape is (B,\n        T).\n"
    shape = docstring_shapes(text)["x"]
    assert text[shape.start : shape.end] == shape.text == "(B,\n        T)"
