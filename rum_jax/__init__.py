"""Machine unlearning by refinement, memorization and entanglement, in JAX.

The packages and modules below, such as `rum_jax.memorization`, are imported
when they are first used.
"""

from rum_jax import _lazy, algorithms
from rum_jax.algorithms import *  # noqa: F403
from rum_jax.parallel import data_parallel
from rum_jax.rum import sequential
from rum_jax.seeds import over_seeds
from rum_jax.sharding import sharded
from rum_jax.optimizers import sgd
from rum_jax.types import Images
from rum_jax.types import Info
from rum_jax.types import Model
from rum_jax.types import Outputs
from rum_jax.types import Split
from rum_jax.types import Task
from rum_jax.types import Variables

__version__ = '0.1.0'

__all__ = [
    'Images', 'Info', 'Model', 'Outputs', 'Split', 'Task', 'Variables',
    'data_parallel', 'over_seeds', 'sequential', 'sgd', 'sharded',
]
__all__ += algorithms.__all__

# Packages, then modules.
_LAZY = (
    'algorithms', 'audits', 'commands', 'datasets', 'entanglement',
    'evaluation', 'memorization', 'models', 'pipeline', 'recipes', 'reporting',
    'search', 'storage', 'subspaces', 'tasks',
    'batch_norm', 'edits', 'gradients', 'losses', 'objectives',
    'optimizers', 'parallel', 'plans', 'records', 'refinement', 'resumable',
    'rum', 'seeds', 'sharding', 'testing', 'training', 'trees',
    'types',
)

__getattr__, __dir__ = _lazy.submodules(__name__, _LAZY)
