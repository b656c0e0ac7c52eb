"""Dataclasses that are kept as JSON, with one reader for all of them.

A record is a frozen dataclass or a `NamedTuple`. Its fields are strings,
numbers, booleans, `None`, tuples, mappings of strings to such values, or other
records. A file is strict JSON: NaN is written as null, and null is read as NaN
where a number is expected. The outermost record has a class attribute `SCHEMA`,
the number of its format, which the file holds under `schema`.

A field with `metadata=REST` takes all entries that no other field names.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import functools
import json
import math
import pathlib
import types
import typing
from typing import Any, TypeVar

T = TypeVar('T')
REST = {'rest': True}
_SCALARS = {str: 'a string', bool: 'true or false', int: 'a whole number',
            float: 'a number', type(None): 'null'}


def as_json(record: Any) -> Any:
  """A record as nested dictionaries and lists; NaN stays as it is.

  Args:
    record: a dataclass, or a value of a field.

  Returns:
    A value for `json`, in the order of the fields; `schema` comes first.
  """
  if isinstance(record, Mapping):
    return {key: as_json(value) for key, value in record.items()}
  if hasattr(record, '_asdict'):
    return as_json(record._asdict())
  if isinstance(record, (tuple, list)):
    return [as_json(value) for value in record]
  if not dataclasses.is_dataclass(record):
    return record
  number = getattr(record, 'SCHEMA', None)
  written = {} if number is None else {'schema': number}
  for field in dataclasses.fields(record):
    value = as_json(getattr(record, field.name))
    written.update(value if _is_rest(field) else {field.name: value})
  return written


def from_json(kind: type[T], value: Any, path: str = 'the record') -> T:
  """A record from the value that `as_json` returned.

  Args:
    kind: the dataclass.
    value: nested dictionaries and lists.
    path: the name of what is read, for messages.

  Raises:
    ValueError: that names `path`, the field and what is expected there, where a
      field is missing, unknown or of another type, and where `schema` is not
      the number of `kind`.
  """
  number = getattr(kind, 'SCHEMA', None)
  if number is not None and isinstance(value, Mapping):
    if value.get('schema') != number:
      raise ValueError(
          f'Expected schema={number} in {path}, found '
          f'{value.get("schema", "none")}: another version of rum_jax wrote '
          'it. Run the command that wrote it again, in the same folder: '
          'finished stages are used again, and the file is written anew.')
    value = {key: x for key, x in value.items() if key != 'schema'}
  try:
    return _read(kind, value, '')
  except _Mismatch as error:
    raise ValueError(f'{path} is not a file of this program: {error}'
                     ) from error


def read(kind: type[T], path: pathlib.Path) -> T:
  """The record in a file.

  Args:
    kind: the dataclass.
    path: the path of a JSON file.

  Raises:
    OSError: if the file cannot be read.
    ValueError: if it is not strict JSON, or not of that kind.
  """
  return from_json(kind, read_json(path), str(path))


def read_json(path: pathlib.Path) -> Any:
  """The value in a file of strict JSON.

  Args:
    path: the path of a JSON file.

  Raises:
    OSError: if the file cannot be read.
    ValueError: if it is not strict JSON.
  """
  try:
    return json.loads(path.read_text(encoding='utf-8'), parse_constant=_refuse)
  except OSError as error:
    raise OSError(f'Cannot read {path}: {error.strerror or error}.') from error
  except ValueError as error:
    raise ValueError(
        f'{path} is not a file of this program: {error}.') from error


class _Mismatch(ValueError):
  """A value whose type is not that of its field."""


def _refuse(token: str) -> float:
  raise ValueError(f'{token} is not JSON')


def _is_rest(field: dataclasses.Field[Any]) -> bool:
  return bool(field.metadata.get('rest'))


@functools.cache
def _fields(kind: Any) -> dict[str, tuple[Any, bool, bool]]:
  """Name to type, whether it is required, and whether it takes the rest."""
  hints = typing.get_type_hints(kind)
  if not dataclasses.is_dataclass(kind):
    return {name: (hints[name], name not in kind._field_defaults, False)
            for name in kind._fields}
  return {x.name: (hints[x.name], _is_needed(x), _is_rest(x))
          for x in dataclasses.fields(kind)}


def _is_needed(field: dataclasses.Field[Any]) -> bool:
  return (field.default is dataclasses.MISSING
          and field.default_factory is dataclasses.MISSING)


def _read(kind: Any, value: Any, place: str) -> Any:
  """`value` as `kind`; `place` is its position in the file."""
  if kind is Any:
    return value
  origin, args = typing.get_origin(kind), typing.get_args(kind)
  if origin in (typing.Union, types.UnionType):
    if value is None and type(None) in args:
      return None
    (kind,) = (x for x in args if x is not type(None))
    return _read(kind, value, place)
  if dataclasses.is_dataclass(kind) or hasattr(kind, '_fields'):
    return _read_record(kind, value, place)
  if origin is tuple:
    _expect(isinstance(value, list), 'a list', value, place)
    if args[-1] is ...:
      args = (args[0],) * len(value)
    _expect(len(args) == len(value), f'{len(args)} values', value, place)
    return tuple(_read(x, v, f'{place}[{i}]')
                 for i, (x, v) in enumerate(zip(args, value, strict=True)))
  if origin is not None:
    _expect(isinstance(value, Mapping), 'an object', value, place)
    return {key: _read(args[1], x, _join(place, key))
            for key, x in value.items()}
  if kind is float and value is None:
    return math.nan
  fits = (isinstance(value, kind) or kind is float and isinstance(value, int)
          ) and (kind is bool or not isinstance(value, bool))
  _expect(fits, _SCALARS[kind], value, place)
  return float(value) if kind is float else value


def _read_record(kind: Any, value: Any, place: str) -> Any:
  _expect(isinstance(value, Mapping), 'an object', value, place)
  rest, read = dict(value), {}
  for name, (hint, needed, takes_rest) in _fields(kind).items():
    if takes_rest:
      continue
    if name in rest:
      read[name] = _read(hint, rest.pop(name), _join(place, name))
    elif needed:
      raise _Mismatch(f'{_join(place, name)} is missing.')
  for name, (hint, _, takes_rest) in _fields(kind).items():
    if takes_rest:
      read[name], rest = _read(hint, rest, place), {}
  if rest:
    raise _Mismatch(f'{_join(place, min(rest))} is not known.')
  return kind(**read)


def _join(place: str, name: str) -> str:
  return f'{place}.{name}' if place else name


def _expect(fits: bool, wanted: str, value: Any, place: str) -> None:
  if not fits:
    text = repr(value)
    text = text if len(text) <= 60 else f'{text[:57]}...'
    raise _Mismatch(
        f'{place or "it"} is expected to be {wanted}, found {text}.')
