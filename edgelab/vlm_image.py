"""What a vision-language model sees of an image, by its configuration alone: patches and tokens."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgelab.problem import Problem
from edgelab.schema import read_json

USUAL_IMAGE = (640, 480)
"""Width and height, px, of COCO's usual image."""

_FLOAT = 4
_TILE_MARKS = 5  # text tokens around a tile's image tokens


@dataclass(frozen=True)
class View:
    """How closely an image is looked at; as `runners.vlm.families.Seeing`, for `image` px."""

    max_pixels: int | None = None
    tiling: bool = False
    image: tuple[int, int] = USUAL_IMAGE


@dataclass(frozen=True)
class Sight:
    """The vision encoder's input: `tiles` of `patches` each, which make `tokens` in all.

    `input_bytes`: one tile's pixels as the encoder gets them. `mask_bytes`: of a tile's attention
    mask. `marks`: text tokens of the prompt that stand around the tiles.
    """

    tiles: int
    patches: int
    tokens: int
    input_bytes: int
    mask_bytes: int = 0
    marks: int = 0


def sight_of(folder: Path, view: View) -> Sight:
    """Of the checkpoint in `folder`; raises Problem where its family or a size is not known."""
    config: dict[str, Any] = read_json(folder / "config.json", dict[str, Any])
    model_type = str(config.get("model_type"))
    family = _FAMILIES.get(model_type)
    if family is None:
        known = ", ".join(_FAMILIES)
        raise Problem(f"{folder}/config.json: model_type = {model_type!r}: known are {known}")
    try:
        return family(folder, config, view)
    except (TypeError, ValueError, KeyError, ZeroDivisionError, AttributeError) as error:
        raise Problem(f"{folder}/config.json: no sizes of the vision encoder ({error})") from None


def _smolvlm(folder: Path, config: Mapping[str, Any], view: View) -> Sight:
    vision = config["vision_config"]
    side, patch = int(vision.get("image_size", 224)), int(vision.get("patch_size", 32))
    patches = (side // patch) ** 2
    tokens = patches // int(config.get("scale_factor", 2)) ** 2
    tiles = _tiles(view, side, _longest_edge(folder, side, view)) if view.tiling else 1
    return Sight(
        tiles=tiles,
        patches=patches,
        tokens=tiles * tokens,
        input_bytes=side * side * (3 * _FLOAT + 8),  # RGB, and an int64 mask over the pixels
        mask_bytes=patches * patches,
        marks=tiles * _TILE_MARKS,
    )


def _longest_edge(folder: Path, side: int, view: View) -> int:
    """To which an image is scaled before it is cut into tiles, px."""
    if view.max_pixels is not None:
        return side * max(1, math.floor(math.sqrt(view.max_pixels) / side))
    return int(_processor(folder).get("size", {}).get("longest_edge", 4 * side))


def _tiles(view: View, side: int, longest: int) -> int:
    """Tiles of a grid and the whole image; see `runners.smolvlm.tiles`."""
    wide, narrow = max(view.image), min(view.image)
    along = math.ceil(longest / side)
    across = math.ceil(int(along * side * narrow / wide) / side)
    grid = along * max(1, across)
    return grid + 1 if grid > 1 else 1


def _qwen(folder: Path, config: Mapping[str, Any], view: View) -> Sight:
    vision, processor = config["vision_config"], _processor(folder)
    size = processor.get("size") or {}
    least = int(processor.get("min_pixels") or size.get("shortest_edge", 56 * 56))
    most = int(processor.get("max_pixels") or size.get("longest_edge", 28 * 28 * 1280))
    if view.max_pixels is not None:
        least, most = min(least, view.max_pixels), view.max_pixels
    patch, merged = int(vision.get("patch_size", 14)), int(vision.get("spatial_merge_size", 2))
    pixels = min(max(math.prod(view.image), least), most)
    patches = max(merged * merged, pixels // (patch * patch))
    frames = int(vision.get("temporal_patch_size", 2))  # a still image is shown so many times
    return Sight(1, patches, patches // (merged * merged), pixels * 3 * frames * _FLOAT)


def _paligemma(_folder: Path, config: Mapping[str, Any], _view: View) -> Sight:
    vision = config["vision_config"]
    side, patch = int(vision.get("image_size", 224)), int(vision.get("patch_size", 14))
    patches = (side // patch) ** 2
    return Sight(1, patches, patches, side * side * 3 * _FLOAT)


def _mobilevlm(folder: Path, config: Mapping[str, Any], _view: View) -> Sight:
    tower = folder / str(config["mm_vision_tower"]) / "config.json"
    vision = read_json(tower, dict[str, Any]) if tower.is_file() else {}
    vision = vision.get("vision_config", vision)
    side, patch = int(vision.get("image_size", 336)), int(vision.get("patch_size", 14))
    return Sight(1, (side // patch) ** 2 + 1, 144, side * side * 3 * _FLOAT)


def _processor(folder: Path) -> Mapping[str, Any]:
    """The image processor's own keys, from its older file or the newer one."""
    older, newer = folder / "preprocessor_config.json", folder / "processor_config.json"
    if older.is_file():
        return read_json(older, dict[str, Any])
    found = read_json(newer, dict[str, Any]).get("image_processor") if newer.is_file() else None
    return found or {}


_FAMILIES: dict[str, Callable[[Path, Mapping[str, Any], View], Sight]] = {
    "idefics3": _smolvlm,
    "smolvlm": _smolvlm,
    "qwen2_vl": _qwen,
    "qwen2_5_vl": _qwen,
    "paligemma": _paligemma,
    "mobilevlm": _mobilevlm,
    "mobilevlm_v2": _mobilevlm,
    "mobile_llama": _mobilevlm,
}
