"""Attention as one operator (opset 23 and later), and the rotation that tells its keys where they stand."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from engine.execution.node import Kernel, NodeView
from engine.execution.operators.elementwise import together


@dataclass(frozen=True)
class _Form:
    """One node's attributes. A window of -1 is open; `shown` says which scores the fourth output holds."""

    query_heads: int
    key_heads: int
    scale: float | None
    softcap: float
    causal: bool
    window: tuple[int, int]
    precision: torch.dtype | None
    shown: int | None


def attention(node: NodeView) -> Kernel:
    """Take (batch, heads, length, size), or (batch, length, heads * size) with the heads counted in attributes."""
    form = _Form(
        query_heads=int(node.get("q_num_heads", 0)),
        key_heads=int(node.get("kv_num_heads", 0)),
        scale=node.get("scale"),
        softcap=float(node.get("softcap", 0.0)),
        causal=bool(node.get("is_causal", 0)),
        window=(int(node.get("left_window_size", -1)), int(node.get("right_window_size", -1))),
        precision=node.get("softmax_precision"),
        shown=int(node.get("qk_matmul_output_mode", 0)) if node.output_count > 3 else None,
    )
    only_result = node.output_count == 1

    def run(
        q: Tensor,
        k: Tensor,
        v: Tensor,
        mask: Tensor | None = None,
        past_key: Tensor | None = None,
        past_value: Tensor | None = None,
        lengths: Tensor | None = None,
    ) -> Tensor | tuple[Tensor, ...]:
        flat = q.dim() == 3
        if flat:
            q, k, v = (_part(x, n) for x, n in ((q, form.query_heads), (k, form.key_heads), (v, form.key_heads)))
        k = k if past_key is None else torch.cat([past_key, k], dim=2)
        v = v if past_value is None else torch.cat([past_value, v], dim=2)
        offset = 0 if past_key is None else past_key.shape[2]
        y, scores = _attend(form, q, k, v, mask, offset, lengths)
        if flat:
            y = y.transpose(1, 2).flatten(2)  # (batch, heads, length, size) -> (batch, length, heads * size)
        return y if only_result else (y, k, v, scores)

    return run


def _part(x: Tensor, heads: int) -> Tensor:
    # (batch, length, heads * size) -> (batch, heads, length, size)
    return x.reshape(*x.shape[:2], heads, -1).transpose(1, 2)


def _attend(
    form: _Form, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, offset: int, lengths: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Return the result and the scores that are to be shown: those of PyTorch's one kernel where none are."""
    free = mask is None and lengths is None and not offset and form.window == (-1, -1)
    bias = None if free else _bias(form, q, k.shape[2], mask, offset, lengths)
    learns_mask = bias is not None and bias.requires_grad and torch.is_grad_enabled()  # the kernel does not
    if form.shown is not None or form.softcap or form.precision not in (None, q.dtype) or learns_mask:
        bias = _bias(form, q, k.shape[2], mask, offset, lengths) if bias is None else bias
        return _attend_in_steps(form, q, k, v, bias)
    shared = q.shape[1] != k.shape[1]
    causal = form.causal and free  # otherwise the bias says so
    return F.scaled_dot_product_attention(q, k, v, bias, is_causal=causal, scale=form.scale, enable_gqa=shared), q


def _bias(form: _Form, q: Tensor, keys: int, mask: Tensor | None, offset: int, lengths: Tensor | None) -> Tensor:
    """Return what is added to the scores: minus infinity where a query must not see a key."""
    queries = q.shape[2]
    bias = q.new_zeros((queries, keys))
    if mask is not None:
        mask = mask.to(q.device)
        mask = q.new_zeros(()).masked_fill(~mask, -math.inf) if mask.dtype == torch.bool else mask
        bias = bias + F.pad(mask, (0, keys - mask.shape[-1]), value=-math.inf)
    # How far each key lies ahead of each query, (queries, keys), or (batch, 1, queries, keys) with lengths.
    ahead = torch.arange(keys, device=q.device) - torch.arange(queries, device=q.device)[:, None] - offset
    if lengths is not None:
        lengths = lengths.to(q.device).reshape(-1, 1, 1, 1)
        bias = bias.masked_fill(torch.arange(keys, device=q.device) >= lengths, -math.inf)
        ahead = ahead - (lengths - queries)
    left, right = form.window
    right = 0 if form.causal else right
    hidden = torch.zeros_like(ahead, dtype=torch.bool)
    hidden = hidden if left < 0 else hidden | (ahead < -left)
    hidden = hidden if right < 0 else hidden | (ahead > right)
    return bias.masked_fill(hidden, -math.inf)


def _attend_in_steps(form: _Form, q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """Follow the standard's order: scale both sides, cap, add the bias, softmax; a query that sees no key gives 0."""
    share = q.shape[1] // k.shape[1]
    k, v = (k, v) if share == 1 else (k.repeat_interleave(share, dim=1), v.repeat_interleave(share, dim=1))
    root = math.sqrt(form.scale or 1 / math.sqrt(q.shape[3]))
    raw = (q * root) @ (k * root).transpose(2, 3)
    capped = torch.tanh(raw / form.softcap) * form.softcap if form.softcap else raw
    biased = capped + bias
    blind = (bias == -math.inf).all(dim=-1, keepdim=True)
    shares = torch.softmax(biased.masked_fill(blind, 0.0).to(form.precision or q.dtype), dim=-1)
    shares = shares.masked_fill(blind, 0.0).to(q.dtype)
    return shares @ v, (raw, capped, biased, shares)[form.shown or 0]


def rotary_embedding(node: NodeView) -> Kernel:
    """Turn pairs of features by the angle of their position: x1*cos - x2*sin and x1*sin + x2*cos.

    Su et al., "RoFormer: Enhanced Transformer with Rotary Position Embedding", 2021. arXiv:2104.09864
    """
    interleaved, heads = bool(node.get("interleaved", 0)), int(node.get("num_heads", 0))
    turned = int(node.get("rotary_embedding_dim", 0))

    def run(x: Tensor, cos: Tensor, sin: Tensor, positions: Tensor | None = None) -> Tensor:
        flat = x.dim() == 3
        x = _part(x, heads) if flat else x  # (batch, heads, length, size)
        if positions is not None:
            cos, positions, sin = together(cos, positions, sin)
            cos, sin = cos[positions], sin[positions]
        cos, sin = cos.unsqueeze(1).to(x.device), sin.unsqueeze(1).to(x.device)  # (batch, 1, length, pairs)
        moving, still = (x[..., :turned], x[..., turned:]) if turned else (x, x[..., :0])
        first, second = (moving[..., 0::2], moving[..., 1::2]) if interleaved else moving.chunk(2, dim=-1)
        pair = (first * cos - second * sin, first * sin + second * cos)
        moving = torch.stack(pair, dim=-1).flatten(-2) if interleaved else torch.cat(pair, dim=-1)
        y = torch.cat([moving, still], dim=-1)
        return y.transpose(1, 2).flatten(2) if flat else y

    return run
