"""The fixes of silent bugs, what the findings show, and where they yield to a rule."""

import textwrap

import pytest

from shapeguard.catalog import CODES_IN_SHORT
from shapeguard.check import check_source
from shapeguard.infer.interpreter import analyse
from shapeguard.source.file import Source

HEAD = """
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
"""


def found(body, code=None):
    source = Source("case.py", HEAD + textwrap.dedent(body))
    return source, [each for each in analyse(source).diagnostics if code in (None, each.code)]


def mended(body, code):
    """The one line that the fix of the only finding changes."""
    source, (finding,) = found(body, code)
    lines = source.text.splitlines()
    for edit in sorted(finding.fix.edits, key=lambda each: each.span, reverse=True):
        line = lines[edit.span.line - 1]
        assert edit.span.end_line == edit.span.line
        lines[edit.span.line - 1] = line[: edit.span.column - 1] + edit.text + line[edit.span.end_column - 1 :]
    (changed,) = set(lines) - set(source.text.splitlines())
    _, after = found("\n".join(lines).removeprefix(HEAD))
    assert not after
    return changed.strip()


FIXES = [
    (
        "SG701",
        """
        def f(v: Float[Tensor, "b 1"], r: Float[Tensor, "b"]):
            return r - v
        """,
        "return r - v.squeeze(-1)",
    ),
    (
        "SG701",
        """
        def f(v: Float[Tensor, "b 1"], r: Float[Tensor, "b"]):
            return F.mse_loss(v * 0.5, r)
        """,
        "return F.mse_loss((v * 0.5).squeeze(-1), r)",
    ),
    (
        "SG702",
        """
        def f(x: Float[Tensor, "b t d"]):
            b, t, d = x.shape
            return x.view(b, d, t)
        """,
        "return x.transpose(1, 2).reshape(b, d, t)",
    ),
    (
        "SG702",
        """
        def f(x: Float[Tensor, "b t d"], h: int):
            b, t, d = x.shape
            return x.view(b, h, t, d // h)
        """,
        "return x.view(b, t, h, d // h).transpose(1, 2)",
    ),
    (
        "SG703",
        """
        def f(q: Float[Tensor, "b t d"], k: Float[Tensor, "b s d"], v: Float[Tensor, "b s d"]):
            weights = (q @ k.mT).softmax(dim=1)
            return weights @ v
        """,
        "weights = (q @ k.mT).softmax(dim=-1)",
    ),
    (
        "SG703",
        """
        def f(scores: Float[Tensor, "b h t s"], mask: Bool[Tensor, "b s"]):
            return scores.masked_fill(mask, -1e9)
        """,
        "return scores.masked_fill(mask[:, None, None, :], -1e9)",
    ),
    (
        "SG703",
        """
        def f(x: Float[Tensor, "b t d"], w: Float[Tensor, "b t"]):
            return x * w.unsqueeze(1)
        """,
        "return x * w[:, :, None]",
    ),
    (
        "SG703",
        """
        def f(q: Float[Tensor, "b t d"], k: Float[Tensor, "b t d"]):
            return torch.einsum("bqd,bkd->bqk", k, q)
        """,
        'return torch.einsum("bqd,bkd->bqk", q, k)',
    ),
    (
        "SG703",
        """
        def f(x: Float[Tensor, "b t d"], y: Float[Tensor, "b s d"]):
            y = F.normalize(y, dim=-1)
            x = F.normalize(x, dim=1)
            return x @ y.transpose(1, 2)
        """,
        "x = F.normalize(x, dim=-1)",
    ),
    (
        "SG703",
        """
        def f(x: Float[Tensor, "b n d"], one: nn.Linear, other: nn.Linear):
            weights = F.softmax(one(x) + other(x).transpose(1, 2), dim=1)
            return torch.bmm(weights, x)
        """,
        "weights = F.softmax(one(x) + other(x).transpose(1, 2), dim=-1)",
    ),
    (
        "SG703",
        """
        class Net(nn.Module):
            def __init__(self, eye):
                super().__init__()
                self.eye, self.body = eye, nn.Linear(3, 8)

            def forward(self, left, right, joints):
                b, _ = joints.shape
                both = torch.cat([self.eye(left), self.eye(right)])
                return torch.cat([both, self.body(joints)], dim=1)
        """,
        "both = torch.cat([self.eye(left), self.eye(right)], dim=1)",
    ),
    (
        "SG303",
        """
        def f(x: Float[Tensor, "b d"], y: Float[Tensor, "b d"]) -> Float[Tensor, "b d"]:
            both = torch.cat([x, y], dim=0)
            return both.mean(0)
        """,
        "both = torch.stack([x, y], dim=0)",
    ),
    (
        "SG303",
        """
        def f(x: Float[Tensor, "b d"], y: Float[Tensor, "b d"]) -> Float[Tensor, "b 2*d"]:
            return torch.stack([x, y], dim=1)
        """,
        "return torch.cat([x, y], dim=1)",
    ),
]


@pytest.mark.parametrize(("code", "body", "line"), FIXES, ids=[line for _, _, line in FIXES])
def test_fix_makes_it_right(code, body, line):
    assert mended(body, code) == line


def test_finding_shows_shapes_and_where_the_one_comes_from():
    _, (finding,) = found("""
        def f(logits: Float[Tensor, "b c"], y: Int64[Tensor, "b"]):
            best = logits.argmax(1, keepdim=True)
            return (best == y).sum()
        """)
    assert finding.message == "`best == y` pairs each of `best` with every one of `y`: (b, 1) with (b,) is (b, b)"
    assert finding.notes == (
        "best: (b, 1), from line 8",
        "y: (b,), from line 7",
        "the axis of 1 is that of: logits.argmax(1, keepdim=True), line 8",
    )


def test_a_step_is_found_once_by_its_shapes_and_its_form():
    _, (finding,) = found("""
        def f(x: Float[Tensor, "b t"]):
            return ((x.mean(1, keepdim=True) - x.mean(1)) ** 2).mean()
        """)
    assert finding.message.endswith("(b, 1) with (b,) is (b, b)")


def test_finding_in_a_called_function_names_the_call():
    _, (finding,) = found("""
        def gap(left, right):
            return (left - right).abs().mean()


        def f(x: Float[Tensor, "b 1"], y: Float[Tensor, "b"]):
            return gap(x, y)
        """)
    assert finding.span.line == 8
    assert finding.notes[-1] == "as called on line 12"


@pytest.mark.parametrize("shape", ["b", "n"])
def test_axis_put_in_by_hand_is_a_preview_where_nothing_says_what_is_meant(shape):
    _, findings = found(f"""
        def f(reward: Float[Tensor, "{shape}"], baseline: Float[Tensor, "b"]):
            return (reward - baseline.unsqueeze(1)).abs().mean()
        """)
    assert [(each.code, each.preview) for each in findings] == ([("SG701", True)] if shape == "b" else [])


def test_what_a_rule_says_of_a_line_is_not_said_again():
    source = Source("case.py", HEAD + "def f(x):\n    b, t, d = x.shape\n    return x.view(b, d, t)\n")
    every = frozenset(each.code for each in CODES_IN_SHORT)
    assert [each.code for each in check_source(source, every).diagnostics] == ["SG202"]
    assert [each.code for each in check_source(source, every - {"SG202"}).diagnostics] == ["SG702"]


def test_norm_over_the_rows_is_left_to_the_rule():
    source, _ = found("""
        def f(x: Float[Tensor, "n d"], y: Float[Tensor, "m d"]):
            return F.normalize(x, dim=0) @ F.normalize(y, dim=-1).T
        """)
    every = frozenset(each.code for each in CODES_IN_SHORT)
    assert [each.code for each in check_source(source, every).diagnostics] == ["SG206"]
    assert [each.code for each in check_source(source, every - {"SG206"}).diagnostics] == ["SG703"]


def test_same_step_is_not_reported_as_unproven_too():
    _, findings = found("""
        def f(x: Float[Tensor, "b t d"], w: Float[Tensor, "b t"]):
            return x * w
        """)
    assert [each.code for each in findings] == ["SG703"]
