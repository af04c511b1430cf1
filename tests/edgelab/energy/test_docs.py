"""What docs/energy.md shows is what the program takes."""

from __future__ import annotations

import re
from pathlib import Path

from edgelab.energy import config
from edgelab.energy.discovery import discover
from tests.edgelab.energy import boards

PAGE = Path(__file__).parents[3] / "docs" / "energy.md"


def test_the_example_of_the_page_is_a_whole_file(tmp_path: Path) -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    path = tmp_path / config.FILE_NAME
    path.write_text(example)
    settings = config.load(path)
    assert [source.kind for source in settings.config.source] == [
        "shelly-gen2",
        "hwmon",
        "tasmota",
        "command",
        "estimate",
    ]
    boards.ina226(tmp_path)
    boards.cpu_ticks(tmp_path, (0, 0))
    found = discover(tmp_path, settings)
    assert [source.facts.name for source in found.sources] == ["desk", "ina226"]
    # What stands behind a # is taken as well.
    path.write_text(re.sub(r"^# (\w+ = [^#,\n]*).*$", r"\1", example, flags=re.MULTILINE))
    assert config.load(path).config.source[0].period_s == 1.0  # type: ignore[union-attr]


def test_the_page_knows_every_kind() -> None:
    text = PAGE.read_text()
    kinds = re.findall(r'tag="([\w-]+)"', Path(config.__file__).read_text())
    assert len(kinds) == 9
    assert [kind for kind in kinds if kind not in text] == []
