"""Exports to ONNX: the only part of a conversion that needs torch, a module a family of models."""
