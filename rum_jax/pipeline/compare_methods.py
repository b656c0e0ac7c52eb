"""Several methods on one request, with one set of retrained networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import dataclasses
import pathlib
from typing import Any, NamedTuple

from rum_jax import audits
from rum_jax.pipeline import findings, forgetting, requests, results
from rum_jax.pipeline import retraining
from rum_jax.pipeline.programs import Programs
from rum_jax.pipeline.request_runs import RequestRun, Say
from rum_jax.pipeline.requests import Request
from rum_jax.pipeline.waiting import duration, part, share_of_training
from rum_jax.storage import files

NAME = 'methods.json'


class Compared(NamedTuple):
  """What was found.

  Attributes:
    workdir: the folder of the run, with a folder for each method.
    evidence: of each method that came to an end, by its name.
    tuned: the methods whose settings were given.
    failed: name of a method to why it has no evidence.
  """

  workdir: pathlib.Path
  evidence: Mapping[str, audits.Evidence]
  tuned: tuple[str, ...]
  failed: Mapping[str, str]


@dataclasses.dataclass(frozen=True, kw_only=True)
class CompareRequest(Request):
  """A request that several methods carry out.

  Attributes:
    methods: names of them.
    settings: name of a method to hyper-parameters that were given.
  """

  methods: tuple[str, ...]
  settings: Mapping[str, Mapping[str, Any]]


def compare(
    request: Request,
    methods: Sequence[str],
    settings: Mapping[str, Mapping[str, Any]],
    *,
    workdir: str | pathlib.Path | None = None,
    force: bool = False,
    programs: Programs | None = None,
    command: str = '',
    say: Say = lambda text: None,
) -> Compared:
  """Carries a request out with each method, and judges all alike.

  Args:
    request: what is asked for; its method is not used.
    methods: names of algorithms, or `package.module:factory`.
    settings: name of a method to hyper-parameters; others are as the papers
      have them.
    workdir: where the copies and the evidence go.
    force: whether a network that is no better than chance is used.
    programs: to compile and run with.
    command: that asked, for the record.
    say: called with each line that a person should read.

  Raises:
    OSError: if a file cannot be read or written.
    ValueError: naming the value that does not fit.
  """
  if not methods or len(set(methods)) < len(methods):
    raise ValueError(f'Expected methods={",".join(methods)} to name at least '
                     'one algorithm, and none twice.')
  for name in settings:
    if name not in methods:
      raise ValueError(f'Expected the settings of {name} to be those of one of '
                       f'methods={",".join(methods)}.')
  fields: dict[str, Any] = {
      x.name: getattr(request, x.name) for x in dataclasses.fields(request)}
  fields |= {'method': methods[0], 'setting': settings.get(methods[0], {})}
  asked = CompareRequest(
      **fields, methods=tuple(methods), settings=dict(settings))
  first = requests.prepare(asked)
  every = {}
  for name in methods:  # All are refused before one is run.
    one = dataclasses.replace(asked, method=name,
                              setting=dict(settings.get(name, {})))
    every[name] = requests.with_method(first, one)
  programs = programs or Programs()
  run = RequestRun('compare', workdir, force, programs, command, say)
  before, found, failed = run.look(first), {}, {}
  with run.entered(first, asked) as root:
    oracles = retraining.retrained(first, root, programs)
    training = retraining.recipe_of(first).recipe
    for i, (name, prepared) in enumerate(every.items()):
      plan = forgetting.plan(prepared, before, programs, training.epochs)
      place = f'method {i + 1} of {len(every)}, {name}'
      say(f'{place[0].upper()}{place[1:]}: {requests.setting_text(prepared)}; '
          f'{plan.steps:,} steps, about {duration(plan.total)} with compiling '
          f'and the checks; unlearning is {share_of_training(plan.units)}.')
      try:
        with part(place):
          copies = forgetting.unlearned(prepared, root, programs, plan.seconds)
      except ValueError as error:
        failed[name] = str(error)
        say(f'{name}: {error}')
        continue
      record = findings.request_of(
          prepared, copies, oracles, command=command, out=None,
          seeds=tuple(range(request.first_seed,
                            request.first_seed + request.seeds)))
      with part(place):
        found[name] = findings.evidence(
            prepared, root, programs, before, copies, oracles, record)
      folder = root / folder_of(name)
      folder.mkdir(exist_ok=True)
      results.write(folder / 'evidence.json', found[name])
    files.write_json(root / NAME, {
        'methods': list(found), 'tuned': list(settings), 'failed': failed})
  if not found:
    raise ValueError(f'Expected one of methods={",".join(methods)} to come to '
                     f'an end, found none: {"; ".join(failed.values())}')
  return Compared(root, found, tuple(settings), failed)


def folder_of(method: str) -> str:
  """The name of the folder of a method."""
  return method.replace(':', '_')
