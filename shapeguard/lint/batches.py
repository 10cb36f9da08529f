"""Whether the first axis of a value is the batch, and what tells so."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from shapeguard.lint.form import Form
from shapeguard.lint.forms import Forms
from shapeguard.lint.losses import OF_CLASSES, losses
from shapeguard.lint.only_model import called
from shapeguard.lint.reading import Reading, argument, last_name, number, receiver

_LOADER = re.compile(r"(^|_)(data_?)?(loader|dl|batches)$|dataloader|_iter$", re.IGNORECASE)
_MODEL = re.compile(r"(^|_)(model|net|network|classifier|encoder)$", re.IGNORECASE)
_ALONG = frozenset({"gather", "sum", "argmax", "max", "mean"})


class Batches:
    """What of one file has the batch first."""

    def __init__(self, file: Reading, forms: Forms) -> None:
        self.file = file
        self.forms = forms
        self._scored: dict[ast.AST, list[tuple[ast.Name, ast.Call]]] | None = None

    def reason(self, node: ast.expr) -> str | None:
        """What tells that the first of several axes of an expression is the batch; None where nothing does."""
        scored = self.scored(node)
        if scored is not None:
            return f"`{self.file.text(scored.func)}` takes it with the batch first and the classes second"
        form = self.forms.of(node)
        if form is not None and not form.is_open and len(form.parts) > 1 and form.parts[0] == "batch":
            shown = ", ".join("?" if each is None else str(each) for each in form.parts)
            return f"{self.file.text(node)}: ({shown})"
        loop = self._from_loader(node)
        return self._by_readers(node) if loop is None else f"it is made of `{loop}`, a batch of a data loader"

    def _by_readers(self, node: ast.expr) -> str | None:
        """A caller that takes axis 1 of what a model's `forward` gives, where that is made of the value."""
        function = self.file.function(node)
        form = self.forms.of(node)
        if not isinstance(function, ast.FunctionDef) or function.name != "forward" or form is None:
            return None
        if form != Form(form.parts[-1:], is_open=True):
            return None
        if not isinstance(self.file.statement(node), ast.Return):
            return None
        for call in self.file.all(ast.Call):
            if call.args and function in called(self.file, call):
                step = next(self._steps_on(call), None)
                if step is not None:
                    return f"line {step.lineno}: `{self.file.text(step)}` takes axis 1 for the classes"
        return None

    def _steps_on(self, call: ast.Call) -> Iterator[ast.Call]:
        """The methods that run along axis 1 of what a call gives."""
        around = self.file.parent(call)
        for target in around.targets if isinstance(around, ast.Assign) else []:
            for use in self.file.uses(target) if isinstance(target, ast.Name) else []:
                asked = self.file.parent(use)
                step = self.file.parent(asked) if isinstance(asked, ast.Attribute) else None
                takes = isinstance(step, ast.Call) and last_name(step.func) in _ALONG
                if isinstance(step, ast.Call) and takes and number(argument(step, 0, "dim")) == 1:
                    yield step

    def scored(self, node: ast.expr) -> ast.Call | None:
        """The loss over classes that takes the same value."""
        node = self.file.origin(node) if not isinstance(node, ast.Name) else node
        if not isinstance(node, ast.Name):
            return None
        binding = self.file.definition(node)
        for name, call in self._losses.get(self.file.scope(node), ()):
            if name.id == node.id and binding is not None and self.file.definition(name) is binding:
                return call
        return None

    @property
    def _losses(self) -> dict[ast.AST, list[tuple[ast.Name, ast.Call]]]:
        if self._scored is None:
            self._scored = {}
            for loss in losses(self.file, *OF_CLASSES):
                if isinstance(loss.given, ast.Name):
                    self._scored.setdefault(self.file.scope(loss.call), []).append((loss.given, loss.call))
        return self._scored

    def _from_loader(self, node: ast.expr) -> str | None:
        """The loop variable over a data loader that a model's output, or a value made of it, comes from."""
        for _ in range(6):
            made = self.file.origin(node)
            match made:
                case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if made.args and _MODEL.search(name):
                    return self._loop_variable(made.args[0])
                case ast.Call(func=ast.Attribute()) if self.file.full_name(made.func) is None and receiver(made):
                    if last_name(made.func) not in {"to", "float", "detach", "cpu", "cuda", "clone"}:
                        return None
                    node = receiver(made) or node
                case _:
                    return None
        return None

    def _loop_variable(self, node: ast.expr) -> str | None:
        while (
            isinstance(node, ast.Call)
            and (inner := receiver(node)) is not None
            and last_name(node.func) in {"to", "cuda", "float"}
        ):
            node = inner
        if not isinstance(node, ast.Name):
            return None
        for loop in self.file.around(node):
            if isinstance(loop, ast.For) and any(
                isinstance(each, ast.Name) and each.id == node.id for each in ast.walk(loop.target)
            ):
                iterated = loop.iter
                while (
                    isinstance(iterated, ast.Call)
                    and iterated.args
                    and last_name(iterated.func) in {"tqdm", "enumerate", "iter"}
                ):
                    iterated = iterated.args[0]
                return node.id if _LOADER.search(last_name(iterated)) else None
        return None
