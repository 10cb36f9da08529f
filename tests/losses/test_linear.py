"""The loss of a linear head in chunks equals the loss of all of its logits, and never holds them."""

import functools
import itertools
import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F
from torch.testing._internal.two_tensor import TwoTensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode

from shapeguard import ShapeError
from shapeguard.losses import causal_lm_loss, linear_chunks
from shapeguard.losses.linear import linear_causal_lm_loss
from shapeguard.losses.linear_chunks import SMALL, Scoring, choose_chunk, score, score_blocks, score_compiled

HIDDEN, VOCAB = 5, 13
ROWS = [None, 1, 3, 100]


def make(batch=3, seq=7, supervised=0.7, seed=0, dtype=torch.float64, vocab=VOCAB):
    generator = torch.Generator().manual_seed(seed)
    hidden, weight, bias = (
        torch.randn(size, generator=generator).to(dtype).requires_grad_()
        for size in ((batch, seq, HIDDEN), (vocab, HIDDEN), (vocab,))
    )
    labels = torch.randint(vocab, (batch, seq), generator=generator)
    labels[torch.rand(batch, seq, generator=generator) >= supervised] = -100
    labels[0, 1] = 3
    return hidden, weight, bias, labels


def naive(hidden, weight, labels, *, bias=None, scale=1.0, softcap=None, smoothing=0.0, items=None):
    logits = scale * F.linear(hidden, weight, bias)
    if softcap is not None:
        logits = softcap * torch.tanh(logits / softcap)
    logits, labels = logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten()
    if items is None:
        return F.cross_entropy(logits, labels, label_smoothing=smoothing)
    return F.cross_entropy(logits, labels, label_smoothing=smoothing, reduction="sum") / items


def with_gradients(loss, *parts):
    return loss, torch.autograd.grad(loss, parts)


@given(
    sizes=st.tuples(st.integers(1, 4), st.integers(2, 9), st.sampled_from([0.0, 0.3, 1.0]), st.integers(0, 999)),
    rows=st.sampled_from([None, 1, 2, 3, 5, 100]),
    with_bias=st.booleans(),
    scale=st.sampled_from([1.0, 0.25, 3]),
    softcap=st.sampled_from([None, 2.0, 30]),
    smoothing=st.sampled_from([0.0, 0.1, 1.0]),
    items=st.sampled_from([None, 7, torch.tensor(31)]),
    masked=st.booleans(),
)
@settings(deadline=None, max_examples=80)
def test_equals_the_loss_of_all_logits(sizes, rows, with_bias, scale, softcap, smoothing, items, masked):
    hidden, weight, bias, labels = make(*sizes)
    mask = torch.rand(labels.shape, generator=torch.Generator().manual_seed(sizes[3])) < 0.7 if masked else None
    if masked:
        mask[0, 1] = True
    parts = (hidden, weight, bias) if with_bias else (hidden, weight)
    bias = bias if with_bias else None
    ours = linear_causal_lm_loss(
        hidden,
        weight,
        labels,
        bias=bias,
        logit_scale=scale,
        logit_softcap=softcap,
        label_smoothing=smoothing,
        num_items_in_batch=items,
        attention_mask=mask,
        chunk_rows=rows,
    )
    if masked:
        labels = labels.masked_fill(~mask, -100)
    theirs = naive(hidden, weight, labels, bias=bias, scale=scale, softcap=softcap, smoothing=smoothing, items=items)
    torch.testing.assert_close(with_gradients(ours, *parts), with_gradients(theirs, *parts))


@pytest.mark.parametrize("rows", ROWS)
def test_equals_the_loss_that_takes_logits(rows):
    hidden, weight, bias, labels = make(dtype=torch.float32)
    mask = (torch.arange(7) < torch.tensor([[7], [5], [3]])).long()
    options = {"attention_mask": mask, "ignore_index": 4, "label_smoothing": 0.1, "num_items_in_batch": torch.tensor(9)}
    labels = labels.masked_fill(labels == -100, 4)
    ours = linear_causal_lm_loss(hidden, weight, labels, bias=bias, chunk_rows=rows, **options)
    theirs = causal_lm_loss(F.linear(hidden, weight, bias), labels, **options)
    parts = (hidden, weight, bias)
    torch.testing.assert_close(with_gradients(ours, *parts), with_gradients(theirs, *parts))


@pytest.mark.parametrize("scoring", [Scoring(0.0, 1.0, None), Scoring(0.1, 0.5, None), Scoring(0.2, 2.0, 3.0)])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_scoring_gives_the_gradient_of_the_loss(scoring, dtype):
    products = (4 * torch.randn(7, 301, generator=torch.Generator().manual_seed(0))).to(dtype)
    targets = torch.arange(7) * 11
    leaf = products.clone().requires_grad_()
    logits = scoring.logits(leaf.double())
    expected = F.cross_entropy(logits, targets, reduction="sum", label_smoothing=scoring.label_smoothing)
    expected.backward()
    # What runs compiled on CUDA, as plain code, and what runs on the processor.
    for add_up in (functools.partial(score_compiled, scored=score), score_blocks):
        gradient = products.clone()
        total = add_up(gradient, targets, scoring)
        torch.testing.assert_close(total.double(), expected, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(gradient, leaf.grad)


@pytest.mark.slow
@pytest.mark.parametrize("scoring", [Scoring(0.0, 1.0, None), Scoring(0.2, 2.0, 3.0)])
@pytest.mark.filterwarnings("default")
def test_compiled_scoring_equals_it_as_plain_code(scoring):
    products, targets = torch.randn(6, 301), torch.arange(6)
    for rows in (6, 4, 5):
        plain, compiled = products[:rows].clone(), products[:rows].clone()
        totals = [
            score_compiled(plain, targets[:rows], scoring, score),
            score_compiled(compiled, targets[:rows], scoring),
        ]
        torch.testing.assert_close(*totals)
        torch.testing.assert_close(compiled, plain)


def test_a_token_that_is_nearly_sure_keeps_its_gradient():
    logits = torch.tensor([[0.0, -12.0]], dtype=torch.bfloat16)
    score_blocks(logits, torch.tensor([0]), Scoring(0.0, 1.0, None))
    torch.testing.assert_close(logits[0, 0].double(), torch.tensor(-6.144e-6, dtype=torch.float64), rtol=2e-2, atol=0)


@pytest.mark.parametrize("rows", ROWS)
def test_gradcheck(rows):
    hidden, weight, bias, labels = make(2, 4, 1.0)
    assert torch.autograd.gradcheck(
        lambda h, w, b: linear_causal_lm_loss(h, w, labels, bias=b, logit_softcap=3.0, chunk_rows=rows),
        (hidden, weight, bias),
    )


class Largest(TorchDispatchMode):
    """How many elements the largest tensor has that any operation gives."""

    elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        sizes = (leaf.numel() for leaf in tree_leaves(out) if isinstance(leaf, torch.Tensor))
        self.elements = max(self.elements, *sizes, 0)
        return out


@pytest.mark.parametrize("grad", [True, False])
@pytest.mark.parametrize("softcap", [None, 3.0])
def test_never_holds_more_logits_than_a_chunk(grad, softcap):
    hidden, weight, _, labels = make(4, 50, 1.0, vocab=400)
    with Largest() as seen, torch.set_grad_enabled(grad):
        loss = linear_causal_lm_loss(hidden, weight, labels, chunk_rows=7, logit_softcap=softcap)
        if grad:
            loss.backward()
    assert seen.elements == 7 * 400
    with Largest() as seen:
        naive(hidden, weight, labels)
    assert seen.elements >= 4 * 49 * 400


@pytest.mark.parametrize("needed", list(itertools.product([True, False], [True, False])))
def test_computes_only_supervised_rows_and_what_needs_a_gradient(needed):
    hidden, weight, _, labels = make(4, 50, 0.3)
    hidden.requires_grad_(needed[0])
    weight.requires_grad_(needed[1])
    # The counter doesn't know it.
    in_place = {torch.ops.aten.addmm_: lambda _, left, right, **__: 2 * left[0] * left[1] * right[1]}
    with FlopCounterMode(display=False, custom_mapping=in_place) as counter:
        loss = linear_causal_lm_loss(hidden, weight, labels, chunk_rows=9)
        if any(needed):
            loss.backward()
    supervised = int((labels[:, 1:] != -100).sum())
    assert counter.get_total_flops() == (1 + sum(needed)) * 2 * supervised * HIDDEN * VOCAB
    assert (hidden.grad is not None, weight.grad is not None) == needed


@pytest.mark.parametrize("rows", ROWS)
def test_no_grad_computes_the_loss_alone(rows):
    hidden, weight, bias, labels = make()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        loss = linear_causal_lm_loss(hidden, weight, labels, bias=bias, chunk_rows=rows)
    assert not loss.requires_grad
    assert counter.get_total_flops() == 2 * int((labels[:, 1:] != -100).sum()) * HIDDEN * VOCAB
    torch.testing.assert_close(loss, naive(hidden, weight, labels, bias=bias).detach())


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_equals_a_linear_layer_under_autocast(rows, dtype):
    hidden, weight, bias, labels = make(dtype=torch.float32)
    parts = (hidden, weight, bias)
    with torch.autocast("cpu", dtype):
        ours = linear_causal_lm_loss(hidden, weight, labels, bias=bias, chunk_rows=rows)
        theirs = causal_lm_loss(F.linear(hidden, weight, bias), labels)
        with torch.no_grad():
            alone = linear_causal_lm_loss(hidden, weight, labels, bias=bias, chunk_rows=rows)
    assert ours.dtype == torch.float32
    torch.testing.assert_close(alone, ours.detach())
    ours, theirs = with_gradients(ours, *parts), with_gradients(theirs, *parts)
    assert all(gradient.dtype == torch.float32 for gradient in ours[1])
    torch.testing.assert_close(ours, theirs, rtol=2e-2, atol=2e-3)


def test_in_bfloat16_it_is_as_exact_as_all_logits_at_once():
    hidden, weight, _, labels = make(4, 60, 1.0, dtype=torch.float32)
    exact = with_gradients(naive(hidden.double(), weight.double(), labels), hidden, weight)
    low = [part.detach().bfloat16().requires_grad_() for part in (hidden, weight)]
    ours = with_gradients(linear_causal_lm_loss(*low, labels, chunk_rows=30), *low)
    theirs = with_gradients(causal_lm_loss(F.linear(*low), labels), *low)
    assert ours[0].dtype == torch.float32
    for mine, other, true in zip(ours[1], theirs[1], exact[1], strict=True):
        assert mine.dtype == torch.bfloat16
        assert (mine - true).norm() <= 1.5 * (other - true).norm()


def test_tied_weights_get_both_gradients():
    labels = make()[3]
    tokens = labels.clamp_min(0)
    embedding = nn.Embedding(VOCAB, HIDDEN, dtype=torch.float64)
    ours, theirs = (
        torch.autograd.grad(loss, embedding.weight)[0]
        for loss in (
            linear_causal_lm_loss(embedding(tokens).tanh(), embedding.weight, labels, chunk_rows=4),
            naive(embedding(tokens).tanh(), embedding.weight, labels),
        )
    )
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpointing(reentrant):
    hidden, weight, _, labels = make()
    ours = checkpoint(
        lambda h, w: linear_causal_lm_loss(h.tanh(), w, labels, chunk_rows=4), hidden, weight, use_reentrant=reentrant
    )
    ours.backward()
    expected = with_gradients(naive(hidden.tanh(), weight, labels), hidden, weight)
    torch.testing.assert_close((ours, (hidden.grad, weight.grad)), expected)


def test_a_second_backward_gives_the_same_and_leaves_the_first_alone():
    hidden, weight, _, labels = make()
    loss = linear_causal_lm_loss(hidden, weight, labels, chunk_rows=4)
    first = torch.autograd.grad(loss, [hidden, weight], retain_graph=True)
    kept = [gradient.clone() for gradient in first]
    (3 * loss).backward()
    torch.testing.assert_close([hidden.grad, weight.grad], [3 * gradient for gradient in kept])
    torch.testing.assert_close(list(first), kept)


def test_a_changed_weight_is_noticed_by_the_second_backward():
    hidden, weight, _, labels = make()
    loss = linear_causal_lm_loss(hidden, weight, labels, chunk_rows=4)
    loss.backward(retain_graph=True)
    with torch.no_grad():
        weight += 1
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_two_losses_of_one_head():
    hidden, weight, _, labels = make()
    other = labels.roll(1, 0)
    ours = linear_causal_lm_loss(hidden, weight, labels, chunk_rows=4) * 2 + hidden.square().sum()
    ours = ours + linear_causal_lm_loss(hidden, weight, other, chunk_rows=2)
    theirs = naive(hidden, weight, labels) * 2 + hidden.square().sum() + naive(hidden, weight, other)
    torch.testing.assert_close(with_gradients(ours, hidden, weight), with_gradients(theirs, hidden, weight))


def test_gradients_accumulate_as_in_one_batch():
    hidden, weight, _, labels = make(4)
    items = (labels[:, 1:] != -100).sum()
    for part in range(4):
        linear_causal_lm_loss(
            hidden[part : part + 1], weight, labels[part : part + 1], num_items_in_batch=items, chunk_rows=2
        ).backward()
    torch.testing.assert_close(
        (hidden.grad, weight.grad), torch.autograd.grad(naive(hidden, weight, labels), [hidden, weight])
    )


def test_a_second_derivative_is_refused_in_chunks_and_right_without():
    hidden, weight, _, labels = make()
    loss = linear_causal_lm_loss(hidden, weight, labels, chunk_rows=4)
    with pytest.raises(NotImplementedError, match="no second derivative where it works in chunks"):
        torch.autograd.grad(loss, hidden, create_graph=True)
    squares = [
        torch.autograd.grad(loss, hidden, create_graph=True)[0].square().sum()
        for loss in (linear_causal_lm_loss(hidden, weight, labels), naive(hidden, weight, labels))
    ]
    torch.testing.assert_close(*[torch.autograd.grad(square, weight) for square in squares])


@pytest.mark.parametrize("rows", [None, 3])
@pytest.mark.parametrize("size", [(0, 5), (2, 0), (2, 1), (2, 5)])
def test_nothing_supervised_is_refused_or_costs_nothing(rows, size):
    hidden, weight, bias, _ = make()
    hidden = hidden.detach().new_full((*size, HIDDEN), torch.inf).requires_grad_()
    labels = torch.full(size, -100)
    with pytest.raises(ValueError, match="no label is supervised"):
        linear_causal_lm_loss(hidden, weight, labels, bias=bias, chunk_rows=rows)
    loss = linear_causal_lm_loss(hidden, weight, labels, bias=bias, chunk_rows=rows, when_empty="zero")
    loss.backward()
    for part in (loss, hidden.grad, weight.grad, bias.grad):
        assert torch.equal(part, torch.zeros_like(part))


@pytest.mark.parametrize("rows", [None, 3])
@pytest.mark.parametrize("token", [-7, VOCAB])
def test_a_label_that_is_no_token_is_named(rows, token):
    hidden, weight, _, labels = make()
    labels[1, 4] = token
    with pytest.raises(ValueError, match=rf"labels\[1, 4\] is {token}, outside the vocabulary of {VOCAB}"):
        linear_causal_lm_loss(hidden, weight, labels, chunk_rows=rows)


def test_a_batch_of_one_with_one_target():
    hidden, weight, _, labels = make(1, 2, 1.0)
    ours = linear_causal_lm_loss(hidden, weight, labels, chunk_rows=1)
    theirs = naive(hidden, weight, labels)
    torch.testing.assert_close(with_gradients(ours, hidden, weight), with_gradients(theirs, hidden, weight))


def test_wrong_shapes_and_types_are_refused_in_words():
    hidden, weight, bias, labels = make()
    with pytest.raises(ShapeError, match="`labels` axis 1 is 6, expected seq = 7"):
        linear_causal_lm_loss(hidden, weight, labels[:, 1:])  # noqa: SG502
    with pytest.raises(ShapeError, match="`weight` axis 1 is 13, expected hidden = 5"):
        linear_causal_lm_loss(hidden, weight.t().contiguous(), labels)
    with pytest.raises(TypeError, match="hidden float32, weight float64, bias float64: a linear head needs one type"):
        linear_causal_lm_loss(hidden.float(), weight, labels, bias=bias)
    with pytest.raises(TypeError, match="weight is a TwoTensor; it is needed whole"):
        linear_causal_lm_loss(hidden, TwoTensor(weight.detach(), weight.detach()), labels)
    with pytest.raises(ValueError, match="chunk_rows is 0"):
        linear_causal_lm_loss(hidden, weight, labels, chunk_rows=0)


def test_strided_inputs_equal_contiguous_ones():
    hidden, weight, _, labels = make()
    seq_first = hidden.detach().transpose(0, 1).contiguous().requires_grad_()
    transposed = weight.detach().t().contiguous().requires_grad_()
    ours = linear_causal_lm_loss(seq_first.transpose(0, 1), transposed.t(), labels, chunk_rows=4)
    value, (of_hidden, of_weight) = with_gradients(ours, seq_first, transposed)
    theirs = with_gradients(naive(hidden, weight, labels), hidden, weight)
    torch.testing.assert_close((value, (of_hidden.transpose(0, 1), of_weight.t())), theirs)


def test_path_is_chosen_by_size(monkeypatch):
    chunks = []
    run = linear_chunks._run
    monkeypatch.setattr(linear_chunks, "_run", lambda *args: chunks.append(args[4]) or run(*args))
    hidden, weight, _, labels = make(2, 5)
    linear_causal_lm_loss(hidden, weight, labels)
    assert not chunks
    hidden, weight, _, labels = make(8, 60, 1.0, vocab=SMALL // 400, dtype=torch.float32)
    ours = with_gradients(linear_causal_lm_loss(hidden, weight, labels), hidden, weight)
    assert len(chunks) == 1
    torch.testing.assert_close(ours, with_gradients(naive(hidden, weight, labels), hidden, weight))


def test_chunk_is_small_beside_the_logits_and_the_weight():
    assert choose_chunk(1022, torch.empty(32000, 512)) == 196
    large = torch.empty(128256, 4096, dtype=torch.bfloat16, device="meta")
    assert [choose_chunk(rows, large) for rows in (4096, 12000, 16384, 32768)] == [523, 750, 1024, 1046]


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_inside_a_compiled_function():
    hidden, weight, _, labels = make()
    compiled = torch.compile(lambda h: linear_causal_lm_loss(h.tanh(), weight, labels, chunk_rows=4), backend="eager")
    ours = with_gradients(compiled(hidden), hidden, weight)
    torch.testing.assert_close(ours, with_gradients(naive(hidden.tanh(), weight, labels), hidden, weight))


def _train_in_parallel(rank, port):
    torch.distributed.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    hidden, weight, _, labels = make(4, 6, 1.0)

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.head = nn.Linear(HIDDEN, HIDDEN).double(), nn.Parameter(weight.detach().clone())

        def forward(self, hidden, labels):
            return linear_causal_lm_loss(self.body(hidden), self.head, labels, chunk_rows=4)

    torch.manual_seed(0)
    model = Model()
    parallel = nn.parallel.DistributedDataParallel(model)
    mine = slice(2 * rank, 2 * rank + 2)
    parallel(hidden[mine], labels[mine]).backward()
    expected = torch.autograd.grad(naive(model.body(hidden), model.head, labels), list(model.parameters()))
    torch.testing.assert_close([each.grad for each in model.parameters()], list(expected))
    torch.distributed.destroy_process_group()


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_under_distributed_data_parallel():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = "import runpy, sys; runpy.run_path(sys.argv[1])['_train_in_parallel'](int(sys.argv[2]), int(sys.argv[3]))"
    both = [subprocess.Popen([sys.executable, "-c", program, __file__, str(rank), str(port)]) for rank in range(2)]
    assert [process.wait(120) for process in both] == [0, 0]


@pytest.mark.slow
def test_benchmark_prints_its_tables(tmp_path):
    figures = tmp_path / "figures.json"
    command = [sys.executable, "benchmarks/linear_loss.py", "--quick", "--supervised", "0.3", "--json", str(figures)]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert "| 30% supervised" in done.stdout
    for name, each in json.loads(figures.read_text())["0.3"].items():
        assert each["off"] < 1e-5, name
        assert each["megabytes"] >= 0
