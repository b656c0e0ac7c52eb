"""What an estimate of memorization says, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rum_jax.memorization import ensemble
from rum_jax.types import GROUPS


def agreement_line(name: str, found: Mapping[str, float]) -> str:
  """What `agreement` says, in words."""
  return (f'Spearman correlation with {name}: {found["spearman"]:.3f}; they '
          f'share {_shares(found)} (chance: {found["chance"]:.2f})')


def _shares(found: Mapping[str, float]) -> str:
  return ', '.join(f'{found[g]:.2f} of {g}' for g in GROUPS)


def lines(found: Mapping[str, Any]) -> Sequence[str]:
  """A report in words, for a terminal."""
  own = found['fit']
  text = [f'models are right about {own["mean"]:.1%} of what they trained on, '
          f'the least about {own["least"]:.1%}; {own["fitted"]} of '
          f'{own["models"]} about {ensemble.FITTED:.0%} or more']
  for name in ('correctness', 'probability'):
    part = found[name]
    half = part['split_half']
    text += [
        sentence(f'memorization by {name}', part),
        f'  split-half Spearman correlation {half["spearman"]:.4f}, of all '
        f'models {half["corrected"]:.4f}; the halves share {_shares(half)}']
  return [*text, found['recommendation']['sentence']]


def sentence(name: str, found: dict[str, Any]) -> str:
  """A summary in words."""
  shown = ', '.join(f'{q:.3f}' for q in found['quantiles'].values())
  return (f'{name}: {shown} at 5, 25, 50, 75 and 95 %; mean standard error '
          f'{found["mean_standard_error"]:.4f}')
