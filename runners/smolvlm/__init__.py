"""SmolVLM without torch: ONNX Runtime, tokenizers and Pillow on the three-file ONNX layout.

`checkpoint folder -> export.py -> onnx/*.onnx -> model.py -> answer`. The layout is that of the
ready-made exports on the hub, so that these run as they are.
"""
