"""Hyper-parameters of methods: given as text, or in files of tuned settings."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import json
import math
import pathlib
from typing import Any, ClassVar

from rum_jax import records

_record = dataclasses.dataclass(frozen=True, kw_only=True)
Setting = Mapping[str, Any]  # Name of a hyper-parameter to its value.


def parse_setting(text: str) -> dict[str, Any]:
  """Hyper-parameters as `name=value,name=value`.

  Args:
    text: the pairs, each value in JSON; may be empty.

  Raises:
    ValueError: naming the text.
  """
  pairs = [part.partition('=') for part in text.split(',') if part]
  try:
    return {name.strip(): json.loads(value) for name, _, value in pairs}
  except ValueError as error:
    raise ValueError(f'Expected setting={text} to read name=value,name=value, '
                     f'each value a number: {error}.') from error


@_record
class Search:
  """How settings were found.

  Attributes:
    command: the command that searched; `None` where nothing was searched.
    source: where settings come from that were not searched, as a sentence.
    criterion: the figure by which the best setting is chosen, in words.
    recipe: all fields of the recipe of the search.
    rest: environment and hash of the data of the search, and what older files
      hold.
  """

  command: str | None = None
  source: str | None = None
  criterion: str | None = None
  recipe: Mapping[str, Any] | None = None
  rest: Mapping[str, Any] = dataclasses.field(
      default_factory=dict, metadata=records.REST)


@_record
class MethodSearch(Search):
  """How the settings of one method were found.

  Attributes:
    settings_tried: number of settings that were tried for each variant.
    space: the fixed values, and the limits of the searched ones.
    tow: variant to the mean ToW of the best setting.
    seconds: variant to the time of the search, compilation included; empty
      where it was not recorded.
    forget_rows: hash of the published rows that were forgotten, where they were
      given.
  """

  settings_tried: int | None = None
  space: Any = None
  tow: Mapping[str, float] | None = None
  seconds: Mapping[str, float] = dataclasses.field(default_factory=dict)
  forget_rows: str | None = None


@_record
class RumSearch(Search):
  """How the methods and settings of full RUM were found.

  Attributes:
    sequences_tried: number of sequences of methods that were tried.
    tow: the mean ToW of the best sequence.
    seconds: time of the search, and of those for the settings of RUM^F that it
      chooses from; `None` where it was not recorded.
  """

  sequences_tried: int | None = None
  tow: float | None = None
  seconds: float | None = None


@_record
class Searches:
  """Method to the search for its settings; `rum` is the search for full RUM."""

  rum: RumSearch | None = None
  rest: Mapping[str, MethodSearch] = dataclasses.field(
      default_factory=dict, metadata=records.REST)


@_record
class TunedSettings:
  """The content of a file of tuned settings.

  Attributes:
    methods: method to variant to setting.
    rum: the method and the setting of each stage of full RUM; empty where it
      was not searched.
    searched: how the settings were found.
  """

  SCHEMA: ClassVar[int] = 1

  methods: Mapping[str, Mapping[str, Setting]]
  rum: tuple[tuple[str, Setting], ...]
  searched: Searches = Searches()

  def seconds(self, method: str, variant: str) -> float:
    """Time of the search for a setting; NaN where it was not recorded."""
    if method == 'rum':
      search = self.searched.rum
      return math.nan if search is None or search.seconds is None else (
          search.seconds)
    of_method = self.searched.rest.get(method)
    return of_method.seconds.get(variant, math.nan) if of_method else math.nan


def read_settings(path: pathlib.Path) -> TunedSettings:
  """Reads a file of tuned settings.

  A file that a person wrote needs no `schema`.

  Args:
    path: the path of the JSON file.

  Raises:
    OSError: if the file cannot be read.
    ValueError: if it is not such a file, or lacks the vanilla variant of a
      method.
  """
  value = records.read_json(path)
  if isinstance(value, dict):
    value = {'schema': TunedSettings.SCHEMA, **value}
  settings = records.from_json(TunedSettings, value, str(path))
  for method, variants in settings.methods.items():
    if 'vanilla' not in variants:
      raise ValueError(f'methods.{method}.vanilla is missing.')
  return settings
