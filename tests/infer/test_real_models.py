"""Shapes that are said of real models are those that the models have when they run, and are said of most of them."""

import ast
import importlib.util
import json
import sys
from importlib import import_module
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
sys.path.insert(0, str(Path(__file__).parent))

import instrument
import losses
import real_models
from model_zoo import MODELS, NANO_GPT


@pytest.fixture(scope="module")
def seen_in_nano():
    return real_models.seen_in([MODELS["nano_gpt"]])["nano_gpt"]


@pytest.fixture(scope="module")
def seen():
    return real_models.seen_in(list(MODELS.values()))


@pytest.fixture(scope="module")
def scores(seen):
    return [
        real_models.score(name, real_models.said_of(real_models.file_of(MODELS[name])), seen[name]) for name in seen
    ]


@pytest.mark.slow
def test_nothing_said_of_real_models_is_wrong(scores):
    assert [each.failure for each in scores if each.failure] == []
    wrong = [
        real_models.described(each, path, losses.File(path.read_text(encoding="utf-8"), "").text_at(each.place))
        for model in scores
        for path in [real_models.file_of(MODELS[model.name])]
        for each in model.comparison.contradictions.values()
    ]
    assert wrong == []


@pytest.mark.slow
def test_most_of_real_models_is_known(scores):
    of_all = real_models.total(scores)
    assert of_all.known_share >= 0.80, real_models.table(scores)
    assert of_all.full_share >= 0.60, real_models.table(scores)


@pytest.mark.slow
def test_models_run_as_far_as_there_is_something_to_compare(seen):
    for name, calls in seen.items():
        assert len(real_models.places_of(calls)) > 50, name
        assert len(calls) >= 10, name


@pytest.mark.parametrize("spoiled", ["axis", "rank"])
def test_each_wrong_shape_is_reported(seen_in_nano, spoiled):
    call = max(seen_in_nano, key=len)
    # A place that has two shapes in one call would contradict itself.
    distinct = [(place, shape) for place, shape in call if sum(place == other for other, _ in call) == 1 and shape]
    # What a checker would write that knows every size by number.
    right = dict(distinct)
    assert not real_models.compare(right, [tuple(distinct)]).contradictions
    for place, shape in distinct:
        wrong = (shape[0] + 1, *shape[1:]) if spoiled == "axis" else (*shape, 2)
        found = real_models.compare({**right, place: wrong}, [tuple(distinct)]).contradictions
        assert list(found) == [place]


def test_one_wrong_axis_in_the_output_is_reported(seen_in_nano, capsys):
    assert real_models.shapeguard(["shapes", str(NANO_GPT), "--output-format", "json"]) == 0
    output = json.loads(capsys.readouterr().out)
    places = real_models.places_of(seen_in_nano)
    before = real_models.compare(real_models.read_said(output).shapes, seen_in_nano)
    changed = None
    for each in output["expressions"]:
        place = (each["line"], each["column"], each["end_line"], each["end_column"])
        if place in places and place not in before.contradictions and each["shape"] and (place, 0) in before.checked:
            each["shape"][0] = 9973
            changed = place
            break
    assert changed is not None
    after = real_models.compare(real_models.read_said(output).shapes, seen_in_nano)
    assert changed in after.contradictions
    assert "9973" in real_models.described(after.contradictions[changed], NANO_GPT, "")


def at(line):
    return (line, 1, line, 2)


@pytest.mark.parametrize(
    ("said", "right", "wrong"),
    [
        (("b", "t"), (3, 5), None),
        (("b", "b"), (3, 3), (3, 5)),
        (("b", "2*b+1"), (3, 7), (3, 6)),
        (("3*c", "c*n"), (6, 10), (7, 10)),
        (("3*c", "2*c"), (6, 4), (6, 6)),
        (("a//2", "a"), (3, 7), (3, 9)),
        (("...", "b", "b"), (2, 3, 3), (3, 2, 3)),
        (("b", "...", "b"), (3, 3), (3, 2, 4)),
        (("...", "b", "c"), (3, 2), (3,)),
        (("config.n_embd", "3*config.n_embd"), (4, 12), (4, 13)),
        (("b", "max(b,5)"), (3, 5), (3, 3)),
        (("?", "b"), (3, 4), (3, 4, 5)),
        ((), (), (2,)),
        (("b",), (3,), (3, 3)),
    ],
)
def test_what_is_said_is_held_against_what_is_seen(said, right, wrong):
    assert not real_models.compare({at(1): said}, [((at(1), right),)]).contradictions
    if wrong is not None:
        assert real_models.compare({at(1): said}, [((at(1), wrong),)]).contradictions


def test_a_name_means_one_size_in_a_call_and_any_in_another():
    said = {at(1): ("b",), at(2): ("b",)}
    assert not real_models.compare(
        said, [((at(1), (3,)), (at(2), (3,))), ((at(1), (4,)), (at(2), (4,)))]
    ).contradictions
    assert list(real_models.compare(said, [((at(1), (3,)), (at(2), (4,)))]).contradictions) == [at(2)]


def test_an_axis_that_cannot_be_read_is_a_contradiction():
    assert real_models.compare({at(1): ("b t",)}, [((at(1), (3,)),)]).contradictions


def test_a_name_without_a_size_is_counted():
    comparison = real_models.compare({at(1): ("b*t",)}, [((at(1), (12,)),)])
    assert comparison.unbound == {(at(1), 0)}
    assert not comparison.checked


def load_plainly(name, path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_an_instrumented_file_does_what_it_did():
    import torch

    def outputs(module):
        torch.manual_seed(0)
        model = module.GPT(module.GPTConfig(13, 61, 2, 4, 20, flash=False)).eval()
        tokens = torch.randint(0, 61, (3, 11))
        return [*model(tokens, tokens), model.generate(tokens, 5, top_k=3), *model.state_dict().values()]

    with instrument.instrumenting({"probed_nano_gpt": NANO_GPT}) as recorder:
        probed = import_module("probed_nano_gpt")
        with recorder.watching("probed_nano_gpt"):
            with_probes = outputs(probed)
        assert recorder.seen()
    without = outputs(load_plainly("plain_nano_gpt", NANO_GPT))
    assert len(with_probes) == len(without)
    assert all(torch.equal(one, other) for one, other in zip(with_probes, without, strict=True))


CODE = '''\
"""A module."""
from __future__ import annotations
import torch


def decorated(function):
    return function


class Base:
    def grow(self, x):
        return torch.cat([x, x])


class Derived(Base):
    width: int = 3

    @decorated
    def grow(self, x: torch.Tensor, *more, scale=torch.tensor(2.0), **rest) -> torch.Tensor:
        """Its docstring."""
        kept: torch.Tensor = super().grow(x)[..., 1:]
        kept[0] += scale
        kept[:1], = [each * 2 for each in (kept[:1],)]
        if (longer := torch.cat([kept, *more])).shape[0] > 4:
            longer = (lambda y: y + kept.sum())(longer)
        text = f"{kept.shape} é {longer.shape!r}"; last = longer[-1]
        match len(text):
            case 0:
                return last
            case _ if last is not None:
                return {"é": longer, **rest}["é"]


def pieces(x):
    for each in x:
        yield each.unsqueeze(0)
'''


def test_all_kinds_of_code_take_probes(tmp_path):
    import torch

    path = tmp_path / "kinds.py"
    path.write_text(CODE, encoding="utf-8")

    def outputs(module):
        x = torch.arange(4.0)
        return [module.Derived().grow(x, x), *module.pieces(x.view(2, 2))]

    with instrument.instrumenting({"probed_kinds": path}) as recorder:
        probed = import_module("probed_kinds")
        with recorder.watching("probed_kinds"):
            with_probes = outputs(probed)
    without = outputs(load_plainly("plain_kinds", path))
    assert all(torch.equal(one, other) for one, other in zip(with_probes, without, strict=True))
    assert probed.Derived.grow.__doc__ == "Its docstring."
    file = losses.File(CODE, "kinds.py")
    shapes = {(file.text_at(place), shape) for call in recorder.seen() for place, shape in call}
    assert {("super().grow(x)", (8,)), ("torch.cat([kept, *more])", (11,)), ("last", ()), ("y", (11,))} <= shapes
    assert ("each.unsqueeze(0)", (1, 2)) in shapes
    # Columns are counted in characters, also after letters of two bytes.
    lines = CODE.split("\n")
    places = real_models.places_of(recorder.seen())
    one_line = {lines[row - 1][start - 1 : end - 1] for row, start, end_row, end in places if row == end_row}
    assert {"longer[-1]", "kept.sum()", "each * 2"} <= one_line


def first_losses(code, unknown):
    """Causes, for a file in which every value read is a tensor, and those whose text begins so are unknown."""
    file = losses.File(code, "f.py")
    functions = [node.func for node in file.nodes.values() if isinstance(node, ast.Call)]
    read = {place for place, node in file.nodes.items() if instrument.may_be_tensor(node) and node not in functions}
    found = losses.Losses()
    found.add(file, read, lambda place: not any(file.text_at(place).startswith(text) for text in unknown))
    return dict(found.all), dict(found.first)


@pytest.mark.parametrize(
    ("body", "unknown", "cause", "costs"),
    [
        ("y = g(x)\n    return y + x", ("g(x)", "y"), "g()", 3),
        ("return x.view(2).sum()", ("x.view(2)",), "Tensor.view", 2),
        ("y = x + x\n    return y", ("x + x", "y"), "operator Add", 2),
        ("return x * x", ("x",), "parameter x of f", 3),
        ("if x:\n        x = x.t()\n    return x", ("x",), "parameter x of f", 4),
    ],
)
def test_the_first_loss_is_named(body, unknown, cause, costs):
    every, first = first_losses(f"def f(x):\n    {body}\n", unknown)
    assert every == {cause: costs}
    assert list(first) == [cause]
