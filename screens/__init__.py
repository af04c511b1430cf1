"""The Textual app: screens and widgets. Nothing here computes a result."""
