"""Unlearns copies of given weights, evaluates them and writes one of them."""

from __future__ import annotations

from collections.abc import Iterator
import dataclasses
import hashlib
import importlib.metadata
import pathlib
import platform
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import rum_jax
from rum_jax import audits, datasets, evaluation, training, trees
from rum_jax.pipeline import builders, cards, given_networks, unlearning
from rum_jax.pipeline.programs import Programs
from rum_jax.pipeline.requests import Prepared
from rum_jax.pipeline.unlearning import Unlearn
from rum_jax.pipeline.waiting import waiting
from rum_jax.storage import artefacts, files
from rum_jax.storage.artefacts import Artefact
from rum_jax.types import (
    AnyArray, Examples, Model, Signals, Split, Variables)

FORWARD = 3.0  # The time of a step, in units of a forward pass.
COMPILE = 4.0  # Compiling a training loop, in units of a forward pass.
RELEARNING_STEPS = 100  # Of the check by fine-tuning.
_LOW = 0.9  # An accuracy on training examples that raises a question.
_CLEARLY = 0.05  # A normalisation that gives so much more is named.
_BATCH = 1024  # Examples in a forward pass.
_NORMALISATIONS = {  # Usual values of mean and std.
    'of ImageNet': ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    'of CIFAR-10': ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    'from -1 to 1': ((0.5,), (0.5,)), 'from 0 to 1': ((0.0,), (1.0,))}


@dataclasses.dataclass(frozen=True)
class See:
  """The function `(variables, examples) -> seen` of one model.

  Attributes:
    model: the network.
  """

  model: Model

  def __call__(self, variables: Variables, examples: Examples) -> Seen:
    task = self.model.task

    def of_batch(batch: Examples) -> Seen:
      outputs, _ = self.model.apply(variables, batch, train=False)
      return Seen(task.loss(outputs, batch), task.score(outputs, batch),
                  outputs.prediction.argmax(-1))

    return training.in_batches(of_batch, examples, _BATCH)


class Seen(NamedTuple):
  """What models say of N examples, in evaluation mode.

  Attributes:
    loss: the loss.
    score: the score, such as 1 where the label is predicted.
    predicted: the class that is predicted.
  """

  loss: AnyArray
  score: AnyArray
  predicted: AnyArray

  @property
  def signals(self) -> Signals:
    """Loss and score."""
    return Signals(self.loss, self.score)


def seen(model: Model, programs: Programs, variables: Variables,
         examples: Examples) -> tuple[Seen, dict[str, float]]:
  """What models `[S, ...]` say of the examples, by one program for any S.

  Args:
    model: the network.
    programs: runs the program.
    variables: leaves `[S, ...]`.
    examples: all examples, leaves `[N, ...]`.

  Returns:
    `[S, N]` of everything, and the seconds to compile and to run.
  """
  found, taken = programs.run_alike(
      See(model), (0, None), variables, examples)
  return jax.tree.map(np.asarray, found), taken


class Before(NamedTuple):
  """The signals and accuracies of the given weights.

  Attributes:
    signals: `[1, N]` loss and score of all examples.
    predicted: `[1, N]` the class that is predicted.
    train: the accuracy on the training examples that were not forgotten before.
    test: the accuracy on held-out examples; NaN if there are none.
    seconds: the time of a forward pass of all examples.
    compile_seconds: the time to compile it.
  """

  signals: Signals
  predicted: AnyArray
  train: float
  test: float
  seconds: float
  compile_seconds: float


class Plan(NamedTuple):
  """The expected cost of a request.

  Attributes:
    seconds: the approximate time for all copies; NaN if it is unknown.
    memory: the bytes that the program of one copy and the data need.
    units: the cost in units of one training of the network.
    steps: the number of steps of one copy.
    compile_seconds: the time to compile the program of one copy.
    compiled: whether this time was measured; else it is estimated.
    check_seconds: the approximate time of the checks of the copies and of the
      retrained networks, compilation included; 0 without checks.
  """

  seconds: float
  memory: int
  units: float
  steps: int
  compile_seconds: float
  compiled: bool
  check_seconds: float

  @property
  def total(self) -> float:
    """Seconds of compiling, unlearning and the checks."""
    return self.seconds + self.compile_seconds + self.check_seconds


def look(prepared: Prepared, programs: Programs) -> Before:
  """Signals and accuracies of the given weights on the given data."""
  variables = trees.take(
      jax.tree.map(jnp.asarray, prepared.network.variables), None)
  with waiting('reading'):
    found, taken = seen(prepared.network.model, programs, variables,
                        prepared.examples)
  signals = found.signals
  kept = np.setdiff1d(prepared.source.train, prepared.earlier)
  return Before(signals, found.predicted, _accuracy(signals, kept)[0],
                _accuracy(signals, prepared.test)[0], taken['seconds'],
                taken['compile_seconds'])


def check_trained(prepared: Prepared, before: Before, programs: Programs
                  ) -> None:
  """Refuses a network whose accuracy is not above that of a guess.

  Raises:
    ValueError: if its accuracy on the training examples is that of chance. The
      message names a normalisation of the images that gives a higher accuracy,
      if there is one.
  """
  label = prepared.source.dataset.label[:prepared.source.num_train]
  share = np.bincount(label).max() / len(label)
  chance = share + 3 * np.sqrt(share * (1 - share) / len(label))
  if before.train > chance:
    return
  better = _better_feeding(prepared, programs, chance)
  raise ValueError(
      f'Expected weights={prepared.weights.path} to know the data, found an '
      f'accuracy of {before.train:.1%} on the training examples, where the '
      f'largest class alone gives {share:.1%}: mean, std, size or the order of '
      'the classes may be others than in training.' + better + ' With force '
      'it is used as it is.')


def _better_feeding(prepared: Prepared, programs: Programs, chance: float
                    ) -> str:
  """A sentence about a usual normalisation that is better; or empty."""
  for words, accuracy in _fed_otherwise(prepared, programs):
    if accuracy > chance:
      return f' With {words}, it is {accuracy:.1%}.'
  return ''


def feeding_advice(prepared: Prepared, before: Before, programs: Programs
                   ) -> str:
  """A warning that the normalisation of training may be another; or empty.

  Usual normalisations are tried where none is known and the accuracy on the
  training examples is low.

  Args:
    prepared: the request.
    before: what the given weights do.
    programs: runs the network.
  """
  request, feeding = prepared.request, prepared.network.feeding
  if before.train >= _LOW or not (request.mean is None is request.std):
    return ''
  if any(feeding['mean']) or any(x != 1 for x in feeding['std']):
    return ''  # The weights themselves tell.
  own = float(np.mean(before.signals.score[0][_few(prepared)]))
  words, accuracy = max(_fed_otherwise(prepared, programs), key=lambda x: x[1])
  if accuracy < own + _CLEARLY:
    return ''
  return (f'Warning: with {words}, the accuracy on {len(_few(prepared)):,} '
          f'training examples is {accuracy:.1%}, and without it {own:.1%}. '
          'Were the images normalised so in training? Then give mean and std.'
          )


def _few(prepared: Prepared) -> AnyArray:
  """At most 500 training rows."""
  rows = prepared.source.train
  return rows[np.linspace(0, len(rows) - 1, min(500, len(rows))).astype(int)]


def _fed_otherwise(prepared: Prepared, programs: Programs
                   ) -> Iterator[tuple[str, float]]:
  """Usual normalisations in words, and the accuracy with each."""
  request, few = prepared.request, trees.take(
      prepared.examples, _few(prepared))
  for name, (mean, std) in _NORMALISATIONS.items():
    if len(mean) not in (1, prepared.network.image_shape[-1]):
      continue
    other = given_networks.network_of(
        prepared.weights, request.network, prepared.source, mean=mean, std=std,
        heads=request.heads)
    variables = trees.take(jax.tree.map(jnp.asarray, other.variables), None)
    found, _ = seen(other.model, programs, variables, few)
    values = [','.join(map(str, x)) for x in (mean, std)]
    yield (f'the normalisation {name}, mean={values[0]} and std={values[1]}',
           float(np.mean(found.score)))


def program_of(prepared: Prepared) -> tuple[Unlearn, list[dict[str, float]]]:
  """The program of one copy, and the real values that are its arguments."""
  request = prepared.request
  return unlearning.program_of(
      builders.loop_of(request), prepared.network.model,
      unlearning.Job(request.method, 'vanilla',
                     [(request.method, prepared.setting)],
                     (_in_order(prepared),)))


def plan(prepared: Prepared, before: Before, programs: Programs,
         train_epochs: int, compiled: bool = False) -> Plan:
  """The expected cost of the copies.

  Args:
    prepared: the request.
    before: gives the time of a forward pass.
    programs: compiles the program.
    train_epochs: the number of epochs of one training of the network, which is
      the unit of the cost.
    compiled: whether to compile the program, from which the memory is known.
  """
  request, split = prepared.request, prepared.split
  program, arguments = _call(prepared)
  _, (info,) = jax.eval_shape(program, jax.random.key(0), *arguments[1:])
  steps = int(info.loss.shape[0])
  paired = request.method in ('neggrad_plus', 'bad_teacher')
  shown = max(steps * request.batch_size * (1 + paired),
              len(split.forget) + len(split.retain))
  count = len(prepared.source.dataset.label)
  seconds = FORWARD * shown * before.seconds / count * _rounds(
      programs, request.seeds)
  memory, compilation = 0, COMPILE * before.compile_seconds
  if compiled:
    with waiting('compiling'):
      found = programs.ahead(program, _AXES, *arguments).result()
    compilation, needs = found.seconds, found.call.memory_analysis()
    memory = needs and (needs.temp_size_in_bytes + needs.argument_size_in_bytes
                        + needs.output_size_in_bytes)
  unit = train_epochs * prepared.source.num_train
  checks = 0.0
  if request.checks:
    checks = check_seconds(
        prepared, before, programs, request.seeds, compilation)
    if request.oracles:
      checks += check_seconds(prepared, before, programs, request.oracles, 0.0)
  return Plan(seconds, memory or 0, request.seeds * shown / unit, steps,
              compilation, compiled, checks)


def check_seconds(prepared: Prepared, before: Before, programs: Programs,
                  models: int, compilation: float | None = None) -> float:
  """The approximate time of looking at models, with the checks if wanted.

  Args:
    prepared: the request.
    before: gives the time of a forward pass.
    programs: tells how many models run at once.
    models: the number of models.
    compilation: the seconds to compile a training loop; 0 where the programs
      of the checks are compiled already, `None` where it is unknown.
  """
  if compilation is None:
    compilation = COMPILE * before.compile_seconds
  count, moments = len(prepared.source.dataset.label), bool(
      prepared.network.variables.stats)
  passed = float(count)
  if not prepared.request.checks:
    compilation = 0.0
  else:  # Relearning, then new moments; after each all examples are passed.
    passed += count + FORWARD * (
        relearning_steps(prepared) * prepared.request.batch_size)
    passed += (count + len(prepared.split.retain)) * moments
  return (passed * before.seconds / count * _rounds(programs, models)
          + compilation)


def _rounds(programs: Programs, models: int) -> int:
  """How many times models run, as many at once as there are devices."""
  devices = max(1, min(jax.device_count() // programs.devices_per_run, models))
  return -(-models // devices)


def relearning_steps(prepared: Prepared) -> int:
  """The number of steps of the check by fine-tuning."""
  return min(RELEARNING_STEPS, 2 * -(-len(prepared.split.retain)
                                     // prepared.request.batch_size))


_AXES = (0, None, None, None, None)


def _call(prepared: Prepared) -> tuple[Unlearn, tuple[Any, ...]]:
  """The program of a copy, and the arguments for all copies."""
  request, (program, values) = prepared.request, program_of(prepared)
  first = request.first_seed
  keys = jax.vmap(jax.random.key)(jnp.arange(first, first + request.seeds))
  return program, (
      keys, jax.tree.map(jnp.asarray, prepared.network.variables),
      prepared.examples, jax.tree.map(jnp.asarray, (_in_order(prepared),)),
      jax.tree.map(jnp.float32, values))


def _in_order(prepared: Prepared) -> Split:
  """The split; a plan takes the forget set in order of difficulty."""
  if prepared.choice is None:
    return prepared.split
  return prepared.split._replace(
      forget=np.asarray(prepared.choice.forget, np.int32))


def identity_of(prepared: Prepared) -> dict[str, Any]:
  """All that determines the copies."""
  request = prepared.request
  return {
      'rum_jax': rum_jax.__version__, 'weights': prepared.weights.digest,
      'network': network_notes(prepared),
      'network source': prepared.network.source, 'data': prepared.data_hash,
      'held out': artefacts.array_digest(
          *(x[prepared.test] for x in prepared.source.dataset)),
      'split': artefacts.array_digest(*_in_order(prepared)),
      'method': request.method, 'setting': prepared.setting,
      'source': builders.source_hash(request.method),
      'seeds': request.seeds, 'first_seed': request.first_seed,
      **builders.loop_of(request)._asdict()}


def network_notes(prepared: Prepared) -> dict[str, Any]:
  """The description of the network on the card, for later requests."""
  request, network = prepared.request, prepared.network
  return {'network': request.network, 'name': network.name,
          'parameters': network.size, 'image_shape': list(network.image_shape),
          'mean': request.mean and list(request.mean),
          'std': request.std and list(request.std),
          'size': request.size and list(request.size),
          'classes': list(prepared.source.classes) if request.classes else None,
          'heads': request.heads,
          'description': prepared.weights.description}


def unlearned(prepared: Prepared, workdir: pathlib.Path, programs: Programs,
              expected: float | None = None) -> Artefact:
  """The unlearned copies, computed or read from the workdir.

  Args:
    prepared: the request.
    workdir: the folder in which they are kept.
    programs: runs the programs.
    expected: the expected time in seconds.

  Returns:
    `tree`: variables `[S, ...]`; `arrays`: what is `Seen` `[S, N]`, and the
    loss of every step `[S, T]`; `notes`: seconds, and the numbers of the
    copies that diverged.

  Raises:
    ValueError: if all copies diverged.
  """
  identity = {**identity_of(prepared), 'holds': list(Seen._fields)}
  name = prepared.request.method.replace(':', '_')

  def compute() -> Artefact:
    program, arguments = _call(prepared)
    with waiting('compiling'):
      programs.ahead(program, _AXES, *arguments).result()
    with waiting('unlearning', expected):
      (variables, (info,)), taken = programs.run(program, _AXES, *arguments)
    with waiting('judging'):
      found, _ = seen(prepared.network.model, programs, variables,
                      prepared.examples)
    arrays = {'training_loss': info.loss, **found._asdict()}
    return Artefact(jax.tree.map(np.asarray, arrays),
                    jax.tree.map(np.asarray, variables._asdict()), taken)

  artefact = artefacts.stage(
      artefacts.path_of(workdir, f'unlearned/{name}', identity), identity,
      compute)
  if not evaluation.finite(artefact.arrays['loss']).any():
    raise ValueError(
        f'All {prepared.request.seeds} copies diverged with '
        f'method={prepared.request.method}, so there are no weights to write: '
        'a lower learning rate may help.')
  return artefact


class Made(NamedTuple):
  """The copy that is handed back, not yet in its place.

  Attributes:
    content: the content of its file.
    digest: SHA-256 of it.
    variables: its weights.
    seeds: numbers of all keys, its own first.
  """

  content: bytes
  digest: str
  variables: Variables
  seeds: tuple[int, ...]


def made(prepared: Prepared, artefact: Artefact) -> Made:
  """The first copy that did not diverge, as the content of a file."""
  request = prepared.request
  alive = np.flatnonzero(evaluation.finite(artefact.arrays['loss']))
  first = int(alive[0])
  tree = trees.take(artefact.tree, first)
  variables = Variables(tree['params'], tree.get('stats', {}))
  content = given_networks.packed(prepared.network, variables)
  seeds = (first, *(x for x in range(request.seeds) if x != first))
  return Made(content, hashlib.sha256(content).hexdigest(), variables,
              tuple(request.first_seed + s for s in seeds))


def hand_back(prepared: Prepared, copy: Made, out: pathlib.Path,
              record: audits.Request, measured: dict[str, Any]) -> cards.Card:
  """Writes the copy and its card.

  The weights are renamed to `out` last. If the process is killed between the
  two, the new card lies beside the old weights; `cards.read` finds their
  earlier requests in it.

  Args:
    prepared: the request.
    copy: from `made`.
    out: where the weights go.
    record: the request, as the evidence has it.
    measured: for the card.

  Raises:
    OSError: if one cannot be written; then the old weights stay.
  """
  entry = cards.Forgotten(
      date=record.date, rows=tuple(prepared.rows.tolist()),
      images=datasets.image_hashes(
          prepared.source.dataset.image[prepared.split.forget]),
      rows_hash=artefacts.array_digest(prepared.rows),
      data=prepared.source.name, data_hash=prepared.data_hash,
      weights_hash=prepared.weights.digest, method=prepared.request.method,
      setting=record.setting, seeds=copy.seeds, seconds=record.seconds,
      versions=versions(), command=record.command, measured=measured)
  card = cards.Card(
      weights=out.name, weights_hash=copy.digest,
      network=network_notes(prepared),
      requests=(*(prepared.card.requests if prepared.card else ()), entry))
  with files.replacing(out) as partial:
    partial.write_bytes(copy.content)
    cards.write(out, card)
  return card


def versions() -> dict[str, str]:
  """Versions of Python and of the libraries that affect results."""
  names = ('jax', 'jaxlib', 'flax', 'optax', 'numpy')
  return {'python': platform.python_version(),
          'rum-jax': rum_jax.__version__,
          **{name: importlib.metadata.version(name) for name in names}}


def _accuracy(signals: Signals, rows: AnyArray) -> list[float]:
  if not len(rows):
    return [float('nan')] * len(signals.score)
  return np.asarray(evaluation.accuracy(
      signals, np.asarray(rows, np.int32)), float).tolist()
