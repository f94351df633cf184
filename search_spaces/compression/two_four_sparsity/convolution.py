"""A residual network of 3 x 3 convolutions for images of 8 x 8 pixels.

[He2016] He et al., Deep Residual Learning for Image Recognition, CVPR 2016: the basic block.

Shape legend: B images, C channels, H and W rows and columns of pixels.
"""

from torch import Tensor, nn

from search_spaces.compression.channel_groups import ChannelAxis, ChannelGroup

DIGITS = 10


def _convolution(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel_size=3, padding=1, bias=False)


def norm_axes(name: str) -> tuple[ChannelAxis, ...]:
    """Where a batch norm keeps something of each channel."""
    kept = ("weight", "bias", "running_mean", "running_var")
    return tuple(ChannelAxis(f"{name}.{each}") for each in kept)


class ResidualBlock(nn.Module):
    """Two convolutions, each with its norm, and what came in added to what comes out."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = _convolution(width, width)
        self.first_norm = nn.BatchNorm2d(width)
        self.second = _convolution(width, width)
        self.second_norm = nn.BatchNorm2d(width)
        self.activation = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """B x C x H x W to the same."""
        y = self.activation(self.first_norm(self.first(x)))
        z: Tensor = self.activation(x + self.second_norm(self.second(y)))
        return z


class DigitNetwork(nn.Module):
    """A stem, residual blocks on 4 x 4 places, their mean, a linear layer."""

    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        self.stem = _convolution(1, width)
        self.stem_norm = nn.BatchNorm2d(width)
        self.activation = nn.ReLU()
        self.pool = nn.MaxPool2d(2)
        self.blocks = nn.ModuleList(ResidualBlock(width) for _ in range(layers))
        self.head = nn.Linear(width, DIGITS)

    def forward(self, images: Tensor) -> Tensor:
        """B x 1 x 8 x 8 to scores, B x 10."""
        x = self.pool(self.activation(self.stem_norm(self.stem(images))))
        for block in self.blocks:
            x = block(x)
        scores: Tensor = self.head(x.mean(dim=(2, 3)))
        return scores

    def mixing_weights(self) -> set[str]:
        """None: every convolution both mixes places and feeds forward."""
        return set()

    def channel_groups(self) -> list[ChannelGroup]:
        """Those between the blocks, which all blocks share, and those within each block."""
        names = [f"blocks.{number}" for number in range(len(self.blocks))]
        between = ChannelGroup(
            readers=(*(f"{name}.first.weight" for name in names), "head.weight"),
            makers=(
                ChannelAxis("stem.weight"),
                *norm_axes("stem_norm"),
                *(ChannelAxis(f"{name}.second.weight") for name in names),
                *(axis for name in names for axis in norm_axes(f"{name}.second_norm")),
            ),
        )
        within = [
            ChannelGroup(
                readers=(f"{name}.second.weight",),
                makers=(ChannelAxis(f"{name}.first.weight"), *norm_axes(f"{name}.first_norm")),
            )
            for name in names
        ]
        return [between, *within]
