"""Entanglement: how intertwined forget and retain set are in the embedding.

`ES = (mean ‖φ − μ_R‖² over R + mean ‖φ − μ_F‖² over F)
      / (½ (‖μ_R − μ‖² + ‖μ_F − μ‖²))`

with φ the features of the *original* model and μ their mean over both sets
together. High means tightly spread around means that lie close together.

References:
  Zhao et al., What makes unlearning hard and what to do about it, 2024.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from rum_jax.types import Array, Split


def entanglement_score(features: Array, split: Split, *, midpoint: bool = False
                       ) -> Array:
  """ES of one split; vmap it over seeds or over candidate forget sets.

  Args:
    features: `[N, D]` embedding under the original model.
    split: forget set `[F]` and retain set `[R]`.
    midpoint: whether μ is the midpoint of the two means, as in the released
      code, instead of the mean over all examples; the values then depend on
      the share of the forget set less, and are not comparable with ES.

  Returns:
    A positive scalar; infinite where the two means coincide.
  """
  # Moments about a common point near the data keep float32 accurate.
  centre = features.mean(axis=0)
  mean_retain, spread_retain = _moments(features[split.retain] - centre)
  mean_forget, spread_forget = _moments(features[split.forget] - centre)
  if midpoint:
    middle = (mean_retain + mean_forget) / 2
  else:
    r, f = split.retain.shape[0], split.forget.shape[0]
    middle = (r * mean_retain + f * mean_forget) / (r + f)
  between = (_square(mean_retain - middle) + _square(mean_forget - middle)) / 2
  return (spread_retain + spread_forget) / between


def _moments(features: Array) -> tuple[Array, Array]:
  """Mean `[D]` and mean squared distance to it `[]`."""
  mean = features.mean(axis=0)
  return mean, _square(features - mean).mean()


def _square(x: Array) -> Array:
  return (x * x).sum(axis=-1)


def centroid_distance(features: Array) -> Array:
  """`[N, D]` to `[N]`: distance of every example to the mean of all."""
  return jnp.linalg.norm(features - features.mean(axis=0), axis=-1)


def principal_plane(features: Array) -> Array:
  """Projection on the first two principal components, for pictures.

  Args:
    features: `[N, D]`.

  Returns:
    `[N, 2]`; the sign of each axis is such that its largest loading is
    positive, so that the picture does not flip between runs.
  """
  centred = features - features.mean(axis=0)
  _, vectors = jnp.linalg.eigh(centred.T @ centred)
  axes = vectors[:, :-3:-1]
  largest = jnp.take_along_axis(
      axes, jnp.abs(axes).argmax(axis=0)[None], axis=0)
  return jax.lax.stop_gradient(centred @ (axes * jnp.sign(largest)))
