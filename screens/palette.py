"""The command palette: the action table, searched by name."""

from __future__ import annotations

from collections.abc import Iterator

from textual.command import DiscoveryHit, Hit, Hits, Provider

from screens.actions import Action, Place, at
from screens.base import ConsoleScreen


class ActionProvider(Provider):
    """The actions that work on the screen from which the palette was opened."""

    async def discover(self) -> Hits:
        """All of them, before anything is typed."""
        for action in self._actions():
            yield DiscoveryHit(_title(action), self._do(action), help=action.help)

    async def search(self, query: str) -> Hits:
        """Those that match."""
        matcher = self.matcher(query)
        for action in self._actions():
            text = f"{_title(action)} {action.help}"
            score = matcher.match(text)
            if score > 0:
                yield Hit(
                    score, matcher.highlight(_title(action)), self._do(action), help=action.help
                )

    def _actions(self) -> Iterator[Action]:
        places = [Place.EVERYWHERE]
        if isinstance(self.screen, ConsoleScreen):
            places.insert(0, self.screen.place)
        return (action for place in places for action in at(place) if action.palette)

    def _do(self, action: Action):  # type: ignore[no-untyped-def]
        async def run() -> None:
            await self.screen.run_action(f"{_namespace(action)}.{action.id}")

        return run


def _title(action: Action) -> str:
    return f"{action.title} ({action.key_name})"


def _namespace(action: Action) -> str:
    return "app" if action.place is Place.EVERYWHERE else "screen"
