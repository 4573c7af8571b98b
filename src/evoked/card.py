"""The model card that is written into every run."""

from __future__ import annotations

from typing import Any

_SHOWN = {
    "valence": ("CCC", "MAE"),
    "arousal": ("CCC", "MAE"),
    "overall": ("MAP", "AUC", "NDCG@10"),
}


def model_card(description: dict[str, Any], metrics: dict[str, Any]) -> str:
    """Markdown that tells what a model is for, what it learned from and how well it does.

    Parameters
    ----------
    description, metrics
        Contents of a run's run.json and metrics.json.
    """
    data, split = description["data"], description["split"]
    emotions = (
        "Valence and arousal were **estimated** by an emotion reader, not rated by people, for "
        "some or all of the training posts."
        if description["estimated_emotions"]
        else "Valence and arousal were rated by people, where the posts have them."
    )
    return f"""---
library_name: evoked
tags: [emotion, engagement, social-media, {description["model"]["name"]}]
---

# {description["model"]["name"]} on {data["name"]}

Predicts the emotion that a social-media post evokes (valence from -4 to 4, arousal from 0 to 8) and
its engagement (likes, comments, shares and saves per follower).

## Learned from

{data["posts"]} posts by {data["authors"]} authors, {data["first"] or "undated"} to
{data["last"] or "undated"}; {data["with image"]} with an image, {data["with caption"]} with a
caption.
{split["train"]} posts to train, {split["validation"]} to validate, {split["test"]} to test.
{split["reason"]}

{emotions}

What an author's earlier posts achieved is a feature: strictly earlier posts, whichever part they
are in.

## Scores on the test posts

{_score_table(metrics)}
The other rows are trivial baselines, on the same posts: a model is worth what it adds to them.

## Use and care

It tells what posts like these tended to evoke among the people who saw them; it does not tell
what one person will feel, and not what causes engagement. Scores hold for posts like the training
posts; for other authors, languages or years, evaluate anew. It inherits the biases of its posts,
its raters and its encoders. Do not use it to exploit people's emotional state.

The folder holds ids and predictions of the test posts and, with authors as hashes, what each
author's posts achieved: treat it as confidential if the posts are.

## Repeat it

The settings, seed and versions stand in run.json; the same command on the same posts
(SHA-256 {data["sha256"][:16]}…) makes the same run.
"""


def _score_table(metrics: dict[str, Any]) -> str:
    columns = [(target, metric) for target, names in _SHOWN.items() for metric in names]
    values = {
        (row["model"], row["target"], row["metric"]): row for row in metrics.get("scores", [])
    }
    models = list(dict.fromkeys(row["model"] for row in metrics.get("scores", [])))
    columns = [column for column in columns if any((name, *column) in values for name in models)]
    if not columns:
        return "No test posts, so no scores.\n"
    head = "| model | " + " | ".join(" ".join(column) for column in columns) + " | n |\n"
    lines = [head, "| --- |" + " ---: |" * (len(columns) + 1) + "\n"]
    for name in models:
        cells = [_cell(values.get((name, *column))) for column in columns]
        lines.append(f"| {name} | {' | '.join(cells)} | {metrics['posts']} |\n")
    return "".join(lines)


def _cell(row: dict[str, Any] | None) -> str:
    if row is None or row["value"] is None:
        return "–"
    if row["low"] is None:
        return f"{row['value']:.3f}"
    return f"{row['value']:.3f} ({row['low']:.3f}–{row['high']:.3f})"
