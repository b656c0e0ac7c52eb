"""The page of a folder that a command of `rum-jax` left."""

from __future__ import annotations

import json
import pathlib

from rum_jax import audits, records, reporting
from rum_jax.pipeline import compare_methods, requests
from rum_jax.reporting import figures, folders
from rum_jax.storage import files


def page_of(root: pathlib.Path) -> str:
  """The page of a finished run, without images of forgotten rows.

  Raises:
    OSError: if a file cannot be read, or there is none to draw a page of.
    ValueError: if a file is not what this program writes.
  """
  if not (root / compare_methods.NAME).exists():
    return folders.page_of(root)
  about = json.loads((root / compare_methods.NAME).read_text())
  found = {name: records.read(audits.Evidence, root / (
      compare_methods.folder_of(name)) / 'evidence.json')
           for name in about['methods']}
  return reporting.methods_page(found, about['tuned'])


def write_evidence(workdir: pathlib.Path, evidence: audits.Evidence,
                   prepared: requests.Prepared, show_images: bool
                   ) -> pathlib.Path:
  """Writes the page of an evidence, with forgotten images only if wanted."""
  pictures = figures.evidence.all_of(evidence.worst_first)
  if show_images:
    source, rows = prepared.source, prepared.split.forget
    pictures['forgotten'] = figures.evidence.forgotten(
        source.dataset.image[rows], source.dataset.label[rows],
        source.row[rows], source.classes)
  page = workdir / 'report.html'
  files.write_text(page, reporting.evidence_page(evidence, pictures))
  return page
