"""The networks and passes of `benchmark` in PyTorch.

The layout is channels-last; on a GPU, networks are compiled.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


class _Residual(nn.Sequential):

  def forward(self, x: torch.Tensor) -> torch.Tensor:
    return x + super().forward(x)


class _Block(nn.Module):
  """Two convolutions with a shortcut, as in ResNet-18."""

  def __init__(self, before: int, after: int, stride: int):
    super().__init__()
    *inner, _ = [*_unit(before, after, 3, stride), *_unit(after, after)]
    self.inner = nn.Sequential(*inner)
    self.around = nn.Sequential(*(
        _unit(before, after, 1, stride, 0)[:2] if stride > 1 else []))

  def forward(self, x: torch.Tensor) -> torch.Tensor:
    return torch.relu(self.inner(x) + self.around(x))


class _AirBench(nn.Module):
  """Whitened patches, three groups and a scaled head, as in `AirBench`."""

  def __init__(self, channels: int, widths: Sequence[int], classes: int):
    super().__init__()
    self.whiten = nn.Conv2d(channels, 8 * channels, 2)
    self.whiten.weight.requires_grad = False
    ends = [8 * channels, *widths]
    self.groups = nn.Sequential(*(
        layer for before, after in zip(ends, widths)
        for layer in (
            nn.Conv2d(before, after, 3, padding=1, bias=False),
            nn.MaxPool2d(2), _shift(after), nn.GELU(),
            nn.Conv2d(after, after, 3, padding=1, bias=False), _shift(after),
            nn.GELU())))
    self.head = nn.Linear(widths[-1], classes, bias=False)

  def forward(self, x: torch.Tensor) -> torch.Tensor:
    x = self.groups(nn.functional.gelu(self.whiten(x)))
    return self.head(x.amax((2, 3))) / 9


def _shift(channels: int) -> nn.Module:
  """Batch-norm whose scale does not learn."""
  norm = nn.BatchNorm2d(channels, eps=1e-12, momentum=0.4)
  norm.weight.requires_grad = False
  return norm


def _unit(before: int, after: int, size: int = 3, stride: int = 1,
          padding: int = 1) -> list[nn.Module]:
  return [nn.Conv2d(before, after, size, stride, padding, bias=False),
          nn.BatchNorm2d(after), nn.ReLU()]


def _network(name: str, shape: tuple[int, ...], classes: int,
             widths: Sequence[int] = ()) -> nn.Module:
  pool, flat, c = nn.MaxPool2d(2), nn.Flatten(), shape[-1]
  return nn.Sequential(*{
      'mlp': lambda: [
          flat, nn.Linear(int(np.prod(shape)), 128), nn.ReLU(),
          nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, classes)],
      'cnn': lambda: [
          *_unit(c, 16), pool, *_unit(16, 32), pool, *_unit(32, 64),
          nn.AdaptiveAvgPool2d(1), flat, nn.Linear(64, classes)],
      'resnet9': lambda: [
          *_unit(c, 64), *_unit(64, 128, 5, 2, 2),
          _Residual(*_unit(128, 128), *_unit(128, 128)), *_unit(128, 256),
          pool, _Residual(*_unit(256, 256), *_unit(256, 256)),
          *_unit(256, 128, padding=0), nn.AdaptiveMaxPool2d(1), flat,
          nn.Linear(128, classes, bias=False)],
      'resnet18': lambda: [
          *_unit(c, 64), *[
              block for before, after in zip((64, 64, 128, 256),
                                             (64, 128, 256, 512))
              for block in (_Block(before, after, 1 + (before < after)),
                            _Block(after, after, 1))],
          nn.AdaptiveAvgPool2d(1), flat, nn.Linear(512, classes)],
      'airbench': lambda: [
          _AirBench(c, widths or (64, 128, 128), classes)],
  }[name]()).to(memory_format=torch.channels_last)


NETWORKS = ('mlp', 'cnn', 'resnet9', 'resnet18', 'airbench')


def passes(name: str, image: np.ndarray, label: np.ndarray, classes: int,
           batch_size: int, epochs: int, gpu: bool = False,
           half: bool = False, widths: Sequence[int] = ()
           ) -> tuple[Callable[..., None], float]:
  """`(forward, gradient or step, threads)` over all images; a step's FLOPs."""
  device = 'cuda' if gpu else 'cpu'
  net = _network(name, image.shape[1:], classes, widths).to(device)
  model = torch.compile(net) if gpu else net
  learning = [p for p in net.parameters() if p.requires_grad]
  tx = torch.optim.SGD(learning, 0.1, momentum=0.9, weight_decay=1e-4)
  images = torch.tensor(image, device=device).permute(0, 3, 1, 2)
  labels = torch.tensor(label, device=device).long()

  def run(kind: str = 'step', threads: int = 1) -> None:
    torch.set_num_threads(threads)
    for _ in range(epochs):
      for rows in torch.randperm(len(labels), device=device).split(batch_size):
        batch = (images[rows].float() / 255).contiguous(
            memory_format=torch.channels_last)
        with torch.autocast(device, torch.bfloat16, enabled=half):
          loss = nn.functional.cross_entropy(model(batch), labels[rows])
        if kind != 'forward':
          tx.zero_grad(set_to_none=True)
          loss.backward()
        if kind == 'step':
          tx.step()
    if gpu:
      torch.cuda.synchronize()

  model, compiled = net, model
  with FlopCounterMode(display=False) as counter:
    run()
  model = compiled
  return run, counter.get_total_flops()


def peak(name: str, shape: tuple[int, ...], batch_size: int, gpu: bool,
         half: bool) -> float | None:
  """Peak memory of a GPU in bytes during a pass; `None` without a GPU."""
  run, _ = passes(name, np.zeros(shape, np.uint8), np.zeros(shape[0]), 10,
                  batch_size, 1, gpu, half)
  if gpu:
    torch.cuda.reset_peak_memory_stats()  # Not what was held uncompiled.
  run()
  return torch.cuda.max_memory_allocated() if gpu else None
