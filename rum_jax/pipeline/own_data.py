"""Learning rate, epochs and forget set for data without a recipe of their own.

The defaults of a `Recipe` are those of the demo on digits. On other data, such
a model may not fit the training set, or training may take too long. `suited`
chooses the values that no flag gives by this rule:

* `learning_rate`: 0.1 √(64 / P) for an MLP on images of P numbers, but at most
  0.1; 0.03 for a transformer; and 0.1 for a network with batch-norm. The input
  of an MLP has P entries of about unit variance, so the largest stable rate
  falls with P. The demo has P = 64 and a rate of 0.2; with this rate, some
  seeds collapse on parts of its data. If a step has fewer than 64 examples, its
  gradient is noisier, so the rate is multiplied by batch_size / 64. The rate is
  rounded to one digit.
* `epochs`: the number for 2,500 steps of at least 64 examples, but at least 20
  and at most 200.
* `forget`: a tenth of the training examples, rounded to a multiple of 3.

References:
  LeCun et al., Efficient BackProp, 1998, on the largest stable rate. Smith and
  Le, A Bayesian perspective on generalization and stochastic gradient descent,
  2018, on learning rate and batch size.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
import dataclasses
import math
from typing import Any, NamedTuple

from rum_jax.recipes import Recipe

_STEPS, _SHORTEST, _LONGEST = 2500, 20, 200
_NUMBERS, _BATCH = 64, 64  # Numbers of an image, examples of a step: rate 0.1.
_MLP_RATE, _NORM_RATE, _TRANSFORMER_RATE = 0.1, 0.1, 0.03
_FORGET = 0.1


class Suited(NamedTuple):
  """A recipe for its data, with the reasons for its values.

  Attributes:
    recipe: the recipe with the values of the rule.
    reasons: name of a field to the reason for its value, for all fields that
      the rule chose.
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
    recipe: the recipe with the given fields, and with those of the demo.
    given: the names of the given fields, whose values are kept.
    image_shape: `(H, W, C)` of the data.
    num_train: the number of training examples.
    forgets: whether the recipe's forget set is used.

  Returns:
    The recipe; it is unchanged if its data are those of the demo.
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
  """The learning rate for images of so many numbers, and its reason."""
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
  """The number, rounded to one digit."""
  return float(f'{rate:.1g}')
