"""Refinement: which examples to forget, in which groups, in which order.

A *group* is an array of rows. A refinement is a tuple of disjoint groups in the
order in which they are unlearned. `stages` makes of it the splits for
`rum.sequential`. These functions use NumPy and run on the host.

Ties: examples are ranked by score, and examples of equal score by a random
permutation that `seed` determines. Memorization has many equal scores. This
rule makes their order independent of the order of the data set, and the same in
every run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from jax.typing import ArrayLike
import numpy as np

from rum_jax import _checks
from rum_jax.types import Split

Groups = tuple[np.ndarray, ...]
RetainPolicy = Callable[[Groups, int], tuple[np.ndarray, ...]]
TIES = 3  # The seed by which the RUM experiments order equal scores.


def ranked(scores: ArrayLike, seed: int) -> np.ndarray:
  """Rows in ascending order of score; `seed` orders equal scores.

  Args:
    scores: `[N]`, finite.
    seed: the seed of the permutation that orders equal scores.

  Returns:
    `[N]` int32 rows.

  Raises:
    ValueError: if a score is NaN or infinite; the message names a row.
  """
  scores = np.asarray(scores)
  if not np.isfinite(scores).all():
    row = int(np.flatnonzero(~np.isfinite(scores))[0])
    raise ValueError(f'Expected finite scores, found {scores[row]} at row '
                     f'{row}.')
  tie = np.random.default_rng(seed).permutation(len(scores))
  return np.lexsort((tie, scores)).astype(np.int32)


def by_score(scores: ArrayLike, size: int, *, middle: float | None = 0.5,
             seed: int = 0) -> Groups:
  """Groups of the lowest scores, of those nearest to `middle`, and the highest.

  The low group is chosen first, the high group second, and the medium group
  third from the remaining examples, so the groups never overlap.

  Args:
    scores: `[N]`, such as memorization.
    size: examples in each group.
    middle: the score at the centre of the medium group; `None` is the median,
      as for proxies in the follow-up of the paper.
    seed: orders equal scores.

  Returns:
    Three sorted arrays of rows: low, medium and high.

  Raises:
    ValueError: if three groups of `size` do not fit in N, or a score is not
      finite.

  References:
    Zhao et al., What makes unlearning hard and what to do about it, 2024.
  """
  _checks.check_count('size', size, 1)
  scores = np.asarray(scores)
  if 3 * size > len(scores):
    raise ValueError(f'Expected three groups of size={size} to fit in '
                     f'{len(scores)} examples.')
  order = ranked(scores, seed)
  rest = order[size:len(order) - size]
  target = np.median(scores) if middle is None else middle
  nearest = ranked(np.abs(scores - target), seed)
  medium = nearest[np.isin(nearest, rest)][:size]
  return tuple(np.sort(g) for g in (order[:size], medium, order[-size:]))


def shuffled(groups: Groups, seed: int) -> Groups:
  """The control *shuffle*: random groups of the same examples and sizes."""
  pool = np.random.default_rng(seed).permutation(np.concatenate(groups))
  cuts = np.cumsum([len(g) for g in groups])[:-1]
  return tuple(np.sort(g) for g in np.split(pool, cuts))


def merged(groups: Groups) -> Groups:
  """All groups as one group: the forget set of a *vanilla* run."""
  return (np.sort(np.concatenate(groups)),)


def stacked(refinements: Sequence[Sequence[Split]]) -> tuple[Split, ...]:
  """Stacks the stages of several seeds.

  Args:
    refinements: the splits of `stages` for each of S seeds, of equal lengths.

  Returns:
    For each stage a split with a leading axis `[S]`.
  """
  return tuple(Split(*map(np.stack, zip(*stage)))
               for stage in zip(*refinements))


def retain_remaining(groups: Groups, num_examples: int
                     ) -> tuple[np.ndarray, ...]:
  """Stage i retains all examples except those of groups 1 to i.

  This is the paper's pipeline for memorization. A stage never trains on a group
  that is already forgotten. It does train on the groups of later stages.
  """
  return tuple(_others(groups[:i + 1], num_examples)
               for i in range(len(groups)))


def retain_untouched(groups: Groups, num_examples: int
                     ) -> tuple[np.ndarray, ...]:
  """Every stage retains the examples of no group: the paper's ES pipeline."""
  return (_others(groups, num_examples),) * len(groups)


def stages(groups: Sequence[np.ndarray], num_examples: int,
           policy: RetainPolicy = retain_remaining) -> tuple[Split, ...]:
  """Makes a split of each group, in order.

  Args:
    groups: disjoint arrays of rows.
    num_examples: N.
    policy: `(groups, num_examples) -> rows to retain` in each stage.

  Returns:
    Splits with int32 rows.

  Raises:
    ValueError: if there is no group or an empty one, two overlap, a row is not
      a whole number in `[0, N)`, or nothing is left to retain.
  """
  groups = tuple(map(np.asarray, groups))
  if not groups:
    raise ValueError('Expected at least one group, found none.')
  for i, group in enumerate(groups):
    position = f'group {i + 1} of {len(groups)}'
    if not len(group):
      raise ValueError(f'Expected {position} to hold examples, found none.')
    if not np.issubdtype(group.dtype, np.integer):
      raise ValueError(f'Expected rows as whole numbers, found {group.dtype} '
                       f'in {position}.')
    _checks.check_within('rows', group, num_examples, f' in {position}')
  groups = tuple(g.astype(np.int32) for g in groups)
  _checks.check_once(*groups)
  retains = policy(groups, num_examples)
  if min(map(len, retains)) == 0:
    raise ValueError(f'Expected examples to retain: the forget set holds all '
                     f'{num_examples} of them.')
  return tuple(Split(f, r) for f, r in zip(groups, retains))


def _others(groups: Sequence[np.ndarray], num_examples: int) -> np.ndarray:
  keep = np.ones(num_examples, bool)
  keep[np.concatenate(groups)] = False
  return np.flatnonzero(keep).astype(np.int32)
