"""Whatever a file holds, the interpreter says something or nothing, and never fails."""

import pytest

from shapeguard.infer.interpreter import analyse
from shapeguard.source.file import Source


@pytest.mark.parametrize(
    "code",
    [
        "class A:\n    distance = lambda x, y: x @ y\n",
        "class A:\n    __init__ = lambda self: None\n",
        "class A(A): pass\n",
        "def f(x): return f(x)\n",
        "def f(*a, **k): return f(*a, *a, **k)\n",
        "x = [[[[]]]]\nfor x[0] in x: del x\n",
        "import torch\ntorch.zeros(2)[...][None, ..., None][torch.ones(1)]\n",
        "import torch\nx = torch.zeros(2, 3)\nx.shape[7]\nx @ 3\n-x.T.view(-1, 0)\n",
        "async def f():\n    async with a as b, c: yield await d\n",
        "match x:\n    case [1, *rest]: y = rest\n",
        "def f(x):\n    global y\n    y: int = (z := x)\n    return {**y, 'a': [*z]}\n",
        "class A:\n    def f(self):\n        return super().f(self.g.h().i)\n",
    ],
)
def test_odd_code_is_read(code):
    analyse(Source("odd.py", code))


def test_function_without_an_end_spends_its_budget():
    nested = "".join(f"{' ' * depth}for i{depth} in range(9):\n" for depth in range(12))
    code = f"def f(x):\n{''.join(' ' + line + chr(10) for line in nested.splitlines())}{' ' * 14}x = x + 1\n"
    analysis = analyse(Source("deep.py", code))
    assert analysis.exhausted == ("f",)
