"""LoRA fine-tuning of vision-language models: Hu et al., https://arxiv.org/abs/2106.09685."""
