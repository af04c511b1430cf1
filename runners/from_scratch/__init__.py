"""A vision transformer and a vision-language model written out, to be read and to learn from."""
