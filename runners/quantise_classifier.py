"""Which nodes of a classifier int8 leaves alone.

The first layer sees the pixels and the last one makes the logits, as in a detector. In a
transformer, products of two activations (queries by keys, attention by values) stay too: they are a
small part of the work. Measured on the 3-block ViT-Tiny on charts (val: 330 images, FP32 0.9212):
all in int8 0.8970; attention in float 0.9000; the patch embedding too 0.9182; the last layer too
0.9212. U8 or S8 activations, and MinMax or percentiles, made no difference beyond 0.003.
"""

from __future__ import annotations

from typing import Any

from edgelab.problem import Problem

OPERATORS = ("Conv", "MatMul", "Gemm")
"""What is quantised; LayerNorm, softmax and GELU between them stay in float."""


def classifier_float_nodes(graph: Any) -> list[str]:
    """Names of the first and the last layer, and of all products without weights.

    Node names must be unique. Raises Problem where the model has no layer with weights.
    """
    constants = {tensor.name for tensor in graph.initializer}
    nodes = [node for node in graph.node if node.op_type in OPERATORS]
    layers = [node.name for node in nodes if constants & set(node.input)]
    if not layers:
        raise Problem("int8: the model has no convolution and no product with weights")
    products = [node.name for node in nodes if not constants & set(node.input)]
    return list(dict.fromkeys([layers[0], layers[-1], *products]))
