"""Digests of different values differ."""

from __future__ import annotations

import numpy as np
import pytest

from rum_jax.storage import digests


def test_array_digest_tells_shape_type_and_contents_apart():
  x = np.arange(6, dtype=np.int32)
  others = [x.reshape(2, 3), x.astype(np.int64), x + 1, x.view(np.float32)]
  assert len({digests.array_digest(a) for a in (x, *others)}) == 5
  assert digests.array_digest(x.copy()) == digests.array_digest(x)
  pair = x, x + 1
  assert (digests.array_digest(*pair)
          != digests.array_digest(*reversed(pair)))
  strided = np.repeat(x, 2)[::2]
  assert digests.array_digest(strided) == digests.array_digest(x)


def test_an_identity_is_plain_json():
  with pytest.raises(ValueError):
    digests.digest({'lr': float('nan')})
  with pytest.raises(TypeError):
    digests.digest({'rows': np.arange(3)})


def test_a_file_has_the_digest_that_sha256sum_prints(tmp_path):
  (tmp_path / 'x').write_bytes(b'abc')
  assert digests.file_digest(tmp_path / 'x') == (
      'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
