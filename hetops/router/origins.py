"""Decides where a request is taken to come from, and which class of those of its model and from there it is of. Pure.

A request's origin is a word that the user's edge put into a header: it moves requests between classes, and nothing else hangs on
it. One that names none, or none that is known, comes from where the configuration says, else from each origin in turn, as often
as is planned for it.
"""

from __future__ import annotations

from collections.abc import Sequence

from hetops.router.apportion import Apportionment
from hetops.router.classify import Classifier, LearntLengths, Lengths
from hetops.router.config import RoutedClass, RouterConfig


class Origins:
    """Classes of one model, by where their requests come from."""

    def __init__(self, classes: Sequence[RoutedClass], default: str = "") -> None:
        """Classes without origins have one without a name; `default` is where requests come from that name none."""
        self._classes: dict[str, list[RoutedClass]] = {}
        for c in classes:
            self._classes.setdefault(c.origin, []).append(c)
        self._classifiers = {origin: Classifier(of) for origin, of in self._classes.items()}
        self.names = tuple(c.name for c in classes)
        self._default = default if default in self._classes else ""
        self._turns = _turns(self._classes)

    def knows(self, origin: str) -> bool:
        """Whether requests can be told to come from there; without origins anything is as good."""
        return origin in self._classes or "" in self._classes

    def of(self, named: str) -> str:
        """Where a request comes from whose header names a place, or nothing."""
        if named in self._classes:
            return named
        return self._default or self._turns.next(lambda _: True) or ""

    def classify(self, origin: str, lengths: Lengths, learnt: LearntLengths) -> str:
        """The name of the class from there that the request is of."""
        return self._classifiers[origin].classify(lengths, learnt)

    def named(self, workload_class: str, origin: str) -> str:
        """The class that a name means for a request from there: `chat` is `chat@eu`; empty where there is none."""
        at_origin = f"{workload_class}@{origin}"
        if workload_class in self.names:
            return workload_class
        return at_origin if at_origin in self.names else ""


def of_each_model(config: RouterConfig) -> dict[str, Origins]:
    """The classes of a configuration by the model that their requests ask for; those without one are of every model."""
    return {
        name: Origins([c for c in config.classes if c.model in ("", name)], config.origin)
        for name in config.models
    }


def _turns(classes: dict[str, list[RoutedClass]]) -> Apportionment:
    planned = {origin: _rate(of) for origin, of in classes.items()}
    return Apportionment(planned if any(planned.values()) else dict.fromkeys(planned, 1.0))


def _rate(classes: Sequence[RoutedClass]) -> float:
    return sum(c.requests_per_second for c in classes)
