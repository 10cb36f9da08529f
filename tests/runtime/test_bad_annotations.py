"""Wrong annotation strings: the string, the word and what is allowed, when the function is decorated."""

import pytest
from jaxtyping import Float
from torch import Tensor

from shapeguard import expect, guard
from shapeguard.shapes.annotation import AnnotationSyntaxError, parse


@pytest.mark.parametrize(
    ("text", "word", "reason"),
    [
        ("batch, seq", "batch,", "axes are separated by spaces, not commas"),
        ("batch seq#", "seq#", "`#` stands before the name"),
        ("*a *b", "*b", "only one axis may stand for several"),
        ("batch ...x", "...x", "`...` stands alone"),
        ("#_ t", "#_", "both anonymous"),
        ("b *3", "*3", "a number can't stand for several axes"),
        ("##b", "##b", "`#` stands twice"),
        ("_a+b", "_a+b", "an expression can't be anonymous"),
    ],
)
def test_refused_string_marks_the_word(text, word, reason):
    with pytest.raises(AnnotationSyntaxError, match=r"an axis is") as caught:
        parse(text)
    first, quoted, marks, allowed = str(caught.value).splitlines()
    assert reason in first
    assert quoted.strip() == f'"{text}"'
    start = marks.index("^")
    assert quoted[start : start + len(word)] == word
    assert marks.count("^") == len(word)
    assert "an axis is a name (batch)" in allowed


def test_string_annotation_is_refused_at_decoration():
    with pytest.raises(AnnotationSyntaxError, match="axes are separated by spaces"):

        @guard
        def f(x: "Float[Tensor, 'batch, seq']") -> None: ...


def test_unreadable_expression_is_refused_at_decoration():
    with pytest.raises(AnnotationSyntaxError, match=r"`t\+` is no name, number or expression"):

        @guard
        def f(x: Float[Tensor, "batch t+"]) -> None: ...


def test_name_that_nothing_binds_is_refused_at_decoration():
    with pytest.raises(AnnotationSyntaxError, match=r"no axis of the signature binds `n`; .* write \{n\}"):

        @guard
        def f(x: Float[Tensor, "batch n*2"], n: int) -> None: ...


def test_expect_refuses_a_wrong_string_when_it_runs():
    import torch

    with pytest.raises(AnnotationSyntaxError, match="axes are separated by spaces"):
        expect(torch.ones(2), "a,b")
