"""Rows of `Results` made up of a few figures."""

from __future__ import annotations

import numpy as np

from rum_jax import evaluation
from rum_jax.evaluation import FIGURES, Row


def make_row(method: str, variant: str, **values: np.ndarray) -> Row:
  """A row with the given values `[S]` of some figures, the same of the rest."""
  first = next(iter(values.values()))
  return Row(
      method=method, variant=variant,
      **{x.name: evaluation.summary(values.get(x.name, first))
         for x in FIGURES},
      seconds=evaluation.summary(np.zeros(len(first))), compile_seconds=0.0,
      steps=(), diverged=(), probes=(), groups={}, setting=None)
