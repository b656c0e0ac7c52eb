"""Functions of all commands: flags, one-line errors, devices, the workdir."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import dataclasses
import os
import pathlib
import shlex
import sys
import typing

from absl import app
from absl import flags
from absl import logging
import jax

from rum_jax import recipes
from rum_jax.commands import _console
from rum_jax.pipeline import context, forget_set, inputs, outlook, own_data
from rum_jax.pipeline import runs
from rum_jax.pipeline.programs import Programs
from rum_jax.storage import hosts

FLAGS = flags.FLAGS
Stages = Callable[[recipes.Recipe, context.Data], Sequence[outlook.Stage]]
_DEFINE = {'str': flags.DEFINE_string, 'int': flags.DEFINE_integer,
           'float': flags.DEFINE_float, 'bool': flags.DEFINE_bool}

_PATIENCE = 30  # Seconds until the other processes give up a silent one.


def define(default: recipes.Recipe) -> None:
  """Defines a flag for every field of the recipe, and the common flags."""
  for field in dataclasses.fields(default):
    _DEFINE[str(field.type)](field.name, getattr(default, field.name),
                             field.metadata['help'])
  flags.DEFINE_string(
      'chunk', 'auto', 'Number of runs at a time on a GPU or TPU; auto for as '
      'many as fit in its memory. It affects speed only.')
  flags.DEFINE_integer(
      'devices_per_run', 1, 'Number of devices that share the batches of each '
      'run. More than 1 is useful if there are fewer runs than devices, or if '
      'the activations do not fit in one device. It affects speed and the '
      'rounding of sums.', lower_bound=1)
  flags.DEFINE_string(
      'workdir', None, 'Folder to write to; by default '
      'runs/<command>_<recipe>-<hash>, without <command>_ for the main job.')
  flags.DEFINE_string('data_dir', 'data', 'Folder of the data sets.')
  flags.DEFINE_string(
      'coordinator', '', 'HOST:PORT of the first process, if several processes '
      'share this job in one workdir; auto if SLURM, MPI, Kubernetes or a TPU '
      'slice knows it; empty for a single process.')
  flags.DEFINE_integer(
      'processes', None, 'Number of these processes; not with auto.')
  flags.DEFINE_integer(
      'process', None, 'Number of this process, from 0; not with auto.')
  flags.DEFINE_bool(
      'dry_run', False, 'Only print the stages of the command, what of them '
      'is there, and about how long the rest would take.')
  flags.DEFINE_bool('traceback', False, 'Show the traceback of an error.')
  flags.DEFINE_string(
      'compilation_cache', os.path.expanduser('~/.cache/rum_jax'),
      'Folder in which compiled programs are kept; empty to keep none.')
  _help_of_all(sys.argv[0])


def _help_of_all(main_module: str) -> None:
  """Lists the flags of this module under `--help` of the binary."""
  for flag in FLAGS.get_flags_for_module(__name__):
    FLAGS.register_key_flag_for_module(main_module, flag)


def recipe() -> recipes.Recipe:
  """The recipe that the flags give.

  Wrong labels belong to the demo on digits. The labels of other data are
  changed only if `--corrupt` is given.
  """
  names = [field.name for field in dataclasses.fields(recipes.Recipe)]
  values: dict[str, typing.Any] = {name: FLAGS[name].value for name in names}
  if values['dataset'] != 'digits' and not FLAGS['corrupt'].present:
    values['corrupt'] = 0.0
  return recipes.Recipe(**values)


def _given() -> set[str]:
  """Names of the fields of the recipe that somebody chose a value for."""
  return {field.name for field in dataclasses.fields(recipes.Recipe)
          if FLAGS[field.name].present
          or FLAGS[field.name].value != field.default}


def recipe_of(path: str) -> recipes.Recipe:
  """The recipe of a file of flags, or of the name of one of the package.

  Raises:
    OSError: if there is no such file.
    ValueError: if it gives a flag that no recipe has.
  """
  file = pathlib.Path(path)
  if not file.exists() and not file.suffix:
    file = recipes.TUNED / f'{path}.flags'
  if not file.exists():
    raise FileNotFoundError(f'No file of flags {path}.')
  values = flags.FlagValues()
  default = recipes.Recipe(corrupt=0.0)
  for field in dataclasses.fields(default):
    _DEFINE[str(field.type)](field.name, getattr(default, field.name), '',
                             flag_values=values)
  try:
    values(['recipe', f'--flagfile={file}'])
  except flags.Error as error:
    raise ValueError(f'{file}: {error}') from error
  given: dict[str, typing.Any] = {
      f.name: values[f.name].value for f in dataclasses.fields(default)}
  return recipes.Recipe(**given)


def run(main: Callable[[], None]) -> typing.NoReturn:
  """Parses the flags and runs `main`; an error is one line and exit code 1."""
  app.run(lambda argv: guarded(main), flags_parser=parse)


def parse(argv: Sequence[str]) -> Sequence[str]:
  """Parses the flags; an error is one line and exit code 2."""
  if sys.stderr.isatty():
    sys.stderr.write('\r\033[K')  # Over what `experiments` wrote.
  try:
    rest = FLAGS(argv)
  except flags.Error as error:
    _fail(2, str(error))
  if len(rest) > 1:
    _fail(2, f'Expected flags only, found {rest[1]!r}.')
  return rest


def guarded(main: Callable[[], None]) -> None:
  """Runs `main` on all devices; an error is one line and exit code 1."""
  logging.set_verbosity(logging.WARNING)
  _console.set_up()
  try:
    start_devices()
    main()
  except Exception as error:
    message = _console.message_of(error, FLAGS.workdir)
    if FLAGS.traceback or not message:
      raise
    _fail(1, message)


def _fail(code: int, message: str) -> typing.NoReturn:
  _console.say_error(message)
  if jax.distributed.is_initialized():
    os._exit(code)  # Does not wait for the other processes, which notice it.
  sys.exit(code)


def start_devices() -> None:
  """Sets JAX up and joins the other processes, where there are some.

  Raises:
    ValueError: if a flag of devices or processes cannot be followed.
  """
  chunk()  # Refuses a wrong value before anything starts.
  numbered = FLAGS.coordinator not in ('', 'auto')
  if {FLAGS.processes is None, FLAGS.process is None} != {not numbered}:
    raise ValueError(f'Expected coordinator={FLAGS.coordinator} to come with '
                     f'{"" if numbered else "neither "}processes '
                     f'{"and" if numbered else "nor"} process.')
  set_up()
  if FLAGS.coordinator:
    join(numbered)
  check_devices()


def set_up() -> None:
  """Makes one CPU device for each core, and turns on the compilation cache.

  Small networks hardly use a second core, so each core computes other runs.
  Each device uses one thread, except for large matrix products, whose bits do
  not depend on the number of threads. So results do not depend on the number of
  cores.
  """
  use_cores(FLAGS.compilation_cache)


def use_cores(compilation_cache: str) -> None:
  """One CPU device a core, single-threaded each; the compilation cache on."""
  extra = '--xla_cpu_multi_thread_eigen=false'
  os.environ['XLA_FLAGS'] = f'{os.environ.get("XLA_FLAGS", "")} {extra}'
  jax.config.update('jax_num_cpu_devices', _cores())
  if compilation_cache:
    jax.config.update('jax_compilation_cache_dir', compilation_cache)
    jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.0)


def check_devices() -> None:
  """Raises an error if JAX finds no device of the platforms it was given.

  Raises:
    ValueError: if the platforms of JAX_PLATFORMS have no device here.
  """
  try:
    jax.devices()
  except (AssertionError, RuntimeError) as error:
    # The stubs of JAX leave this option out.
    wanted = jax.config.jax_platforms  # pyrefly: ignore[missing-attribute]
    if not wanted:
      raise
    raise ValueError(
        f'Expected JAX_PLATFORMS={wanted} to name platforms that have devices '
        'here: JAX finds none. JAX_PLATFORMS=cpu uses the processor.'
    ) from error


def join(numbered: bool) -> None:
  """Joins this process to the others; only the first one prints."""
  known = FLAGS.coordinator, FLAGS.processes, FLAGS.process
  try:
    jax.distributed.initialize(
        *(known if numbered else ()), heartbeat_timeout_seconds=_PATIENCE,
        shutdown_timeout_seconds=_PATIENCE)
  except (ValueError, RuntimeError) as error:
    raise ValueError(
        f'Cannot join coordinator={FLAGS.coordinator}: {error}') from error
  if not hosts.first():
    sys.stdout = open(os.devnull, 'w')


def _cores() -> int:
  """The number of cores that this process may use."""
  if hasattr(os, 'sched_getaffinity'):
    return len(os.sched_getaffinity(0))
  return os.cpu_count() or 1


def chunk() -> int | None:
  """The number of runs at a time that the flag gives; `None` for auto."""
  if FLAGS.chunk == 'auto':
    return None
  if not FLAGS.chunk.isdecimal() or not int(FLAGS.chunk):
    raise ValueError(f'Expected chunk={FLAGS.chunk} to be auto or a whole '
                     'number of at least 1.')
  return int(FLAGS.chunk)


def settings(recipe: recipes.Recipe,
             variants: Sequence[str] = recipes.REFINEMENT, extra: str = ''
             ) -> recipes.TunedSettings:
  """`recipes.tuned`, whose errors name a command with this `--data_dir`."""
  return recipes.tuned(recipe, extra + data_flag(), variants)


def data_flag() -> str:
  """` --data_dir=…`, where it is not the default."""
  data = FLAGS.data_dir
  return f' --data_dir={shlex.quote(data)}' if data != 'data' else ''


def start_run(command: str | None, prefix: str | None = None,
              forgets: bool = True, growing: Sequence[str] = (), rows: str = '',
              check: Callable[[recipes.Recipe], object] = lambda recipe: None,
              options: Sequence[flags.FlagHolder] = (),
              varying: Sequence[flags.FlagHolder] = (),
              stages: Stages = lambda recipe, data: ()
              ) -> tuple[recipes.Recipe, context.Data, context.Runtime]:
  """Claims the workdir that the flags give, and loads the recipe's data.

  For data other than those of the demo, `own_data.suited` chooses the fields
  that no flag gives. Models of finished runs beside a default workdir are used
  again.

  Args:
    command: the command that writes results into the workdir, which must not be
      that of another command; `None` for a command that leaves only models,
      which may go into any workdir.
    prefix: the prefix of the default workdir's name,
      `runs/<prefix><recipe>-<hash>`; by default `<command>_`.
    forgets: whether the recipe's forget set is used.
    growing: fields of the recipe whose values may be larger than in an earlier
      run in this workdir.
    rows: what is to be forgotten, where it is not the recipe's forget set.
    check: called with the recipe before the workdir is claimed, to raise what
      would fail after an hour of training.
    options: flags of the command that determine its results. Their values must
      be those of earlier runs in this workdir.
    varying: flags of the command whose values may differ from earlier runs.
    stages: the stages of the command. Those that are found are named, and
      `--dry_run` prints them all and ends.

  Returns:
    The recipe, its data, and the runtime.

  Raises:
    OSError: if the workdir cannot be written, or if another run is using it.
    ValueError: if the workdir belongs to another command or recipe.
  """
  programs = Programs(chunk(), FLAGS.devices_per_run)
  wanted = recipe()
  data = context.load(wanted, FLAGS.data_dir, forgets=False, rows=rows)
  suited = own_data.suited(
      wanted, _given(), data.source.dataset.image.shape[1:], data.num_train,
      forgets)
  chosen = suited.recipe
  if forgets:
    inputs.check_forget_set(chosen, data.source)
  check(chosen)
  if prefix is None:
    prefix = f'{command}_' if command else ''
  changed = {x.name: x.value for x in options if x.value != x.default}
  root = runs.root_of(
      FLAGS.workdir, f'{prefix}{chosen.dataset}_{chosen.network}',
      {**dataclasses.asdict(chosen), **changed})
  runtime = context.start(chosen, data, root, programs,
                          () if FLAGS.workdir else _beside(root))
  if FLAGS.dry_run:
    print(*filter(None, [str(suited)]), f'{root} would be written.',
          *outlook.lines(stages(chosen, data), chosen, data, runtime), sep='\n')
    sys.exit()
  if hosts.first():
    runs.claim(root)
    if command:
      runs.enter(root, command, chosen, growing,
                 options={x.name: x.value for x in options},
                 varying={x.name: x.value for x in varying},
                 by_rule=suited.reasons)
  hosts.wait(f'{root} is claimed')
  if not root.exists():
    raise OSError(f'Process {jax.process_index()} does not see workdir={root}: '
                  'all processes must share one.')
  source = data.source
  for note in filter(None, (
      *source.notes, forget_set.part_copies(data), str(suited))):
    print(note)
  print(f'{source.name}: {source.num_train} training and {len(source.test)} '
        f'{chosen.held_out} examples, {len(data.corrupted)} training labels '
        f'made wrong. Writing to {root}.', flush=True)
  found = outlook.found_line(stages(chosen, data), runtime)
  if found:
    print(found, flush=True)
  return chosen, data, runtime


def refuse_dry_run() -> None:
  """Refuses the flag where it would not be followed.

  Raises:
    ValueError: if `--dry_run` is given.
  """
  if FLAGS.dry_run:
    raise ValueError('Expected no dry_run: this command trains no models.')


def _beside(root: pathlib.Path) -> tuple[pathlib.Path, ...]:
  """Folders of other runs that lie beside the folder of a run."""
  if not root.parent.exists():
    return ()
  return tuple(sorted(x for x in root.parent.iterdir() if x.is_dir()
                      and x.name != root.name and not x.name.startswith('.')))
