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

A product whose right factor lies crosswise has a fix that transposes it. It is unsafe: another cure may be meant.
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

There is none: either the code or the annotation is wrong.
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

KINDS = (
    Code("SG001", "unreadable-file", "A file can't be read, or not as the encoding that it declares", page=_UNREADABLE),
    Code("SG002", "syntax-error", "A file that this Python can't parse", page=_SYNTAX),
    Code("SG003", "failed-check", "The checker itself failed on a file", page=_FAILED),
    Code("SG004", "unused-suppression", "A comment silences what isn't found", "warning", fixable=True, page=_UNUSED),
    Code("SG301", "shape-mismatch", "Shapes that fit for no size", fixable=True, page=_MISMATCH),
    Code("SG302", "shape-not-proven", "Shapes that fit for some sizes only", fixable=True, page=_NOT_PROVEN),
    Code("SG303", "annotation-drift", "A shape that the source states and the code no longer has", page=_DRIFT),
    Code("SG304", "wrong-permute", "Axes put in another order than the source states", page=_PERMUTE),
    Code("SG305", "wrong-unpacking", "A shape unpacked into more or fewer names than it has axes", page=_UNPACKING),
    Code("SG306", "axis-out-of-range", "An axis that the tensor doesn't have", page=_RANGE),
)
UNCHECKED = frozenset({"SG001", "SG002", "SG003"})
"""The codes of what kept a file from being checked."""
OF_SHAPES = frozenset(each.code for each in KINDS if each.code.startswith("SG3"))
"""The codes of what the static checker finds."""
