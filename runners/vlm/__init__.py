"""Vision-language models through PyTorch and transformers: loading, asking, timing, proving."""
