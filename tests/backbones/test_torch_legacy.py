"""Old PyTorch checkpoints are read without PyTorch, and can't run code."""

import io
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tagkin.backbones.lite0 import packaged_weights
from tagkin.backbones.torch_legacy import load_legacy_checkpoint
from tagkin.errors import WeightsError

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001


class Storage:
    """What a checkpoint's persistent ids refer to."""

    def __init__(self, key: str, size: int, dtype: str = "FloatStorage") -> None:
        self.pid = ("storage", dtype, key, "cpu", size, None)


class Tensor:
    def __init__(
        self, storage: Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]
    ) -> None:
        self.arguments = (storage, offset, shape, strides, False, OrderedDict())


def dump(value: Any) -> bytes:
    """Pickles a value in the protocol 2 opcodes that ``torch.save`` used, tensors included."""
    if isinstance(value, Tensor):
        inner = b"".join(map(dump_inner, value.arguments))
        return b"ctorch._utils\n_rebuild_tensor_v2\n(" + inner + b"tR"
    return dump_inner(value)


def dump_inner(value: Any) -> bytes:
    if isinstance(value, Storage):
        kind, dtype, key, location, size, view = value.pid
        return (
            b"(" + dump_inner(kind) + f"ctorch\n{dtype}\n".encode() + dump_inner(key)
            + dump_inner(location) + dump_inner(size) + dump_inner(view) + b"tQ"
        )  # fmt: skip
    # The opcodes of one plain value, without the protocol header, memo and stop.
    return pickle.dumps(value, 2)[2:-1]


def state_dict(tensors: dict[str, Tensor]) -> bytes:
    items = b"".join(dump_inner(name) + dump(tensor) for name, tensor in tensors.items())
    return b"\x80\x02ccollections\nOrderedDict\n)R(" + items + b"u."


def checkpoint(body: bytes, storages: dict[str, bytes], size: int | None = None) -> bytes:
    file = io.BytesIO()
    for value in (MAGIC, PROTOCOL, {"little_endian": True}):
        pickle.dump(value, file, 2)
    file.write(body)
    pickle.dump(list(storages), file, 2)
    for raw in storages.values():
        file.write(struct.pack("<q", len(raw) // 4 if size is None else size) + raw)
    return file.getvalue()


def floats(count: int) -> bytes:
    return np.arange(count, dtype="<f4").tobytes()


@pytest.fixture
def read(tmp_path: Path) -> Callable[[bytes], dict[str, Any]]:
    def reading(content: bytes) -> dict[str, Any]:
        path = tmp_path / "weights.pth"
        path.write_bytes(content)
        return load_legacy_checkpoint(path)

    return reading


def test_reads_the_packaged_weights() -> None:
    arrays = load_legacy_checkpoint(packaged_weights())
    assert len(arrays) == 296
    assert arrays["_conv_stem.weight"].shape == (32, 3, 3, 3)
    assert arrays["_conv_head.weight"].shape == (1280, 320, 1, 1)
    assert arrays["_fc.weight"].shape == (1000, 1280)
    assert all(np.isfinite(array).all() for array in arrays.values())
    assert all(array.flags.c_contiguous for array in arrays.values())


def test_reads_tensors_that_share_and_stride_a_storage(read: Any) -> None:
    storage = Storage("a", 6)
    body = state_dict(
        {
            "rows": Tensor(storage, 0, (2, 3), (3, 1)),
            "transposed": Tensor(storage, 0, (3, 2), (1, 3)),
            "tail": Tensor(storage, 4, (2,), (1,)),
            "scalar": Tensor(storage, 5, (), ()),
            "empty": Tensor(storage, 0, (0, 3), (3, 1)),
        }
    )
    arrays = read(checkpoint(body, {"a": floats(6)}))
    rows = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.testing.assert_array_equal(arrays["rows"], rows)
    np.testing.assert_array_equal(arrays["transposed"], rows.T)
    np.testing.assert_array_equal(arrays["tail"], [4, 5])
    assert arrays["scalar"] == 5
    assert arrays["empty"].shape == (0, 3)


@pytest.mark.parametrize(
    "code",
    [
        b"cos\nsystem\n(X\x16\x00\x00\x00touch it-ran-this-codetR.",
        b"cposix\nsystem\n(X\x16\x00\x00\x00touch it-ran-this-codetR.",
        b"cbuiltins\neval\n(X\x03\x00\x00\x001+1tR.",
        b"csubprocess\nPopen\n(X\x02\x00\x00\x00lstR.",
        b"cnumpy.core.multiarray\n_reconstruct\n.",
    ],
)
def test_refuses_a_pickle_that_would_run_code(
    code: bytes, read: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WeightsError, match="not an array"):
        read(checkpoint(b"\x80\x02" + code, {}))
    with pytest.raises(WeightsError):  # in place of the magic number
        read(b"\x80\x02" + code)
    assert not (tmp_path / "it-ran-this-code").exists()


def test_refuses_a_tampered_type_of_number(read: Any) -> None:
    # BUILD gives an object a new state; the types of numbers are shared by the whole process.
    state = dump_inner((3, "<", None, None, None, 1, 1, 0))
    with pytest.raises(WeightsError):
        read(checkpoint(b"\x80\x02ctorch\nFloatStorage\n" + state + b"b.", {}))
    assert np.zeros(3, np.float32).nbytes == 12


@pytest.mark.parametrize(
    ("offset", "shape", "strides"),
    [
        (0, (7,), (1,)),
        (6, (1,), (1,)),
        (0, (2, 3), (4, 1)),
        (0, (2,), (10**30,)),
        (-1, (2,), (1,)),
        (0, (-2,), (1,)),
        (3, (2,), (-1,)),
        (0, (2, 3), (1,)),
        (0, (10**6, 10**6), (0, 0)),
    ],
)
def test_refuses_a_tensor_beyond_its_numbers(
    offset: int, shape: tuple[int, ...], strides: tuple[int, ...], read: Any
) -> None:
    body = state_dict({"a": Tensor(Storage("a", 6), offset, shape, strides)})
    with pytest.raises(WeightsError):
        read(checkpoint(body, {"a": floats(6)}))


def test_refuses_numbers_that_are_not_there(read: Any) -> None:
    body = state_dict({"a": Tensor(Storage("a", 6), 0, (6,), (1,))})
    for content in (
        checkpoint(body, {}),
        checkpoint(body, {"other": floats(6)}),
        checkpoint(body, {"a": floats(5)}),
        checkpoint(body, {"a": floats(5)}, size=6),
        checkpoint(body, {"a": floats(6)}, size=-1),
    ):
        with pytest.raises(WeightsError):
            read(content)


@pytest.mark.parametrize("share", [0.0, 0.0001, 0.01, 0.5, 0.99999])
def test_refuses_a_truncated_file(share: float, read: Any) -> None:
    whole = packaged_weights().read_bytes()
    with pytest.raises(WeightsError, match="checkpoint"):
        read(whole[: int(len(whole) * share)])


def test_refuses_the_zip_format(tmp_path: Path) -> None:
    path = tmp_path / "new.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({}))
    with pytest.raises(WeightsError, match=r"new\.pth"):
        load_legacy_checkpoint(path)


def test_names_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"absent\.pth"):
        load_legacy_checkpoint(tmp_path / "absent.pth")


@given(noise=st.binary(max_size=300), place=st.integers(0, 400))
@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_random_bytes_are_an_error_and_nothing_worse(
    noise: bytes, place: int, tmp_path: Path
) -> None:
    good = checkpoint(
        state_dict({"a": Tensor(Storage("a", 6), 0, (2, 3), (3, 1))}), {"a": floats(6)}
    )
    path = tmp_path / "noise.pth"
    for content in (noise, good[:place] + noise, good[:place] + noise + good[place + len(noise) :]):
        path.write_bytes(content)
        try:
            arrays = load_legacy_checkpoint(path)
        except WeightsError:
            continue
        assert all(isinstance(array, np.ndarray) for array in arrays.values())
    assert [p.name for p in tmp_path.iterdir()] == ["noise.pth"]
