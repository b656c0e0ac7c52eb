"""Weights by the paths of arrays, read and written in the types of a file."""

from __future__ import annotations

import numpy as np
import pytest

from rum_jax import models
from rum_jax.types import Variables


def test_values_that_do_not_fit_into_the_type_of_the_file_are_named():
  half = {'batch_stats/norm/var': np.ones(2, np.float16),
          'params/norm/scale': np.ones(2, np.float16)}
  blank = Variables({'norm': {'scale': np.zeros(2, np.float32)}},
                    {'norm': {'var': np.zeros(2, np.float32)}})
  variables = models.from_plain(half, blank)
  back = models.to_plain(variables, half)
  assert list(back) == list(half)
  assert all(x.dtype == np.float16 for x in back.values())
  variables.stats['norm']['var'] = np.array([1, 1e6], np.float32)
  with pytest.raises(ValueError, match='batch_stats/norm/var to fit into '):
    models.to_plain(variables, half)
