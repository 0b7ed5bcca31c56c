"""Which layers are computed together on a CPU? Batch norm, the ReLU and the max pool behind it: `norm.cpp`.

Axes: N images, C channels, H height, W width. On a CPU these layers wait for memory: one after the
other, they pass over a large map more often than what they compute together needs.

- The pool comes first and ReLU last, which changes nothing: both only rise, and so do all taps by the same factor.
- Let p be the pixels (images times height times width), g the gradient behind the ReLU, h its place in the map. The
  gradient of a batch norm (Ioffe and Szegedy 2015) is then scale * (h - mean(h) - normalised * mean(h * normalised)):
  a sum over the pooled map gives both means, and one pass writes `scale * h + slope * x + level`.

Results differ from torch's in the last digits, as sums in another order do. Speed: examples/benchmarks/README.md.
"""

# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false, reportUnknownVariableType=false
# pyright: reportUnknownParameterType=false, reportMissingParameterType=false
# (torch's own annotations have holes, and its autograd functions take what they are given)

import ctypes
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from cnnsearch.module import Branches
from cnnsearch.native import library
from cnnsearch.shapes import Pair, Window

NAMES = {torch.float32: "float", torch.bfloat16: "bf16"}
Kind = TypeVar("Kind", bound=nn.Module)
MOST_TAPS = 256  # of a pool's window: which tap won is kept in a byte


def fused(module: nn.Module) -> nn.Module:
    """Return a module that computes the same with the same parameters, its norms taken together with what follows.

    Layers of other kinds are the module's own; on other devices, and in other types, all of them work as they are.
    """
    if isinstance(module, Branches):
        return Branches({name: fused(branch) for name, branch in module.named_children()})
    if type(module) is not nn.Sequential:
        return module
    layers = [fused(layer) for layer in module]
    taken: list[nn.Module] = []
    while layers:
        layer = layers.pop(0)
        taken.append(_Norm(layer, *_followers(layers)) if type(layer) is nn.BatchNorm2d else layer)
    return nn.Sequential(*taken)


def _followers(layers: list[nn.Module]) -> tuple[nn.ReLU | None, nn.MaxPool2d | None]:
    """Take the ReLU and the pool that stand first, in this order, out of the list."""
    return _first(nn.ReLU, layers), _first(nn.MaxPool2d, layers)


def _first(kind: type[Kind], layers: list[nn.Module]) -> Kind | None:
    """Take the first one out of the list if it is of torch's own kind: a class made from it may compute otherwise."""
    return cast("Kind", layers.pop(0)) if layers and type(layers[0]) is kind else None


class _Norm(nn.Module):
    """A batch norm, its ReLU and its pool, with the parameters of the first."""

    def __init__(self, norm: nn.BatchNorm2d, relu: nn.ReLU | None, pool: nn.MaxPool2d | None) -> None:
        super().__init__()
        self.norm, self.relu, self.pool = norm, relu, pool
        self._simple = bool(
            norm.affine and norm.weight.dtype == torch.float32
            and norm.track_running_stats and norm.momentum is not None
            and not (pool and (pool.return_indices or _taps(pool) > MOST_TAPS))
        )  # fmt: skip

    def forward(self, maps_NCHW: Tensor) -> Tensor:
        """Do what the layers would do one after the other."""
        alone = self.norm.training and maps_NCHW.numel() == maps_NCHW.shape[1]  # torch says that one is too few
        if alone or not self._simple or not _suits(maps_NCHW):
            for layer in (self.norm, self.relu, self.pool):
                maps_NCHW = layer(maps_NCHW) if layer else maps_NCHW
            return maps_NCHW
        norm = self.norm
        if norm.training and norm.num_batches_tracked is not None:
            norm.num_batches_tracked.add_(1)
        return _Function.apply(maps_NCHW, norm.weight, norm.bias, norm, self.relu, self.pool)


def _suits(maps_NCHW: Tensor) -> bool:
    return (
        maps_NCHW.device.type == "cpu"
        and maps_NCHW.dtype in NAMES
        and torch.get_num_threads() == 1
        and maps_NCHW.is_contiguous(memory_format=torch.channels_last)
        and library() is not None
    )


class _Function(torch.autograd.Function):
    """Forward and backward through `norm.cpp`."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 (torch's own)
        x_NCHW: Tensor, weight_C: Tensor, bias_C: Tensor, norm: nn.BatchNorm2d, relu: nn.ReLU | None,
        pool: nn.MaxPool2d | None,
    ) -> Tensor:  # fmt: skip
        known_4C = _known(x_NCHW, weight_C, bias_C, norm)
        channels = len(weight_C)
        if pool is None:
            y_NCHW, peak_NCHW, tap_NCHW, windows = torch.empty_like(x_NCHW), x_NCHW, None, None
            _call("apply", x_NCHW, y_NCHW, x_NCHW.numel(), channels, known_4C, relu is not None)
        else:
            windows = _windows(x_NCHW, pool)
            size = (len(x_NCHW), channels, windows.out_height, windows.out_width)
            y_NCHW = torch.empty(size, dtype=x_NCHW.dtype, memory_format=torch.channels_last)
            peak_NCHW, tap_NCHW = torch.empty_like(y_NCHW), torch.empty_like(y_NCHW, dtype=torch.uint8)
            _call("apply_pooled", x_NCHW, y_NCHW, peak_NCHW, tap_NCHW, windows, known_4C, relu is not None)
        ctx.save_for_backward(x_NCHW, known_4C, peak_NCHW, tap_NCHW)
        ctx.relu, ctx.windows, ctx.batch = relu is not None, windows, norm.training
        return y_NCHW

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride] (as torch documents it)
        ctx: Any,  # noqa: ANN401 (torch's own)
        *grad_outputs: Tensor,
    ) -> tuple[Tensor | None, ...]:
        x_NCHW, known_4C, peak_NCHW, tap_NCHW = ctx.saved_tensors
        channels = known_4C.shape[1]
        grad_y_NCHW = grad_outputs[0].contiguous(memory_format=torch.channels_last)
        numbers = grad_y_NCHW.numel()
        pixels = x_NCHW.numel() / channels if ctx.batch else float("inf")  # a fixed mean depends on no pixel
        found_4C, grad_x_NCHW = torch.empty_like(known_4C), torch.empty_like(x_NCHW)
        _call("sums", grad_y_NCHW, peak_NCHW, numbers, channels, pixels, known_4C, ctx.relu, found_4C)
        rest = (known_4C, found_4C, ctx.relu)
        if ctx.windows is None:
            _call("spread", grad_y_NCHW, x_NCHW, grad_x_NCHW, numbers, channels, *rest)
        else:
            _call("spread_pooled", grad_y_NCHW, x_NCHW, peak_NCHW, tap_NCHW, grad_x_NCHW, ctx.windows, *rest)
        return grad_x_NCHW, found_4C[0], found_4C[1], None, None, None


def _known(x_NCHW: Tensor, weight_C: Tensor, bias_C: Tensor, norm: nn.BatchNorm2d) -> Tensor:
    """Measure the batch while training, which the norm remembers; else recall what it remembers. See `Known`."""
    running_mean_C, running_var_C = norm.running_mean, norm.running_var
    assert running_mean_C is not None
    assert running_var_C is not None
    channels = len(weight_C)
    known_4C = torch.empty(4, channels)
    rest = (weight_C, bias_C, norm.eps, known_4C)
    if norm.training:
        momentum = norm.momentum
        assert momentum is not None
        _call("measure", x_NCHW, x_NCHW.numel(), channels, running_mean_C, running_var_C, momentum, *rest)
    else:
        _call("recall", x_NCHW, channels, running_mean_C, running_var_C, *rest)
    return known_4C


class _Windows(ctypes.Structure):
    """As `Windows` in norm.cpp."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("images", "channels", "height", "width", "out_height", "out_width")),
        *((name, ctypes.c_int64 * 2) for name in ("kernel", "stride", "padding", "dilation")),
    )
    out_height: int
    out_width: int


def _windows(x_NCHW: Tensor, pool: nn.MaxPool2d) -> _Windows:
    kernel_size, stride, padding, dilation = (
        _pair(value) for value in (pool.kernel_size, pool.stride, pool.padding, pool.dilation)
    )
    window = Window(kernel_size, stride, padding, dilation, pool.ceil_mode)
    images, channels, height, width = x_NCHW.shape
    return _Windows(images, channels, height, width, *window.out((height, width)), *window[:4])


def _taps(pool: nn.MaxPool2d) -> int:
    height, width = _pair(pool.kernel_size)
    return height * width


def _pair(value: int | tuple[int, ...]) -> Pair:
    return (value, value) if isinstance(value, int) else (value[0], value[1])


def _call(name: str, x: Tensor, *arguments: Tensor | _Windows | float) -> None:
    """Call a function of norm.cpp for the type of x: tensors by their address, numbers as int64 or double."""
    functions = library()
    assert functions is not None
    function = getattr(functions, f"{name}_{NAMES[x.dtype]}")
    function(ctypes.c_void_p(x.data_ptr()), *(_argument(each) for each in arguments))


def _argument(value: Tensor | _Windows | float) -> Any:  # noqa: ANN401 (whatever ctypes passes on)
    if isinstance(value, Tensor):
        return ctypes.c_void_p(value.data_ptr())
    if isinstance(value, _Windows):
        return ctypes.byref(value)
    return ctypes.c_double(value) if isinstance(value, float) else ctypes.c_int64(value)
