"""Reads the tensors of an old (before zip) PyTorch checkpoint without PyTorch.

Such a file is five pickles (magic number, protocol version, system information, the object with
its tensors, the list of storage keys) and then, for each key, the number of elements and the raw
elements. The layout is that of ``torch.serialization._legacy_save``.

Unpickling can run code, so the unpickler here knows four names and nothing else: it can build
ordered dictionaries and arrays, whatever the file holds.
"""

import math
import pickle
import struct
from collections import OrderedDict
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from tagkin.errors import WeightsError

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_STORAGE_DTYPES = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}


class _Storage:
    """A flat run of numbers, filled in after the pickles have been read."""

    def __init__(self, dtype: np.dtype[Any], size: int) -> None:
        self.dtype = dtype
        self.size = size
        self.data: NDArray[Any] | None = None


class _Tensor:
    """A strided view into a storage, resolved when the storage is there."""

    def __init__(
        self, storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]
    ) -> None:
        self.storage, self.offset, self.shape, self.strides = storage, offset, shape, strides

    def to_array(self) -> NDArray[Any]:
        data = self.storage.data
        if data is None:
            raise WeightsError("the checkpoint names a tensor whose numbers it doesn't hold")
        if not (
            isinstance(self.offset, int)
            and len(self.shape) == len(self.strides)
            and all(isinstance(n, int) and n >= 0 for n in (*self.shape, *self.strides))
            and self.offset >= 0
        ):
            raise WeightsError("the checkpoint holds a tensor with an impossible shape")
        last = self.offset + sum(
            (size - 1) * stride for size, stride in zip(self.shape, self.strides, strict=True)
        )
        # as_strided does not check bounds: a damaged file must not read foreign memory.
        # Nor may it blow a few numbers up to more than the memory holds, with strides of 0.
        count = math.prod(self.shape)
        if count and (last >= data.size or count > data.size):
            raise WeightsError("the checkpoint holds a tensor that reaches beyond its numbers")
        view = np.lib.stride_tricks.as_strided(
            data[self.offset :],
            self.shape,
            tuple(stride * data.itemsize for stride in self.strides),
            writeable=False,
        )
        return np.ascontiguousarray(view)


def _rebuild_tensor(
    storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any
) -> _Tensor:
    return _Tensor(storage, offset, shape, strides)


class _ArrayUnpickler(pickle.Unpickler):
    """Builds ordered dictionaries of tensors; every other name in the file is an error."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file)
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild_tensor
        if module == "torch" and name in _STORAGE_DTYPES:
            return _STORAGE_DTYPES[name]
        raise WeightsError(f"the checkpoint holds {module}.{name}, which is not an array")

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, _location, size, view = pid
        if kind != "storage" or view is not None or not isinstance(dtype, np.dtype):
            raise WeightsError("the checkpoint refers to something that is not an array")
        return self.storages.setdefault(key, _Storage(dtype, size))


def load_legacy_checkpoint(path: Path) -> dict[str, NDArray[Any]]:
    """Returns the arrays of an old PyTorch ``state_dict`` file by name.

    Args:
        path: The checkpoint, as written by ``torch.save`` before version 1.6.

    Returns:
        C-contiguous arrays (float32 or int64) in the shapes of the tensors.

    Raises:
        WeightsError: The file is no such checkpoint, is damaged, or holds anything but arrays.
    """
    try:
        with path.open("rb") as file:
            unpickler: _ArrayUnpickler | None = None
            if _ArrayUnpickler(file).load() != _MAGIC or _ArrayUnpickler(file).load() != _PROTOCOL:
                raise WeightsError(f"{path} is not a PyTorch checkpoint in the old format")
            _ArrayUnpickler(file).load()  # system information
            unpickler = _ArrayUnpickler(file)
            tensors = unpickler.load()
            for key in _ArrayUnpickler(file).load():
                _read_storage(file, unpickler.storages[key])
        return {name: tensor.to_array() for name, tensor in tensors.items()}
    except WeightsError:
        raise
    except Exception as error:  # a damaged pickle can raise nearly anything
        raise WeightsError(f"{path} is not a readable PyTorch checkpoint: {error}") from error


def _read_storage(file: BinaryIO, storage: _Storage) -> None:
    (size,) = struct.unpack("<q", file.read(8))
    if size != storage.size:
        raise WeightsError("the checkpoint's list of numbers and its tensors disagree")
    raw = file.read(size * storage.dtype.itemsize)
    storage.data = np.frombuffer(raw, storage.dtype, size)
