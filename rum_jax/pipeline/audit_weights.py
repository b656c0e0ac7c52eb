"""Weights that were made to forget elsewhere, judged as our own are."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rum_jax import audits
from rum_jax.pipeline import findings, forgetting, given_networks, requests
from rum_jax.pipeline import results, retraining
from rum_jax.pipeline.programs import Programs
from rum_jax.pipeline.request_runs import RequestRun, Say
from rum_jax.pipeline.requests import Prepared, Request
from rum_jax.storage.artefacts import Artefact
from rum_jax.types import Variables


class Audited(NamedTuple):
  """What was found.

  Attributes:
    workdir: the folder of the run, with `evidence.json`.
    evidence: what the weights still show of the rows.
    prepared: the request, as it was read.
  """

  workdir: pathlib.Path
  evidence: audits.Evidence
  prepared: Prepared


@dataclasses.dataclass(frozen=True, kw_only=True)
class AuditRequest(Request):
  """A request whose rows were forgotten elsewhere.

  Attributes:
    unlearned: path of the weights to judge.
  """

  unlearned: str


def audit(
    request: Request,
    unlearned: str,
    *,
    workdir: str | pathlib.Path | None = None,
    force: bool = False,
    programs: Programs | None = None,
    command: str = '',
    say: Say = lambda text: None,
) -> Audited:
  """Judges weights that were made to forget elsewhere.

  Args:
    request: of the original weights; its method is not used.
    unlearned: path of the weights to judge.
    workdir: where the evidence goes.
    force: whether a network that is no better than chance is used.
    programs: to compile and run with.
    command: that asked, for the record.
    say: called with each line that a person should read.

  Raises:
    OSError: if a file cannot be read or written.
    ValueError: naming the value that does not fit.
  """
  if not unlearned:
    raise ValueError('Expected weights to be given, found nothing.')
  fields: dict[str, Any] = {
      x.name: getattr(request, x.name) for x in dataclasses.fields(request)}
  fields |= {'seeds': 1, 'unlearned': unlearned}
  asked = AuditRequest(**fields)
  prepared = requests.prepare(asked)
  weights = given_networks.read(unlearned)
  if weights.digest == prepared.weights.digest:
    raise ValueError(f'Expected weights={unlearned} to differ from '
                     f'original={request.weights}, found the same content.')
  try:
    variables = prepared.network.read(weights.state)
  except ValueError as error:
    raise ValueError(f'weights={unlearned}: {error}') from error
  programs = programs or Programs()
  run = RequestRun('audit', workdir, force, programs, command, say)
  before = run.look(prepared)
  with run.entered(prepared, asked, weights.path.stem,
                   {'unlearned': weights.digest}) as root:
    tree = jax.tree.map(lambda x: np.asarray(x)[None], variables._asdict())
    found, _ = forgetting.seen(
        prepared.network.model, programs,
        jax.tree.map(jnp.asarray, Variables(**tree)), prepared.examples)
    copy = Artefact(found._asdict(), tree, {}, weights.digest)
    oracles = retraining.retrained(prepared, root, programs)
    record = findings.request_of(
        prepared, copy, oracles, seeds=(0,), command=command,
        out=audits.File(name=unlearned, sha256=weights.digest))
    record = dataclasses.replace(
        record, method='done elsewhere', setting={}, notes=prepared.notes)
    evidence = findings.evidence(
        prepared, root, programs, before, copy, oracles, record)
    results.write(root / 'evidence.json', evidence)
  for line in findings.figure_sentences(evidence):
    say(line)
  return Audited(root, evidence, prepared)
