"""Image classifiers to be trained: timm backbones with heads of our own."""
