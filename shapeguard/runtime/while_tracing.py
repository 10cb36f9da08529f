"""What is worked out while a program is being traced, and stands in it as a constant: the tracer does not follow it.

Loaded by the tracer itself, since it loads the compiler, which takes most of a second.
"""

from __future__ import annotations

import torch

from shapeguard.runtime.plan import Plan, make_plan
from shapeguard.runtime.traced_constants import Constant, constant_axes, constant_demands
from shapeguard.shapes.annotation import parse


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def demands_by_now(plan: Plan) -> Constant:
    """The demands of a plan that was pending when its function was written.

    The function stays as it is until it is first called outside: what is being traced must not change meanwhile.
    """
    settled = make_plan(plan.function, self_dims=plan.self_dims, local_names=plan.local_names, give_up=True)
    return constant_demands(settled)


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def constant_annotation(text: str) -> Constant:
    """A shape string as constants."""
    return constant_axes(parse(text))
