"""The rule that turns figures into an answer.

With retrained models the question is whether the unlearned models are as if
they had been retrained without the forget set:

* *yes*, if the whole 95 % intervals of the differences from the retrained
  models lie within the margins: accuracy on the forget set, accuracy on the
  rest (retain and held-out), and AUC of forget beside held-out examples;
* *no*, if one of these intervals lies wholly outside its margin, or if one does
  after the checks of `observations`;
* *cannot tell* otherwise, with the smallest difference that so many models and
  examples would show.

Without retrained models the answer is never yes. It is *traces found*, with
their names, or *no trace found*, with the shift that would have been shown. A
trace is an AUC whose interval excludes 0.5 on either side (below it, the model
is less confident in the forget set than in new examples: it forgot too much, or
these examples are harder), or knowledge that a check brings back. The intervals
are those of `1 − 0.05 / k` for k tests, so that a model without traces is
called clean in 95 % of cases. If no trace is found, but only a shift of the AUC
by more than `BLIND` would have been, the answer is *cannot tell*. Where there
are no held-out examples for an AUC, the same holds for the rise of accuracy
that a check brings.

Either answer is evidence from attacks, and no certificate.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import math

from rum_jax.audits._beside_held_out import Attack
from rum_jax.audits._intervals import Measured
from rum_jax.audits.measures import After, Comparison, Measures
from rum_jax.evaluation import reference_checks

YES, NO, UNKNOWN = 'yes', 'no', 'cannot tell'
TRACES, NO_TRACE = 'traces found', 'no trace found'
WORST_FIRST = (NO, TRACES, UNKNOWN, NO_TRACE, YES)
NO_CERTIFICATE = (
    'This is evidence from measurements and attacks. It is no certificate: '
    'another attack may find what these did not.')
_record = dataclasses.dataclass(frozen=True, kw_only=True)
_WORDS = {
    'forget_accuracy': 'accuracy on the forgotten rows',
    'retain_accuracy': 'accuracy on the retained rows',
    'held_out_accuracy': 'accuracy on held-out examples',
    'auc': 'AUC of the attack'}
_AFTER = {'relearned': 'after fine-tuning on the retained rows alone',
          'recalibrated': 'after the batch-norm check'}
BLIND = 0.2  # A check that shows no smaller shift or rise tells nothing.
_LEAST_MODELS = 2  # Of retrained ones; of one, the spread is not known.


@_record
class Margins:
  """Differences that do not matter.

  Attributes:
    forget_accuracy: of accuracies on the forget set.
    retain_accuracy: of accuracies on the retain set.
    held_out_accuracy: of accuracies on held-out examples. It is wider, because
      these are often few: with 359 of them and a margin of 0.02, four retrained
      digits models often do not pass beside four others.
    auc: of AUCs.
  """

  forget_accuracy: float = 0.05
  retain_accuracy: float = 0.02
  held_out_accuracy: float = 0.03
  auc: float = 0.05


MARGINS = Margins()


@_record
class Check:
  """One difference from retrained models, or one search for a trace.

  Attributes:
    name: of the figure, in words.
    value: the difference, or the figure.
    low: lower end of the interval that was judged.
    high: upper end.
    expected: the range within which it should lie: ± the margin, or the value
      of a model without traces.
    outcome: `inside`, `outside` or `overlaps`; for a trace `found` or `none`.
    smallest: the smallest difference that would be shown.
    sigma: the same in standard deviations of φ; NaN where it is not an AUC.
  """

  name: str
  value: float
  low: float
  high: float
  expected: tuple[float, float]
  outcome: str
  smallest: float
  sigma: float = math.nan


@_record
class Verdict:
  """An answer, and what it rests on.

  Attributes:
    question: that is answered.
    answer: `yes`, `no`, `cannot tell`, `traces found` or `no trace found`.
    reason: a sentence or more.
    checks: all that was judged.
    margins: where there are retrained models.
    cautions: sentences that limit the answer.
    caveat: that this is no certificate.
  """

  question: str
  answer: str
  reason: str
  checks: tuple[Check, ...]
  margins: Margins | None
  cautions: tuple[str, ...]
  caveat: str = NO_CERTIFICATE


def verdict(unlearned: Measures, change: Comparison, *,
            gap: Comparison | None = None,
            original_gap: Comparison | None = None,
            retrained: int = 0,
            gap_after: Mapping[str, Comparison] | None = None,
            margins: Margins = MARGINS, chance: float | None = None,
            retain: int = 0) -> Verdict:
  """The answer for one forget set.

  Args:
    unlearned: figures of the unlearned models.
    change: unlearned minus original.
    gap: unlearned minus retrained; `None` without retrained models.
    original_gap: original minus retrained; `None` likewise.
    retrained: number of retrained models.
    gap_after: name of a check to unlearned minus retrained after it.
    margins: differences that do not matter.
    chance: accuracy of a guess; `None` where the task has none.
    retain: number of retained examples.
  """
  cautions = _harm(unlearned, change, margins, chance, retain)
  if not unlearned.forget_accuracy.seeds:
    return Verdict(
        question='Was the model made to forget?', answer=UNKNOWN, checks=(),
        reason='All unlearned models diverged: there is nothing to judge.',
        margins=None, cautions=())
  if gap is None:
    return _without_oracles(unlearned, cautions)
  return _with_oracles(gap, original_gap, retrained, gap_after or {}, margins,
                       cautions)


def _with_oracles(gap: Comparison, original_gap: Comparison | None,
                  retrained: int, gap_after: Mapping[str, Comparison],
                  margins: Margins, cautions: list[str]) -> Verdict:
  main = _against(gap, margins)
  later = []
  for kind, compared in gap_after.items():
    if not compared.forget_accuracy.seeds:
      cautions.append(_all_diverged(kind))
      continue
    later += [
        dataclasses.replace(check, name=f'{check.name} {_AFTER[kind]}')
        for check in _against(compared, margins)
        if check.name in (_WORDS['forget_accuracy'], _WORDS['auc'])]
  outside = [x for x in (*main, *later) if x.outcome == 'outside']
  question = ('Is the unlearned model as if it had been retrained without '
              'these rows?')
  made = lambda answer, reason: Verdict(
      question=question, answer=answer, reason=reason, margins=margins,
      checks=(*main, *later), cautions=tuple(cautions))
  if retrained < _LEAST_MODELS:
    return made(UNKNOWN, f'There is {retrained} retrained model. At least '
                f'{_LEAST_MODELS} are needed to know how much retrained models '
                'differ from each other.')
  if outside:
    return made(NO, 'Compared with retrained models, ' + '; '.join(
        f'the {x.name} is {abs(x.value):.3f} too '
        f'{"high" if x.value > 0 else "low"} (95 % interval {_range(x)}, '
        f'allowed ± {x.expected[1]:g})' for x in outside) + '.')
  if gap.auc is None:
    cautions.append('Without held-out examples of the same classes the attack '
                    'cannot be run, and the answer cannot be yes.')
    return made(UNKNOWN, 'No difference from retrained models is shown to '
                'exceed its margin, but there are no held-out examples of the '
                'same classes to run the attack with.')
  if all(x.outcome == 'inside' for x in main):
    if original_gap is not None and all(
        x.outcome == 'inside' for x in _against(original_gap, margins)):
      cautions.append('The original model passes the same test: these rows '
                      'left no trace that these figures show, so the answer '
                      'says little about the method.')
    return made(YES, 'The 95 % intervals of all differences from retrained '
                'models lie within the margins: ' + '; '.join(
                    f'{x.name} {_range(x)} (± {x.expected[1]:g})'
                    for x in main) + '.')
  open_ = [x for x in main if x.outcome == 'overlaps']
  return made(UNKNOWN, 'Too few models or rows to tell: ' + '; '.join(
      f'the difference in {x.name} lies in {_range(x)}, and so many would show '
      f'one of {_size(x.smallest)}' for x in open_) + '.')


def _against(gap: Comparison, margins: Margins) -> list[Check]:
  """Each difference beside its margin."""
  checks = []
  for figure, words in _WORDS.items():
    value = getattr(gap, figure)
    if value is None:
      continue
    margin = getattr(margins, figure)
    outcome = 'overlaps'
    if value.low >= -margin and value.high <= margin:
      outcome = 'inside'
    elif value.low > margin or value.high < -margin:
      outcome = 'outside'
    checks.append(Check(
        name=words, value=value.mean, low=value.low, high=value.high,
        expected=(-margin, margin), outcome=outcome, smallest=value.smallest()))
  return checks


def _without_oracles(unlearned: Measures, cautions: list[str]) -> Verdict:
  tests: list[tuple[str, Attack | Measured, bool]] = []
  if unlearned.attack is not None:
    tests.append((_WORDS['auc'], unlearned.attack, True))
  for kind, words in _AFTER.items():
    after: After | None = getattr(unlearned, kind)
    if after is None:
      continue
    if not after.forget_accuracy.seeds:
      cautions.append(_all_diverged(kind))
      continue
    if after.attack is not None:
      tests.append((f'{_WORDS["auc"]} {words}', after.attack, False))
    rise = after.rise if after.excess is None else after.excess
    beyond = '' if after.excess is None else ' beyond that on held-out examples'
    tests.append((f'rise of accuracy on the forgotten rows{beyond} {words}',
                  rise, False))
  level = 1 - 0.05 / max(len(tests), 1)
  checks = [_searched(*test, level) for test in tests]
  made = lambda answer, reason: Verdict(
      question='Does the unlearned model show traces of these rows?',
      answer=answer, reason=reason, checks=tuple(checks), margins=None,
      cautions=tuple(cautions))
  if unlearned.attack is None:
    cautions.append('There are no held-out examples of the same classes, so '
                    'the attack was not run.')
  if not checks:
    return made(UNKNOWN, 'No check could be made: there are no retrained '
                'models, no held-out examples of the same classes, and no '
                'check by fine-tuning or batch-norm was run.')
  found = [x for x in checks if x.outcome == 'found']
  if found:
    if any(x.value < x.expected[0] for x in found):
      cautions.append('An AUC below 0.5 means that the model is less confident '
                      'in these rows than in new examples of the same classes: '
                      'it forgot too much, which shows, too, or the rows are '
                      'harder. Retrained models would tell which.')
    return made(TRACES, 'Found: ' + '; '.join(
        f'the {x.name} is {x.value:.3f} (interval {_range(x)}; '
        f'{x.expected[0]:g} without traces)' for x in found) + '.'
                + ('' if len(checks) == 1 else
                   ' These intervals are widened because several checks are '
                   'made.'))
  looked = '; '.join(
      f'the {x.name} is {x.value:.3f} (this check '
      f'{_would_show(x.smallest, x.sigma)})' for x in checks)
  attacks = [x for x in checks if x.expected[0] > 0]
  if min(x.smallest for x in attacks or checks) > BLIND:
    return made(UNKNOWN, 'There are too few rows or held-out examples: no '
                f'trace was found, but only a large one would have been. '
                f'What was looked at: {looked}.')
  return made(NO_TRACE, f'No trace was found. What was looked at: {looked}. '
              'Without retrained models this is never a yes.')


def _all_diverged(check: str) -> str:
  return f'All models diverged {_AFTER[check]}, so this check says nothing.'


def _searched(words: str, figure: Attack | Measured, both: bool, level: float
              ) -> Check:
  """A search for a trace, above what is expected or on `both` sides."""
  if isinstance(figure, Attack):
    value, null, shift = figure.auc, 0.5, figure.power.at(level)
    smallest, sigma = shift.auc, shift.sigma
  else:
    value, null = figure, 0.0
    smallest, sigma = figure.smallest(level), math.nan
  low, high = value.interval(level)
  found = low > null or both and high < null
  return Check(
      name=words, value=value.mean, low=low, high=high, expected=(null, null),
      outcome='found' if found else 'none', smallest=smallest, sigma=sigma)


def _harm(unlearned: Measures, change: Comparison, margins: Margins,
          chance: float | None, retain: int) -> list[str]:
  """What the unlearned models lost apart from the forget set."""
  said = []
  lost = len(unlearned.forget_accuracy.values) - unlearned.forget_accuracy.seeds
  if lost and unlearned.forget_accuracy.seeds:
    said.append(f'{lost} of {unlearned.models} unlearned models diverged and '
                'are left out of the means.')
  collapsed = sum(reference_checks.at_chance(x, chance, retain)
                  for x in unlearned.retain_accuracy.values)
  if collapsed:
    said.append(f'{collapsed} of {unlearned.models} unlearned models are no '
                'better than a guess on the retained rows.')
  for figure in ('retain_accuracy', 'held_out_accuracy'):
    value = getattr(change, figure)
    if value is not None and value.high < -getattr(
        margins, figure):
      said.append(f'The {_WORDS[figure]} fell by {-value.mean:.3f}.')
  return said


def _range(check: Check) -> str:
  """The interval; with signs where it is one of a difference."""
  sign = '' if check.expected[0] > 0 else '+'
  return f'{check.low:{sign}.3f} to {check.high:{sign}.3f}'.replace('-', '−')


def _would_show(value: float, sigma: float) -> str:
  """Which shift a check would have shown."""
  if not math.isfinite(value) or value >= 1:
    return 'has too few examples to show a shift of any size'
  return f'would have shown a shift of {_size(value, sigma)}'


def _size(value: float, sigma: float = math.nan) -> str:
  """A smallest difference, in words."""
  if not math.isfinite(value) or value >= 1:
    return 'no size: there are too few of them'
  if math.isfinite(sigma):
    return f'{value:.3f} ({sigma:.2f} standard deviations) or more'
  return f'{value:.3f} or more'
