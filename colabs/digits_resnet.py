"""Trains the network that `delete_images.ipynb` is given, in PyTorch.

    python colabs/digits_resnet.py DIGITS.npz colabs/digits_resnet.safetensors

DIGITS.npz holds `x_train` `[N, 8, 8, 1]` and `y_train` `[N]`, 5 % of the labels
wrong, as this writes them, where rum_jax is:

    from rum_jax import datasets
    source, _ = datasets.corrupted(datasets.digits(), 0.05, seed=0)
    n = source.num_train
    numpy.savez('digits.npz', x_train=source.dataset.image[:n],
                y_train=source.dataset.label[:n])

The names of the tensors are those of torchvision's ResNet.
"""

from __future__ import annotations

import sys

import numpy as np
from safetensors.torch import save_file
import torch
from torch import nn
from torch.nn import functional


class Block(nn.Module):
  """Two 3×3 convolutions and a way around them."""

  def __init__(self, width_in: int, width: int, stride: int):
    super().__init__()
    self.conv1 = nn.Conv2d(width_in, width, 3, stride, 1, bias=False)
    self.bn1 = nn.BatchNorm2d(width)
    self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
    self.bn2 = nn.BatchNorm2d(width)
    self.downsample = nn.Sequential(
        nn.Conv2d(width_in, width, 1, stride, bias=False),
        nn.BatchNorm2d(width)) if stride > 1 or width != width_in else None

  def forward(self, x):
    y = functional.relu(self.bn1(self.conv1(x)))
    y = self.bn2(self.conv2(y))
    return functional.relu(y + (self.downsample(x) if self.downsample else x))


class ResNet(nn.Module):
  """Three blocks of 16, 32 and 64 channels for grey images of 8×8."""

  def __init__(self):
    super().__init__()
    self.conv1 = nn.Conv2d(1, 16, 3, 1, 1, bias=False)
    self.bn1 = nn.BatchNorm2d(16)
    self.layer1 = nn.Sequential(Block(16, 16, 1))
    self.layer2 = nn.Sequential(Block(16, 32, 2))
    self.layer3 = nn.Sequential(Block(32, 64, 2))
    self.fc = nn.Linear(64, 10)

  def forward(self, x):
    x = functional.relu(self.bn1(self.conv1(x)))
    x = self.layer3(self.layer2(self.layer1(x)))
    return self.fc(x.mean((2, 3)))


def main(data: str, out: str, epochs: int = 60) -> None:
  """Trains until the network fits its labels, the wrong ones as well."""
  torch.manual_seed(0)
  with np.load(data) as arrays:
    image = torch.tensor(arrays['x_train']).permute(0, 3, 1, 2) / 255
    label = torch.tensor(arrays['y_train']).long()
  model = ResNet()
  sgd = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
  steps = epochs * (len(label) // 64)
  schedule = torch.optim.lr_scheduler.CosineAnnealingLR(sgd, steps)
  for _ in range(epochs):
    for rows in torch.randperm(len(label)).split(64)[:len(label) // 64]:
      sgd.zero_grad()
      functional.cross_entropy(model(image[rows]), label[rows]).backward()
      sgd.step()
      schedule.step()
  model.eval()
  with torch.no_grad():
    right = (model(image).argmax(1) == label).float().mean()
  print(f'accuracy on the training examples {right:.4f}')
  save_file({name: x.contiguous() for name, x in model.state_dict().items()},
            out)


if __name__ == '__main__':
  main(*sys.argv[1:])
