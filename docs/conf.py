"""Of the documentation; `make docs` builds it."""

import pathlib
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
    'sphinx.ext.napoleon', 'sphinx.ext.mathjax', 'sphinx_copybutton']
exclude_patterns = ['_build', 'notebooks/*.md']
html_theme = 'sphinx_book_theme'
html_title = 'rum_jax'
html_theme_options = {
    'repository_url': 'https://github.com/-owner-/rum_jax',
    'repository_branch': 'main', 'path_to_docs': 'docs',
    'use_repository_button': True, 'use_issues_button': True,
    'launch_buttons': {'colab_url': 'https://colab.research.google.com'},
    'show_toc_level': 2}
html_show_sourcelink = False

myst_enable_extensions = ['amsmath', 'dollarmath', 'deflist', 'colon_fence']
myst_heading_anchors = 3
myst_links_external_new_tab = False
suppress_warnings = ['myst.header']  # Of files that are included.

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
NOTEBOOKS.mkdir(exist_ok=True)
for path in (ROOT / 'colabs').glob('*.ipynb'):
  shutil.copy(path, NOTEBOOKS)


def _tables_as_text(app, what, name, obj, options, lines):
  """Shows tables of Markdown as they are typed."""
  del app, what, name, obj, options
  shown, inside = [], False
  for line in lines:
    table = line.lstrip().startswith('|') and line.rstrip().endswith('|')
    if table and not inside:
      shown += ['', '::', '']
    if inside and not table:
      shown.append('')
    shown.append('   ' + line if table else line)
    inside = table
  lines[:] = shown


def _skip(app, what, name, obj, skip, options):
  """Leaves out the fields of tuples: `Attributes` of the docstring has them."""
  del app, what, name, options
  return True if type(obj).__name__ == '_tuplegetter' else skip


def setup(app):  # noqa: D103
  app.connect('autodoc-process-docstring', _tables_as_text)
  app.connect('autodoc-skip-member', _skip)
