"""Networks and adapters to `Model`; only this package uses Flax."""

from __future__ import annotations

from rum_jax.models.adapters import from_linen
from rum_jax.models.adapters import hidden_layers
from rum_jax.models.airbench import AirBench
from rum_jax.models.descriptions import build
from rum_jax.models.descriptions import describe
from rum_jax.models.descriptions import described_network
from rum_jax.models.functions import from_functions
from rum_jax.models.nnx_modules import from_nnx
from rum_jax.models.nnx_modules import to_nnx
from rum_jax.models.own_networks import from_factory
from rum_jax.models.plain_weights import from_plain
from rum_jax.models.plain_weights import to_plain
from rum_jax.models.resnet import ResNet
from rum_jax.models.resnet import resnet18
from rum_jax.models.resnet import resnet34
from rum_jax.models.resnet import resnet50
from rum_jax.models.resnet9 import ResNet9
from rum_jax.models.saved import load_saved
from rum_jax.models.small import MLP
from rum_jax.models.small import SmallCNN
from rum_jax.models.vgg import VGG
from rum_jax.models.vgg import vgg16
from rum_jax.models.vit import ViT
from rum_jax.models.vit import vit_base
from rum_jax.models.vit import vit_small
from rum_jax.models.recognition import image_channels
from rum_jax.models.recognition import recognise
from rum_jax.models.torch_weights import from_torch
from rum_jax.models.torch_weights import read_safetensors
from rum_jax.models.torch_weights import to_torch
from rum_jax.models.torch_weights import write_safetensors

__all__ = [
    'AirBench', 'MLP', 'ResNet', 'ResNet9', 'SmallCNN', 'VGG', 'ViT',
    'build', 'describe', 'described_network', 'from_factory',
    'from_functions', 'from_linen', 'from_nnx', 'from_plain', 'from_torch',
    'hidden_layers', 'image_channels', 'load_saved', 'read_safetensors',
    'recognise', 'resnet18', 'resnet34', 'resnet50', 'to_nnx', 'to_plain',
    'to_torch', 'vgg16', 'vit_base', 'vit_small', 'write_safetensors',
]
