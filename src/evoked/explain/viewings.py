"""Why a model predicts that a user feels an emotion at an image.

Each part of what the model looks at is hidden in turn, and the probability of the predicted emotion
is compared with and without it: the picture, the groups, the connections, what the user felt at
other images, what others felt at this one; then single neighbours. This works for any model of
viewings. It shows what the prediction rests on, not what made the user feel that way.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from evoked.features.social_graph import Integers
from evoked.features.table import Column, FeatureTable
from evoked.features.viewings import OWN_COMMENT
from evoked.files import plain, records
from evoked.models import Examples
from evoked.posts.schema import MIKELS
from evoked.runs.viewings import NetworkRun, Viewing

# Neighbours of each kind that are hidden one by one.
MOST_NEIGHBOURS = 8

_PARTS = {
    "image.vector": "the picture",
    "user.vector": "the groups of the user",
    OWN_COMMENT: "the own comment",
}


@dataclass(frozen=True)
class NetworkExplanation:
    """What a prediction rests on.

    Attributes
    ----------
    prediction
        A row of :meth:`evoked.runs.viewings.NetworkRun.predict`.
    emotion, probability
        The most probable emotion.
    parts
        Columns ``hidden`` (what), ``count`` (of viewings or connections), ``without`` (probability
        of the emotion without it) and ``effect`` (how much it adds), the most important first.
    neighbours
        Single neighbours: ``user`` (a hash) and ``image`` of a viewing, or only the ``user`` of a
        connection; ``emotion`` felt there, if known; ``attention`` that the model gives to it, for
        models with attention, which then list the neighbours that receive most; ``effect``.
    beta
        Weight of the user against the image's 1 - β (HMG-Emo, Eq. 5); None for other models.
    inside
        By name, what each part of the whole neighbourhood adds to the probability; empty for
        models without an explanation of their own.
    """

    prediction: dict[str, Any]
    emotion: str
    probability: float
    parts: pd.DataFrame
    neighbours: pd.DataFrame
    beta: float | None
    inside: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        found: dict[str, Any] = plain(
            {**vars(self), "parts": records(self.parts), "neighbours": records(self.neighbours)}
        )
        return found


def explain_viewing(run: NetworkRun, viewing: Viewing) -> NetworkExplanation:
    """Explain what a run predicts for one viewing.

    Raises
    ------
    DataError
        The image is neither in the run's graph nor a picture.
    """
    examples, problems = run.examples([viewing])
    prediction = records(run.table(examples, problems))[0]
    chosen = MIKELS.index(prediction["emotion"])
    own = _probability(run, examples, chosen)

    def change(changed: Examples) -> dict[str, float]:
        without = _probability(run, changed, chosen)
        return {"without": without, "effect": own - without}

    parts = [
        {"hidden": name, "count": count, **change(changed)}
        for name, count, changed in _without_parts(examples)
    ]
    explained = run.model.explain_viewings(examples)
    if explained is None:
        beta, inside = None, {}
        neighbours = [
            {**names, "attention": None, "effect": change(changed)["effect"]}
            for names, changed in _without_neighbours(examples)
        ]
    else:
        beta, inside = explained[0].beta, explained[0].parts
        neighbours = [vars(each) for each in explained[0].neighbours]
    return NetworkExplanation(
        prediction=prediction,
        emotion=MIKELS[chosen],
        probability=own,
        parts=_strongest_first(parts, ["hidden", "count", "without", "effect"]),
        neighbours=_strongest_first(
            neighbours, ["user", "image", "emotion", "attention", "effect"]
        ),
        beta=beta,
        inside=inside,
    )


def _probability(run: NetworkRun, examples: Examples, emotion: int) -> float:
    read = run.task.inverse_transform(run.model.predict(examples), examples.posts)
    return float(read[f"emotion_probability_{MIKELS[emotion]}"].iloc[0])


def _without_parts(examples: Examples) -> Iterator[tuple[str, int | None, Examples]]:
    """For each part: its name, how many viewings or connections it has, the examples without it."""
    for feature, name in _PARTS.items():
        column = examples.features.columns.get(feature)
        if isinstance(column, Column) and column.present[0]:
            yield name, None, _without_feature(examples, feature)
    contacts, felt, seen = _neighbourhood(examples)
    if len(contacts):
        yield "the user's connections", len(contacts), _without_contacts(examples, contacts)
    if len(felt):
        yield "the user's other viewings", len(felt), _without_viewings(examples, felt)
    if len(seen):
        yield "others' viewings of the image", len(seen), _without_viewings(examples, seen)


def _without_neighbours(examples: Examples) -> Iterator[tuple[dict[str, Any], Examples]]:
    """User, image and emotion of each neighbour (the latest ones), and the examples without it."""
    graph = examples.graph
    assert graph is not None
    contacts, felt, seen = _neighbourhood(examples)
    for user in contacts[:MOST_NEIGHBOURS]:
        names = {"user": graph.users[user], "image": None, "emotion": None}
        yield names, _without_contacts(examples, np.array([user]))
    for row in [*felt[:MOST_NEIGHBOURS], *seen[:MOST_NEIGHBOURS]]:
        viewer, image = graph.viewings[:, row]
        names = {
            "user": graph.users[viewer],
            "image": graph.images[image],
            "emotion": [*MIKELS, None][graph.emotions[row]],
        }
        yield names, _without_viewings(examples, np.array([row]))


def _neighbourhood(examples: Examples) -> tuple[Integers, Integers, Integers]:
    """Users connected with the user; other viewings by the user; other viewings of the image; the
    latest viewings first."""
    graph, post = examples.graph, examples.posts.iloc[0]
    assert graph is not None
    one, other = graph.connections
    latest = np.argsort(-np.nan_to_num(graph.times), kind="stable")
    viewers, images = graph.viewings[:, latest]
    others = latest != post["viewing"]
    felt, seen = (
        latest[(nodes == post[name]) & others & (post[name] >= 0)]
        for nodes, name in ((viewers, "user"), (images, "image"))
    )
    return other[(one == post["user"]) & (post["user"] >= 0)], felt, seen


def _without_feature(examples: Examples, name: str) -> Examples:
    """The feature is absent from the row, and from the node that it belongs to."""
    columns, graph = examples.features.columns, examples.graph
    column = columns[name]
    assert isinstance(column, Column)
    assert graph is not None
    hidden = Column(column.data, np.full_like(column.index, -1))
    node = {"image.vector": "image", "user.vector": "user", OWN_COMMENT: "viewing"}[name]
    row = int(examples.posts[node].iloc[0])
    if row >= 0:
        attribute = {"image": "image_vectors", "user": "user_vectors"}.get(node, "comment_vectors")
        vectors: Column = getattr(graph, attribute)
        index = vectors.index.copy()
        index[row] = -1
        changed: dict[str, Any] = {attribute: Column(vectors.data, index)}
        graph = replace(graph, **changed)
    return replace(examples, features=FeatureTable({**columns, name: hidden}), graph=graph)


def _without_contacts(examples: Examples, contacts: Integers) -> Examples:
    graph, user = examples.graph, examples.posts["user"].iloc[0]
    assert graph is not None
    one, other = graph.connections
    cut = ((one == user) & np.isin(other, contacts)) | ((other == user) & np.isin(one, contacts))
    return replace(examples, graph=replace(graph, connections=graph.connections[:, ~cut]))


def _without_viewings(examples: Examples, rows: Integers) -> Examples:
    graph, posts = examples.graph, examples.posts
    assert graph is not None
    kept = np.setdiff1d(np.arange(graph.viewings.shape[1]), rows)
    own = posts["viewing"].to_numpy(np.int64)
    moved = np.where(own >= 0, np.searchsorted(kept, own), -1)
    return replace(examples, posts=posts.assign(viewing=moved), graph=graph.with_viewings(kept))


def _strongest_first(rows: list[dict[str, Any]], columns: list[str]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=columns)
    return table.sort_values("effect", key=abs, ascending=False, ignore_index=True, kind="stable")
