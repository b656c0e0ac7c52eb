"""GELU against JAX's own, with derivatives."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from rum_jax.models import kernels

X = jnp.linspace(-6, 6, 2 * 3 * 5 * 4).reshape(2, 3, 5, 4)


def exact(x):
  return jax.nn.gelu(x, approximate=False)


def test_values_and_derivatives_to_the_second(float64):
  x = X.astype(float)
  for ours, theirs in (
      (kernels.gelu, exact),
      (jax.grad(lambda x: (kernels.gelu(x) * x).sum()),
       jax.grad(lambda x: (exact(x) * x).sum()))):
    np.testing.assert_allclose(
        jax.jit(ours)(x), theirs(x), rtol=1e-12, atol=1e-14)

  def twice(fn):
    return jax.jit(jax.grad(lambda x: (jax.grad(
        lambda x: fn(x).sum())(x) * jnp.arange(x.size).reshape(x.shape)
                                       ).sum()))

  np.testing.assert_allclose(
      twice(kernels.gelu)(x), twice(exact)(x), rtol=1e-10, atol=1e-11)


def test_many_are_as_each_and_the_type_stays():
  both = jnp.stack([X, 2 * X])
  np.testing.assert_allclose(
      jax.vmap(kernels.gelu)(both)[1], kernels.gelu(2 * X), rtol=1e-6)
  assert kernels.gelu(X.astype(jnp.bfloat16)).dtype == jnp.bfloat16
