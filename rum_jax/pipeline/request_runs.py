"""What all runs of a request do: look at the given weights, claim a folder."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
import contextlib
import dataclasses
import math
import pathlib
import types
from typing import Any

from rum_jax.pipeline import forgetting, runs
from rum_jax.pipeline.forgetting import Before
from rum_jax.pipeline.programs import Programs
from rum_jax.pipeline.requests import Prepared, Request

Say = Callable[[str], Any]


@dataclasses.dataclass(frozen=True)
class RequestRun:
  """A run of a command on a request.

  Attributes:
    name: the name of the command: `audit`, `compare` or `unlearn`.
    workdir: where results go; by default a folder in `runs` that is named
      after the weights.
    force: whether a network that is no better than chance is used.
    programs: compiles and runs programs.
    command: the command line, for the record; empty from Python.
    say: called with each line that a person should read.
  """

  name: str
  workdir: str | pathlib.Path | None
  force: bool
  programs: Programs
  command: str
  say: Say

  def look(self, prepared: Prepared) -> Before:
    """Looks at the given weights, and says what they know.

    Raises:
      ValueError: if they are no better than chance, without `force`.
    """
    before = forgetting.look(prepared, self.programs)
    test = ('there are no held-out examples' if math.isnan(before.test) else
            f'{before.test:.1%} on the held-out ones')
    self.say(f'Accuracy of the given weights: {before.train:.1%} on the '
             f'training examples, {test}.')
    if not self.force:
      forgetting.check_trained(prepared, before, self.programs)
    advice = forgetting.feeding_advice(prepared, before, self.programs)
    if advice:
      self.say(advice)
    return before

  @contextlib.contextmanager
  def entered(self, prepared: Prepared, request: Request, stem: str = '',
              others: Mapping[str, str] = types.MappingProxyType({})
              ) -> Generator[pathlib.Path]:
    """The folder of the run, which no other run uses during a block.

    Args:
      prepared: the request, as it was read.
      request: the request, as it was made.
      stem: names the folder; by default the name of the weights.
      others: what determines the results besides the request: name to hash.

    Raises:
      OSError: if it cannot be written, or another run is in it.
      ValueError: if it belongs to another command or request.
    """
    root = runs.root_of(
        self.workdir, f'{self.name}_{stem or prepared.weights.path.stem}',
        {**forgetting.identity_of(prepared), **others,
         'request': dataclasses.asdict(request)})
    with runs.entered(root, self.name, request):
      yield root
