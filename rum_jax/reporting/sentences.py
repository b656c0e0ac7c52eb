"""What an estimate of memorization says, in words."""

from __future__ import annotations

from collections.abc import Sequence

from rum_jax.memorization import ensemble
from rum_jax.memorization.reliability import Agreement, Reliability, Report
from rum_jax.memorization.reliability import ScoreSummary


def agreement_line(name: str, agreement: Agreement) -> str:
  """How far an estimate agrees with other scores, in words."""
  return (f'Spearman correlation with {name}: {agreement.spearman:.3f}; they '
          f'share {_shares(agreement)} (chance: {agreement.chance:.2f})')


def _shares(groups: Agreement | Reliability) -> str:
  return (f'{groups.low:.2f} of low, {groups.medium:.2f} of medium, '
          f'{groups.high:.2f} of high')


def lines(report: Report) -> Sequence[str]:
  """A report in words, for a terminal."""
  fit = report.fit
  text = [f'models are right about {fit.mean:.1%} of what they trained on, '
          f'the least about {fit.least:.1%}; {fit.fitted} of {fit.models} '
          f'about {ensemble.FITTED:.0%} or more']
  for name, part in (('correctness', report.correctness),
                     ('probability', report.probability)):
    half = part.split_half
    text += [
        sentence(f'memorization by {name}', part),
        f'  split-half Spearman correlation {half.spearman:.4f}, of all '
        f'models {half.corrected:.4f}; the halves share {_shares(half)}']
  return [*text, report.recommendation.sentence]


def sentence(name: str, scores: ScoreSummary) -> str:
  """A summary in words."""
  quantiles = ', '.join(f'{q:.3f}' for q in scores.quantiles.values())
  return (f'{name}: {quantiles} at 5, 25, 50, 75 and 95 %; mean standard '
          f'error {scores.mean_standard_error:.4f}')
