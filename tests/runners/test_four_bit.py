"""4-bit layers as bitsandbytes computes them on CPUs with and without AVX512-BF16."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
bitsandbytes = pytest.importorskip("bitsandbytes")

from runners.vlm.four_bit import computes_in_bf16, never_pack, pack_what_fits  # noqa: E402

PACKED = "support_avx512bf16_for_cpu"


def four_bit(rows: int, columns: int) -> Any:
    torch.manual_seed(0)
    layer = bitsandbytes.nn.Linear4bit(
        columns, rows, bias=False, compute_dtype=torch.float32, quant_type="nf4"
    )
    return layer.to("cpu").eval()


@pytest.mark.parametrize(
    ("rows", "columns", "fits"),
    [
        (64, 64, True),
        (32, 576, True),
        (4304, 1152, False),  # PaliGemma's vision encoder, widened
        (1152, 4304, False),  # and narrowed again
        (96, 32, False),
    ],
)
def test_layers_that_cannot_be_packed_are_left_as_they_are(
    rows: int, columns: int, fits: bool
) -> None:
    layer = four_bit(rows, columns)
    able = getattr(layer, PACKED)
    model = torch.nn.Sequential(layer)
    for there in (True, False):
        setattr(layer, PACKED, there)
        pack_what_fits(model)
        assert computes_in_bf16(model) == (fits and there)
    setattr(layer, PACKED, able)
    pack_what_fits(model)
    with torch.inference_mode():
        assert model(torch.ones(1, 3, columns)).isfinite().all()


def test_a_gradient_passes_a_layer_that_was_evaluated_before() -> None:
    layer = four_bit(64, 64)
    never_pack(layer)
    with torch.inference_mode():
        layer(torch.ones(1, 3, 64))
    given = torch.ones(1, 3, 64, requires_grad=True)
    layer.train()(given).sum().backward()
    assert given.grad is not None
    assert given.grad.abs().sum() > 0
    assert not computes_in_bf16(layer)
