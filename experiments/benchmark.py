"""Speed, as ratios measured in one run.

  pip install -e '.[bench]'
  python -m experiments.benchmark --suite=training --json=speed.json
  python -m experiments.benchmark --suite=algorithms

`training`: a training step against PyTorch, alone and under seeds. PyTorch runs
channels-last, with one thread and with one a core, and the faster of the two
counts; ours runs on one device a core. `algorithms`: every algorithm against
the forward and backward passes that it must make.

Both sides of a ratio are measured in turn, since machines are noisy; what is
printed are medians. Compilation is timed apart.
"""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
import functools
import pathlib

from absl import flags
import jax
import jax.numpy as jnp
import numpy as np

from experiments import cli, costs, recipes, results, stages, timing
import rum_jax
from rum_jax import plans
from rum_jax.types import Split

SUITE = flags.DEFINE_enum(
    'suite', 'training', ['training', 'algorithms'], 'What to measure.')
NETWORKS = flags.DEFINE_list('networks', 'mlp,cnn', 'Networks to measure.')
REPEATS = flags.DEFINE_integer(
    'repeats', 7, 'How often both sides are measured.', lower_bound=1)
JSON = flags.DEFINE_string('json', '', 'File for the figures.')
_EPOCHS = 4


def torch_epochs(setup: stages.Setup, network: str) -> Callable[[int], None]:
  """The same steps in PyTorch, with so many threads."""
  recipes.one_of('networks', network, ('mlp', 'cnn'))
  try:
    import torch
    from torch import nn
  except ImportError as error:
    raise ValueError("The benchmark needs PyTorch: pip install '.[bench]'."
                     ) from error
  recipe, data = setup.recipe, setup.source.dataset
  channels, classes = data.image.shape[-1], len(setup.source.classes)
  if network == 'mlp':
    sizes, parts = (data.image[0].size, 128, 64), [nn.Flatten()]
    for a, b in zip(sizes, sizes[1:]):
      parts += [nn.Linear(a, b), nn.ReLU()]
  else:
    parts, sizes = [], (channels, 16, 32, 64)
    for a, b in zip(sizes, sizes[1:]):
      parts += [nn.Conv2d(a, b, 3, padding=1, bias=False), nn.BatchNorm2d(b),
                nn.ReLU(), nn.MaxPool2d(2)]
    parts[-1:] = [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
  layout = torch.channels_last
  net = nn.Sequential(*parts, nn.Linear(sizes[-1], classes)).to(
      memory_format=layout)
  tx = torch.optim.SGD(net.parameters(), recipe.learning_rate,
                       momentum=recipe.momentum,
                       weight_decay=recipe.weight_decay)
  image = torch.from_numpy(np.array(
      data.image[:setup.source.num_train].transpose(0, 3, 1, 2))).to(
          memory_format=layout)
  label = torch.from_numpy(data.label[:setup.source.num_train]).long()

  def run(threads: int) -> None:
    torch.set_num_threads(threads)
    for _ in range(_EPOCHS):
      order = torch.randperm(len(label))
      for rows in order.split(recipe.batch_size):
        batch = (image[rows].float() / 255).contiguous(memory_format=layout)
        tx.zero_grad(set_to_none=True)
        nn.functional.cross_entropy(net(batch), label[rows]).backward()
        tx.step()

  return run


def training(setup: stages.Setup, network: str) -> list[dict[str, float]]:
  """Microseconds of a model-step, ours alone and under seeds, and PyTorch's."""
  rows, theirs = setup.source.train, torch_epochs(setup, network)
  steps = _EPOCHS * plans.num_steps(len(rows), setup.recipe.batch_size)
  train = rum_jax.retrain(
      setup.model, rum_jax.sgd(
          setup.recipe.learning_rate, momentum=setup.recipe.momentum,
          weight_decay=setup.recipe.weight_decay),
      epochs=_EPOCHS, batch_size=setup.recipe.batch_size)
  split = Split(rows[:0], rows)
  found = []
  for count in (1, 8, 32):
    fn = rum_jax.over_seeds(lambda key, data, part: train(
        key, None, data, part), in_axes=(0, None, None))
    ours, compilation = timing.compiled(
        fn, jax.random.split(jax.random.key(0), count), setup.dataset,
        jax.tree.map(jnp.asarray, split))
    threads = {1, jax.device_count()}
    mine, *others = timing.medians(
        [ours, *(functools.partial(theirs, n) for n in threads)],
        REPEATS.value)
    other = min(others)
    found.append({
        'network': network, 'seeds': count, 'compile_seconds': compilation,
        'microseconds': 1e6 * mine / count / steps,
        'torch_microseconds': 1e6 * other / steps,
        'times_as_fast': other / (mine / count)})
    print('{network:4} {seeds:3} seeds: {microseconds:7.0f} µs a model-step, '
          'PyTorch {torch_microseconds:7.0f} µs: {times_as_fast:5.1f} times as '
          'fast; compiled in {compile_seconds:.1f} s'.format(**found[-1]))
  return found


def main() -> None:
  """Measures the suite and prints it."""
  found = []
  for network in NETWORKS.value:
    recipe = dataclasses.replace(cli.recipe(), network=network)
    setup = stages.prepare(recipe, pathlib.Path(), cli.FLAGS.data_dir, None)
    found += (training(setup, network) if SUITE.value == 'training' else
              costs.measure(setup, network, REPEATS.value))
  if JSON.value:
    results.write(pathlib.Path(JSON.value), {
        'figures': found, 'environment': results.environment()})


if __name__ == '__main__':
  cli.define(recipes.Recipe(methods='all'))
  cli.run(main)
