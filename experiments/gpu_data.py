"""Splits a data set into small files for a GPU machine.

  python -m experiments.gpu_data --whole=cifar10.npz --count=2

CIFAR becomes two parts of 48 MiB in the folder `.gpu`. `experiments.gpu` puts
the parts together again on the other machine, as soon as all of them lie in its
`--data_dir`.
"""

from __future__ import annotations

import pathlib

from absl import flags

from rum_jax import datasets, recipes
from rum_jax.commands import app

WHOLE = flags.DEFINE_string(
    'whole', '', 'An npz file of x_train, y_train, x_test and y_test.')
PLACE = flags.DEFINE_string('place', '.gpu', 'Folder of the parts.')
COUNT = flags.DEFINE_integer('count', 2, 'How many parts.', lower_bound=1)


def main() -> None:
  path = pathlib.Path(WHOLE.value)
  if not path.is_file():
    raise FileNotFoundError(f'No file whole={path}.')
  for part in datasets.parts.split(path, pathlib.Path(PLACE.value),
                                   COUNT.value):
    print(f'Wrote {part}, {part.stat().st_size / 2**20:.0f} MiB.')


if __name__ == '__main__':
  app.define(recipes.Recipe(corrupt=0.0))
  app.run(main)
