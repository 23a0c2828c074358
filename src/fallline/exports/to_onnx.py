"""A model as an ONNX graph: MatMul, Add and the inverse link, from operators that every runtime has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from fallline import __version__
from fallline.atomic_write import write_whole
from fallline.errors import MissingExtraError, SettingError
from fallline.exports.linear import Linear

OPSET = 17  # of 2022: what runtimes of the last years read
IR = 8
TYPES = {"float32": np.float32, "float64": np.float64}


def to_onnx(model: Linear, path: str | Path | None = None, dtype: str = "float32") -> Any:
    """The graph; see ``Exports.to_onnx``."""
    try:
        import onnx
        from onnx import TensorProto, helper, numpy_helper
    except ImportError:
        raise MissingExtraError("to_onnx needs the onnx package: pip install 'fallline[onnx]'.") from None
    if dtype not in TYPES:
        raise SettingError(f"to_onnx(dtype=...): got {dtype!r}; give 'float32' or 'float64'.")
    kind = TYPES[dtype]
    number = TensorProto.FLOAT if dtype == "float32" else TensorProto.DOUBLE
    constants = [
        numpy_helper.from_array(model.coef.astype(kind), "coef"),
        numpy_helper.from_array(model.intercept.astype(kind), "intercept"),
    ]
    nodes = [helper.make_node("MatMul", ["X", "coef"], ["Xw"]), helper.make_node("Add", ["Xw", "intercept"], ["z"])]

    def node(operation: str, inputs: list[str], output: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(operation, inputs, [output], **attributes))
        return output

    def constant(name: str, value: Any) -> str:
        constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    outputs = []
    if model.classes is None:
        inverse = {"log": "Exp", "logit": "Sigmoid"}.get(model.link)  # logit: shares between 0 and 1
        mean = node(inverse, ["z"], "mean") if inverse is not None else "z"
        if model.coef.shape[1] == 1:
            node("Squeeze", [mean, constant("last", np.array([1]))], "prediction")
            shape: list[Any] = ["m"]
        else:
            node("Identity", [mean], "prediction")
            shape = ["m", model.coef.shape[1]]
        outputs.append(helper.make_tensor_value_info("prediction", number, shape))
    else:
        both = model.coef.shape[1] == 1
        scores = "z"
        if both:  # two classes: the second against the first
            scores = node("Concat", [constant_zero(node, constant, kind), "z"], "scores", axis=1)
        if model.link != "margin":
            if model.link == "softmax":
                node("Softmax", [scores], "probabilities", axis=1)
            elif both:
                p = node("Sigmoid", ["z"], "p")
                rest = node("Sub", [constant("one", np.array(1.0, dtype=kind)), p], "rest")
                node("Concat", [rest, p], "probabilities", axis=1)
            else:
                p = node("Sigmoid", ["z"], "p")
                node(
                    "Div",
                    [p, node("ReduceSum", [p, constant("last", np.array([1]))], "sum", keepdims=1)],
                    "probabilities",
                )
            outputs.append(helper.make_tensor_value_info("probabilities", number, ["m", len(model.classes)]))
        labels, label_kind = _labels(model.classes)
        best = node("ArgMax", [scores], "best", axis=1, keepdims=0)
        constants.append(helper.make_tensor("labels", label_kind, [len(labels)], labels))
        node("Gather", ["labels", best], "label")
        outputs.insert(0, helper.make_tensor_value_info("label", label_kind, ["m"]))
    graph = helper.make_graph(
        nodes, "fallline", [helper.make_tensor_value_info("X", number, ["m", len(model.names)])], outputs, constants
    )
    proto = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="fallline", producer_version=__version__
    )
    proto.ir_version = IR
    helper.set_model_props(proto, _properties(model))
    onnx.checker.check_model(proto)
    if path is not None:
        write_whole(path, proto.SerializeToString())
    return proto


def constant_zero(node: Any, constant: Any, kind: Any) -> str:
    """A column of zeros as long as z: the score of the first of two classes."""
    zero = node("Mul", ["z", constant("zero", np.array(0.0, dtype=kind))], "zeros")
    return str(zero)


def _properties(model: Linear) -> dict[str, str]:
    """What the graph is of; the names of the columns as a JSON list, for a name may hold whatever would part them."""
    return {"columns": json.dumps(model.names), "loss": model.loss, "target": _text(model.target).decode()}


def _text(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise SettingError(f"to_onnx: {text!r} holds half of a surrogate pair, which ONNX cannot; rename it.") from None


def _labels(classes: tuple[Any, ...]) -> tuple[list[Any], int]:
    from onnx import TensorProto

    if all(isinstance(label, bool) for label in classes):
        return [bool(label) for label in classes], TensorProto.BOOL
    if all(isinstance(label, int) for label in classes):
        return [int(label) for label in classes], TensorProto.INT64
    if all(isinstance(label, (int, float)) for label in classes):
        return [float(label) for label in classes], TensorProto.DOUBLE
    return [_text(str(label)) for label in classes], TensorProto.STRING
