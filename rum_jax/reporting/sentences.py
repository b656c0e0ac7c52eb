"""Sentences about estimates of memorization."""

from __future__ import annotations

from collections.abc import Sequence

from rum_jax.memorization import ensemble
from rum_jax.memorization.reliability import Agreement, Reliability, Report
from rum_jax.memorization.reliability import ScoresCard, ScoreSummary


def agreement_line(name: str, agreement: Agreement) -> str:
  """A sentence on the agreement of an estimate with other scores."""
  return (f'Spearman correlation with {name}: {agreement.spearman:.3f}; they '
          f'share {_shares(agreement)} (chance: {agreement.chance:.2f})')


def _shares(groups: Agreement | Reliability) -> str:
  return (f'{groups.low:.2f} of low, {groups.medium:.2f} of medium, '
          f'{groups.high:.2f} of high')


def lines(report: Report) -> Sequence[str]:
  """A report of reliability as lines of text."""
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


def scores_lines(card: ScoresCard) -> Sequence[str]:
  """The origin and the reliability of packaged scores, as lines of text."""
  made, data = card.identity, card.identity['data']
  network, training = made['network'], made['training']
  widths = ', '.join(map(str, network.get('widths', ())))
  of_width = f' of widths {widths}' if widths else ''
  last = card.first_model + card.models - 1
  text = [
      f'models {card.first_model} to {last} of {network["name"]}{of_width}, '
      f'each trained on {made["subset"]["share"]:.0%} of '
      f'{data["examples"][0]:,} examples for {training["epochs"]} epochs, '
      f'augmentation {training["augmentation"]}; they are right about '
      f'{card.held_out_accuracy:.1%} of the test examples',
      *(f'{work.models:.0f} models took {work.seconds / 3600:.1f} hours on '
        f'{device}, {work.models_an_hour:,.1f} an hour'
        for device, work in card.work.items()),
      *lines(card),
      f'published training part {data["train"][:12]}, score file '
      f'{card.file_hash[:12]} (SHA-256)']
  if card.fit.mean < ensemble.LEAST_FIT:
    text.append(
        f'The models fit less than {ensemble.LEAST_FIT:.0%} of what they '
        'trained on, so these scores are the effect of an example on a model '
        'that does not memorize: they do not measure memorization.')
  return text


def sentence(name: str, scores: ScoreSummary) -> str:
  """A summary of scores as a sentence."""
  quantiles = ', '.join(f'{q:.3f}' for q in scores.quantiles.values())
  return (f'{name}: {quantiles} at 5, 25, 50, 75 and 95 %; mean standard '
          f'error {scores.mean_standard_error:.4f}')
