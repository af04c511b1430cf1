"""The three graphs of the layout, built from a checkpoint's weights.

The architecture is that of transformers' Idefics3 and SmolVLM models: a SigLIP encoder, a pixel
shuffle with one projection, and a Llama with rotary embedding and grouped-query attention. Values
enter and leave as float32 whatever the graph computes in, but for the cache, which is kept as
computed. Attention is ONNX Runtime's own fused operator, as in the exports on the hub.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from runners.smolvlm.config import SmolVlmConfig, VisionConfig
from runners.smolvlm.graph import MICROSOFT, Graph
from runners.smolvlm.weights import Array, Weights

TEXT, VISION = "model.text_model", "model.vision_model"
PAST, PRESENT = "past_key_values", "present"


class _Module:
    """Layers that vision and text have in common."""

    def __init__(self, graph: Graph, weights: Weights) -> None:
        self.graph = graph
        self.weights = weights

    def weight(self, name: str, *shape: int) -> str:
        """A tensor of the checkpoint as it lies there."""
        return self.graph.constant(name, self.weights.read(name, shape, self.graph.dtype))

    def project(self, value: str, name: str, inputs: int, outputs: int, key: str = "") -> str:
        """A matrix product with a Linear's weight, which torch keeps as (outputs, inputs)."""
        stored = self.weights.read(key or f"{name}.weight", (outputs, inputs), self.graph.dtype)
        return self.graph.add("MatMul", value, self.graph.constant(f"{name}.transposed", stored.T))

    def linear(self, value: str, name: str, inputs: int, outputs: int) -> str:
        """A Linear with its bias."""
        product = self.project(value, name, inputs, outputs)
        return self.graph.add("Add", product, self.weight(f"{name}.bias", outputs))

    def layer_norm(self, value: str, name: str, size: int, epsilon: float) -> str:
        """Over the last axis."""
        scale, bias = (self.weight(f"{name}.{part}", size) for part in ("weight", "bias"))
        return self.graph.add("LayerNormalization", value, scale, bias, axis=-1, epsilon=epsilon)

    def rms_norm(self, value: str, name: str, size: int, epsilon: float) -> str:
        """Over the last axis; ONNX Runtime's name of it, which every release of it knows."""
        scale = self.weight(f"{name}.weight", size)
        return self.graph.add(
            "SimplifiedLayerNormalization", value, scale, axis=-1, epsilon=epsilon, stash_type=1
        )


def write_vision_encoder(path: Path, config: SmolVlmConfig, weights: Weights, dtype: type) -> None:
    """pixel_values (1, tiles, 3, side, side) -> image_features (tiles, tokens, hidden)."""
    with Graph("vision_encoder", path, dtype) as graph:
        _build_vision_encoder(graph, config, weights)
        graph.save()


def _build_vision_encoder(graph: Graph, config: SmolVlmConfig, weights: Weights) -> None:
    vision, hidden = config.vision_config, config.text_config.hidden_size
    side = vision.image_size
    shape = ("batch_size", "num_images", 3, side, side)
    pixels = graph.input("pixel_values", shape, np.float32)
    encoder = _VisionEncoder(graph, weights, vision)
    features = encoder.build(graph.add("Reshape", pixels, graph.shape(-1, 3, side, side)))
    features = _pixel_shuffle(graph, features, config)
    wide = vision.hidden_size * config.scale_factor**2
    features = encoder.project(features, "model.connector.modality_projection.proj", wide, hidden)
    features = graph.add("Cast", features, to=1)
    graph.output(features, "image_features", ("num_tiles", config.tile_tokens, hidden), np.float32)


def write_embed_tokens(path: Path, config: SmolVlmConfig, weights: Weights, dtype: type) -> None:
    """input_ids (1, tokens) -> inputs_embeds (1, tokens, hidden): rows of a table."""
    with Graph("embed_tokens", path, dtype) as graph:
        _build_embed_tokens(graph, config, weights)
        graph.save()


def _build_embed_tokens(graph: Graph, config: SmolVlmConfig, weights: Weights) -> None:
    module, text = _Module(graph, weights), config.text_config
    ids = graph.input("input_ids", ("batch_size", "sequence_length"), np.int64)
    table = module.weight(f"{TEXT}.embed_tokens.weight", text.vocab_size, text.hidden_size)
    rows = graph.add("Cast", graph.add("Gather", table, ids), to=1)
    shape = ("batch_size", "sequence_length", text.hidden_size)
    graph.output(rows, "inputs_embeds", shape, np.float32)


def write_decoder(path: Path, config: SmolVlmConfig, weights: Weights, dtype: type) -> None:
    """Embeddings, mask and cache -> logits (1, 1, vocabulary) of the last position, and the cache.

    The cache may be empty: (1, heads, 0, head size).
    """
    with Graph("decoder_model_merged", path, dtype) as graph:
        _Decoder(graph, weights, config).build()
        graph.save()


class _VisionEncoder(_Module):
    def __init__(self, graph: Graph, weights: Weights, config: VisionConfig) -> None:
        super().__init__(graph, weights)
        self.config = config

    def build(self, pixels: str) -> str:
        """(tiles, 3, side, side) -> (tiles, patches, width)."""
        config, graph = self.config, self.graph
        value = self._embed(graph.add("Cast", pixels, to=_onnx_type(graph)))
        for index in range(config.num_hidden_layers):
            value = self._layer(value, f"{VISION}.encoder.layers.{index}")
        return self.layer_norm(
            value, f"{VISION}.post_layernorm", config.hidden_size, config.layer_norm_eps
        )

    def _embed(self, pixels: str) -> str:
        config, graph = self.config, self.graph
        width, patch, side = config.hidden_size, config.patch_size, config.patches_a_side
        name = f"{VISION}.embeddings"
        kernel = self.weight(f"{name}.patch_embedding.weight", width, 3, patch, patch)
        bias = self.weight(f"{name}.patch_embedding.bias", width)
        value = graph.add(
            "Conv", pixels, kernel, bias, kernel_shape=[patch, patch], strides=[patch, patch]
        )
        value = graph.add("Reshape", value, graph.shape(0, width, -1))
        value = graph.add("Transpose", value, perm=[0, 2, 1])
        table = f"{name}.position_embedding.weight"
        positions = self.weights.read(table, (side * side, width), graph.dtype)
        return graph.add(
            "Add", value, graph.constant(f"{name}.positions", positions[full_tile_positions(side)])
        )

    def _layer(self, value: str, name: str) -> str:
        config, graph = self.config, self.graph
        width, wide = config.hidden_size, config.intermediate_size
        normal = self.layer_norm(value, f"{name}.layer_norm1", width, config.layer_norm_eps)
        query, key, content = (
            self.linear(normal, f"{name}.self_attn.{each}_proj", width, width)
            for each in ("q", "k", "v")
        )
        attended = graph.add(
            "MultiHeadAttention", query, key, content,
            domain=MICROSOFT, num_heads=config.num_attention_heads,
        )  # fmt: skip
        attended = self.linear(attended, f"{name}.self_attn.out_proj", width, width)
        value = graph.add("Add", value, attended)
        normal = self.layer_norm(value, f"{name}.layer_norm2", width, config.layer_norm_eps)
        inner = self.linear(normal, f"{name}.mlp.fc1", width, wide)
        inner = graph.add("Gelu", inner, approximate="tanh")
        return graph.add("Add", value, self.linear(inner, f"{name}.mlp.fc2", wide, width))


class _Decoder(_Module):
    def __init__(self, graph: Graph, weights: Weights, config: SmolVlmConfig) -> None:
        super().__init__(graph, weights)
        self.config = config.text_config
        text = self.config
        self.cache_shape = ("batch_size", text.key_value_heads, "past_length", text.head_size)
        self.past: list[str] = []
        self.present: list[str] = []

    def build(self) -> None:
        """All of it, from the inputs to the outputs."""
        graph, text = self.graph, self.config
        hidden, vocabulary = text.hidden_size, text.vocab_size
        shape = ("batch_size", "sequence_length", hidden)
        embeds = graph.input("inputs_embeds", shape, np.float32)
        mask = graph.input("attention_mask", ("batch_size", "total_sequence_length"), np.int64)
        lengths, total = self._lengths(mask)
        tables = rotary_tables(text.head_size, text.theta, text.max_position_embeddings)
        cos, sin = (
            graph.constant(f"{name}_cache", table.astype(graph.dtype))
            for name, table in zip(("cos", "sin"), tables, strict=True)
        )
        value = graph.add("Cast", embeds, to=_onnx_type(graph))
        for index in range(text.num_hidden_layers):
            value = self._layer(value, index, (lengths, total, cos, sin))
        last, end, axis = (
            graph.constant(name, np.array([number], np.int64))
            for name, number in (("last", -1), ("end", 2**31 - 1), ("axis", 1))
        )
        value = graph.add("Slice", value, last, end, axis)
        value = self.rms_norm(value, f"{TEXT}.norm", hidden, text.rms_norm_eps)
        tied = "lm_head.weight" not in self.weights
        key = f"{TEXT}.embed_tokens.weight" if tied else "lm_head.weight"
        logits = self.project(value, "lm_head", hidden, vocabulary, key)
        logits = graph.add("Cast", logits, to=1)
        graph.output(logits, "logits", ("batch_size", 1, vocabulary), np.float32)
        grown = (*self.cache_shape[:2], "total_sequence_length", text.head_size)
        for present, past in zip(self.present, self.past, strict=True):
            graph.output(present, past.replace(PAST, PRESENT), grown)

    def _lengths(self, mask: str) -> tuple[str, str]:
        """What the attention asks for: last positions a row, and the length with the cache."""
        graph, one = self.graph, self.graph.constant("one", np.array([1], np.int64))
        counted = graph.add("Sub", graph.add("ReduceSum", mask, one, keepdims=0), one)
        total = graph.add("Gather", graph.add("Shape", mask), graph.constant("at_1", np.array(1)))
        return graph.add("Cast", counted, to=6), graph.add("Cast", total, to=6)

    def _layer(self, value: str, index: int, shared: tuple[str, str, str, str]) -> str:
        graph, text, name = self.graph, self.config, f"{TEXT}.layers.{index}"
        hidden, wide, epsilon = text.hidden_size, text.intermediate_size, text.rms_norm_eps
        normal = self.rms_norm(value, f"{name}.input_layernorm", hidden, epsilon)
        attended = self._attention(normal, index, f"{name}.self_attn", shared)
        value = graph.add("Add", value, attended)
        normal = self.rms_norm(value, f"{name}.post_attention_layernorm", hidden, epsilon)
        gate = self.project(normal, f"{name}.mlp.gate_proj", hidden, wide)
        gate = graph.add("Mul", gate, graph.add("Sigmoid", gate))
        up = self.project(normal, f"{name}.mlp.up_proj", hidden, wide)
        down = self.project(graph.add("Mul", gate, up), f"{name}.mlp.down_proj", wide, hidden)
        return graph.add("Add", value, down)

    def _attention(
        self, value: str, index: int, name: str, shared: tuple[str, str, str, str]
    ) -> str:
        graph, text = self.graph, self.config
        heads, kv_heads, size = text.num_attention_heads, text.key_value_heads, text.head_size
        query, key, content = (
            self.project(value, f"{name}.{each}_proj", text.hidden_size, count * size)
            for each, count in (("q", heads), ("k", kv_heads), ("v", kv_heads))
        )
        past = [
            graph.input(f"{PAST}.{index}.{part}", self.cache_shape) for part in ("key", "value")
        ]
        attended, *present = graph.add_many(
            "GroupQueryAttention", [query, key, content, *past, *shared], 3, MICROSOFT,
            num_heads=heads, kv_num_heads=kv_heads, do_rotary=1,
        )  # fmt: skip
        self.past += past
        self.present += present
        return self.project(attended, f"{name}.o_proj", heads * size, text.hidden_size)


def full_tile_positions(side: int) -> Array:
    """Which position embedding each patch of a full tile takes, row by row.

    As in the model: fractional coordinates put into buckets, in float32, where rounding may send
    a patch to its neighbour's bucket.
    """
    bounds = np.arange(1 / side, 1.0, 1 / side).astype(np.float32)
    step = np.float32(1) / np.float32(side)
    places = np.minimum(np.arange(side, dtype=np.float32) * step, np.float32(1 - 1e-6))
    buckets = np.searchsorted(bounds, places, side="right")
    positions: Array = (buckets[:, None] * side + buckets[None, :]).ravel()
    return positions


def rotary_tables(head_size: int, theta: float, positions: int) -> tuple[Array, Array]:
    """Cosines and sines, (positions, head_size / 2); Su et al., RoFormer, arXiv:2104.09864."""
    exponents = np.arange(0, head_size, 2, dtype=np.float32) / np.float32(head_size)
    frequencies = (1 / np.float32(theta) ** exponents).astype(np.float32)
    angles = np.arange(positions, dtype=np.float32)[:, None] * frequencies
    return np.cos(angles), np.sin(angles)


def _pixel_shuffle(graph: Graph, value: str, config: SmolVlmConfig) -> str:
    """Each block of scale x scale patches becomes one token that is as many times as wide."""
    side, scale = config.vision_config.patches_a_side, config.scale_factor
    width, small = config.vision_config.hidden_size, side // scale
    value = graph.add("Reshape", value, graph.shape(0, small, scale, small, scale * width))
    value = graph.add("Transpose", value, perm=[0, 1, 3, 2, 4])
    return graph.add("Reshape", value, graph.shape(0, small * small, scale * scale * width))


def _onnx_type(graph: Graph) -> int:
    return 10 if graph.dtype == np.float16 else 1
