"""The tasks of `edgelab run`: a module each, with

- `HELP`: one line,
- `add_options(command)`: its own options,
- `settings(options, catalogue)`: from these to the settings of a run and its title.

All of them are imported to print the help: what takes long is imported inside `settings`.
"""
