"""Does advice make things better where the truth is known, and is it silent where nothing helps?

Synthetic accounts of 300 posts each. What a post is expected to get follows from the level of its
time (which grows and wanders), its topic, and a mood of its week; of half of the accounts also from
its hour, its hashtags, whether it asks, how long its caption is and how light its picture is, in
sizes and directions of each account's own. Of all accounts topics go with hours, hashtags and
questions, so that raw differences mislead. Counts are Poisson around that, with noise.

Each account's run is trained as a user would, and advises on drafts with five other pictures. The
advised changes are made one by one and together, and the true expectation is read again. Beside it
stand two advisors that people use instead, on the same drafts and changes: the one change that the
run's model predicts best, and the largest raw difference of mean logarithms.

Run: ``python benchmarks/advice.py --json FILE``. The last line is JSON.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from record import add_json_option, finish, table

import evoked
from evoked.advice.actions import PICTURE, Action
from evoked.advice.advising import Advice, advise
from evoked.advice.effects import FEWEST, Bounds, aspects_of
from evoked.advice.times import appeared
from evoked.features.cache import FeatureCache
from evoked.features.form import form_of
from evoked.posts.dataset import PostDataset
from evoked.posts.synthetic.images import MOTIFS, Motif, draw_picture, encode_jpeg
from evoked.runs.posts import Run

Floats = NDArray[np.float64]

# The quickest of the models that a run chooses from by default; nothing is planted in emotions.
MODEL, SETTINGS = "linear", {"emotion_reader": False}
POSTS = 300
DRAFTS = 3
ALTERNATIVES = 5
PICTURES = 150
DAYS = 700
NOISE, WEEKS, WANDER, TOPICS_SPREAD = 0.4, 0.1, 0.03, 0.25
TOPICS = {
    "coffee": ("our new roast is here", "the smell of fresh beans", "two cups for the morning"),
    "running": ("ten miles before breakfast", "new shoes for the trail", "the hill again"),
    "garden": ("the roses are late this year", "beans up to the window", "rain at last"),
    "books": ("a story that stayed with me", "the shelf is full again", "a chapter a night"),
    "city": ("the bridge at first light", "all trains on time", "the market on the square"),
}
FILLERS = (
    "We walked for hours and nobody wanted to go home.",
    "There is more of this in the story of last week.",
    "Thanks to everybody who came and stayed so long.",
    "It took us three tries until it looked like this.",
    "Some days are just good, and this was one of them.",
)
QUESTIONS = ("What do you think?", "Which one is yours?", "Would you come along?")
TAGS = (
    "daily",
    "weekend",
    "slowlife",
    "goodmorning",
    "local",
    "handmade",
    "outside",
    "smallthings",
)
EMOJI = ("😍", "☕", "🌿")


@dataclass(frozen=True)
class Account:
    """What is true of one account; effects are in logarithms.

    Attributes
    ----------
    topics
        Of each topic.
    peak, hours
        Hour of the day's best, and how much better it is than twelve hours later.
    tags
        Of each hashtag.
    question, length, picture
        Of asking, of each hundred characters more, and of a picture that is as light as can be
        against one as dark as can be, halved.
    habits
        For each topic: usual hour, chance to ask, and chance of each hashtag.
    """

    topics: Floats
    peak: float
    hours: float
    tags: Floats
    question: float
    length: float
    picture: float
    habits: list[tuple[float, float, Floats]]

    @classmethod
    def draw(cls, planted: bool, random: np.random.Generator) -> Account:
        """An account, with effects of what can be changed or without."""

        def size(low: float, high: float) -> float:
            return float(planted * random.choice([-1, 1]) * random.uniform(low, high))

        tags = np.zeros(len(TAGS))
        tags[random.permutation(len(TAGS))[:3]] = [size(0.12, 0.3) for _ in range(3)]
        habits = [
            (random.uniform(7, 21), random.uniform(0.1, 0.6), random.uniform(0.05, 0.5, len(TAGS)))
            for _ in TOPICS
        ]
        return cls(
            topics=random.normal(0, TOPICS_SPREAD, len(TOPICS)),
            peak=float(random.uniform(0, 24)),
            hours=abs(size(0.25, 0.6)),
            tags=tags,
            question=size(0.1, 0.3),
            length=size(0.05, 0.2),
            picture=size(0.1, 0.3),
            habits=habits,
        )

    def expected(self, topic: NDArray[Any], form: pd.DataFrame, light: Floats) -> Floats:
        """Expected logarithms of n posts beyond the level of their time.

        Parameters
        ----------
        topic
            Number of each post's topic, (n,).
        form
            See :func:`evoked.features.form.form_of`.
        light
            How light each post's picture is, from -1 to 1, (n,).
        """
        hour = form["hour"].to_numpy(np.float64)
        tagged = np.array([[tag in own for tag in TAGS] for own in form["hashtags"]], np.float64)
        return np.asarray(
            self.topics[topic]
            + self.hours / 2 * np.cos((hour - self.peak) * 2 * np.pi / 24)
            + tagged @ self.tags
            + self.question * form["question"].to_numpy(np.float64)
            + self.length * np.minimum(form["characters"].to_numpy(np.float64), 400) / 100
            + self.picture * light
        )


def caption_of(topic: int, account: Account, random: np.random.Generator) -> str:
    """A caption in the account's way."""
    _, asks, tagged = account.habits[topic]
    parts = [str(random.choice(list(TOPICS.values())[topic])).capitalize() + "."]
    parts += list(random.choice(FILLERS, random.integers(0, 5), replace=False))
    if random.random() < asks:
        parts.append(str(random.choice(QUESTIONS)))
    if random.random() < 0.4:
        parts.append(str(random.choice(EMOJI)))
    parts += [f"#{tag}" for tag, share in zip(TAGS, tagged, strict=True) if random.random() < share]
    return " ".join(parts)


def hour_of(topic: int, account: Account, random: np.random.Generator) -> int:
    """An hour in the account's way."""
    return int(random.normal(account.habits[topic][0], 4)) % 24


def draw_pictures(folder: Path, random: np.random.Generator) -> Floats:
    """Draw the pictures that all accounts share; how light each is, (pictures,)."""
    folder.mkdir(parents=True, exist_ok=True)
    light = random.uniform(-1, 1, PICTURES)
    for number, scene in enumerate(light):
        motif = Motif(str(random.choice(MOTIFS)), int(random.integers(9)), 0.0, 0.0)
        picture = draw_picture([motif], random.uniform(-8, 8, (1, 2)), scene, "travel", random)
        (folder / f"{number}.jpg").write_bytes(encode_jpeg(picture))
    return light


def make_posts(
    account: Account, pictures: Path, light: Floats, folder: Path, random: np.random.Generator
) -> PostDataset:
    """The account's posts, as a dataset."""
    own = folder.with_suffix(".pictures")
    shutil.copytree(pictures, own)
    topic = random.integers(0, len(TOPICS), POSTS)
    days = np.sort(random.choice(DAYS, POSTS, replace=False))
    start = datetime.fromisoformat("2024-01-01T00:00:00+00:00")
    shown = random.integers(0, PICTURES, POSTS)
    posts = pd.DataFrame(
        {
            "post_id": [f"post-{number}" for number in range(POSTS)],
            "author_id": "me",
            "posted_at": [
                start + timedelta(days=int(day), hours=hour_of(each, account, random))
                for day, each in zip(days, topic, strict=True)
            ],
            "caption": [caption_of(each, account, random) for each in topic],
            "images": [[f"{number}.jpg"] for number in shown],
            "media_type": "image",
            "followers": (2000 * np.exp(days / DAYS)).astype(int),
        }
    )
    posts["hashtags"] = [[tag for tag in TAGS if f"#{tag}" in text] for text in posts["caption"]]
    level = np.log(150) + days / DAYS + np.cumsum(random.normal(0, WANDER, POSTS))
    week = random.normal(0, WEEKS, DAYS)[days // 7]
    expected = level + week + account.expected(topic, form_of(posts), light[shown])
    posts["likes"] = random.poisson(np.exp(expected + random.normal(0, NOISE, POSTS)))
    return PostDataset.create(folder, {"posts": posts}, images=own)


def make_run(
    account: Account, pictures: Path, light: Floats, folder: Path, random: np.random.Generator
) -> None:
    """Make the account's posts, and train on them."""
    posts = make_posts(account, pictures, light, folder / "posts", random)
    evoked.train(
        posts,
        MODEL,
        folder / "run",
        model_settings=SETTINGS,
        estimate=False,
        cache=FeatureCache(folder.parent / "cache"),
    )


@dataclass(frozen=True)
class Trial:
    """A draft and what is true of it."""

    account: Account
    draft: evoked.Draft
    topic: int
    light: float
    lights: dict[str, float]

    def truth(self, actions: Sequence[Action]) -> float:
        """What making changes together does to the true expectation."""
        row: dict[str, Any] = {
            "posted_at": self.draft.posted_at,
            "caption": self.draft.caption,
            "hashtags": [tag for tag in TAGS if f"#{tag}" in str(self.draft.caption)],
        }
        before = form_of(pd.DataFrame([row]))
        after, light = before.copy(), self.light
        given: list[str] = row["hashtags"]
        tags = list(given)
        for action in actions:
            if action.about == PICTURE:
                # A crop is as light as the whole.
                light = self.lights.get(action.after, self.light)
            for name, value in action.form.items():
                if name != "hashtags":
                    after.at[0, name] = value
                    continue
                tags = [tag for tag in tags if tag in value or tag not in given]
                tags += [tag for tag in value if tag not in given]
        after["hashtags"] = [tags]
        topic = np.array([self.topic])
        first, second = (
            self.account.expected(topic, form, np.array([shown]))
            for form, shown in ((before, self.light), (after, light))
        )
        return float((second - first)[0])


def draw_trial(
    account: Account, pictures: Path, light: Floats, random: np.random.Generator
) -> tuple[Trial, list[Path]]:
    """A draft, and other pictures for it."""
    topic, shown = int(random.integers(len(TOPICS))), random.permutation(PICTURES)
    when = datetime.fromisoformat("2025-12-03T00:00:00+00:00")
    when += timedelta(days=int(random.integers(7)), hours=hour_of(topic, account, random))
    draft = evoked.Draft(
        image=pictures / f"{shown[0]}.jpg",
        caption=caption_of(topic, account, random),
        posted_at=when,
    )
    others = [pictures / f"{number}.jpg" for number in shown[1 : 1 + ALTERNATIVES]]
    lights = {path.name: float(light[int(path.stem)]) for path in others}
    return Trial(account, draft, topic, float(light[shown[0]]), lights), others


def advised_changes(run: Run, trial: Trial, advice: Advice) -> list[dict[str, Any]]:
    """What each advisor would change about a draft, and what that really does."""
    found = [
        _row("evoked", each.action, each.effect, trial, (each.low, each.high))
        for each in advice.advised
    ]
    # evoked looks at an hour only where it is reliably better; the others at all of them.
    times = hours_of(trial.draft)
    others = [each.about not in ("hour", "day") for each in advice.actions]
    actions = [*(each for each, kept in zip(advice.actions, others, strict=True) if kept), *times]
    modelled = advice.looked_at["model"].to_numpy(np.float64)[others]
    expected = np.append(modelled, modelled_times(run, trial.draft, times))
    raw = np.array([_raw_difference(action, advice.past) for action in actions])
    for name, values in (("the model's best", expected), ("raw means", raw)):
        if np.isfinite(values).any() and np.nanmax(values) > 0:
            best = int(np.nanargmax(values))
            found.append(_row(name, actions[best], float(values[best]), trial))
    return found


def hours_of(draft: evoked.Draft) -> list[Action]:
    """Moving a draft to each other hour of its day."""
    assert draft.posted_at is not None
    own = draft.posted_at.hour
    return [
        Action("hour", f"Post at {hour}:00", str(own), str(hour), {"hour": float(hour)})
        for hour in range(24)
        if hour != own
    ]


def modelled_times(run: Run, draft: evoked.Draft, times: Sequence[Action]) -> Floats:
    """What the run's model expects of each other hour, in logarithms, (times,)."""
    assert draft.posted_at is not None
    moved = [
        replace(draft, posted_at=draft.posted_at.replace(hour=int(each.after))) for each in times
    ]
    likes = run.predict([draft, *moved])["likes"].to_numpy(np.float64)
    return np.log1p(likes[1:]) - np.log1p(likes[0])


def _row(
    advisor: str,
    action: Action,
    advised: float,
    trial: Trial,
    bounds: tuple[float, float] = (np.nan, np.nan),
) -> dict[str, Any]:
    true = trial.truth([action])
    held = np.nan if np.isnan(bounds[0]) else float(bounds[0] <= true <= bounds[1])
    return {
        "advisor": advisor,
        "about": "tags" if action.about.startswith("#") else action.about,
        "advised": advised,
        "true": true,
        "held": held,
    }


def _raw_difference(action: Action, past: pd.DataFrame) -> float:
    """By how much posts that did so have a higher mean logarithm; NaN for pictures."""
    got = np.log1p(past["likes"].to_numpy(np.float64))
    if action.about == PICTURE:
        return float("nan")
    if action.about.startswith("#"):
        did = np.array([action.about[1:] in tags for tags in past["hashtags"]])
        did, others = (did, ~did) if action.after == "yes" else (~did, did)
    elif action.about in ("hour", "day"):
        did, others = appeared(past, action)
    else:
        values = aspects_of(past, Bounds.of(past))[action.about].to_numpy(object)
        did, others = values == action.after, values == action.before
    if min(did.sum(), others.sum()) < FEWEST:
        return float("nan")
    return float(got[did].mean() - got[others].mean())


def measured(
    planted: bool, number: int, pictures: Path, light: Floats, work: Path
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Advised changes on the drafts of an account, and a row for each draft."""
    random = np.random.default_rng([number, int(planted)])
    account = Account.draw(planted, random)
    names, folder = {"planted": planted, "account": number}, work / f"{planted}{number}"
    cache = FeatureCache(work / "cache")
    if not (folder / "run" / "run.json").is_file():
        make_run(account, pictures, light, folder, np.random.default_rng([number, int(planted), 1]))
    run, random = Run.load(folder / "run", cache), np.random.default_rng([number, int(planted), 2])
    changes, drafts = [], []
    for draft in range(DRAFTS):
        trial, others = draw_trial(account, pictures, light, random)
        advice = advise(run, trial.draft, alternatives=others)
        changes += [{**names, "draft": draft, **row} for row in advised_changes(run, trial, advice)]
        actions = [each.action for each in advice.advised]
        drafts.append(
            {
                **names,
                "draft": draft,
                "advised": len(actions),
                "resembles": advice.resembles,
                "looked at": len(advice.looked_at),
                "gain": trial.truth(actions),
                "best": max((trial.truth([action]) for action in advice.actions), default=0.0),
            }
        )
    return changes, drafts


def by_advisor(changes: pd.DataFrame, drafts: pd.DataFrame) -> pd.DataFrame:
    """The table of advisors on the accounts with effects: means with their 95 % interval over
    accounts."""
    planted, rows = changes[changes["planted"]], []
    number = int(drafts["planted"].sum())
    for name, own in planted.groupby("advisor", sort=False):
        sums = own.groupby("account")["true"].agg(["sum", "size"])
        draws = np.random.default_rng(0).integers(len(sums), size=(2000, len(sums)))
        means = sums["sum"].to_numpy()[draws].sum(axis=1) / sums["size"].to_numpy()[draws].sum(
            axis=1
        )
        low, high = np.quantile(means, [0.025, 0.975])
        rows.append(
            {
                "advisor": name,
                "changes": len(own),
                "drafts": f"{len(own.groupby(['account', 'draft']))} of {number}",
                "true gain of a change": f"{own['true'].mean():.3f} [{low:.3f}, {high:.3f}]",
                "of the advised sign": float((own["true"] > 0).mean()),
                "median of advised / true": float((own["advised"] / own["true"]).median()),
                "ranges that held": float(own["held"].mean()),
            }
        )
    return pd.DataFrame(rows)


def silence(changes: pd.DataFrame, drafts: pd.DataFrame) -> pd.DataFrame:
    """How often each advisor says nothing, where nothing helps."""
    null = drafts[~drafts["planted"]]
    rows = []
    for name in ("evoked", "the model's best", "raw means"):
        own = changes[~changes["planted"] & (changes["advisor"] == name)]
        first = own[own["draft"] == 0]
        rows.append(
            {
                "advisor": name,
                "accounts": null["account"].nunique(),
                "silent on the first draft": 1
                - first["account"].nunique() / null["account"].nunique(),
                "drafts": len(null),
                "silent": 1 - len(own.groupby(["account", "draft"])) / len(null),
            }
        )
    return pd.DataFrame(rows)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=20, help="with effects")
    parser.add_argument("--null-accounts", type=int, default=40, help="without")
    parser.add_argument("--work", type=Path, help="keep posts and runs there, or use those there")
    add_json_option(parser)
    arguments = parser.parse_args()
    changes, drafts = [], []
    with TemporaryDirectory() as place:
        work = arguments.work or Path(place)
        light = draw_pictures(work / "pictures", np.random.default_rng(0))
        for planted, number in ((True, arguments.accounts), (False, arguments.null_accounts)):
            for account in range(number):
                found = measured(planted, account, work / "pictures", light, work)
                changes += found[0]
                drafts += found[1]
                print(planted, account, [row["advised"] for row in found[1]], flush=True)
    of_changes, of_drafts = pd.DataFrame(changes), pd.DataFrame(drafts)
    own = of_changes[of_changes["planted"] & (of_changes["advisor"] == "evoked")]
    about = own.groupby("about").agg(
        changes=("true", "size"), true=("true", "mean"), advised=("advised", "mean"),
        right=("true", lambda true: float((true > 0).mean())),
    )  # fmt: skip
    finish(
        arguments,
        {
            "together": of_drafts[of_drafts["planted"]]["gain"].mean(),
            "best possible single change": of_drafts[of_drafts["planted"]]["best"].mean(),
            "drafts that resemble nothing": 1 - of_drafts["resembles"].mean(),
            "changes looked at": of_drafts["looked at"].median(),
        },
        tables={
            "planted": table(by_advisor(of_changes, of_drafts), ".2f"),
            "about": table(about.reset_index(), ".2f"),
            "null": table(silence(of_changes, of_drafts), ".2f"),
        },
        code=["src/evoked/advice", "src/evoked/runs/past.py", "src/evoked/features/form.py"],
    )


if __name__ == "__main__":
    main()
