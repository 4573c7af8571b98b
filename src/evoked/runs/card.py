"""The model card that is written into every run."""

from __future__ import annotations

from typing import Any

from evoked.evaluation.tables import headlines
from evoked.runs.notes import authors_of
from evoked.targets import Task, task_class


def model_card(description: dict[str, Any], metrics: dict[str, Any]) -> str:
    """Markdown that says what a model is for, what it learned from and how well it does.

    Parameters
    ----------
    description, metrics
        Contents of a run's run.json and metrics.json.
    """
    data, split = description["data"], description["split"]
    task = task_class(description["task"])
    noun = description["rows"]
    of_viewings = noun == "viewings"
    return f"""---
library_name: evoked
tags: [emotion, engagement, social-media, {description["model"]["name"]}]
---

# {description["model"]["name"]} on {data["name"]}

Predicts what a social-media post evokes: {task.description}.

{_caution(description)}## Learned from

{_learned_from(data)}
{_captions(description)}{_parts(description)}
{split["reason"]}
{_choice(description)}
{_emotions(description)}{_GRAPH_SHOWS if of_viewings else _HISTORY_SHOWS}

## Scores on the test {noun}

{_warnings(metrics)}{_score_table(task, metrics)}
The other rows are trivial baselines, on the same posts: a model is worth what it adds to them.

## Prediction intervals

{_interval_table(description, metrics)}
## Use and care

{_CARE_OF_VIEWINGS if of_viewings else _CARE_OF_POSTS}

## Repeat it

The settings, seed and versions stand in run.json; the same command on the same posts
(SHA-256 {data["sha256"][:16]}…) makes the same run.{_updates(description)}
"""


_HISTORY_SHOWS = """What an author's earlier posts achieved is a feature, and engagement is
predicted beside it: strictly earlier posts, whichever part they are in."""
_GRAPH_SHOWS = """Predictions look at the graph of all users, images and connections and of the
training viewings alone, with their comments and emotions; of a test viewing neither its comment nor
its emotion is seen, unless a caution above or a row "own comment hidden" below says otherwise."""
_ON_A_PART = "Split conformal, calibrated on posts that the model has not learned from"
_ON_FOLDS = """Cross-conformal: of the posts that the model learned from, each that calibrates was
predicted by a model of the same settings that had not seen it"""
_BY_TIME = """Newer posts weigh more, a miss half as much every 25 posts, and each test post's range
is calibrated on those before it. """
_OF_DRAFTS = """Numbers predicted of drafts have ranges that are calibrated on the test posts as
well, and that are widened where ranges held for fewer test posts than promised, by more than
chance. """
_CARE_OF_POSTS = """It predicts what posts like these tended to evoke among the people who saw
them; it does not predict what one person will feel, nor does it show what causes engagement. Scores
hold for posts like the training posts; for other authors, languages or years, evaluate anew. It
inherits the biases of its posts, its raters and its encoders. Do not use it to exploit people's
emotional state.

The folder holds ids and predictions of the test posts and what each author's posts achieved. For
advice it holds when each post appeared, its form (such as how long its caption is), its hashtags
that five posts have, what it got, and up to eighteen numbers on what its picture and caption are
like, too few to restore either. Where the model reads them, it also holds, as they were
written, words and hashtags of the training posts (even a hashtag that one author alone used) and
the names of their categories. Authors are hashes without a key: who guesses the id of an account
can find out whether it is among them. Treat the folder as confidential if the posts are; 'evoked
privacy protect' before training replaces the ids of authors by pseudonyms whose key stays with
you."""
_CARE_OF_VIEWINGS = """It predicts what users like these tended to feel, or to write that they felt,
at images like these; of one person it may well be wrong. Scores hold for viewings like the training
viewings; for new users, new images or later times, evaluate anew (--split user, image, time). Where
emotions were read from comments, it predicts what the words say. It inherits the biases of its
network and its encoders. Do not use it to exploit people's emotional state, and not to judge a
person.

The folder holds who is connected with whom, who is in which group and who felt what at which image,
users as hashes, which who knows an id can recompute: treat it as confidential."""


def _updates(description: dict[str, Any]) -> str:
    """What the run has taken in since it was trained, a line each; nothing if nothing."""
    lines = []
    for each in description.get("updates", []):
        day, posts = each["at"][:10], each["posts"]
        if each["retrained"]:
            lines.append(f"\n\n{day}: trained again; {posts} posts were new.")
        else:
            lines.append(
                f"\n\n{day}: {posts} new posts joined the test posts, the authors' history\n"
                "and what calibrates the intervals of drafts. The model stayed as it was."
            )
    return "".join(lines)


def _parts(description: dict[str, Any]) -> str:
    """How many rows are for what."""
    split, noun = description["split"], description["rows"]
    begin = f"{split['train']} {noun} to train, {split['validation']} to validate, "
    if not description["calibrated_on_folds"]:
        return f"{begin}{split['calibration']} to\ncalibrate intervals, {split['test']} to test."
    return (
        f"{begin}{split['test']} to test. The model has\nlearned from all but the test {noun}, "
        "and its intervals are calibrated on folds of these."
    )


def _learned_from(data: dict[str, Any]) -> str:
    if "viewings" in data:
        return (
            f"{data['viewings']} viewings of {data['images']} images by {data['users']} users: "
            f"{data['with emotion']} with a\nknown emotion, {data['with comment']} with a comment; "
            f"{data['connections']} connections, {data['memberships']} memberships of\ngroups."
        )
    dates = f"{data['first']} to\n{data['last']}" if data["first"] else "undated"
    return (
        f"{posts_of(data)}, {dates}; {data['with image']} with an image, "
        f"{data['with caption']} with a\ncaption."
    )


def posts_of(data: dict[str, Any]) -> str:
    """How many posts by how many authors, who may be unknown."""
    posts = f"{data['posts']} posts"
    return f"{posts} by {authors_of(data['authors'])}" if data["authors"] else posts


def _choice(description: dict[str, Any]) -> str:
    """How the model was chosen, if nobody asked for it."""
    return f"\n{description['choice']['reason']}\n" if "choice" in description else ""


def _caution(description: dict[str, Any]) -> str:
    """The model's own warning, as a paragraph; nothing if it has none."""
    caution = description["caution"]
    return f"**{caution}**\n\n" if caution else ""


def _warnings(metrics: dict[str, Any]) -> str:
    """What is wrong with the predictions, a paragraph each; nothing if all is well."""
    return "".join(f"**{warning}**\n\n" for warning in metrics["warnings"])


def _captions(description: dict[str, Any]) -> str:
    """What captions are written in and what reads it, as a line; nothing for a model that reads
    none."""
    note = description["captions_note"]
    return f"{note}\n" if note else ""


def _emotions(description: dict[str, Any]) -> str:
    """Where valence and arousal come from, as a paragraph; nothing if they are not learned."""
    if not task_class(description["task"]).learns_emotion:
        return ""
    if description["estimated_emotions"]:
        return (
            "Valence and arousal were **estimated** by emotion readers, not rated by people, "
            f"for some or all of the training posts. {description['emotions_note'] or ''}\n\n"
        )
    rated = "Valence and arousal were rated by people, where the posts have them."
    return f"{' '.join(filter(None, (rated, description['emotions_note'])))}\n\n"


def _score_table(task: type[Task], metrics: dict[str, Any]) -> str:
    columns = list(headlines(task))
    values = {(row["model"], row["target"], row["metric"]): row for row in metrics["scores"]}
    models = list(dict.fromkeys(row["model"] for row in metrics["scores"]))
    columns = [column for column in columns if any((name, *column) in values for name in models)]
    if not columns:
        return "No test posts, so no scores.\n"
    head = "| model | " + " | ".join(" ".join(column) for column in columns) + " | n |\n"
    lines = [head, "| --- |" + " ---: |" * (len(columns) + 1) + "\n"]
    for name in models:
        cells = [_cell(values.get((name, *column))) for column in columns]
        lines.append(f"| {name} | {' | '.join(cells)} | {metrics['posts']} |\n")
    return "".join(lines)


def _interval_table(description: dict[str, Any], metrics: dict[str, Any]) -> str:
    """How often the intervals held, and how wide they were, on the test posts."""
    rows = metrics["intervals"]
    if not rows:
        return "None were measured.\n"
    lines = [
        f"{_ON_FOLDS if description['calibrated_on_folds'] else _ON_A_PART}: the promise\n"
        "holds for posts that come as those did, and is worth less for other authors or later\n"
        f"times. {_BY_TIME if description['split']['kind'] == 'time' else ''}{_OF_DRAFTS}"
        "On the test posts (95 % interval of the coverage in brackets):\n\n",
        "| outcome | promised | covered | mean width | n | calibrated on |\n",
        "| --- | ---: | ---: | ---: | ---: | ---: |\n",
    ]
    for row in rows:
        covered = f"{row['coverage']:.1%} ({row['low']:.1%}–{row['high']:.1%})"
        width = _width(row["width"])
        few = "" if row["enough"] else " (too few: the whole range)"
        lines.append(
            f"| {row['outcome']} | {row['nominal']:.0%} | {covered} | {width} | {row['n']} | "
            f"{row['calibration']}{few} |\n"
        )
    return "".join(lines)


def _width(value: float | None) -> str:
    if value is None:
        return "unbounded"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _cell(row: dict[str, Any] | None) -> str:
    if row is None or row["value"] is None:
        return "–"
    if row["low"] is None:
        return f"{row['value']:.3f}"
    return f"{row['value']:.3f} ({row['low']:.3f}–{row['high']:.3f})"
