"""Recurrent layers and their cells: RNN, GRU, LSTM."""

# ruff: noqa: A002, A006, FBT002, PLR0913, PLR0917 - torch's names, defaults and parameters

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from shapeguard.ops.demands import Demands, Sized, dim_of, flag_of, int_of, layer, parameter, parameter_dtype
from shapeguard.ops.layers import floating
from shapeguard.ops.registry import module
from shapeguard.ops.values import UNKNOWN, UNKNOWN_TENSOR, Result, Tensor
from shapeguard.shapes.dim import Dim, bounds
from shapeguard.shapes.mismatch import Mismatch

# Matrices that stand in one weight.
_GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}


@dataclass(frozen=True)
class Recurrence:
    """The sizes of a recurrent layer; None for what isn't known."""

    name: str
    inside: Dim | None
    hidden: Dim | None
    outside: Dim | None
    """What one direction gives at each step: the hidden size, or the size that an LSTM projects it to."""
    layers: Dim | None
    directions: Dim | None
    batch_first: bool | None

    @property
    def states(self) -> Dim | None:
        """How many states there are at each step."""
        return None if self.layers is None or self.directions is None else self.layers * self.directions

    @property
    def width(self) -> Dim | None:
        """What all directions together give at each step."""
        return None if self.outside is None or self.directions is None else self.outside * self.directions


def _run(recurrence: Recurrence, input: Any, state: Any) -> Result:
    if not isinstance(input, Tensor):
        # A PackedSequence gives one, and states.
        states: Any = UNKNOWN_TENSOR if recurrence.name != "LSTM" else (UNKNOWN_TENSOR, UNKNOWN_TENSOR)
        return (UNKNOWN, states)
    demands = Demands(recurrence.name)
    axes = demands.rank(input, 2, 3)
    demands.axis(axes, -1, recurrence.inside)
    batch: tuple[Sized, ...] | None
    if axes is None:
        batch = None
    elif len(axes) == 2:  # noqa: PLR2004 - without a batch
        batch = ()
    else:
        batch = (None if recurrence.batch_first is None else axes[0 if recurrence.batch_first else 1],)
    hidden = None if batch is None else (recurrence.states, *batch, recurrence.outside)
    cell = None if batch is None else (recurrence.states, *batch, recurrence.hidden)
    if recurrence.name == "LSTM":
        first, second = state if isinstance(state, tuple) and len(state) == 2 else (UNKNOWN, UNKNOWN)  # noqa: PLR2004
        demands.shape(first, hidden, "h_0")
        demands.shape(second, cell, "c_0")
        if isinstance(state, Tensor):
            demands.refuse("takes its state as a tuple of `h_0` and `c_0`")
    else:
        demands.shape(state, hidden, "h_0")
    dtype = floating(input)
    output = demands.gives(None if axes is None else (*axes[:-1], recurrence.width), dtype)
    if isinstance(output, Mismatch):
        return output
    last = Demands(recurrence.name)
    h_n, c_n = last.gives(hidden, dtype), last.gives(cell, dtype)
    if isinstance(h_n, Mismatch) or isinstance(c_n, Mismatch):
        return UNKNOWN
    return (output, (h_n, c_n) if recurrence.name == "LSTM" else h_n)


def _recurrent_layer(
    name: str,
    input_size: Any,
    hidden_size: Any,
    num_layers: Any,
    bias: Any,
    batch_first: Any,
    bidirectional: Any,
    proj_size: Any,
    dtype: Any,
) -> Result:
    demands = Demands(name)
    hidden, projected = dim_of(hidden_size), dim_of(proj_size)
    if hidden is not None and int_of(hidden) is not None and (int_of(hidden) or 0) <= 0:
        demands.refuse(f"takes a hidden_size above 0, not {hidden}")
    over = None if hidden is None or projected is None or projected == 0 else bounds(projected - hidden)[0]
    if over is not None and over >= 0:
        demands.refuse(f"projects to fewer than hidden_size, and {projected} is not below {hidden}")
    if demands.refusal is not None:
        return demands.refusal
    both = flag_of(bidirectional)
    outside = None if projected is None else hidden if projected == 0 else projected
    recurrence = Recurrence(
        name,
        dim_of(input_size),
        hidden,
        outside,
        dim_of(num_layers),
        None if both is None else Dim(2 if both else 1),
        flag_of(batch_first),
    )
    return layer(
        lambda input, hx=None: _run(recurrence, input, hx),
        input_size=input_size,
        hidden_size=hidden_size,
        num_layers=num_layers,
        batch_first=batch_first,
        bidirectional=bidirectional,
        proj_size=proj_size,
        **_parameters(recurrence, bias, parameter_dtype(dtype)),
    )


def _parameters(recurrence: Recurrence, bias: Any, dtype: str | None) -> dict[str, Any]:
    gated = None if recurrence.hidden is None else recurrence.hidden * _GATES[recurrence.name]
    held: dict[str, Any] = {}
    for number in range(int_of(recurrence.layers) or 0):
        inside = recurrence.width if number else recurrence.inside
        for suffix in ("", "_reverse")[: int_of(recurrence.directions)]:
            place = f"l{number}{suffix}"
            held[f"weight_ih_{place}"] = parameter((gated, inside), dtype)
            held[f"weight_hh_{place}"] = parameter((gated, recurrence.outside), dtype)
            for word in ("bias_ih_", "bias_hh_"):
                held[word + place] = parameter((gated,), dtype, present=flag_of(bias))
    return held


@module(
    "torch.nn.RNN",
    examples=(
        "f(3, 4)(t(5, 2, 3))",
        "f(3, 4, 2, 'relu')(t(5, 3))",
        "f(3, 4, batch_first=True)(t(2, 5, 3), t(1, 2, 4))",
        "f(3, 4)(t(5, 2, 4))",
        "f(3, 4, nonlinearity='gelu')(t(5, 2, 3))",
    ),
)
def rnn_layer(
    input_size: Any,
    hidden_size: Any,
    num_layers: Any = 1,
    nonlinearity: Any = "tanh",
    bias: Any = True,
    batch_first: Any = False,
    dropout: Any = 0.0,
    bidirectional: Any = False,
    device: Any = None,
    dtype: Any = None,
) -> Result:
    """Steps to outputs and the last states."""
    del dropout, device
    if isinstance(nonlinearity, str) and nonlinearity not in ("tanh", "relu"):
        demands = Demands("RNN")
        demands.refuse(f"takes 'tanh' or 'relu', not {nonlinearity!r}")
        return demands.refusal or UNKNOWN
    return _recurrent_layer("RNN", input_size, hidden_size, num_layers, bias, batch_first, bidirectional, Dim(0), dtype)


@module(
    "torch.nn.GRU",
    examples=(
        "f(3, 4)(t(5, 2, 3))",
        "f(3, 4, num_layers=2, batch_first=True, bidirectional=True)(t(2, 5, 3))",
        "f(3, 4, 2)(t(5, 2, 3), t(2, 2, 4))",
        "f(3, 4)(t(5, 3), t(1, 4))",
        "f(3, 4)(t(5, 2, 4))",
        "f(3, 4)(t(3))",
        "f(3, 4, 2)(t(5, 2, 3), t(1, 2, 4))",
        "f(3, 4, batch_first=True)(t(5, 2, 3), t(1, 2, 4))",
    ),
)
def gru_layer(
    input_size: Any,
    hidden_size: Any,
    num_layers: Any = 1,
    bias: Any = True,
    batch_first: Any = False,
    dropout: Any = 0.0,
    bidirectional: Any = False,
    device: Any = None,
    dtype: Any = None,
) -> Result:
    """Steps to outputs and the last states."""
    del dropout, device
    return _recurrent_layer("GRU", input_size, hidden_size, num_layers, bias, batch_first, bidirectional, Dim(0), dtype)


@module(
    "torch.nn.LSTM",
    examples=(
        "f(3, 4)(t(5, 2, 3))",
        "f(3, 4, 2, batch_first=True, bidirectional=True)(t(2, 5, 3))",
        "f(3, 4, proj_size=2, bidirectional=True)(t(5, 2, 3))",
        "f(3, 4, 2, True, False, 0.1, False, 2)(t(5, 3), (t(2, 2), t(2, 4)))",
        "f(3, 4)(t(5, 2, 3), (t(1, 2, 4), t(1, 2, 4)))",
        "f(3, 4)(t(5, 2, 4))",
        "f(3, 4)(t(5, 2, 3), (t(1, 3, 4), t(1, 2, 4)))",
        "f(3, 4)(t(5, 2, 3), (t(1, 2, 4), t(1, 2, 5)))",
        "f(3, 4)(t(5, 2, 3), (t(2, 4), t(2, 4)))",
        "f(3, 4, proj_size=4)(t(5, 2, 3))",
        "f(3, 0)(t(5, 2, 3))",
    ),
)
def lstm_layer(
    input_size: Any,
    hidden_size: Any,
    num_layers: Any = 1,
    bias: Any = True,
    batch_first: Any = False,
    dropout: Any = 0.0,
    bidirectional: Any = False,
    proj_size: Any = 0,
    device: Any = None,
    dtype: Any = None,
) -> Result:
    """Steps to outputs and the last states and cells."""
    del dropout, device
    sizes = (input_size, hidden_size, num_layers)
    return _recurrent_layer("LSTM", *sizes, bias, batch_first, bidirectional, proj_size, dtype)


def _cell_layer(name: str, input_size: Any, hidden_size: Any, bias: Any, dtype: Any) -> Result:
    inside, hidden = dim_of(input_size), dim_of(hidden_size)

    def forward(input: Any, hx: Any = None) -> Result:
        demands = Demands(name)
        axes = demands.rank(input, 1, 2)
        demands.axis(axes, -1, inside)
        state = None if axes is None else (*axes[:-1], hidden)
        if name == "LSTMCell" and isinstance(hx, tuple) and len(hx) == 2:  # noqa: PLR2004 - a state and a cell
            demands.shape(hx[0], state, "h_0")
            demands.shape(hx[1], state, "c_0")
        else:
            demands.shape(hx, state, "h_0")
        after = demands.gives(state, floating(input))
        if isinstance(after, Mismatch):
            return after
        return (after, after) if name == "LSTMCell" else after

    gated = None if hidden is None else hidden * _GATES[name.removesuffix("Cell")]
    made, biased = parameter_dtype(dtype), flag_of(bias)
    return layer(
        forward,
        input_size=input_size,
        hidden_size=hidden_size,
        weight_ih=parameter((gated, inside), made),
        weight_hh=parameter((gated, hidden), made),
        bias_ih=parameter((gated,), made, present=biased),
        bias_hh=parameter((gated,), made, present=biased),
    )


@module(
    "torch.nn.RNNCell",
    examples=("f(3, 4)(t(2, 3))", "f(3, 4, True, 'relu')(t(3), t(4))", "f(3, 4)(t(2, 4))", "f(3, 4)(t(2, 3), t(5, 4))"),
)
def rnn_cell_layer(
    input_size: Any,
    hidden_size: Any,
    bias: Any = True,
    nonlinearity: Any = "tanh",
    device: Any = None,
    dtype: Any = None,
) -> Result:
    """One step and a state to the next state."""
    del nonlinearity, device
    return _cell_layer("RNNCell", input_size, hidden_size, bias, dtype)


@module(
    "torch.nn.GRUCell",
    examples=("f(3, 4)(t(2, 3))", "f(3, 4, bias=False)(t(3), t(4))", "f(3, 4)(t(2, 4))", "f(3, 4)(t(2, 3), t(2, 3))"),
)
def gru_cell_layer(
    input_size: Any, hidden_size: Any, bias: Any = True, device: Any = None, dtype: Any = None
) -> Result:
    """One step and a state to the next state."""
    del device
    return _cell_layer("GRUCell", input_size, hidden_size, bias, dtype)


@module(
    "torch.nn.LSTMCell",
    examples=(
        "f(3, 4)(t(2, 3))",
        "f(3, 4)(t(2, 3), (t(2, 4), t(2, 4)))",
        "f(3, 4)(t(3))",
        "f(3, 4)(t(2, 4))",
        "f(3, 4)(t(2, 3), (t(2, 4), t(2, 3)))",
        "f(3, 4)(t(5, 2, 3))",
    ),
)
def lstm_cell_layer(
    input_size: Any, hidden_size: Any, bias: Any = True, device: Any = None, dtype: Any = None
) -> Result:
    """One step, a state and a cell to the next ones."""
    del device
    return _cell_layer("LSTMCell", input_size, hidden_size, bias, dtype)
