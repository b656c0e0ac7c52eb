"""The digits of scikit-learn, which need no download."""

from __future__ import annotations

import gzip
import importlib.util
import pathlib

import numpy as np

from rum_jax.datasets.sources import Source, from_arrays
from rum_jax.datasets.splits import hold_out


def digits(*, test_share: float = 0.2, seed: int = 0) -> Source:
  """The 1,797 handwritten digits (8×8, 10 classes) of scikit-learn.

  Args:
    test_share: the share of each class that is held out.
    seed: the seed of the split.

  Returns:
    The source; its images `[1797, 8, 8, 1]` use the full range of uint8.

  References:
    Alpaydin and Kaynak, Optical recognition of handwritten digits, 1998.
  """
  # Reads the file alone, because importing scikit-learn takes much longer.
  package = importlib.util.find_spec('sklearn')
  if package is None or not package.submodule_search_locations:
    raise ImportError('The digits come with scikit-learn, which is missing.')
  path = pathlib.Path(
      package.submodule_search_locations[0], 'datasets/data/digits.csv.gz')
  with gzip.open(path, 'rt') as file:
    table = np.loadtxt(file, delimiter=',')
  images = np.round(table[:, :-1] * (255 / 16)).reshape(-1, 8, 8, 1)
  labels = table[:, -1].astype(int)
  return hold_out(from_arrays(images, labels, 'digits'), test_share, seed,
                  part='test')
