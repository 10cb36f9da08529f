"""Who hears what is found in bodies that are only read for their names, or only tried."""

from __future__ import annotations

import ast
from typing import Any

from shapeguard.diagnostics import Diagnostic, Span
from shapeguard.infer.evaluator import Evaluator
from shapeguard.infer.follow import Memory
from shapeguard.infer.supposing import Heard
from shapeguard.infer.values import Refusal
from shapeguard.ops.values import Tensor
from shapeguard.shapes.shape import Shape


class Nobody:
    """Hears nothing of what a file that is only imported may be found to do."""

    def __init__(self) -> None:
        self.guessing = self.trusting = False
        self.memory = Memory()

    def report(self, *_: Any, **__: Any) -> None:
        """Nothing."""

    def add(self, *_: Any) -> None:
        """Nothing."""

    def report_call(self, *_: Any) -> None:
        """Nothing."""

    def suspect(self, *_: Any) -> None:
        """Nothing."""

    def begin_trial(self) -> None:
        """Nothing."""

    def end_trial(self, *, kept: bool) -> None:
        """Nothing."""

    def led_to(self, *_: Any) -> None:
        """Nothing."""

    def observe(self, *_: Any) -> None:
        """Nothing."""

    def miss(self, *_: Any) -> None:
        """Nothing."""

    def lose(self, *_: Any) -> None:
        """Nothing."""


class Listener(Nobody):
    """Hears where a body surely fails, and which comments it contradicts."""

    def __init__(self, memory: Memory, *, trusting: bool) -> None:
        super().__init__()
        self.memory, self.trusting = memory, trusting
        self.heard: list[Heard] = []
        self.drifted: dict[Span, Diagnostic] = {}
        self.seen: dict[ast.expr, Shape] = {}

    def observe(self, _: Evaluator, node: ast.expr, value: Tensor) -> None:
        """Keep the shape of an expression, as the last pass has it."""
        self.seen[node] = value.shape

    def add(self, evaluator: Evaluator, found: Diagnostic) -> None:
        """Keep a comment that is contradicted."""
        if not evaluator.depth:
            self.drifted.setdefault(found.span, found)

    def report(self, evaluator: Evaluator, node: ast.expr | ast.stmt, code: str, _: str, why: str, *__: Any) -> None:
        """Keep what is refused for every size."""
        if code not in ("SG302", "SG303") and not (evaluator.depth or evaluator.uncertain or evaluator.vague):
            self.heard.append(Heard(node, why))

    def report_call(self, evaluator: Evaluator, node: ast.expr, refusal: Refusal) -> None:
        """Keep what a function that is called refuses."""
        if not (evaluator.depth or evaluator.uncertain or evaluator.vague or refusal.is_claim):
            self.heard.append(Heard(node, refusal.mismatch.sentence()))
