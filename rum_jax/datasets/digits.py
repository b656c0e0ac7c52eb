"""The digits that come with scikit-learn: a data set without a download."""

from __future__ import annotations

import numpy as np
from sklearn import datasets as bundled

from rum_jax.datasets.sources import Source, from_arrays
from rum_jax.datasets.splits import hold_out


def digits(*, test_share: float = 0.2, seed: int = 0) -> Source:
  """The 1,797 handwritten digits (8×8, 10 classes) that scikit-learn carries.

  Args:
    test_share: share of each class that is held out.
    seed: of the split.

  Returns:
    The source, images `[1797, 8, 8, 1]` in the full range of uint8.

  References:
    Alpaydin and Kaynak, Optical recognition of handwritten digits, 1998.
  """
  data = bundled.load_digits()
  images = np.round(data.images * (255 / 16))[..., None]
  return hold_out(from_arrays(images, data.target, 'digits'), test_share, seed)
