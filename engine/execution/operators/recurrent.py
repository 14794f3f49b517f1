"""Recurrent networks: LSTM, GRU and the plain RNN, one direction at a time, by PyTorch's own kernels where they fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from engine.execution.node import Kernel, NodeView

Activation = Callable[[Tensor], Tensor]
State = tuple[Tensor, ...]
Step = Callable[[Tensor, State], State]

# Every activation takes (x, alpha, beta), with these defaults where they are read at all.
ACTIVATIONS: dict[str, tuple[Callable[[Tensor, float, float], Tensor], float, float]] = {
    "relu": (lambda x, a, b: torch.relu(x), 0, 0),
    "tanh": (lambda x, a, b: torch.tanh(x), 0, 0),
    "sigmoid": (lambda x, a, b: torch.sigmoid(x), 0, 0),
    "softsign": (lambda x, a, b: F.softsign(x), 0, 0),
    "softplus": (lambda x, a, b: torch.logaddexp(x, torch.zeros_like(x)), 0, 0),
    "affine": (lambda x, a, b: a * x + b, 1, 0),
    "leakyrelu": (lambda x, a, b: F.leaky_relu(x, a), 0.01, 0),
    "thresholdedrelu": (lambda x, a, b: torch.where(x > a, x, torch.zeros_like(x)), 1, 0),
    "scaledtanh": (lambda x, a, b: a * torch.tanh(b * x), 1, 1),
    "hardsigmoid": (lambda x, a, b: torch.clamp(a * x + b, 0, 1), 0.2, 0.5),
    "elu": (lambda x, a, b: F.elu(x, a), 1, 0),
}


@dataclass(frozen=True)
class _Layer:
    """The weights of one direction in ONNX's order of gates: (gates * hidden, inputs), then hidden to hidden."""

    weight: Tensor
    recurrence: Tensor
    input_bias: Tensor
    hidden_bias: Tensor
    peepholes: Tensor | None


Cell = Callable[[NodeView, _Layer, Sequence[Activation]], Step]
Fused = Callable[[Tensor, _Layer, State], tuple[Tensor, State]]


def lstm(node: NodeView) -> Kernel:
    fits = not node.get("input_forget", 0)
    return _recurrent(node, ("sigmoid", "tanh", "tanh"), 2, _lstm_step, _fused_lstm if fits else None)


def gru(node: NodeView) -> Kernel:
    return _recurrent(
        node, ("sigmoid", "tanh"), 1, _gru_step, _fused_gru if node.get("linear_before_reset", 0) else None
    )


def rnn(node: NodeView) -> Kernel:
    return _recurrent(node, ("tanh",), 1, _rnn_step, _fused_rnn)


def _recurrent(node: NodeView, usual: tuple[str, ...], states: int, cell: Cell, fused: Fused | None) -> Kernel:
    """Make the kernel of (x, w, r, b, sequence_lens, initial_h, initial_c, peepholes); `states` are kept in a step."""
    directions = {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}[
        str(node.get("direction", "forward"))
    ]
    activations, batch_first = _activations(node, usual * len(directions)), bool(node.get("layout", 0))
    custom = node.get("activations") is not None and _names(node) != list(usual * len(directions))
    fused = None if custom or node.get("clip") is not None else fused

    def run(
        x: Tensor,
        w: Tensor,
        r: Tensor,
        bias: Tensor | None = None,
        lengths: Tensor | None = None,
        hidden: Tensor | None = None,
        memory: Tensor | None = None,
        peepholes: Tensor | None = None,
    ) -> tuple[Tensor, ...] | Tensor:
        x = x.transpose(0, 1) if batch_first else x  # (length, batch, inputs)
        lengths = None if lengths is None or bool((lengths == x.shape[0]).all()) else lengths.to(x.device)
        outputs, ends = [], []
        for i, backwards in enumerate(directions):
            layer = _layer(w, r, bias, peepholes, i)
            start = tuple(_start(given, x, r, i, batch_first) for given in (hidden, memory)[:states])
            y = _reverse(x, lengths) if backwards else x
            if fused is not None and lengths is None and peepholes is None:
                y, end = fused(y, layer, start)
            else:
                own = activations[len(usual) * i : len(usual) * (i + 1)]
                y, end = _walk(y, cell(node, layer, own), start, lengths)
            outputs.append(_reverse(y, lengths) if backwards else y)
            ends.append(end)
        # (length, directions, batch, hidden), or (batch, length, directions, hidden)
        joined = torch.stack(outputs, dim=2).transpose(0, 1) if batch_first else torch.stack(outputs, dim=1)
        last = [torch.stack(state, dim=1 if batch_first else 0) for state in zip(*ends, strict=True)]
        return joined if node.output_count == 1 else (joined, *last)

    return run


def _names(node: NodeView) -> list[str]:
    return [str(name).lower() for name in node.get("activations")]


def _activations(node: NodeView, usual: tuple[str, ...]) -> list[Activation]:
    """Return one function a gate and direction; each that reads alpha or beta takes the next of those given."""
    names = _names(node) if node.get("activations") else list(usual)
    alphas, betas = (list(node.get(f"activation_{which}", ())) for which in ("alpha", "beta"))
    found: list[Activation] = []
    for name in names:
        if name not in ACTIVATIONS:
            raise node.refuse(f"the activation '{name}'")
        function, alpha, beta = ACTIVATIONS[name]
        alpha = alphas.pop(0) if alpha and alphas else alpha
        beta = betas.pop(0) if (beta or name == "affine") and betas else beta
        found.append(partial(_activate, function, alpha, beta))
    return found


def _activate(function: Callable[[Tensor, float, float], Tensor], alpha: float, beta: float, x: Tensor) -> Tensor:
    return function(x, alpha, beta)


def _layer(w: Tensor, r: Tensor, bias: Tensor | None, peepholes: Tensor | None, i: int) -> _Layer:
    rows = w.shape[1]
    both = w.new_zeros(2 * rows) if bias is None else bias[i]
    return _Layer(w[i], r[i], both[:rows], both[rows:], None if peepholes is None else peepholes[i])


def _start(given: Tensor | None, x: Tensor, r: Tensor, i: int, batch_first: bool) -> Tensor:
    if given is None:
        return x.new_zeros((x.shape[1], r.shape[2]))
    return given[:, i] if batch_first else given[i]


def _reverse(x: Tensor, lengths: Tensor | None) -> Tensor:
    """Turn each sequence round, within its own length where they differ: (length, batch, features)."""
    if lengths is None:
        return x.flip(0)
    at = torch.arange(x.shape[0], device=x.device)[:, None]
    at = torch.where(at < lengths, lengths - 1 - at, at)
    return x.gather(0, at[:, :, None].expand_as(x))


def _walk(x: Tensor, step: Step, state: State, lengths: Tensor | None) -> tuple[Tensor, State]:
    """Take one step after the other; a sequence that has ended keeps its state and gives zeros."""
    outputs = []
    for at, features in enumerate(x):
        following = step(features, state)
        output = following[0]
        if lengths is not None:
            living = (at < lengths)[:, None]
            following = tuple(torch.where(living, new, old) for new, old in zip(following, state, strict=True))
            output = torch.where(living, output, torch.zeros_like(output))
        outputs.append(output)
        state = following
    return torch.stack(outputs), state


def _clipped(node: NodeView) -> Activation:
    bound = node.get("clip")
    return (lambda x: x) if bound is None else lambda x: x.clamp(-bound, bound)


def _lstm_step(node: NodeView, layer: _Layer, functions: Sequence[Activation]) -> Step:
    gate, candidate, result = functions
    clip, coupled = _clipped(node), bool(node.get("input_forget", 0))
    into, out, forget = (0.0, 0.0, 0.0) if layer.peepholes is None else layer.peepholes.chunk(3)

    def step(x: Tensor, state: State) -> State:
        hidden, memory = state
        sums = F.linear(x, layer.weight, layer.input_bias) + F.linear(hidden, layer.recurrence, layer.hidden_bias)
        i, o, f, c = sums.chunk(4, dim=-1)
        i = gate(clip(i + into * memory))
        f = 1 - i if coupled else gate(clip(f + forget * memory))
        memory = f * memory + i * candidate(clip(c))
        return gate(clip(o + out * memory)) * result(memory), memory

    return step


def _gru_step(node: NodeView, layer: _Layer, functions: Sequence[Activation]) -> Step:
    gate, candidate = functions
    clip, linear_first = _clipped(node), bool(node.get("linear_before_reset", 0))
    size = layer.recurrence.shape[1]

    def step(x: Tensor, state: State) -> State:
        (hidden,) = state
        given = F.linear(x, layer.weight, layer.input_bias)
        kept = F.linear(hidden, layer.recurrence[: 2 * size], layer.hidden_bias[: 2 * size])
        z, r = gate(clip(given[:, : 2 * size] + kept)).chunk(2, dim=-1)
        weight, bias = layer.recurrence[2 * size :], layer.hidden_bias[2 * size :]
        inner = r * F.linear(hidden, weight, bias) if linear_first else F.linear(r * hidden, weight, bias)
        new = candidate(clip(given[:, 2 * size :] + inner))
        return ((1 - z) * new + z * hidden,)

    return step


def _rnn_step(node: NodeView, layer: _Layer, functions: Sequence[Activation]) -> Step:
    (function,), clip = functions, _clipped(node)

    def step(x: Tensor, state: State) -> State:
        sums = F.linear(x, layer.weight, layer.input_bias) + F.linear(state[0], layer.recurrence, layer.hidden_bias)
        return (function(clip(sums)),)

    return step


def _in_order(layer: _Layer, order: tuple[int, ...]) -> list[Tensor]:
    """Return the weights with their gates in PyTorch's order."""
    tensors = (layer.weight, layer.recurrence, layer.input_bias, layer.hidden_bias)
    return [torch.cat([tensor.chunk(len(order))[i] for i in order]) for tensor in tensors]


def _fused_lstm(x: Tensor, layer: _Layer, start: State) -> tuple[Tensor, State]:
    """ONNX's gates are input, output, forget, cell; PyTorch's input, forget, cell, output."""
    state = [given.unsqueeze(0).contiguous() for given in start]
    weights = _in_order(layer, (0, 2, 3, 1))
    y, hidden, memory = torch.lstm(x.contiguous(), state, weights, True, 1, 0.0, False, False, False)
    return y, (hidden[0], memory[0])


def _fused_gru(x: Tensor, layer: _Layer, start: State) -> tuple[Tensor, State]:
    """ONNX's gates are update, reset, hidden; PyTorch's reset, update, new, and the linear part comes before reset."""
    weights = _in_order(layer, (1, 0, 2))
    y, hidden = torch.gru(
        x.contiguous(), start[0].unsqueeze(0).contiguous(), weights, True, 1, 0.0, False, False, False
    )
    return y, (hidden[0],)


def _fused_rnn(x: Tensor, layer: _Layer, start: State) -> tuple[Tensor, State]:
    weights = _in_order(layer, (0,))
    y, hidden = torch.rnn_tanh(
        x.contiguous(), start[0].unsqueeze(0).contiguous(), weights, True, 1, 0.0, False, False, False
    )
    return y, (hidden[0],)
