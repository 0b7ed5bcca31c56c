"""A second opinion on networks, in plain integers from torch's documented formulas; shares no line with the library.

torch.nn.Conv2d, MaxPool2d, Linear, section "Shape"; torch.nn.modules for what they refuse; He et al. 2016 and Howard
et al. 2017 for the residual and separable blocks, as this library's README describes them.
"""

from math import ceil, floor, prod
from typing import Any, NamedTuple

Map = tuple[int, int, int]
DEFAULTS: dict[str, Any] = {
    "stride": 1,
    "padding": 0,
    "dilation": 1,
    "groups": 1,
    "bias": True,
    "padding_mode": "zeros",
}


class Price(NamedTuple):
    """What a network has, and what its blocks make."""

    shapes: list[Map]
    parameters: int
    macs: int


class ImpossibleError(Exception):
    """No such network can be."""


class _Sum:
    def __init__(self) -> None:
        self.parameters = self.macs = 0


def price(data: dict[str, Any]) -> Price | None:
    """Price a network that is written well; None where it cannot be."""
    count = _Sum()
    image = data["input"]
    shape: Map = (image["channels"], image["height"], image["width"])
    shapes: list[Map] = []
    try:
        for block in data["blocks"]:
            shape = _block(block, shape, count)
            shapes.append(shape)
        _head(data.get("head", {}), shape, data["classes"], count)
    except ImpossibleError:
        return None
    return Price(shapes, count.parameters, count.macs)


def _both(value: Any) -> tuple[int, int]:  # noqa: ANN401
    return (value, value) if isinstance(value, int) else (value[0], value[1])


def _conv(conv: dict[str, Any], shape: Map, count: _Sum) -> Map:
    made = {**DEFAULTS, **conv}
    kernel, stride, dilation = (_both(made[key]) for key in ("kernel_size", "stride", "dilation"))
    if shape[0] % made["groups"] or made["out_channels"] % made["groups"]:
        raise ImpossibleError
    same = made["padding"] == "same"
    if same and stride != (1, 1):
        raise ImpossibleError
    size: list[int] = []
    for axis in (0, 1):
        span = dilation[axis] * (kernel[axis] - 1)
        if same:
            before = after = span // 2
            after += span % 2
            out = shape[1 + axis]
        else:
            before = after = 0 if made["padding"] == "valid" else _both(made["padding"])[axis]
            out = floor((shape[1 + axis] + 2 * before - span - 1) / stride[axis]) + 1
        if made["padding_mode"] == "reflect" and after >= shape[1 + axis]:
            raise ImpossibleError
        if made["padding_mode"] == "circular" and after > shape[1 + axis]:
            raise ImpossibleError
        size.append(out)
    if min(size) < 1:
        raise ImpossibleError
    taps = shape[0] // made["groups"] * prod(kernel)
    count.parameters += made["out_channels"] * (taps + bool(made["bias"]))
    count.macs += made["out_channels"] * size[0] * size[1] * taps
    return made["out_channels"], size[0], size[1]


def _pool(pool: dict[str, Any] | None, shape: Map) -> Map:
    if pool is None:
        return shape
    kernel = _both(pool["kernel_size"])
    stride = kernel if pool.get("stride") is None else _both(pool["stride"])
    padding, dilation = _both(pool.get("padding", 0)), _both(pool.get("dilation", 1))
    size: list[int] = []
    for axis in (0, 1):
        if 2 * padding[axis] > kernel[axis]:
            raise ImpossibleError
        room = shape[1 + axis] + 2 * padding[axis] - dilation[axis] * (kernel[axis] - 1) - 1
        out = (ceil if pool.get("ceil_mode") else floor)(room / stride[axis]) + 1
        if pool.get("ceil_mode") and (out - 1) * stride[axis] >= shape[1 + axis] + padding[axis]:
            out -= 1
        if out < 1 or _blind(shape[1 + axis], kernel[axis], stride[axis], padding[axis], dilation[axis], out):
            raise ImpossibleError
        size.append(out)
    return shape[0], size[0], size[1]


def _blind(size: int, kernel: int, stride: int, padding: int, dilation: int, out: int) -> bool:
    """Say whether a window has no tap on the map, where torch would give -inf."""
    windows = ([at * stride - padding + tap * dilation for tap in range(kernel)] for at in range(out))
    return any(not any(0 <= tap < size for tap in taps) for taps in windows)


def _norm(norm: dict[str, Any] | None, channels: int, count: _Sum) -> None:
    if norm is not None and norm.get("affine", True):
        count.parameters += 2 * channels


def _block(block: dict[str, Any], shape: Map, count: _Sum) -> Map:
    kind, conv, norm = block.get("kind", "plain"), block["conv"], block.get("batchnorm", {})
    if kind == "residual":
        shape = _residual(block, shape, count)
    elif kind == "separable":
        if conv.get("groups", 1) != 1:
            raise ImpossibleError
        deep = _conv({**conv, "out_channels": shape[0], "groups": shape[0]}, shape, count)
        _norm(norm, deep[0], count)
        point = {"out_channels": conv["out_channels"], "kernel_size": 1, "bias": conv.get("bias", True)}
        shape = _conv(point, deep, count)
        _norm(norm, shape[0], count)
    else:
        shape = _conv(conv, shape, count)
        _norm(norm, shape[0], count)
    return _pool(block.get("maxpool"), shape)


def _residual(block: dict[str, Any], shape: Map, count: _Sum) -> Map:
    conv, norm, early = block["conv"], block.get("batchnorm", {}), block.get("preactivation", False)
    relu = block.get("relu", {})
    middle = _conv(conv, shape, count)
    body = _conv({**conv, "stride": 1}, middle, count)
    _norm(norm, shape[0] if early else middle[0], count)
    _norm(norm, middle[0] if early else body[0], count)
    way = shape
    if shape[0] != conv["out_channels"] or _both(conv.get("stride", 1)) != (1, 1):
        fit = {"out_channels": conv["out_channels"], "kernel_size": 1}
        way = _conv({**fit, "stride": conv.get("stride", 1), "bias": conv.get("bias", True)}, shape, count)
        _norm(None if early else norm, way[0], count)
    overwrites = early and norm is None and relu is not None and relu.get("inplace", False)
    if way != body or overwrites:  # the body would overwrite the map that the shortcut still needs
        raise ImpossibleError
    return body


def _head(head: dict[str, Any], shape: Map, classes: int, count: _Sum) -> None:
    features = shape[0] if head.get("pool", "average") else prod(shape)
    for wide in (*head.get("hidden", ()), classes):
        count.parameters += wide * (features + 1)
        count.macs += wide * features
        features = wide
