"""Every loss is one graph under the compiler, with the numbers it has without."""

import pytest
import torch

from shapeguard.losses import (
    as_scores,
    bradley_terry_loss,
    causal_lm_loss,
    clipped_policy_loss,
    clipped_value_loss,
    count_supervised,
    estimate_kl,
    gae,
    margin_ranking_loss,
    masked_mean,
    masked_whiten,
)

VOCAB = 11
BACKENDS = [
    "eager",
    pytest.param(
        "inductor", marks=[pytest.mark.slow, pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")]
    ),
]


def ranking_inputs(size):
    return [torch.randn(size, requires_grad=True), torch.randn(size, requires_grad=True)]


def head_inputs(size):
    return [torch.randn(size, 1, requires_grad=True)]


def text_inputs(size):
    labels = torch.randint(VOCAB, (3, size + 1))
    labels[1, size // 2 :] = -100
    return [torch.randn(3, size + 1, VOCAB, requires_grad=True), labels]


def token_inputs(count):
    def make(size):
        mask = torch.ones(2, size, dtype=torch.long)
        mask[0, ::2] = 0
        return [*(torch.randn(2, size, requires_grad=True) for _ in range(count)), mask]

    return make


CASES = {
    "margin": (ranking_inputs, lambda a, b: margin_ranking_loss(a, b, 1.0)),
    "bradley-terry": (ranking_inputs, lambda a, b: bradley_terry_loss(a, b, 0.5, center=0.1)),
    "as_scores": (head_inputs, as_scores),
    "causal": (text_inputs, causal_lm_loss),
    "causal, masked": (text_inputs, lambda x, y: causal_lm_loss(x, y, attention_mask=y > 2, num_items_in_batch=7)),
    "causal, of a tensor of items": (
        text_inputs,
        lambda x, y: causal_lm_loss({"logits": x}, y, num_items_in_batch=count_supervised(y), label_smoothing=0.1),
    ),
    "masked_mean": (token_inputs(1), masked_mean),
    "masked_whiten": (token_inputs(1), masked_whiten),
    "gae": (token_inputs(2), lambda *given: torch.cat(gae(*given))),
    "gae, cut off": (token_inputs(2), lambda r, v, m: torch.cat(gae(r, v, m, last_values=v[:, 0]))),
    "policy": (token_inputs(3), clipped_policy_loss),
    "value": (token_inputs(3), clipped_value_loss),
    "k3": (token_inputs(2), estimate_kl),
}


@pytest.fixture(autouse=True)
def fresh_compiler():
    torch.compiler.reset()
    yield
    torch.compiler.reset()


def with_gradients(function, inputs):
    result = function(*inputs)
    wanted = [given for given in inputs if given.requires_grad]
    return [result.detach(), *torch.autograd.grad(result.square().sum(), wanted, materialize_grads=True)]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("make", "loss"), CASES.values(), ids=CASES)
def test_compiles_to_one_graph(make, loss, backend):
    compiled = torch.compile(loss, backend=backend, fullgraph=True)
    for size in (6, 9) if backend == "inductor" else (6, 9, 1):
        inputs = make(size)
        torch.testing.assert_close(with_gradients(compiled, inputs), with_gradients(loss, inputs))


@pytest.mark.parametrize("backend", BACKENDS)
def test_compiled_nothing_supervised(backend):
    logits, labels = text_inputs(5)
    labels.fill_(-100)
    compiled = torch.compile(causal_lm_loss, backend=backend, fullgraph=True)
    with pytest.raises(RuntimeError, match="no label is supervised"):
        compiled(logits, labels)
    value, gradient = with_gradients(lambda x: compiled(x, labels, when_empty="zero"), [logits])
    assert value == 0
    assert torch.equal(gradient, torch.zeros_like(logits))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("token", [VOCAB, -1])
def test_compiled_labels_outside_the_vocabulary_are_refused(backend, token):
    logits, labels = text_inputs(5)
    labels[2, 3] = token
    with pytest.raises(RuntimeError, match=f"a label is outside the vocabulary of {VOCAB}"):
        torch.compile(causal_lm_loss, backend=backend, fullgraph=True)(logits, labels)
