"""What tests of networks share."""

from __future__ import annotations

from jax import lax
import pytest


@pytest.fixture
def plain(monkeypatch):
  """The forms for other platforms, which compile sooner than a CPU's own."""
  monkeypatch.setattr(lax, 'platform_dependent',
                      lambda *args, default, **others: default(*args))
