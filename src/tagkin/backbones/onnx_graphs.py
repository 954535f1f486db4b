"""An ONNX file as OpenVINO's graph, cut down to one image in and one vector out."""

import difflib
from pathlib import Path
from typing import Any

from tagkin.backbones.graphs import Layout
from tagkin.backbones.onnx_description import Description
from tagkin.backbones.runtime import import_openvino
from tagkin.errors import BackboneError, WeightsError

_LISTED = 8  # of each kind, of possibly thousands of tensors, those nearest to the end


def open_onnx(path: Path, description: Description) -> tuple[Any, Layout]:
    """Reads an ONNX file.

    Args:
        path: The ONNX file.
        description: What its JSON says.

    Returns:
        An ``openvino.Model`` with one input, (1, 3, size, size) or (1, size, size, 3), and one
        output, (1, dimension); and which of the two its input is.

    Raises:
        WeightsError: The file is damaged or no ONNX file.
        BackboneError: It doesn't take one image and give one vector, as it is described.
    """
    graph = _read(path)
    listing = _what_there_is(graph)
    output = _find_output(path, graph, description.output, listing)
    graph = _cut(path, graph, output, listing)
    _check_numbers(path, graph, description)
    layout = _fix_input(path, graph, description)
    return _make_one_vector(path, graph, description, listing), layout


def _read(path: Path) -> Any:
    frontend = import_openvino().frontend.FrontEndManager().load_by_framework("onnx")
    try:
        graph = frontend.convert(frontend.load(path))
    except Exception as error:  # the front end's exceptions have no other parent in common
        raise WeightsError(
            f"OpenVINO can't read {path} ({_brief(error)}): it is no ONNX file, was not downloaded "
            "whole, or uses operations that OpenVINO doesn't know; try another export"
        ) from error
    if not graph.outputs:
        raise WeightsError(f"{path} is not an ONNX file, or an empty one: download it again")
    return graph


def _find_output(path: Path, graph: Any, wanted: str | int | None, listing: str) -> Any:
    """Returns the tensor that the vector comes from."""
    outputs = graph.outputs
    if wanted is None and len(outputs) == 1:
        wanted = 0
    if isinstance(wanted, int) and wanted < len(outputs):
        return outputs[wanted].get_node().input_value(0)
    tensors = _tensors(graph)
    if wanted in tensors:
        return tensors[wanted]
    if wanted is None:
        problem = 'has several outputs: add "output" to the JSON, with the name of one'
    elif isinstance(wanted, int):
        problem = f"has no output {wanted}"
    else:
        close = difflib.get_close_matches(wanted, tensors, 1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        problem = f"has no tensor {wanted!r}{hint}"
    raise BackboneError(f"{path} {problem}. {listing}")


def _tensors(graph: Any) -> dict[str, Any]:
    """Returns what is computed in a graph, by the names of tensors and nodes in the ONNX file."""
    ops = [
        op
        for op in graph.get_ordered_ops()
        if op.get_type_name() not in ("Constant", "Parameter", "Result")
    ]
    tensors = {name: out for op in ops for out in op.outputs() for name in out.get_names()}
    for op in ops:  # the names that OpenVINO makes up are not the user's
        if len(op.outputs()) == 1 and op.get_friendly_name() != op.get_name():
            tensors.setdefault(op.get_friendly_name(), op.output(0))
    return tensors


def _what_there_is(graph: Any) -> str:
    """Lists the outputs, and the inner tensors that might be named instead."""
    outputs = {min(out.get_names(), default="unnamed"): out for out in graph.outputs}
    inner = {
        name: tensor
        for name, tensor in _tensors(graph).items()
        if name in tensor.get_names() and name not in outputs
    }
    text = f"Outputs: {_list_tensors(outputs)}"
    for axes, what in ((2, "one vector per image"), (3, "tokens, which need pooling")):
        fit = {name: tensor for name, tensor in inner.items() if _is_by_image(tensor, axes)}
        if fit:
            last = dict(list(fit.items())[-_LISTED:])
            text += f"; the last inner tensors of {what}: {_list_tensors(last)}"
    return text


def _is_by_image(tensor: Any, axes: int) -> bool:
    """Whether a tensor may have one image's values along all axes but the first."""
    shape = _shape(tensor)
    return len(shape) == axes and shape[0] in (None, 1) and 1 not in shape[1:]


def _list_tensors(tensors: dict[str, Any]) -> str:
    return ", ".join(f"{name!r} {_format(_shape(out))}" for name, out in tensors.items())


def _shape(tensor: Any) -> tuple[int | None, ...]:
    """Returns a shape, with None for what is open; empty if even the number of axes is."""
    shape = tensor.get_partial_shape()
    if shape.rank.is_dynamic:
        return ()
    return tuple(None if axis.is_dynamic else axis.get_length() for axis in shape)


def _format(shape: tuple[int | None, ...]) -> str:
    return f"({', '.join('?' if axis is None else str(axis) for axis in shape)})"


def _cut(path: Path, graph: Any, output: Any, listing: str) -> Any:
    """Returns a graph of what one tensor is computed from.

    So the text half of an image and text model doesn't matter, nor do the other outputs.
    """
    needed = _inputs_behind(output)
    inputs = [each for each in graph.get_parameters() if each.get_name() in needed]
    if len(inputs) != 1:
        names = {each.get_friendly_name(): each.output(0) for each in inputs}
        raise BackboneError(
            f"the output of {path} needs {len(inputs)} inputs ({_list_tensors(names) or 'none'}), "
            "and Tagkin gives it one image: name an output that depends on the image only, or "
            f"export the image part of the model alone. {listing}"
        )
    ov = import_openvino()
    return ov.Model([ov.opset13.result(output)], inputs, path.stem)


def _inputs_behind(output: Any) -> set[str]:
    """Returns OpenVINO's names of the parameters that a tensor is computed from."""
    found, seen, waiting = set(), set(), [output.get_node()]
    while waiting:
        node = waiting.pop()
        name = node.get_name()
        if name in seen:
            continue
        seen.add(name)
        if node.get_type_name() == "Parameter":
            found.add(name)
        waiting += [value.get_node() for value in node.input_values()]
    return found


def _check_numbers(path: Path, graph: Any, description: Description) -> None:
    kind = graph.input(0).get_element_type()
    plain = (description.rescale, *description.mean, *description.std) == (1, 0, 0, 0, 1, 1, 1)
    if not kind.is_real() and not plain:
        raise BackboneError(
            f"{path} takes whole numbers ({kind.get_type_name()}), so it prepares the pixels "
            'itself: write "rescale": 1, "mean": 0, "std": 1 in the JSON beside it'
        )


def _fix_input(path: Path, graph: Any, description: Description) -> Layout:
    """Gives the input the shape of one image; returns its layout."""
    shape = _shape(graph.input(0))
    layouts = _possible_layouts(shape)
    if not layouts:
        raise BackboneError(
            f"{path} takes an input of shape {_format(shape)}, which is not that of RGB images, "
            "(1, 3, size, size) or (1, size, size, 3): use an export that takes images"
        )
    error: Exception | None = None
    for layout in layouts:
        size = _choose_size(path, shape, layout, description)
        try:
            graph.reshape([{"N": 1, "C": 3}.get(axis, size) for axis in layout])
        except RuntimeError as failure:
            error = error or failure
        else:
            return layout
    raise BackboneError(
        f"{path} doesn't take one image of {size} x {size} pixels: give the image_size that it was "
        f"exported for in the JSON beside it ({_brief(error)})"
    )


def _possible_layouts(shape: tuple[int | None, ...]) -> list[Layout]:
    """Returns the layouts that a shape may have, the likelier one first; it may be all open."""
    if len(shape) != 4:
        return []
    channels: dict[Layout, int | None] = {"NCHW": shape[1], "NHWC": shape[3]}
    certain = [layout for layout, axis in channels.items() if axis == 3]
    return certain or [layout for layout, axis in channels.items() if axis is None]


def _choose_size(
    path: Path, shape: tuple[int | None, ...], layout: Layout, description: Description
) -> int:
    fixed = {size for axis, size in zip(layout, shape, strict=True) if axis in "HW" and size}
    said = description.image_size
    if len(fixed) > 1:
        raise BackboneError(
            f"{path} takes images of shape {_format(shape)}, and Tagkin makes square ones only: "
            "use an export for square images"
        )
    for size in fixed:
        if said not in (None, size):
            raise BackboneError(
                f"{path} takes images of {size} pixels, and the JSON beside it says image_size "
                f"{said}: leave image_size out, or use an export for that size"
            )
        return size
    if said is None:
        raise BackboneError(
            f"{path} leaves the size of images open: add image_size, in pixels, to the JSON"
        )
    return said


def _make_one_vector(path: Path, graph: Any, description: Description, listing: str) -> Any:
    """Returns a graph whose output has shape (1, dimension)."""
    ov = import_openvino()
    output = graph.output(0).get_node().input_value(0)
    shape, pooling = _shape(output), description.pooling
    if pooling and len(shape) == 3 and shape[0] == 1:
        first = pooling == "first"
        pooled = ov.opset13.gather(output, 0, 1) if first else ov.opset13.reduce_mean(output, 1)
    elif not pooling and shape[:1] == (1,) and sum(axis != 1 for axis in shape) == 1:
        pooled = ov.opset13.reshape(output, [0, -1], special_zero=True)
    else:
        what = f"{path} gives {_format(shape)} for one image"
        raise BackboneError(f"{what}. {_advise(shape, pooling)}. {listing}")
    graph = ov.Model([ov.opset13.result(pooled)], graph.get_parameters(), path.stem)
    if None in _shape(graph.output(0)):
        raise BackboneError(f"{path} gives vectors of no fixed length: name another output")
    return graph


def _advise(shape: tuple[int | None, ...], pooling: str | None) -> str:
    if pooling:
        return "Pooling is for (1, tokens, dimension): leave it out, or name another output"
    if len(shape) == 3:
        return (
            'If that is (1, tokens, dimension), add "pooling": "mean" to the JSON beside it, or '
            '"first" if the first token is a class token; else name another output'
        )
    return "That is not one vector: name another output in the JSON beside it"


def _brief(error: object) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
