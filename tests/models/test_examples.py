"""Every model is guarded and shows itself in its docstring, at sizes that are distinct primes; the check finds nothing."""

import doctest
import pkgutil
from importlib import import_module
from pathlib import Path

import pytest
from torch import nn

pytest.importorskip("transformers")

from shapeguard import losses, models
from shapeguard.check import check_paths
from shapeguard.config import Config
from shapeguard.runtime.decorate import is_guarded


def modules_of(room):
    return [import_module(f"{room.__name__}.{each.name}") for each in pkgutil.iter_modules(room.__path__)]


MODELS = [
    value
    for module in modules_of(models)
    for value in vars(module).values()
    if isinstance(value, type) and issubclass(value, nn.Module) and value.__module__ == module.__name__
]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_model_is_guarded_and_has_an_example(model):
    assert is_guarded(model.forward)
    assert ">>> " in model.__doc__


@pytest.mark.parametrize("module", [*modules_of(models), *modules_of(losses)], ids=lambda module: module.__name__)
def test_examples_give_what_they_say(module):
    assert not doctest.testmod(module).failed


@pytest.mark.parametrize("room", [models, losses], ids=lambda room: room.__name__)
def test_the_check_finds_nothing(room):
    assert not check_paths([str(Path(room.__file__).parent)], Config(), jobs=1).diagnostics
