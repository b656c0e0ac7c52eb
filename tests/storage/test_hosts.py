"""A process alone is the first; tests/experiments joins two of them."""

import jax
import jax.numpy as jnp
import numpy as np

from rum_jax.storage import hosts


def test_alone_a_process_is_the_first_and_agrees_with_itself():
  assert hosts.first()
  value = 0.1234567890123
  assert hosts.agree(value) == value
  assert hosts.least(value) == value
  hosts.wait('nothing has been done')


def test_arrays_go_where_the_program_wants_them():
  program = jax.jit(lambda x, unused: 2 * x).lower(
      jnp.ones(3), jnp.ones(2)).compile()
  args = np.arange(3, dtype=np.float32), jnp.zeros(2)
  placed = hosts.put(args, program.input_shardings[0])
  np.testing.assert_array_equal(program(*placed), [0, 2, 4])
