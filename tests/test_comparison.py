"""What docs/comparison.md says of jaxtyping with beartype and of dltype, tried on the releases that are installed."""

import asyncio
import gc
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import dltype
import jaxtyping
import numpy as np
import pydantic
import pytest
import torch
from beartype import beartype
from jaxtyping import Float
from torch import Tensor
from transformers import GPT2Config, GPT2ForSequenceClassification

from shapeguard import guard
from shapeguard.models import RewardModel

jaxtyped = jaxtyping.jaxtyped(typechecker=beartype)
dltyped = dltype.dltyped()
VECTOR = Annotated[Tensor, dltype.FloatTensor["pairs"]]
COLUMN, PAIRS = torch.ones(4, 1), torch.ones(4)


def difference(chosen: Float[Tensor, "pairs"], rejected: Float[Tensor, "pairs"]) -> Float[Tensor, ""]:
    return (chosen - rejected).mean()


def difference_of_vectors(chosen: VECTOR, rejected: VECTOR) -> Annotated[Tensor, dltype.FloatTensor[None]]:
    return (chosen - rejected).mean()


WATCHED = {
    "jaxtyping": jaxtyped(difference),
    "dltype": dltyped(difference_of_vectors),
    "guard": guard(difference),
}
REFUSED = (jaxtyping.TypeCheckError, dltype.DLTypeError)


def message(name, *arguments):
    with pytest.raises(REFUSED) as raised:
        WATCHED[name](*arguments)
    return str(raised.value)


@pytest.mark.parametrize("name", WATCHED)
def test_a_column_where_a_vector_belongs_is_refused(name):
    assert WATCHED[name](PAIRS, PAIRS) == 0
    assert message(name, COLUMN, PAIRS)


def test_messages_say_what_the_page_shows():
    jaxtyping_says = message("jaxtyping", torch.ones(3), PAIRS)
    assert "whilst typechecking parameter 'rejected'" in jaxtyping_says
    assert "pairs=3" in jaxtyping_says
    assert message("dltype", torch.ones(3), PAIRS) == "Invalid tensor shape, tensor=rejected dim=0 expected=3 actual=4"
    assert "`rejected` axis 0 is 4, expected pairs = 3 (bound by `chosen` axis 0)" in message(
        "guard", torch.ones(3), PAIRS
    )


def test_one_wrong_tensor_in_a_list_is_always_refused_by_the_guard_alone():
    def count(items: list[Float[Tensor, "n"]]) -> int:
        return len(items)

    def count_vectors(items: list[Annotated[Tensor, dltype.FloatTensor["n"]]]) -> int:
        return len(items)

    def passed(function):
        count = 0
        for _ in range(200):
            try:
                function([*[torch.ones(3)] * 9, torch.ones(3, 3)])
            except REFUSED:
                continue
            count += 1
        return count

    assert 100 < passed(jaxtyped(count)) < 200
    with pytest.warns(UserWarning, match="skipping type checking"):
        unchecked = dltyped(count_vectors)
    assert passed(unchecked) == 200
    assert passed(guard(count)) == 0


def test_an_annotation_that_names_nothing_is_reported_by_the_guard_alone():
    def halve(x: "Float[Tenser, 'n']") -> int:
        return x.ndim

    assert jaxtyped(halve)(torch.ones(2, 2)) == 2
    with pytest.warns(UserWarning, match="can't be resolved"):
        assert guard(halve)(torch.ones(2, 2)) == 2


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
def test_a_correct_async_function_goes_through_the_guard_alone():
    async def same(x: Float[Tensor, "n"]) -> Float[Tensor, "n"]:
        return x

    async def same_vector(x: VECTOR) -> VECTOR:
        return x

    def refuses(watched):
        try:
            watched(PAIRS)
        except REFUSED as error:
            return "coroutine" in str(error)
        return False

    assert asyncio.run(guard(same)(PAIRS)).shape == (4,)
    assert refuses(jaxtyped(same))
    assert refuses(dltyped(same_vector))
    gc.collect()


@pytest.mark.parametrize("array", [np.ones((2, 2)), torch.ones(2, 2)])
def test_jaxtyping_and_the_guard_read_arrays_of_numpy_and_isinstance_works(array):
    assert isinstance(array, Float[type(array), "n n"])

    def first(x: Float[type(array), "n"]) -> int:
        return len(x)

    for watched in (jaxtyped(first), guard(first)):
        with pytest.raises(jaxtyping.TypeCheckError):
            watched(array)


def test_functions_of_both_call_each_other():
    @guard
    def double(x: Float[Tensor, "n"]) -> Float[Tensor, "2*n"]:
        return torch.cat([x, x])

    @jaxtyped
    def twice(x: Float[Tensor, "n"]) -> Float[Tensor, "4*n"]:
        return double(double(x))

    @guard
    def outer(x: Float[Tensor, "n"]) -> Float[Tensor, "8*n"]:
        return double(twice(x))

    assert outer(PAIRS).shape == (32,)
    with pytest.raises(jaxtyping.TypeCheckError, match="`x` has 2 axes"):
        outer(COLUMN)


def test_dltype_has_no_axis_that_may_be_one_and_no_unions():
    with pytest.raises(SyntaxError):
        dltype.FloatTensor["#batch d"]

    def score(x: VECTOR | Annotated[Tensor, dltype.FloatTensor["pairs 1"]]) -> int:
        return x.ndim

    def score_either(x: Float[Tensor, "pairs"] | Float[Tensor, "pairs 1"]) -> int:
        return x.ndim

    with pytest.raises(TypeError, match="not general Union types"):
        dltyped(score)
    assert guard(score_either)(COLUMN) == 2


def test_dltype_alone_checks_models_of_pydantic_and_conditions_on_sizes():
    class Batch(pydantic.BaseModel):
        images: Annotated[Tensor, dltype.FloatTensor("batch 3")]
        labels: Annotated[Tensor, dltype.FloatTensor("batch")]

    def halves(x: Annotated[Tensor, dltype.FloatTensor("n", constraints={"n%2==0"})]) -> int:
        return len(x) // 2

    assert Batch(images=torch.ones(4, 3), labels=PAIRS)
    with pytest.raises(dltype.DLTypeError, match="expected=4 actual=5"):
        Batch(images=torch.ones(4, 3), labels=torch.ones(5))
    assert dltyped(halves)(PAIRS) == 2
    with pytest.raises(dltype.DLTypeError, match="Constraint"):
        dltyped(halves)(torch.ones(3))
    with pytest.raises(pydantic.errors.PydanticSchemaGenerationError):
        type("Plain", (pydantic.BaseModel,), {"__annotations__": {"x": Float[Tensor, "n"]}, "__module__": __name__})


def test_dltype_is_no_single_graph_under_compile_and_the_guard_is():
    torch._dynamo.reset()
    assert torch.compile(WATCHED["guard"], backend="eager", fullgraph=True)(PAIRS, PAIRS) == 0
    with pytest.raises(torch._dynamo.exc.Unsupported):
        torch.compile(WATCHED["dltype"], backend="eager", fullgraph=True)(PAIRS, PAIRS)
    torch._dynamo.reset()


def test_a_classifier_that_pads_with_the_end_of_text_never_scores_it():
    torch.manual_seed(0)
    end = {"pad_token_id": 0, "eos_token_id": 0, "bos_token_id": 0}
    config = GPT2Config(vocab_size=20, n_positions=8, n_embd=8, n_layer=1, n_head=2, num_labels=1, **end)
    classifier = GPT2ForSequenceClassification(config).eval()
    ours = RewardModel(config).eval()
    text, ended = torch.tensor([[5, 6]]), torch.tensor([[5, 6, 0]])
    with torch.no_grad():
        assert torch.allclose(classifier(text).logits, classifier(ended).logits)
        assert not torch.allclose(ours(text, torch.ones_like(text)), ours(ended, torch.ones_like(ended)))


def test_ruff_has_no_rule_about_torch():
    ruff = Path(sys.executable).with_name("ruff")
    done = subprocess.run([ruff, "rule", "--all", "--output-format", "json"], capture_output=True, check=True)
    rules = json.loads(done.stdout)
    assert len(rules) > 900
    assert not [rule["name"] for rule in rules if re.search("torch|tensor", rule["name"] + rule["summary"])]
