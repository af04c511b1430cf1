"""Build YOLOv8n with random weights as ONNX: `python -m benchmarks.programs.build_yolov8n FOLDER`.

Nothing is downloaded. The time of inference does not depend on the weights, that of post-processing
does: so batch normalisation is fitted to two photos, and the head's bias is set so that about 200
anchors of one and a dozen of the other pass a score of 0.05.
"""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
import ultralytics

from benchmarks.detectors import shipped_photos
from runners.images import read_image
from runners.letterbox import Letterbox

SIZE = 640
SEED = 2
CLASS_BIAS = -6.0


def main(folder: Path) -> None:
    """Write yolov8n.onnx into the folder."""
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    model = ultralytics.YOLO("yolov8n.yaml", task="detect", verbose=False)
    enliven(model.model)
    with contextlib.chdir(folder), contextlib.redirect_stdout(sys.stderr):
        made = Path(model.export(format="onnx", imgsz=SIZE, opset=17, simplify=False))
        made.rename("yolov8n.onnx")
    print(json.dumps({"parameters": sum(each.numel() for each in model.model.parameters())}))


def enliven(network: Any) -> None:
    """Give the layers the statistics of real photos and the head scores that differ."""
    letterbox = Letterbox((SIZE, SIZE))
    photos = [letterbox(read_image(path))[0].copy() for path in shipped_photos()]
    batch = torch.from_numpy(np.concatenate(photos))
    with torch.no_grad():
        for classes in network.model[-1].cv3:
            classes[-1].bias.fill_(CLASS_BIAS)
        network.train()
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = 1.0
        network(batch)
        network.eval()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
