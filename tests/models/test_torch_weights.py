"""Networks of PyTorch give the same logits here: see goldens/*.safetensors.

`<network>.safetensors` is the state dict of a narrow twin, as
`safetensors.torch` saved it; `<network>.outputs.safetensors` holds images and
what the twin made of them, and says in its header how it was made.
"""

from __future__ import annotations

import functools
import json
import pathlib

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rum_jax import models
from rum_jax.models.torch_weights import torch_shapes
from rum_jax.types import Images

FOLDER = pathlib.Path(__file__).parent / 'goldens'
TWINS = {
    'resnet18_rum': models.resnet18(5, (2, 4, 8, 16)),
    'resnet18_imagenet': models.resnet18(
        5, (2, 4, 8, 16), imagenet_stem=True),
    'resnet34': models.resnet34(5, (2, 3, 4, 6)),
    'resnet50': models.ResNet(5, (1, 2, 1, 1), (2, 4, 8, 16), True),
    'vgg16': models.vgg16(5, (2, 4, 8, 16, 16), (8, 8)),
    'vgg16_imagenet': models.VGG(
        5, (2, 3, 4, 6, 6), hidden=(8, 8), bias=True, imagenet_head=True),
    'vit': models.ViT(5, 4, 16, 3, 4, 32),
    'resnet9': models.ResNet9(5, (4, 8, 16, 8)),
    'airbench': models.AirBench(5, (4, 16, 16), scale=1 / 16)}


def twin(name: str, side: int | None = None):
  model = built(name, side or (16 if name == 'vit' else 32))
  return read(name), model, TWINS[name].torch_names()


def read(name: str):
  return models.read_safetensors(FOLDER / f'{name}.safetensors')


@functools.cache
def built(name: str, side: int):
  """One network for all tests: JAX traces each function once."""
  state = read(name)
  how = {part: state[f'{prefix}normalize.{part}'] for part in ('mean', 'std')
         for prefix in ('', 'module.') if f'{prefix}normalize.{part}' in state}
  return models.from_linen(TWINS[name], (side, side, 3), **how)


@pytest.mark.parametrize('name', TWINS)
def test_logits_and_moments_are_pytorchs(plain, name):
  want = models.read_safetensors(FOLDER / f'{name}.outputs.safetensors')
  state, model, names = twin(name, want['image'].shape[1])
  variables = models.from_torch(state, model, names)

  def both(variables, images):
    examples = Images(images, None)
    return (model.apply(variables, examples, train=False)[0].prediction,
            model.apply(variables, examples, train=True))

  logits, (outputs, stats) = jax.jit(both, compiler_options={
      'xla_backend_optimization_level': 0})(variables, want['image'])
  close = {'rtol': 1e-4, 'atol': 1e-4}
  np.testing.assert_allclose(logits, want['eval_logits'], **close)
  np.testing.assert_allclose(outputs.prediction, want['train_logits'], **close)
  after = state | {
      name: want[f"after.{name.removeprefix('module.')}"]
      for name in state if 'running' in name}
  moments = models.from_torch(after, model, names).stats
  chex.assert_trees_all_close(stats, moments, **close)
  before = dict(jax.tree.leaves_with_path(variables.stats))
  moved = [np.abs(x - before[path]).max()
           for path, x in jax.tree.leaves_with_path(moments)
           if path[-1].key in ('mean', 'var')]
  assert min(moved, default=1) > 1e-4
  assert np.std(want['eval_logits'], 0).max() > 0.01


def test_every_twin_says_where_it_is_from():
  for path in sorted(FOLDER.glob('*.outputs.safetensors')):
    data = path.read_bytes()
    notes = json.loads(data[8:8 + int.from_bytes(data[:8], 'little')])[
        '__metadata__']
    assert path.name.removesuffix('.outputs.safetensors') in TWINS
    assert len(notes['source_commit']) == 40 and notes['made_by']
    assert json.loads(notes['config'])['classes'] == 5


@pytest.mark.parametrize('entry, value, message', [
    ('bn1.bias', None, 'Expected bn1.bias of shape (2,), found none.'),
    ('layer2.0.downsample.0.weight', np.zeros((4, 2, 3, 3)),
     'Expected layer2.0.downsample.0.weight of shape (4, 2, 1, 1), found '
     '(4, 2, 3, 3).'),
    ('fc.weight', np.zeros((16, 5)),
     'Expected fc.weight of shape (5, 16), found (16, 5).'),
    ('layer5.0.conv1.weight', np.zeros((2, 3)),
     'Expected no layer5.0.conv1.weight, found (2, 3).')])
def test_what_does_not_fit_is_named(plain, entry, value, message):
  state, model, names = twin('resnet18_rum')
  state = {k: v for k, v in state.items() if k != f'module.{entry}'}
  if value is not None:
    state[f'module.{entry}'] = value
  with pytest.raises(ValueError) as error:
    models.from_torch(state, model, names)
  assert str(error.value) == message


def test_a_module_without_a_name_is_refused():
  state, model, names = twin('resnet9')
  with pytest.raises(ValueError, match="PyTorch's for unit3/norm"):
    models.from_torch(
        state, model, {k: v for k, v in names.items() if k != 'unit3/norm'})


@pytest.mark.parametrize('prefix', ['', 'module.', '_orig_mod.', 'model.',
                                    'module._orig_mod.', '_orig_mod.module.'])
def test_wrappers_are_taken_off(prefix):
  state, model, names = twin('resnet9')
  wrapped = {prefix + name: x for name, x in state.items()}
  chex.assert_trees_all_equal(models.from_torch(wrapped, model, names),
                              models.from_torch(state, model, names))


def test_kernels_are_turned_and_types_are_ours():
  state, model, names = twin('resnet9')
  params, _ = models.from_torch(
      {k: v.astype(np.float64) for k, v in state.items()}, model, names)
  kernel = params['unit2']['conv']['kernel']
  assert kernel.shape == (5, 5, 4, 8) and kernel.dtype == jnp.float32
  np.testing.assert_array_equal(
      kernel[1, 3, 2], state['1.0.weight'][:, 2, 1, 3])
  np.testing.assert_array_equal(params['head']['kernel'][3],
                                state['9.weight'][:, 3])
  assert torch_shapes(model, names)['1.0.weight'] == (8, 4, 5, 5)


@pytest.mark.parametrize('wrap', [
    lambda name: name.replace('0.', 'module.0.', 1),  # Within DataParallel.
    lambda name: f'_orig_mod.{name}' if name < '5' else name,
    lambda name: f'model.{name}' if 'running' in name else f'module.{name}'])
def test_wrappers_may_be_on_some_names(wrap):
  state, model, names = twin('resnet9')
  wrapped = {wrap(name): x for name, x in state.items()}
  assert wrapped.keys() != state.keys()
  variables = models.from_torch(wrapped, model, names)
  chex.assert_trees_all_equal(
      variables, models.from_torch(state, model, names))
  assert_same(models.to_torch(variables, model, names, wrapped), wrapped)


def test_one_array_under_the_names_of_two_wrappers_is_refused():
  state, model, names = twin('resnet9')
  state['_orig_mod.9.weight'] = state['9.weight']
  with pytest.raises(ValueError, match='Expected one array for 9.weight, found '
                     '9.weight and _orig_mod.9.weight'):
    models.from_torch(state, model, names)


def assert_same(got, want):
  """Equal names in equal order, types, shapes and bits."""
  assert list(got) == list(want)
  for name, x in want.items():
    assert got[name].dtype == x.dtype and got[name].shape == x.shape, name
    assert got[name].tobytes() == x.tobytes(), name


@pytest.mark.parametrize('dtype', [np.float32, np.float16, jnp.bfloat16])
@pytest.mark.parametrize('name', TWINS)
def test_weights_come_back_bit_by_bit(plain, tmp_path, name, dtype):
  state, model, names = twin(name)
  state = {k: x.astype(dtype) if x.dtype == np.float32 else x
           for k, x in state.items()}
  variables = models.from_torch(state, model, names)
  assert {x.dtype for x in jax.tree.leaves(variables)} == {
      np.dtype(np.float32)}
  path = tmp_path / 'x.safetensors'
  models.write_safetensors(
      path, models.to_torch(variables, model, names, state))
  again = models.read_safetensors(path)
  assert_same({k: again[k] for k in state}, state)
  assert any(k.endswith('num_batches_tracked') for k in again) == bool(
      variables.stats)
  assert [p.name for p in tmp_path.iterdir()] == ['x.safetensors']


@pytest.mark.parametrize('module', [
    *TWINS.values(), models.AirBench(3, (4, 5, 6))], ids=[*TWINS, 'airbench'])
def test_weights_of_our_own_go_out_and_come_back(plain, module):
  side = 16 if isinstance(module, models.ViT) else 32
  model = models.from_linen(module, (side, side, 3))
  names = module.torch_names()
  rng = np.random.default_rng(1)
  variables = jax.tree.map(
      lambda x: jnp.asarray(rng.normal(size=x.shape), x.dtype),
      jax.eval_shape(model.init, jax.random.key(1)))
  state = models.to_torch(variables, model, names)
  assert {k: x.shape for k, x in state.items()} == torch_shapes(model, names)
  assert all(x.flags.c_contiguous for x in state.values())
  chex.assert_trees_all_equal(models.from_torch(state, model, names), variables)


def test_what_does_not_go_out_is_named():
  state, model, names = twin('resnet9')
  variables = models.from_torch(state, model, names)

  def refused(message, variables, like=None):
    with pytest.raises(ValueError, match=message):
      models.to_torch(variables, model, names, like)

  stacked = jax.tree.map(lambda x: jnp.stack([x, x]), variables)
  refused(r'one network, with 9.weight of shape \(5, 8\) .* \(2, 8, 5\) in',
          stacked)
  refused('hold .*running_mean, found none', variables._replace(stats={}))
  large = jax.tree.map(lambda x: x * 1e7, variables)
  half = {k: x.astype(np.float16) for k, x in state.items()}
  refused('to fit into float16, found values up to', large, half)
  refused('Expected 9.weight of shape', variables, {
      k: x for k, x in state.items() if k != '9.weight'})
  whole = {**state, '9.weight': np.zeros(state['9.weight'].shape, np.int8)}
  refused('9.weight to be of a floating type, found int8', variables, whole)


def test_an_unwritable_place_and_a_text_are_named(tmp_path):
  path = tmp_path / 'nowhere' / 'x.safetensors'
  with pytest.raises(OSError, match=f'Cannot write {path}'):
    models.write_safetensors(path, {'a': np.ones(2)})
  with pytest.raises(ValueError, match='Expected a to hold numbers, found <U1'):
    models.write_safetensors(tmp_path / 'x', {'a': np.array('b')})
  with pytest.raises(OSError, match=f'Cannot read {path}'):
    models.read_safetensors(path)
  assert not list(tmp_path.iterdir())


def test_arrays_are_written_row_by_row_whatever_their_strides(tmp_path):
  x = np.arange(24.0).reshape(2, 3, 4).transpose(2, 0, 1)[::2]
  models.write_safetensors(tmp_path / 'x', {'x': x, 'n': np.array(3)})
  got = models.read_safetensors(tmp_path / 'x')
  np.testing.assert_array_equal(got['x'], x)
  assert got['n'].shape == () and got['n'] == 3


def write(path: pathlib.Path, header, data: bytes) -> pathlib.Path:
  text = header if isinstance(header, bytes) else json.dumps(header).encode()
  path.write_bytes(len(text).to_bytes(8, 'little') + text + data)
  return path


@pytest.mark.parametrize('code, dtype', [
    ('F64', np.float64), ('F32', np.float32), ('F16', np.float16),
    ('BF16', jnp.bfloat16), ('I64', np.int64), ('U8', np.uint8),
    ('BOOL', np.bool_)])
def test_types_of_the_format(tmp_path, code, dtype):
  value = np.array([[1, 0, 2], [0, 3, 1]]).astype(dtype)
  size = value.nbytes
  path = write(tmp_path / 'x', {
      '__metadata__': {'format': 'pt'},
      'b': {'dtype': 'I32', 'shape': [], 'data_offsets': [size, size + 4]},
      'a': {'dtype': code, 'shape': [2, 3], 'data_offsets': [0, size]},
  }, value.tobytes() + (7).to_bytes(4, 'little'))
  state = models.read_safetensors(path)
  assert set(state) == {'a', 'b'} and state['b'] == 7
  assert state['a'].dtype == dtype
  np.testing.assert_array_equal(state['a'], value)


def entry(shape, low, high, dtype='U8'):
  return {'dtype': dtype, 'shape': shape, 'data_offsets': [low, high]}


@pytest.mark.parametrize('header, data', [
    (b'PK', b''), (b'{', b''), (b'[]', b''), (b'{"a": 1}', b''),
    (b'[' * 100000, b''), (b'\xff\xfe', b''),
    ({'a': entry([4], 0, 4)}, b'123'),  # Cut short.
    ({'a': entry([3], 0, 4)}, b'1234'),  # The shape is not the size.
    ({'a': entry([4], 0, 4)}, b'12345'),  # More than is named.
    ({'a': entry([2], 1, 3)}, b'123'),  # A hole.
    ({'a': entry([2], 0, 2), 'b': entry([2], 1, 3)}, b'123'),  # Overlap.
    ({'a': entry([-1], 0, -1)}, b''), ({'a': entry([-2, -2], 0, 4)}, b'1234'),
    ({'a': entry([2.0], 0, 2)}, b'12'), ({'a': entry([4], 0, 4, 'F8')}, b'123'),
    ({'a': {'dtype': 'U8', 'shape': [1]}}, b'1')])
def test_a_damaged_file_is_refused(tmp_path, header, data):
  path = write(tmp_path / 'x.safetensors', header, data)
  with pytest.raises(ValueError, match='x.safetensors is not a whole '):
    models.read_safetensors(path)


def test_a_file_of_another_format_is_refused(tmp_path):
  for data in (b'', b'1234', b'PK\x03\x04' + bytes(100), bytes(100)):
    (tmp_path / 'model.pth').write_bytes(data)
    with pytest.raises(ValueError, match='model.pth is not a whole .safete'):
      models.read_safetensors(tmp_path / 'model.pth')
