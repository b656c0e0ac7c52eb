"""Tables, pages, figures and sentences about results."""

from __future__ import annotations

from rum_jax import _lazy
from rum_jax.reporting._evidence_page import evidence_page
from rum_jax.reporting._findings import findings
from rum_jax.reporting._memorized_page import memorized_page
from rum_jax.reporting._methods import methods_csv
from rum_jax.reporting._methods import methods_page
from rum_jax.reporting._methods import methods_text
from rum_jax.reporting._page import page
from rum_jax.reporting.text import proxy_table
from rum_jax.reporting.text import table

__all__ = [
    'cost', 'details', 'difficulty_findings', 'evidence_page', 'figures',
    'findings', 'folders', 'markdown', 'markup', 'memorized_page',
    'methods_csv', 'methods_page', 'methods_text', 'page', 'proxy_table',
    'sentences', 'speed', 'style', 'table', 'text', 'vocabulary',
]

__getattr__, __dir__ = _lazy.submodules(__name__, __all__)
