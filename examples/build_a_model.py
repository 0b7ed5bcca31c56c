"""Shows how a network in JSON becomes a PyTorch module, and what is known of it before it is built."""

from pathlib import Path

import torch

import cnnsearch

text = Path(__file__).with_name("network.json").read_text()
network = cnnsearch.Network.model_validate_json(text)
print(f"after each block (channels x height x width): {', '.join(str(shape) for shape in network.shapes)}")
print(f"{network.cost.parameters:,} parameters, {network.cost.macs:,} multiply-adds an image")

torch.manual_seed(0)
module = cnnsearch.build(network)
logits = module(torch.rand(2, 1, 28, 28))
print(f"{tuple(logits.shape)} logits; the first parameters are {', '.join(list(module.state_dict())[:3])}")

try:
    cnnsearch.Network.model_validate_json(text.replace('"kernel_size": 2', '"kernel_size": 32'))
except cnnsearch.CnnsearchError as error:
    print(f"what a slip looks like: {error}")
