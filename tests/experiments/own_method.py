"""A method from outside of the library, for `--method=module:factory`."""

from __future__ import annotations

from rum_jax import objectives, plans, training


def patient(model, tx, *, patience=1, share=0.5, epochs=2, batch_size=64):
  """Fine-tuning, for `patience` times as long."""
  if not 0 <= share <= 1:
    raise ValueError(f'Expected share={share} in [0, 1].')
  return training.descent(objectives.supervised(model), tx,
                          plans.over_retain(batch_size),
                          epochs=patience * epochs)


NOTHING = None
