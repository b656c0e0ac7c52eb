"""Runs the notebooks as they are written, without a browser.

    python -m tests.notebooks    # All of them: `make notebooks`.
"""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import tempfile
import time
from typing import Any

import matplotlib

FOLDER = pathlib.Path(__file__).parents[1] / 'colabs'
ALL = sorted(FOLDER.glob('*.ipynb'))


def run(path: pathlib.Path, folder: pathlib.Path) -> dict[str, Any]:
  """Runs the cells of a notebook in `folder`, and returns their names."""
  matplotlib.use('agg')
  for weights in FOLDER.glob('*.safetensors'):
    shutil.copy(weights, folder)
  cells = json.loads(path.read_text())['cells']
  code = [c for c in cells if c['cell_type'] == 'code']
  if any(c['outputs'] for c in code):
    raise ValueError(f'Expected {path.name} to hold no outputs.')
  space: dict[str, Any] = {'__name__': '__main__'}
  back = os.getcwd()
  os.chdir(folder)
  try:
    for cell in code:
      exec(compile(''.join(cell['source']), path.name, 'exec'), space)
  finally:
    os.chdir(back)
  return space


def main() -> None:
  """Runs all notebooks and says how long each took."""
  for path in ALL:
    print(f'== {path.name}', flush=True)
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
      run(path, pathlib.Path(folder))
    print(f'== {path.name}: {time.perf_counter() - start:.0f} s', flush=True)


if __name__ == '__main__':
  main()
