"""The kinds of finding that no rule makes: those of files, of comments, and of the static checker."""

from __future__ import annotations

from shapeguard.diagnostics import Code

_UNREADABLE = """\
## What it does

Reports a file, a folder or a notebook that can't be read, or whose bytes aren't in the encoding that it declares.

## Why is this bad?

What wasn't read wasn't checked. A run that passes such a file over in silence looks clean and isn't.

## Example

A file with Latin-1 in it that declares no encoding. Use instead, on its first line:

    # -*- coding: latin-1 -*-

## Fix safety

There is none: only its owner knows what the file was to be.
"""

_SYNTAX = """\
## What it does

Reports a file, or one cell of a notebook, that the Python which runs shapeguard can't parse. A file that mentions
neither torch nor jaxtyping nor einops has nothing to check, and isn't parsed.

## Why is this bad?

What isn't parsed isn't checked. In a notebook the other cells are.

## Example

    def forward(self, x:

## Fix safety

There is none. Code for a newer Python is checked by running shapeguard on that one.
"""

_FAILED = """\
## What it does

Reports a file on which the checker itself failed, by an error of its own or because its process died.

## Why is this bad?

The file is unchecked. The others are checked all the same.

## Example

A report with this code is a defect of shapeguard. The line that it names makes a good bug report.

## Fix safety

There is none.
"""

_UNUSED = """\
## What it does

Reports a comment, or one code in it, that silences a finding which isn't there: `# noqa: SG101`,
`# shapeguard: ignore[bare-squeeze]`, and the forms for blocks and whole files. Codes of other tools and a plain
`# noqa` are left alone, and so are codes that this run doesn't look for.

## Why is this bad?

It says of code that it is wrong, when it no longer is, and will hide the next real finding on its line.

## Example

    reward = head(hidden).squeeze(-1)  # noqa: SG101

Use instead:

    reward = head(hidden).squeeze(-1)

## Fix safety

The fix takes the code away, and the comment where nothing else is in it. It is safe: no comment changes what a program
does.
"""

_MISMATCH = """\
## What it does

Reports a step that torch refuses for every size: shapes that don't broadcast, a product whose inner axes differ, a
layer that is given another number of features, a reshape to another number of elements.

## Why is this bad?

It raises when it runs, which may be the first batch or the end of the first epoch.

## Example

    def scores(q: Float[Tensor, "b h t d"], k: Float[Tensor, "b h t d"]):
        return q @ k

Use instead:

    def scores(q: Float[Tensor, "b h t d"], k: Float[Tensor, "b h t d"]):
        return q @ k.transpose(-2, -1)

## Fix safety

A product whose right factor lies crosswise has a fix that transposes it, and a `cat` or `stack` one that takes the
other of the two where torch takes that. They are unsafe: another cure may be meant.
"""

_NOT_PROVEN = """\
## What it does

Reports a step or a result that is right only if two names happen to be equal which the signature declares apart.

## Why is this bad?

It works in the test, where both are 8, and fails or broadcasts in the run, where they aren't.

## Example

    def merge(x: Float[Tensor, "b t"], y: Float[Tensor, "b s"]) -> Float[Tensor, "b t"]:
        return x + y

If they are always equal, give both the same name:

    def merge(x: Float[Tensor, "b t"], y: Float[Tensor, "b t"]) -> Float[Tensor, "b t"]:
        return x + y

## Fix safety

A product whose right factor lies crosswise has a fix that transposes it. It is unsafe: another cure may be meant.
"""

_DRIFT = """\
## What it does

Reports a value that for no size is what its annotation says: of a return, a variable, or an argument.

## Why is this bad?

The annotation is what readers and callers go by.

## Example

    def pooled(hidden: Float[Tensor, "b t d"]) -> Float[Tensor, "b t"]:
        return hidden.mean(1)

Use instead:

    def pooled(hidden: Float[Tensor, "b t d"]) -> Float[Tensor, "b d"]:
        return hidden.mean(1)

## Fix safety

There is one where a `stack` in place of `cat`, or the reverse, gives what is declared. It is unsafe, as either the code
or the annotation is wrong.
"""

_PERMUTE = """\
## What it does

Reports a `permute` that doesn't name each axis once, of a tensor whose number of axes is known.

## Why is this bad?

It raises when it runs.

## Example

    def heads_first(x: Float[Tensor, "b t h d"]):
        return x.permute(0, 2, 1)

Use instead:

    def heads_first(x: Float[Tensor, "b t h d"]):
        return x.permute(0, 2, 1, 3)

## Fix safety

There is none: which order is meant isn't written.
"""

_UNPACKING = """\
## What it does

Reports a shape that is unpacked into more or fewer names than it has axes.

## Why is this bad?

It raises when it runs.

## Example

    def attend(x: Float[Tensor, "b t d"]):
        b, t = x.shape

Use instead:

    def attend(x: Float[Tensor, "b t d"]):
        b, t, d = x.shape

## Fix safety

There is none: a name is missing that only its author knows.
"""

_RANGE = """\
## What it does

Reports an axis that the tensor doesn't have, by `dim=`, by an index with too many parts, or in `x.size(3)`.

## Why is this bad?

It raises when it runs.

## Example

    def normalised(x: Float[Tensor, "b d"]):
        return x.softmax(2)

Use instead:

    def normalised(x: Float[Tensor, "b d"]):
        return x.softmax(1)

## Fix safety

There is none: which axis is meant isn't written.
"""

_OUTER = """\
## What it does

Reports an elementwise step, a comparison, `where` or a loss in which both operands are stretched, so that an axis comes
out twice: `(b, 1)` with `(b,)` is `(b, b)`, each value with every other one. Wanted products of that kind are left alone:
where the 1 is put in by an index, `unsqueeze` or a view and both operands are made of the same value, where one of them
is counted off by `arange`, and where the result meets a whole matrix, as in distances.

`x.mean(1, keepdim=True)` with `x.mean(1)`, or the like, is reported where a mean or sum over everything, or `where`,
takes the result.

In preview: an axis of 1 that is put in by hand or kept by such a reduction, where nothing else says what is meant, and
columns and rows of which no size is known.

## Why is this bad?

Nothing fails. The mean over `(b, b)` differences is a number like any other, and its gradient pulls every prediction
to the mean of all targets. It is the most common silent bug: a head `nn.Linear(d, 1)` gives `(b, 1)`, and targets,
rewards and labels are `(b,)`.

## Example

    values = self.critic(states)  # (b, 1)
    loss = ((values - returns) ** 2).mean()

Use instead:

    values = self.critic(states).squeeze(-1)  # (b,)
    loss = ((values - returns) ** 2).mean()

## Fix safety

The fix takes the last axis away where that makes both operands alike. It changes the result, as it is meant to: it is
unsafe.
"""

_SCRAMBLED = """\
## What it does

Reports a `view`, `reshape` or rearrangement that cuts across axes: `(b, t, d)` as `(b, d, t)`, `(h, w, c)` as `(c, h, w)`;
rows that are paired though they were flattened in another order, as logits of `(b, t)` with labels of `(t, b)`; and a
`view` that unflattens a model's output in another order than its input had: `critic(x.flatten(0, 1)).view(agents, envs)`
of `(envs, agents, dim)`. The axes are known from annotations, unpackings, layers and lists that a loop fills, and remember
what they were flattened from.

Functions that shift rows by such a view on purpose, as those of relative positions do, are left alone: they are known
by a name with `shift` or `skew` in it, or by a pad before the view. A line that `view-as-transpose` or
`flattened-batch` reports isn't reported twice.

## Why is this bad?

A reshape never moves an element, it counts the same ones off by other sizes. The shape is the one asked for, so nothing
fails, and each row holds pieces of several.

## Example

    b, t, h, d = q.shape
    scores = q.reshape(b, h, t, d) @ k

Use instead:

    b, t, h, d = q.shape
    scores = q.transpose(1, 2) @ k

## Fix safety

Where one exchange of axes keeps the rows together there is a fix that makes it. It changes the result, as it is meant
to, and weights that were trained with the scrambled order want to be trained again: it is unsafe.
"""

_MIXED_UP = """\
## What it does

Reports ways to take one axis for another:

- a softmax over another axis than the one that the product behind it sums over: `softmax(q @ k, dim=-2) @ v`; where
  scores are a product of two, or the sum of a column and a row; and one over the batch, whose weights are multiplied with
  values and summed by hand over another axis;
- a mask that is the same all along the axis of the softmax behind it, as `(b, 1, t, 1)` on `(b, h, t, s)`: it
  masks whole rows, which a softmax can't see, or makes them nan;
- operands whose axes have the same names and stand in another place: a mask `(b, s)` on scores `(b, h, t, s)`, or weights
  `(b, t)` unsqueezed to `(b, 1, t)` on `(b, t, d)`;
- an einsum whose letters stand in another order than the names of its operands' axes, or than the names that they are
  short for, whose `q` and `k` are handed in the other way round, or which sums weights over another letter than that of
  their softmax;
- outputs of several models for one value, joined by `cat` and averaged over that axis, which averages over all rows; what
  a model stacks and averages over the batch; and batches put one below the other by a `cat` without an axis, to be joined
  with one batch;
- a `gather` by an index that is repeated along the axis that is picked from;
- division by a `std` over another axis than the mean that was subtracted, and values made of length 1 along another
  axis than the one that their product sums over;
- a value with an axis put in that meets itself, with the axis at the same place: `m.unsqueeze(1) * m.unsqueeze(1)`.

It rests on the names of axes, as annotations and unpackings give them. In preview: an operand whose first axis of 1 is
written out, as it may be meant for the rows of a square, unless a batch meets features; and weights summed by hand whose
softmax is over something else than the batch, as when rows are shared out.

A `cat` where `stack` was meant, or the reverse, shows in what the result is declared to be or goes into: it is an
`annotation-drift` or a `shape-mismatch`, with the other one as its fix.

## Why is this bad?

Where the two sizes are equal, as in self-attention, in a test or in a batch of one, nothing fails; everywhere else it
does, late.

## Example

    scores = q @ k.transpose(-2, -1)  # (b, h, t, s)
    out = scores.softmax(dim=-2) @ v

Use instead:

    scores = q @ k.transpose(-2, -1)  # (b, h, t, s)
    out = scores.softmax(dim=-1) @ v

## Fix safety

The fixes name the axis of the softmax, or put the mask's axes where their names stand. They change the result, as they
are meant to: they are unsafe.
"""

_SIZE_ONE = """\
## What it does

Reports a `.squeeze()` without `dim`, of a value such as `(clips, frames, 1)`, where the function goes wrong if a
named size is 1, and doesn't with longer ones: a later step fails, a loop goes over another axis or
over a number, or what is returned has an axis less. Each name is set to 1 in turn; the finding says which one, what the
shapes become, and what happens on which line.

It rests on axes that annotations, unpackings and layers give. What `bare-squeeze` and its sisters report by the form of
the code isn't reported again, and functions that look at a rank are left alone; so are sizes that nobody sets to 1, as
heights, widths and numbers of features. In preview: where no axis is surely 1, and where what is lost is only returned.

## Why is this bad?

`.squeeze()` removes every axis of size 1: the one that is meant, and that of a batch of one, a single clip, one step of
a horizon. It raises at the last batch of an epoch, or goes on along the next axis without a word.

## Example

    clips, frames, mels = x.shape
    speech = self.head(x).squeeze() > 0.5
    return [clip.sum() for clip in speech]

Use instead:

    clips, frames, mels = x.shape
    speech = self.head(x).squeeze(-1) > 0.5
    return [clip.sum() for clip in speech]

## Fix safety

The fix names the axis that is 1. It changes the result where another axis is 1 by design: it is unsafe.
"""

_COMMENTS = """\
## What it does

Reports a shape in a comment, behind an assignment or a `return`, that the code beside it surely contradicts: another
number of axes, another number on an axis, the same names in another order, or a name for a size that is another one by
the code's own arithmetic. What the code has must stand on the code alone: on what is unpacked, created, viewed and
annotated. Words that the code doesn't use, as `C`, have the size that earlier comments gave them, if that is one
size.

Names that the code doesn't know, an axis that is written as `...`, and words that leave doubt are not judged. In
preview: the first comment of a function that the code contradicts if the comments before it are right; and another of
the code's own names, `(b, d)` for `(b, t)`, which may happen to mean the same number.

## Why is this bad?

The next one to read the line reshapes, sums or slices by what the comment says. And where the comment tells what was
meant, it is the code that is wrong: a comment `(b, n, n)` beside a product that is `(b, b)` is how attention over the
batch is found.

## Example

    b, t, d = x.shape
    x = x.transpose(1, 2)  # (b, t, d)

Use instead:

    b, t, d = x.shape
    x = x.transpose(1, 2)  # (b, d, t)

## Fix safety

Look at the code first: it may be what is wrong. The fix writes what the value is, where that can be said in the names
that the comment uses. It is safe, as no comment changes what a program does.
"""

_DOCSTRINGS = """\
## What it does

Reports a shape in a docstring that the function surely contradicts:

- of a parameter, where the function fails for every tensor of that shape, by an unpacking, an operation, an assertion or
  a test that raises, and takes one with another number of axes; or where it unpacks the same names in another order;
- of what is returned, where that is known and is another shape in every `return`; or has another number of axes, or the
  axes in another order, if the docstring is right in what it says of the parameters; or is called batch-first and comes
  from a `pad_sequence` that puts the steps first.

Docstrings that give several shapes, conditions, tuples or lists, axes written as `...` or `*`, and functions under a
decorator that may change what they take are left alone. In preview: another of the code's own names.

## Why is this bad?

Callers build the tensor by the docstring, and editors show it. It is copied from function to
function, and so are its mistakes.

## Example

    def pooled(hidden):
        'hidden: tensor of shape (batch, dim)'
        b, t, d = hidden.shape
        return hidden.sum(1) / t

Use instead:

    def pooled(hidden):
        'hidden: tensor of shape (batch, seq, dim)'
        b, t, d = hidden.shape
        return hidden.sum(1) / t

## Fix safety

The fix writes what the shape is, where that can be said in the names that the docstring uses. It is safe unless a
program reads its own docstrings.
"""

KINDS = (
    Code("SG001", "unreadable-file", "A file can't be read, or not as the encoding that it declares", page=_UNREADABLE),
    Code("SG002", "syntax-error", "A file that this Python can't parse", page=_SYNTAX),
    Code("SG003", "failed-check", "The checker itself failed on a file", page=_FAILED),
    Code("SG004", "unused-suppression", "A comment silences what isn't found", "warning", fixable=True, page=_UNUSED),
    Code("SG301", "shape-mismatch", "Shapes that fit for no size", fixable=True, page=_MISMATCH),
    Code("SG302", "shape-not-proven", "Shapes that fit for some sizes only", fixable=True, page=_NOT_PROVEN),
    Code(
        "SG303",
        "annotation-drift",
        "A shape that the source states and the code no longer has",
        fixable=True,
        page=_DRIFT,
    ),
    Code("SG304", "wrong-permute", "Axes put in another order than the source states", page=_PERMUTE),
    Code("SG305", "wrong-unpacking", "A shape unpacked into more or fewer names than it has axes", page=_UNPACKING),
    Code("SG306", "axis-out-of-range", "An axis that the tensor doesn't have", page=_RANGE),
    Code("SG701", "outer-broadcast", "Each value paired with every other one", "warning", fixable=True, page=_OUTER),
    Code("SG702", "reshape-scrambles", "Elements that a reshape mixes up", "warning", fixable=True, page=_SCRAMBLED),
    Code("SG703", "axis-mixup", "One axis taken for another", "warning", fixable=True, page=_MIXED_UP),
    Code("SG704", "size-one", "An axis lost where it is 1", "warning", fixable=True, page=_SIZE_ONE),
    Code("SG711", "comment-drift", "A comment says another shape", "warning", fixable=True, page=_COMMENTS),
    Code("SG712", "docstring-drift", "A docstring says another shape", "warning", fixable=True, page=_DOCSTRINGS),
)
UNCHECKED = frozenset({"SG001", "SG002", "SG003"})
"""The codes of what kept a file from being checked."""
OF_SHAPES = frozenset(each.code for each in KINDS if each.code.startswith(("SG3", "SG7")))
"""The codes of what the static checker finds."""
LEFT_TO_RULES = {
    **dict.fromkeys(("SG101", "SG102", "SG103"), ("SG704",)),
    **dict.fromkeys(("SG202", "SG203"), ("SG702",)),
    **dict.fromkeys(("SG402", "SG409"), ("SG701", "SG410")),
    "SG410": ("SG701",),
}
"""A rule's code -> what isn't reported again on a line on which that rule finds something.

What a rule finds in preview alone isn't reported where one of these stands without it.
"""
