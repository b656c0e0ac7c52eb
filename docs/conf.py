"""Of the documentation; `make docs` builds it."""

import pathlib
import re
import shutil
import sys

ROOT = pathlib.Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import rum_jax  # noqa: E402

project = 'rum_jax'
author = 'the authors of rum_jax'
copyright = f'2026, {author}'
release = version = rum_jax.__version__

extensions = [
    'myst_nb', 'sphinx.ext.autodoc', 'sphinx.ext.autosummary',
    'sphinx.ext.napoleon', 'sphinx_copybutton']  # Formulas are text: MathJax
# would be read from the network.
exclude_patterns = ['_build']
html_theme = 'sphinx_book_theme'
html_title = 'rum_jax'
html_theme_options = {
    'repository_url': 'https://github.com/-owner-/rum_jax',
    'repository_branch': 'main', 'path_to_docs': 'docs',
    'use_repository_button': True, 'use_issues_button': True,
    'launch_buttons': {'colab_url': 'https://colab.research.google.com'},
    'show_toc_level': 2}
html_static_path = ['_static']
html_css_files = ['style.css']
html_show_sourcelink = False

myst_enable_extensions = ['deflist', 'colon_fence']
myst_heading_anchors = 3
myst_links_external_new_tab = False
# Pages that are included begin where they begin; an exception has two names,
# that of its package and that of its module.
suppress_warnings = ['myst.header', 'ref.python']

nb_execution_mode = 'cache'
nb_execution_cache_path = str(ROOT / 'docs' / '_build' / 'notebooks')
nb_execution_timeout = 600
nb_execution_raise_on_error = True
nb_merge_streams = True

templates_path = ['_templates']
autosummary_generate = True
autosummary_context = {'packages': [  # Whose members are their __all__.
    'rum_jax', *(f'rum_jax.{x.parent.name}'
                 for x in (ROOT / 'rum_jax').glob('*/__init__.py')),
    'rum_jax.models.kernels', 'rum_jax.reporting.figures']}
autodoc_typehints = 'none'  # The docstrings give types and shapes.
autodoc_member_order = 'bysource'
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_preprocess_types = False
default_role = 'code'  # As in Markdown: the docstrings mark code by `…`.

# The notebooks are published with their outputs.
NOTEBOOKS = ROOT / 'docs' / 'notebooks'
shutil.rmtree(NOTEBOOKS, ignore_errors=True)
NOTEBOOKS.mkdir()
for path in (ROOT / 'colabs').iterdir():
  if path.suffix in ('.ipynb', '.safetensors', '.md'):
    shutil.copy2(path, NOTEBOOKS)


def _from_markdown(app, what, name, obj, options, lines):
  """Marks code as reStructuredText does, and shows tables as they are typed.

  Between double backticks nothing else has a meaning, such as |x| and *x.
  """
  del app, name, obj, options
  shown, code = [], False
  for paragraph in re.split(r'\n[ ]*\n', '\n'.join(lines)):
    indented = paragraph.startswith('    ')
    if indented and not code and shown and (
        what == 'module' or shown[-2].endswith(':')):
      shown += ['::', '']
    code = indented and (code or shown[-2:] == ['::', ''])
    if '>>>' not in paragraph and not code:
      paragraph = re.sub(
          r'(?<!`)`([^`]+)`(?!`)|\|(\w+)\|', lambda m: rf'\|{m[2]}\|' if m[2]
          else f'``{" ".join(m[1].split())}``', paragraph)
    rows = [x.strip() for x in paragraph.split('\n') if x.strip()]
    if rows and all(x[0] == x[-1] == '|' for x in rows):
      paragraph = '\n'.join(
          ['::', '', *(f'   {x.replace("``", "`")}' for x in rows)])
    shown += [*paragraph.split('\n'), '']
  lines[:] = shown


def _skip(app, what, name, obj, skip, options):
  """Leaves out the fields of tuples: `Attributes` of the docstring has them."""
  del app, what, name, options
  return True if type(obj).__name__ == '_tuplegetter' else skip


def setup(app):  # noqa: D103
  app.connect('autodoc-process-docstring', _from_markdown)
  app.connect('autodoc-skip-member', _skip)
