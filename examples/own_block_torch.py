"""Shows the module behind a layer of one's own; only what trains imports it."""

import torch
from torch import Tensor, nn


class SqueezeExcite(nn.Module):
    """Weighs each map by what all maps hold on average; N images, C channels, H height, W width."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(channels, hidden)
        self.excite = nn.Linear(hidden, channels)

    def forward(self, maps_NCHW: Tensor) -> Tensor:
        """Keep the shape."""
        hidden_NH = torch.relu(self.squeeze(maps_NCHW.mean(dim=(2, 3))))
        weight_NC = torch.sigmoid(self.excite(hidden_NH))
        return maps_NCHW * weight_NC[:, :, None, None]
