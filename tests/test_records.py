"""Records and JSON: what is written is read, and nothing else is."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import json
import math
from typing import Any, ClassVar, NamedTuple

import pytest

from rum_jax import records
from rum_jax.storage import files


class Point(NamedTuple):
  x: float
  y: float = 0.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Part:
  name: str
  flag: bool
  rest: Mapping[str, Any] = dataclasses.field(
      default_factory=dict, metadata=records.REST)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Whole:
  SCHEMA: ClassVar[int] = 3

  count: int
  mean: float
  limit: float | None
  values: tuple[float, ...]
  pair: tuple[str, int]
  parts: Mapping[str, Part]
  points: tuple[Point, ...] = ()


WHOLE = Whole(
    count=2, mean=0.5, limit=None, values=(1.0, 2.5), pair=('a', 1),
    parts={'one': Part(name='b', flag=True, rest={'more': [1, {'x': None}]})},
    points=(Point(1.0, 2.0),))


def value(**changes):
  return {**json.loads(files.to_json(records.as_json(WHOLE))), **changes}


def test_what_is_written_is_read(tmp_path):
  path = tmp_path / 'whole.json'
  files.write_json(path, records.as_json(WHOLE))
  assert records.read(Whole, path) == WHOLE
  assert next(iter(value())) == 'schema' and value()['schema'] == 3
  assert value()['parts'] == {'one': {
      'name': 'b', 'flag': True, 'more': [1, {'x': None}]}}
  assert value()['points'] == [{'x': 1.0, 'y': 2.0}]


def test_nan_is_null_and_comes_back(tmp_path):
  lost = dataclasses.replace(WHOLE, mean=math.nan, values=(math.nan, 1.0))
  path = tmp_path / 'whole.json'
  files.write_json(path, records.as_json(lost))
  assert 'NaN' not in path.read_text()
  got = records.read(Whole, path)
  assert math.isnan(got.mean) and math.isnan(got.values[0])
  assert got.values[1] == 1.0 and got.limit is None


def test_what_has_a_default_may_be_missing_and_a_whole_number_is_a_number():
  less = value(mean=1)
  del less['points']
  got = records.from_json(Whole, less)
  assert got.points == () and got.mean == 1.0 and type(got.mean) is float


@pytest.mark.parametrize(('changes', 'message'), [
    ({'count': 0.5}, 'count is expected to be a whole number, found 0.5.'),
    ({'count': True}, 'count is expected to be a whole number, found True.'),
    ({'count': None}, 'count is expected to be a whole number, found None.'),
    ({'mean': 'x'}, "mean is expected to be a number, found 'x'."),
    ({'values': 1.0}, 'values is expected to be a list, found 1.0.'),
    ({'values': [1.0, 'x']}, "values[1] is expected to be a number, found 'x'"),
    ({'pair': ['a']}, "pair is expected to be 2 values, found ['a']."),
    ({'parts': []}, 'parts is expected to be an object, found [].'),
    ({'parts': {'one': {'name': 'a', 'flag': 1}}},
     'parts.one.flag is expected to be true or false, found 1.'),
    ({'parts': {'one': {'flag': True}}}, 'parts.one.name is missing.'),
    ({'points': [{'x': 1.0, 'z': 1.0}]}, 'points[0].z is not known.'),
    ({'more': 1}, 'more is not known.')])
def test_what_does_not_fit_is_refused_by_name_and_file(changes, message):
  with pytest.raises(ValueError) as error:
    records.from_json(Whole, value(**changes), 'some/file.json')
  assert str(error.value).startswith('some/file.json is not a file of this ')
  assert message in str(error.value)


@pytest.mark.parametrize('schema', [None, 2, 4, '3'])
def test_another_schema_is_refused_with_what_to_do(schema):
  old = value(schema=schema)
  if schema is None:
    del old['schema']
  with pytest.raises(ValueError) as error:
    records.from_json(Whole, old, 'some/file.json')
  assert str(error.value).startswith('Expected schema=3 in some/file.json')
  assert 'Run the command that wrote it again' in str(error.value)


@pytest.mark.parametrize('text', ['', '{', '[]', 'null', '{"schema": NaN}'])
def test_what_is_not_json_of_an_object_is_refused(tmp_path, text):
  path = tmp_path / 'whole.json'
  path.write_text(text)
  with pytest.raises(ValueError, match='is not a file of this program'):
    records.read(Whole, path)
  with pytest.raises(OSError, match='Cannot read'):
    records.read(Whole, tmp_path / 'nowhere.json')
