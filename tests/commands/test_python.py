"""What `rum-jax unlearn` does, in a few lines of Python."""

from __future__ import annotations

import numpy as np

from rum_jax import models
from rum_jax.pipeline import unlearn_request

TEN_LINES = '''
state = models.read_safetensors('model.safetensors')
module, data = models.recognise(state), datasets.load('mine.npz')
shape, names = data.dataset.image.shape[1:], module.torch_names()
model = models.from_linen(module, shape, mean=(0.5,), std=(0.3,))
variables = models.from_torch(state, model, names)
forget = datasets.positions(datasets.read_rows('rows.txt', data), data)
split = rum_jax.Split(forget, np.setdiff1d(data.train, forget))
unlearn = rum_jax.finetune(model, rum_jax.sgd(0.01), epochs=1, batch_size=16)
new, _ = jax.jit(unlearn)(jax.random.key(0), variables, data.dataset, split)
models.write_safetensors('forgotten.safetensors', models.to_torch(
    new, model, names, like=state))
'''


def test_ten_lines_of_python(place, trained):
  import jax
  import rum_jax
  from rum_jax import datasets
  exec(TEN_LINES, {'jax': jax, 'np': np, 'rum_jax': rum_jax, 'models': models,
                   'datasets': datasets})
  assert len(TEN_LINES.strip().splitlines()) <= 11
  after = models.read_safetensors('forgotten.safetensors')
  assert list(after) == list(trained[1])
  assert any((after[k] != x).any() for k, x in trained[1].items())


def test_three_lines_of_python_with_evidence(place):
  space: dict = {}
  example = unlearn_request.__doc__.split('\n\n')[2]
  exec('\n'.join(x.removeprefix('    ') for x in example.splitlines()), space)
  done = space['done']
  assert done.weights.exists() and done.evidence.verdict.answer in (
      'traces found', 'no trace found', 'cannot tell')
