"""Both ways to compute the two factors give the same values."""

from __future__ import annotations

import numpy as np

from experiments.bench import factors
from rum_jax import entanglement, memorization


def test_the_plain_form_gives_the_same_figures():
  rng = np.random.default_rng(0)
  right, inside = rng.random((2, 40, 90)) < 0.7
  ours = memorization.estimate(
      memorization.pack(right), memorization.pack(inside), 90).score
  theirs = (factors._mean_where(right, inside)
            - factors._mean_where(right, ~inside))
  np.testing.assert_allclose(ours, theirs, atol=1e-12)
  x = rng.normal(3, 1, (90, 7)).astype(np.float32)
  sets = np.stack([rng.permutation(90)[:20] for _ in range(4)])
  np.testing.assert_allclose(
      entanglement.entanglement_scores(x, sets),
      [factors._one_score(x, rows) for rows in sets], rtol=1e-4)


def test_a_row_for_each_factor(monkeypatch, capsys):
  for name, size in (('MODELS', 20), ('EXAMPLES', 80), ('FEATURES', 6),
                     ('SETS', 3), ('FORGET', 9)):
    monkeypatch.setattr(factors, f'_{name}', size)
  rows = factors.factor_costs(1)
  assert [row.factor for row in rows] == [
      'memorization, 80 × 20', 'ES of 3 sets, 80 × 6']
  assert capsys.readouterr().out.count('times as fast') == 2
