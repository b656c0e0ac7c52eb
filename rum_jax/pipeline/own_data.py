"""Rate, length and forget set of training on data that no recipe was made for.

The defaults of a `Recipe` are those of the demo on digits. On other data they
may not fit the training set, or not finish. `suited` puts values of a written
rule in the place of those that nobody gave:

* `learning_rate`: of an MLP 0.1 √(64 / P) for images of P numbers, at most 0.1.
  The input has P entries of about unit variance, so that the largest stable
  rate falls with P. The demo has P = 64 and a rate of 0.2, with which some
  seeds collapse on a part of its data. Of a transformer 0.03,
  of a network with batch-norm 0.1. Times batch_size / 64 where a step has fewer
  than 64 examples, for its gradient is noisier. One digit of it is kept.
* `epochs`: as many as take 2,500 steps of at least 64 examples, at least 20 and
  at most 200.
* `forget`: a tenth of the training examples, rounded to a multiple of 3.

References:
  LeCun et al., Efficient BackProp, 1998, on the largest stable rate. Smith and
  Le, A Bayesian perspective on generalization and stochastic gradient descent,
  2018, on rate and batch size.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
import dataclasses
import math
from typing import Any, NamedTuple

from rum_jax.recipes import Recipe

_STEPS, _SHORTEST, _LONGEST = 2500, 20, 200
_NUMBERS, _BATCH = 64, 64  # Of an image and of a step: where rates are whole.
_MLP_RATE, _NORM_RATE, _TRANSFORMER_RATE = 0.1, 0.1, 0.03
_FORGET = 0.1


class Suited(NamedTuple):
  """A recipe that suits its data, and why it is as it is.

  Attributes:
    recipe: with the values of the rule.
    reasons: name of a field to the reason of its value, for all fields whose
      value is of the rule.
  """

  recipe: Recipe
  reasons: Mapping[str, str]

  def __str__(self) -> str:
    values = [f'{name}={getattr(self.recipe, name):g} ({why})'
              for name, why in self.reasons.items()]
    return (f'Chosen by rule for these data, as no flag gives them: '
            f'{"; ".join(values)}.') if values else ''


def suited(recipe: Recipe, given: Collection[str], image_shape: Sequence[int],
           num_train: int, forgets: bool = True) -> Suited:
  """A recipe whose rate, epochs and forget set suit the data.

  Args:
    recipe: as its fields were given, the others being those of the demo.
    given: names of the fields that were given, whose values stay.
    image_shape: `(H, W, C)` of the data.
    num_train: training examples.
    forgets: whether the recipe's forget set is used.

  Returns:
    The recipe, unchanged where its data are those of the demo.
  """
  if recipe.dataset == 'digits':
    return Suited(recipe, {})
  steps = -(-num_train // max(_BATCH, recipe.batch_size))
  rate, why = _learning_rate(recipe, math.prod(image_shape))
  found: dict[str, tuple[Any, str]] = {
      'learning_rate': (rate, why),
      'epochs': (min(_LONGEST, max(_SHORTEST, -(-_STEPS // steps))),
                 f'about {_STEPS:,} steps, {_SHORTEST} to {_LONGEST} epochs'),
      'forget': (max(3, 3 * round(_FORGET * num_train / 3)),
                 f'{_FORGET:.0%} of {num_train:,} training examples')}
  found = {k: v for k, v in found.items()
           if k not in given and (forgets or k != 'forget')}
  return Suited(
      dataclasses.replace(recipe, **{k: v for k, (v, _) in found.items()}),
      {k: why for k, (_, why) in found.items()})


def _learning_rate(recipe: Recipe, numbers: int) -> tuple[float, str]:
  """The rate for images of so many numbers, and why."""
  why = f' with batch_size={recipe.batch_size}'
  if recipe.network == 'mlp':
    rate = _MLP_RATE * min(1.0, math.sqrt(_NUMBERS / numbers))
    why = f'an MLP on images of {numbers:,} numbers{why}'
  elif recipe.network.startswith('vit'):
    rate, why = _TRANSFORMER_RATE, f'a transformer{why}'
  else:
    rate, why = _NORM_RATE, f'a network with batch-norm{why}'
  return _rounded(rate * min(1.0, recipe.batch_size / _BATCH)), why


def _rounded(rate: float) -> float:
  """The first digit of a number."""
  return float(f'{rate:.1g}')
