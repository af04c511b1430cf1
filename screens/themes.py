"""Three sets of colours: the terminal's own, a dark and a light one."""

from __future__ import annotations

from textual.theme import Theme

TERMINAL = Theme(
    name="terminal",
    ansi=True,
    primary="ansi_cyan",
    secondary="ansi_cyan",
    accent="ansi_cyan",
    success="ansi_green",
    warning="ansi_yellow",
    error="ansi_red",
    foreground="ansi_default",
    background="ansi_default",
    surface="ansi_default",
    panel="ansi_default",
    boost="ansi_default",
    variables={
        "ansi-background": "ansi_default",
        "ansi-foreground": "ansi_default",
        "border": "ansi_cyan",
        "border-blurred": "ansi_bright_black",
        "block-cursor-foreground": "ansi_black",
        "block-cursor-background": "ansi_cyan",
        "input-cursor-background": "ansi_default",
        "input-cursor-foreground": "ansi_default",
        "input-cursor-text-style": "reverse",
        "input-selection-background": "ansi_cyan",
        "input-selection-foreground": "ansi_black",
        "screen-selection-background": "ansi_cyan",
        "screen-selection-foreground": "ansi_black",
    },
)

DARK = Theme(
    name="dark",
    dark=True,
    primary="#5fb3b3",
    secondary="#7aa2c9",
    accent="#6fc3c3",
    success="#86c07c",
    warning="#dcb45f",
    error="#e07a6e",
    foreground="#d5d9dd",
    background="#14181c",
    surface="#1a1f24",
    panel="#242a31",
    variables={"border": "#6fc3c3", "border-blurred": "#3a434c"},
)

LIGHT = Theme(
    name="light",
    dark=False,
    primary="#12707a",
    secondary="#2b5f8f",
    accent="#0f6b75",
    success="#2f7a33",
    warning="#8a5d00",
    error="#b23a2e",
    foreground="#1f2429",
    background="#fbfaf7",
    surface="#f3f1ec",
    panel="#e6e3dc",
    variables={"border": "#0f6b75", "border-blurred": "#b9b5ab"},
)

THEMES = (TERMINAL, DARK, LIGHT)
