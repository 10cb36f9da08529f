"""What comments and docstrings say of shapes, held to the code beside them."""

import textwrap

import pytest

from shapeguard.infer.interpreter import analyse
from shapeguard.source.file import Source

HEAD = "import torch\nfrom torch import Tensor, nn\nfrom jaxtyping import Float\n\n\n"


def findings(code):
    source = Source("net.py", HEAD + textwrap.dedent(code))
    return source, [each for each in analyse(source).diagnostics if each.name.endswith("-drift")]


def only(code, *, name):
    """The one finding, and the claim that it is about as its fix would write it."""
    source, found = findings(code)
    assert [each.name for each in found] == [name]
    fix = found[0].fix
    if fix is None:
        return found[0], None
    assert fix.applicability == "unsafe"
    (edit,) = fix.edits
    lines = list(source.lines)
    line = lines[edit.span.line - 1]
    lines[edit.span.line - 1] = line[: edit.span.column - 1] + edit.text + line[edit.span.end_column - 1 :]
    again = [each.span.line for each in findings("\n".join(lines).removeprefix(HEAD))[1]]
    assert found[0].span.line not in again, "a claim that was put right is put in question again"
    return found[0], edit.text


@pytest.mark.parametrize(
    ("line", "message", "fixed"),
    [
        ("y = x.transpose(1, 2)  # (b, t, d)", "`y` is (b, d, t), the comment says (b, t, d)", "(b, d, t)"),
        ("y = x.mean(1)  # [b, t, d]", "`y` has 2 axes, the comment says 3: [b, t, d]", "[b, d]"),
        ("y = x.mean(1)  # shape: (B, T, D)", "`y` has 2 axes, the comment says 3: (B, T, D)", None),
        ("y = x[:, :-1]  # (b, t, d)", "axis 1 of `y` is t-1, the comment says t: (b, t, d)", "(b, t-1, d)"),
        (
            "y = x.view(b, t, 4, -1)  # b x t x 3 x s",
            "axis 2 of `y` is 4, the comment says 3: b x t x 3 x s",
            "b x t x 4 x s",
        ),
        ("y = x.new_zeros(b, 1, 4, 4)  # Bx1x3x3", "axis 2 of `y` is 4, the comment says 3: Bx1x3x3", "Bx1x4x4"),
        ("y = x.mean()  # (b, t)", "`y` has 0 axes, the comment says 2: (b, t)", "()"),
        ("return x.flatten(1)  # (b, t, d)", "what is returned has 2 axes, the comment says 3: (b, t, d)", "(b, t*d)"),
        ("y = x[:, 0]  # (..., b, t, d)", "`y` has 2 axes, the comment says at least 3: (..., b, t, d)", None),
        ("y = torch.cat([\nx, x\n], -1)  # (b, t)", "`y` has 3 axes, the comment says 2: (b, t)", "(b, t, 2*d)"),
        ("y = x.sum(2)  # (b, t, d) -> (b, t)", None, None),
    ],
)
def test_comment_that_the_code_contradicts(line, message, fixed):
    body = textwrap.indent(line, "    ")
    code = f"def f(x):\n    b, t, d = x.shape\n{body}\n"
    if message is None:
        assert not findings(code)[1]
        return
    found, text = only(code, name="comment-drift")
    assert found.message == message
    assert text == fixed


@pytest.mark.parametrize(
    "line",
    [
        "y = x.transpose(1, 2)  # (b, d, t)",
        "y = x.transpose(1, 2)  # (batch, channels, time)",  # names that the code doesn't know
        "y = x.transpose(1, 2)  # (B, D, T)",
        "y = x.transpose(1, 2)  # was (b, t, d)",
        "y = x.transpose(1, 2)  # (b, t, d) before",
        "y = x.transpose(1, 2)  # z: (b, t, d)",  # of something else
        "y = x.transpose(1, 2)  # each (t, d)",
        "y = x[0]  # list of (b, t, d)",
        "y = x.mean(-1)  # (b, t) or (b, t, 1)",
        "y = x.mean(-1)  # (mean, std, count)",
        "y = x.mean(-1)  # see f(b, t, d)",
        "y = x.mean(-1)  # (..., t)",
        "y = x.view(b * t, d)  # (BxT)",
        "y = x.mean(-1)  # [BATCHxTIME]",
        "y = x.mean()  # [1]",  # so people say of a number
        "y = x.view(b, t, 8, -1)  # (b, t, heads, d // heads)",
        "y = x.view(b, t, 8, -1)  # (2, 16, 8, 64)",  # names may be these numbers
        "y, z = x.max(1)  # (b, t, d)",
        "y = [x, x.mean(1)]  # (b, t, d)",
        "y = unknown(x)  # (b, t)",
        "# y = x.mean(1)  # (b, t, d)",
        "y = torch.cat([\n    x, x[:, :1],  # (b, 1)\n], 1)",
        "y = torch.stack(  # (b, t, d)\n    [x, x],\n)",
    ],
)
def test_comment_that_may_be_right(line):
    body = textwrap.indent(line, "    ")
    assert not findings(f"def f(x):\n    b, t, d = x.shape\n{body}\n    return x\n")[1]


def test_names_that_were_given_another_value_prove_nothing():
    code = """
        def f(x):
            b, t, d = x.shape
            t = t // 2
            y = x.view(b, t, 2 * d)  # (b, t, 2*d)
            z = x.transpose(1, 2)  # (b, d, t)
            return y, z
        """
    assert not findings(code)[1]


def test_annotations_are_facts_too():
    code = """
        def f(x: Float[Tensor, "b t d"]):
            y = x.sum(-1)  # (b, d)
            return y
        """
    assert not findings(code)[1], "d isn't a name of the body, and may be its word for t"
    found, text = only(code.replace("(b, d)", "(t, b)"), name="comment-drift")
    assert found.message == "`y` is (b, t), the comment says (t, b)"
    assert text == "(b, t)"


def test_comments_are_held_to_each_other_in_preview():
    code = """
        def f(net, x):
            y = net(x)  # (B, T, C)
            y = y.transpose(1, 2)  # (B, T, C)
            return y
        """
    found, text = only(code, name="comment-drift")
    assert (found.span.line, found.preview, text) == (9, True, "(B, C, T)")
    assert not findings(code.replace("2)  # (B, T, C)", "2)  # (B, C, T)"))[1]


def test_comment_alone_proves_nothing_to_others():
    code = """
        def f(net, x):
            y = net(x)  # (B, T, C)
            return y.permute(0, 1)
        """
    assert not analyse(Source("net.py", HEAD + textwrap.dedent(code))).diagnostics


DOCUMENTED = '''
    def f(x, mask=None):
        """Pool.

        Args:
            x (torch.Tensor): features of shape {x}.
            mask: tensor of shape (batch, seq), optional.

        Returns:
            torch.Tensor: of shape {result}.
        """
        {body}
    '''


def documented(body, *, x="(batch, seq, dim)", result="(batch, dim)"):
    return textwrap.dedent(DOCUMENTED).format(x=x, result=result, body=body.replace("\n", "\n    "))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("b, t, d = x.shape", "`x` has to have 3 axes, the docstring says 2: (batch, dim)"),
        ("y = x.permute(0, 2, 1)", "`x` has to have 3 axes, the docstring says 2: (batch, dim)"),
        ("y = torch.relu(x)\nb, t, d = y.size()", "`x` has to have 3 axes, the docstring says 2: (batch, dim)"),
        ("y = x[:, :, 0]", "`x` has to have 3 or more axes, the docstring says 2: (batch, dim)"),
        ("if x.dim() != 4:\n    raise ValueError", "`x` has to have 4 axes, the docstring says 2: (batch, dim)"),
        ("assert x.ndim == 3", "`x` has to have 3 axes, the docstring says 2: (batch, dim)"),
        ("if mask is None:\n    raise ValueError\ny = x.size(2)", "`x` has to have 3 or more axes, the docstring says 2: (batch, dim)"),
    ],
)  # fmt: skip
def test_docstring_for_which_the_function_fails(body, message):
    found, text = only(documented(body, x="(batch, dim)"), name="docstring-drift")
    assert (found.message, text) == (message, None)
    assert found.span.line == HEAD.count("\n") + 6
    assert found.notes[0].startswith("line ")


@pytest.mark.parametrize(
    "body",
    [
        "if x.dim() == 2:\n    x = x.unsqueeze(1)\nb, t, d = x.shape",
        "if mask is not None:\n    b, t, d = x.shape",
        "if mask is None:\n    return x\nb, t, d = x.shape",
        "x = unknown(x)\nb, t, d = x.shape",
        "try:\n    b, t, d = x.shape\nexcept ValueError:\n    pass",
        "raise NotImplementedError",
        "x = x if mask is None else x[:, None]\ny = x.sum(-1)",
        "for y in x:\n    b, t = y.shape",
        "b, t, d = x.shape\nb, t = x.shape",  # no tensor will do
    ],
)
def test_docstring_for_which_the_function_may_run(body):
    assert not findings(documented(body, x="(batch, dim)"))[1]


def test_docstring_that_names_axes_in_another_order():
    found, text = only(documented("b, c, t = x.shape", x="(B, T, C)"), name="docstring-drift")
    assert found.message == "`x` is unpacked into (b, c, t), the docstring says (B, T, C)"
    assert text == "(B, C, T)"


def test_docstring_with_another_number():
    code = documented("y = x @ torch.zeros(4, 4)", x="(batch, seq, 3)")
    found, _ = only(code, name="docstring-drift")
    assert found.message == "the docstring says that `x` is (batch, seq, 3), for which the function fails"


def test_docstring_of_what_is_returned():
    code = documented("b, t, d = x.shape\nreturn x.mean((1, 2))")
    found, text = only(code, name="docstring-drift")
    assert found.message == "what is returned has 1 axis, the docstring says 2: (batch, dim)"
    assert text is None
    code = documented("batch, dim = x.shape[:2]\nreturn x.new_zeros(dim, batch)")
    found, text = only(code, name="docstring-drift")
    assert found.message == "what is returned is (dim, batch), the docstring says (batch, dim)"
    assert text == "(dim, batch)"


def test_another_name_of_the_code_is_in_preview():
    """Two names may happen to mean one number."""
    found, text = only(documented("batch, seq, dim = x.shape\nreturn x.mean(2)"), name="docstring-drift")
    assert found.message == "axis 1 of what is returned is seq, the docstring says dim: (batch, dim)"
    assert (found.preview, text) == (True, "(batch, seq)")


@pytest.mark.parametrize(
    "body",
    [
        "b, t, d = x.shape\nif mask is None:\n    return x\nreturn x.mean(1)",  # one of them is as it says
        "b, t, d = x.shape\nreturn x, x.mean(1)",
        "b, t, d = x.shape\nyield x",
        "b, t, d = x.shape\nreturn unknown(x)",
    ],
)
def test_docstring_of_what_may_be_returned(body):
    assert not findings(documented(body))[1]


def test_decorators_may_change_what_a_function_takes():
    code = documented("b, t, d = x.shape", x="(batch, dim)")
    assert not findings("@batched\n" + code.lstrip())[1]
    assert findings("@torch.no_grad()\n" + code.lstrip())[1]


@pytest.mark.parametrize(
    "x",
    [
        "(batch, seq_len n_dim)",
        "(N, Batch x Seq)",
        "[BxTxDIM]",
        "(batch, seq), dim)",
        "(B, D) or (B, T, D)",
        "(*, dim)",
    ],
)
def test_docstring_that_can_be_read_in_two_ways(x):
    assert not findings(documented("b, t, d = x.shape", x=x))[1]


def test_section_with_a_slip_in_its_title_is_none_of_parameters():
    code = '''
        def f(x, scores):
            """Choose.

            Args:
                x: (batch, dim)
            Retrun: a tuple of
                scores: (batch, beam)
            """
            b, t, d = scores.shape
        '''
    assert not findings(code)[1]


LAYERS = """
class Net(nn.Module):
    def __init__(self, bins, width, H):
        super().__init__()
        self.conv = nn.Conv1d(bins, width, 3, stride=2, padding=1)
        self.gru = nn.GRU(width, H, batch_first=True, bidirectional=True)
        self.S = H

    def forward(self, x):
        B, M, T = x.shape
        {body}
"""


def in_layers(body):
    return textwrap.dedent(LAYERS).format(body=body.replace("\n", "\n        "))


@pytest.mark.parametrize(
    ("body", "message", "fixed"),
    [
        # What a word means is learnt from the comments before.
        (
            "y = self.conv(x)  # (B, C, T//2)\nz = torch.relu(y)  # (B, T//2, C)",
            "`z` is (B, C, T//2), the comment says (B, T//2, C)",
            "(B, C, T//2)",
        ),
        (
            "y = self.conv(x).transpose(1, 2)\nh, _ = self.gru(y)  # (B, T//2, H)",
            "axis 2 of `h` is 2*H, the comment says H: (B, T//2, H)",
            "(B, T//2, 2*H)",
        ),
        (
            "S = self.S\nN = T // S\ny = x.unfold(2, S, S)  # (B, M, S, N)",
            "`y` is (B, M, N, S), the comment says (B, M, S, N)",
            "(B, M, N, S)",
        ),
        (
            "y = self.conv(x)\nT = y.shape[2]\nz = y[:, :, None].flatten(2)  # (B, T, width)",
            "`z` is (B, width, T), the comment says (B, T, width)",
            "(B, width, T)",
        ),
    ],
)
def test_comment_in_words_of_the_class(body, message, fixed):
    found, text = only(in_layers(body), name="comment-drift")
    assert (found.message, text) == (message, fixed)


@pytest.mark.parametrize(
    "body",
    [
        # Said of two sizes, a word means neither.
        "y = self.conv(x)  # (B, C, L)\nx = x * 2  # (B, C, T)\nz = y * 2  # (B, L, C)",
        "y = self.conv(x)  # (B, C, L)\nz = torch.cat([y, y], 1)  # (B, C, L)",
        "h, hidden = self.gru(self.conv(x).transpose(1, 2))  # (B, T//2, H)",
    ],
)
def test_comment_in_words_that_may_be_right(body):
    assert not findings(in_layers(body))[1]


RETURNS = """
def f(a, b):
    \"\"\"Make something.

    Args:
        a: tensor of shape (rows, dim)
        b: tensor of shape (columns, dim)

    Returns:
        tensor of shape {result}
    \"\"\"
    {body}
"""


@pytest.mark.parametrize(
    ("body", "result", "message", "fixed"),
    [
        (
            "return b @ a.T",
            "(rows, columns)",
            "what is returned is (columns, rows), the docstring says (rows, columns)",
            "(columns, rows)",
        ),
        (
            "return (a @ b.T).mean(1)",
            "(rows, 1)",
            "what is returned has 1 axis, the docstring says 2: (rows, 1)",
            "(rows,)",
        ),
        (
            "return (a[:, None] - b).square()",
            "(rows, columns)",
            "what is returned has 3 axes, the docstring says 2: (rows, columns)",
            None,
        ),
    ],
)
def test_docstring_that_is_wrong_if_it_is_right_of_the_parameters(body, result, message, fixed):
    code = textwrap.dedent(RETURNS).format(body=body, result=result)
    found, text = only(code, name="docstring-drift")
    assert found.message == message
    assert fixed is None or text == fixed


@pytest.mark.parametrize(
    ("body", "result"),
    [
        ("return a @ b.T", "(rows, columns)"),
        ("return a @ b.T", "(rows, rows)"),  # names are loose
        ("return b @ a.T", "(n, m)"),
        ("return unknown(a)", "(rows, 1)"),
        ("if b is None:\n        return a.mean()\n    return a @ b.T", "(rows, columns)"),
        ("return a[:, :, 0]", "(rows, columns)"),  # it fails, which is another finding
    ],
)
def test_docstring_that_may_be_right_of_what_is_returned(body, result):
    _, found = findings(textwrap.dedent(RETURNS).format(body=body, result=result))
    assert not [each for each in found if "returned" in each.message]


PADDED = """
from torch.nn.utils.rnn import pad_sequence


def collate(rows):
    \"\"\"Pad.

    Returns:
        tensor of shape {result}
    \"\"\"
    ids = pad_sequence([torch.tensor(row) for row in rows]{options})  # {said}
    return pad_sequence([torch.tensor(row) for row in rows]{options})
"""


def test_words_for_what_is_padded():
    code = PADDED.format(result="(batch, length)", said="(T, B)", options="")
    found, text = only(code, name="docstring-drift")
    assert found.message.endswith("the docstring says (batch, length): `pad_sequence` puts the steps first")
    assert text == "(length, batch)"
    _, found = findings(PADDED.format(result="(length, batch)", said="(B, T)", options=""))
    assert [each.name for each in found] == ["comment-drift"]


@pytest.mark.parametrize(
    ("result", "said", "options"),
    [
        ("(length, batch)", "(T, B)", ""),
        ("(batch, length)", "(B, T)", ", batch_first=True"),
        ("(batch, length)", "(B, T)", ", **options"),
        ("(rows, length)", "(B, B)", ""),
    ],
)
def test_words_that_may_be_right_of_what_is_padded(result, said, options):
    assert not findings(PADDED.format(result=result, said=said, options=options))[1]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        # In the words of the code, in another order.
        ("# b t d\ny = x.reshape(b, d, t)", None),
        ("# b d t t\ny = torch.zeros(b, t, d, t)", "`y` is (b, t, d, t), the comment says b d t t"),
        ("# (t, b, d)\ny = x.new_zeros((b, t, d, t))[..., 0]", None),
        ("y = torch.zeros(b, t, d, t)  # (b, d, t, t)", "`y` is (b, t, d, t), the comment says (b, d, t, t)"),
        ("y = torch.zeros(b, t, d, t)  # (b, t, d, t)", None),
        # Of what is there already, or made further on.
        ("# (b, t, d)\ny = x.transpose(1, 2)", None),
        ("# (b, d, t, t)\ny = torch.zeros(b, t, d, t)\ny = y.transpose(1, 2)", None),
        ("z = unknown(x)\n# (b, d, t, t)\ny = torch.zeros(b, t, d, t)", None),
        # With a name.
        ("y = x.mean(1)\n# y: (b, t, d)", "`y` has 2 axes, the comment says 3: (b, t, d)"),
        ("# y: (b, t, d)\ny = x.mean(1)", "`y` has 2 axes, the comment says 3: (b, t, d)"),
        ("# y: (b, t, d)\ny = x.mean(1)\ny = x * y[:, None]", None),
        ("# x: (b, d, t)\nx = x.mean(1)", None),
        ("x = x.mean(1)\n# x: (b, t, d)\nx = x[:, None].expand(b, t, d)", None),
        ("v, i = x.max(-1)\n# i: [b, t, d]\n# v: [b, t]", "`i` has 2 axes, the comment says 3: [b, t, d]"),
        ("layer = nn.MultiheadAttention(8, 2)\n_, w = layer(z, z, z)\n# w: [b, h, t, t]", "`w` has no axis of heads"),
        (
            "layer = nn.MultiheadAttention(8, 2)\n_, w = layer(z, z, z, average_attn_weights=False)\n# w: [b, h, t, t]",
            None,
        ),
        # Of something else.
        ("# make windows [b, t, d]\ny = torch.arange(3)\n\nz = 1", None),
        ("y = x.mean(1)\n# y = [b, t, d]", None),
        ("y = x.transpose(1, 2)\n# y: [Batch Variate Time]", None),
        ("# size (b, t, d, 2)\ny = x.mean(1)\n\nz = 1", "`y` has 2 axes, the comment says 4"),
        ("# do it here\ny = x.reshape(b, d, t)", None),
    ],
)
def test_comment_on_its_own_line(body, message):
    _, found = findings(f"def f(x, z):\n    b, t, d = x.shape\n{textwrap.indent(body, '    ')}\n")
    if message is None:
        assert not found
    else:
        assert [message in each.message for each in found] == [True]
