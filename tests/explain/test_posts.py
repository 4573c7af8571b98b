"""Explanations against independent computations, on a run whose stages are all real."""

from __future__ import annotations

import io
import json
import math
import re
from dataclasses import replace
from datetime import UTC, datetime
from itertools import permutations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from rich.console import Console

from evoked.explain import Explanation, explain, explain_posts, figures, print_explanation
from evoked.explain.drawing import draw_explanation, draw_words, missing_fonts
from evoked.explain.facts import columns_of_facts, facts_in_words
from evoked.explain.heat_maps import popularity_map
from evoked.explain.modalities import shapley_values
from evoked.explain.occlusion import REGIONS
from evoked.explain.readings import Reading
from evoked.explain.words import words_of
from evoked.features.captions import prepare
from evoked.features.encoders import image_encoder, text_encoder
from evoked.models import MeanOfTraining
from evoked.models.explanations import RegionWeights
from evoked.models.hiding import hide, modalities_of
from evoked.posts.dataset import PostDataset
from evoked.posts.drafts import Draft, as_posts
from evoked.posts.images import load_image
from evoked.runs.posts import Run
from tests.support.small_runs import HOSTILE, OTHER_TASKS, Workshop

CAPTION = "A breathtaking storm over the harbour, honestly! #goodVibes"


@pytest.fixture(scope="module")
def draft(dataset: PostDataset) -> Draft:
    picture = next(path for path in dataset.cover_paths() if path is not None)
    return Draft(picture, CAPTION, category="food", followers=900)


@pytest.fixture(scope="module")
def explanation(run: Run, draft: Draft) -> Explanation:
    return explain(run, draft)


def test_contributions_lead_from_nothing_shown_to_the_prediction(
    run: Run, draft: Draft, explanation: Explanation
) -> None:
    predicted = run.predict([draft]).iloc[0]
    assert explanation.contributions.index.tolist() == list(modalities_of(run.model))
    total = explanation.base + explanation.contributions.sum()
    for target in explanation.targets:
        assert total[target] == pytest.approx(predicted[target], rel=1e-3, abs=1e-4)
    assert {each.name: each.unit for each in explanation.every_reading} == {
        **{name: "points" for name in ("valence", "arousal")},
        **{name: name for name in ("likes", "comments", "shares", "saves")},
    }


def test_effects_are_rates_where_nobody_follows_the_author(run: Run) -> None:
    """The author is unknown, and so is the level of likes."""
    told = explain(run, Draft(caption=CAPTION))
    row = run.predict([Draft(caption=CAPTION)]).iloc[0]
    assert np.isnan(row["likes"])
    (likes,) = (each for each in told.every_reading if each.name == "likes")
    base = float(likes.unit.removeprefix("likes per ").removesuffix(" followers").replace(",", ""))
    assert told.outcome["likes"] == pytest.approx(row["likes_rate"] * base, rel=1e-3)


def test_a_change_of_less_than_is_shown_is_none() -> None:
    likes = Reading("likes", "likes", span=4143.0, step=10.0)
    assert [likes.shown(value, signed=True) for value in (338, -4.9, 1_234_000)] == [
        *("+340", "0", "+1.23 million")
    ]
    assert [likes.moves(value) for value in (338, -4.9, math.nan)] == [True, False, False]
    assert likes.shown(4143.2) == "4,140"
    assert likes.with_unit(338) == "+340 likes"
    valence = Reading("valence", "points", span=8.0)
    assert valence.with_unit(0.41) == "+0.41 valence"
    assert not valence.moves(0.004)


def test_shapley_values_are_means_over_all_orders(run: Run, dataset: PostDataset) -> None:
    posts = dataset.select(range(4))
    examples, _ = run.examples(posts.posts, posts.cover_paths())
    values, base = shapley_values(run.model, examples)
    batch = examples.features.take(np.arange(4))
    players = modalities_of(run.model)

    @torch.inference_mode()
    def outcome(shown: tuple[str, ...]) -> np.ndarray:
        hidden = set(players) - set(shown)
        return run.model.network.eval()(batch, hidden=hidden).numpy()

    orders = list(permutations(players))
    for position, modality in enumerate(players):
        gains = []
        for order in orders:
            before = order[: order.index(modality)]
            gains.append(outcome((*before, modality)) - outcome(before))
        np.testing.assert_allclose(values[:, position], np.mean(gains, axis=0), atol=1e-4)
    np.testing.assert_allclose(base, outcome(()), atol=1e-4)


def test_what_a_post_lacks_contributes_nothing(run: Run) -> None:
    bare = explain(run, Draft(caption="Only words, no tags"))
    np.testing.assert_allclose(bare.contributions.loc[["image", "hashtags"]], 0, atol=1e-6)
    assert bare.regions is None
    assert bare.word_regions is None
    assert any("No picture" in note for note in bare.notes)
    wordless = explain(run, Draft(caption=None, followers=3))
    assert not len(wordless.words)
    np.testing.assert_allclose(wordless.contributions.loc["caption"], 0, atol=1e-6)


def test_what_the_encoder_recognises_is_said(run: Run, dataset: PostDataset) -> None:
    encoder = image_encoder(run.model.feature_settings.image_encoder)
    posts = dataset.select(range(3))
    found = explain_posts(run, posts.posts, posts.cover_paths())
    for path, explanation in zip(posts.cover_paths(), found, strict=True):
        if path is None:
            assert explanation.shows == {}
            continue
        vector = encoder.encode(load_image(path, encoder.image_size)[None]).vector
        chances = encoder.word_probabilities(vector)[0]
        expected = {encoder.words[n]: chances[n] for n in np.argsort(-chances)[:3]}
        expected = {word: chance for word, chance in expected.items() if chance >= 0.1}
        assert explanation.shows == pytest.approx(expected, rel=0.05)
        assert all(f"{word} (" in explanation.shown for word in expected)
    assert explain(run, Draft(caption="Only words")).shown == ""


def test_hiding_leaves_the_original_as_it_was(run: Run, dataset: PostDataset) -> None:
    examples, _ = run.examples(dataset.posts, dataset.cover_paths())
    before = run.model.predict(examples)
    everything = pd.DataFrame(True, range(len(examples)), list(modalities_of(run.model)))
    hidden = run.model.predict(hide(examples, everything))
    # Alike but for the last bit, which depends on the batch.
    assert np.ptp(hidden.to_numpy(), axis=0).max() < 1e-6
    pd.testing.assert_frame_equal(run.model.predict(examples), before)


def test_attention_is_shared_out_in_full(run: Run, explanation: Explanation) -> None:
    assert explanation.regions is not None
    assert explanation.hashtag_attention is not None
    assert explanation.word_regions is not None
    words = explanation.words["attention"].sum() + explanation.hashtag_attention
    assert words == pytest.approx(1, abs=1e-4)
    for weights in (explanation.regions, *explanation.word_regions):
        assert weights.grid.shape == (7, 7)
        assert weights.grid.sum() + weights.objects.sum() == pytest.approx(1, abs=1e-4)
    assert explanation.boxes.shape == (explanation.regions.objects.size, 4)


def test_attention_is_that_of_the_network(run: Run, dataset: PostDataset) -> None:
    """Posts of differing length in one batch get what each gets alone, without padding."""
    posts = dataset.select(range(6))
    examples, _ = run.examples(posts.posts, posts.cover_paths())
    together = run.model.attention(examples)
    assert together is not None
    for row, expected in enumerate(together):
        weights: dict[str, torch.Tensor] = {}
        with torch.inference_mode():
            run.model.network.eval()(examples.features.take([row]), attention=weights)
        if expected.tokens is None:
            continue
        received = weights["words"][0].mean(0).numpy()
        np.testing.assert_allclose(expected.tokens, received[:-1], atol=1e-5)
        assert expected.hashtags == pytest.approx(float(received[-1]), abs=1e-5)


def test_words_are_those_of_the_prepared_caption(explanation: Explanation) -> None:
    assert explanation.text == prepare([CAPTION])[0]
    assert explanation.words["word"].tolist() == (
        ["a", "breathtaking", "storm", "over", "the", "harbour", "honestly", "#goodVibes"]
    )
    tokens = text_encoder("builtin").tokenize([explanation.text])[0]
    assert explanation.tokens == len(tokens)


def test_effect_of_a_word_is_what_predicting_without_it_changes(
    workshop: Workshop, dataset: PostDataset, draft: Draft
) -> None:
    """Without metadata, which knows the caption's length, a draft without the word is the same."""
    run = workshop.run(dataset, "text-only", modalities=["image", "caption"])
    assert modalities_of(run.model) == ("image", "caption")
    words = explain(run, draft).words.set_index("word")
    shorter = replace(draft, caption=prepare([CAPTION])[0].replace("breathtaking ", ""))
    before, after = run.predict([draft]).iloc[0], run.predict([shorter]).iloc[0]
    for target in ("valence", "likes"):
        change = before[target] - after[target]
        assert words.loc["breathtaking", target] == pytest.approx(change, abs=2e-3)
    assert explain(run, draft).facts.empty


def test_a_hashtag_is_a_word_and_is_left_out_of_the_hashtags(
    workshop: Workshop, dataset: PostDataset, draft: Draft
) -> None:
    run = workshop.run(dataset, "tags-only", modalities=["caption", "hashtags"])
    words = explain(run, draft).words.set_index("word")
    bare = replace(draft, caption=prepare([CAPTION.partition("#")[0]])[0], hashtags=[])
    before, after = run.predict([draft]).iloc[0], run.predict([bare]).iloc[0]
    change = before["valence"] - after["valence"]
    assert words.loc["#goodVibes", "valence"] == pytest.approx(change, abs=2e-3)


def test_effect_of_a_fact_is_what_its_mean_changes(
    run: Run, draft: Draft, explanation: Explanation
) -> None:
    """All columns of the fact at once: sine, cosine and "unknown" of hour and weekday."""
    encoder = run.pipeline.metadata
    assert encoder is not None
    columns = columns_of_facts(encoder)["posting time"]
    assert [encoder.names[column] for column in columns] == [
        *("hour (sine)", "hour (cosine)", "weekday (sine)", "weekday (cosine)"),
        *("hour unknown", "weekday unknown"),
    ]
    examples, _ = run.examples(*run.draft_posts([draft]))
    batch = examples.features.take([0])
    with torch.inference_mode():
        before = run.model.network.eval()(batch).numpy()[0]
        batch["metadata"][0, columns] = 0
        change = before - run.model.network(batch).numpy()[0]
    (fact,) = explanation.facts[explanation.facts["about"] == "posting time"].to_dict("records")
    assert [fact["valence"], fact["arousal"]] == pytest.approx(change[:2].tolist(), abs=1e-4)
    sizes = explanation.moving_facts(100)[explanation.headline[0]].abs()
    assert sizes.iloc[0] > 0


def test_facts_are_in_plain_words(run: Run, dataset: PostDataset) -> None:
    encoder = run.pipeline.metadata
    assert encoder is not None
    when = datetime(2024, 5, 16, 21, tzinfo=UTC)
    draft = Draft(caption="Oh! #sun", category="food", followers=99_366, posted_at=when)
    posts, _ = run.draft_posts([draft, Draft(caption="Oh")])
    about = list(columns_of_facts(encoder))
    texts, others = (
        dict(zip(about, row, strict=True)) for row in facts_in_words(encoder, posts, "your")
    )
    assert texts["posting time"] == "posted at 21:00, Thursday"
    assert texts["followers"] == "followers: 99,366"
    assert texts["category"] == "category: food"
    assert texts["exclamation marks"] == "exclamation marks: 1"
    assert others["followers"] == "followers unknown"
    assert others["category"] == "category unknown"
    assert not any("sine" in text or "(log)" in text for text in texts.values())
    author = dataset.posts["author_id"].mode()[0]
    posts, _ = run.draft_posts([Draft(caption="Oh", author=author)])
    (told,) = facts_in_words(encoder, posts, "your")
    (likes,) = (text for text in told if re.match(r"last ten posts' median: [\d,]+ likes$", text))
    median = np.nanmedian(run.history.last_counts(posts, "likes", 10))
    number = float(re.sub(r"[^\d]", "", likes.partition(":")[2]))
    assert number == pytest.approx(median, rel=0.05, abs=1)


def test_explaining_together_is_explaining_alone(run: Run, dataset: PostDataset) -> None:
    posts = dataset.select(range(3))
    together = explain_posts(run, posts.posts, posts.cover_paths(), dataset)
    alone = explain_posts(run, posts.posts.iloc[[1]], posts.cover_paths()[1:2], dataset)[0]
    pd.testing.assert_frame_equal(
        together[1].contributions, alone.contributions, atol=1e-4, rtol=1e-3
    )
    pd.testing.assert_frame_equal(together[1].words, alone.words, atol=5e-3, rtol=1e-2)
    assert together[1].region_effects is not None
    assert alone.region_effects is not None
    np.testing.assert_allclose(
        together[1].region_effects["valence"], alone.region_effects["valence"], atol=1e-4
    )


def test_with_history_a_post_gets_the_prediction_of_the_whole_dataset(
    run: Run, dataset: PostDataset
) -> None:
    everything = run.predict(dataset)
    explained = explain_posts(run, dataset.posts.iloc[[50]], dataset.cover_paths()[50:51], dataset)[
        0
    ]
    assert explained.prediction["valence"] == pytest.approx(everything["valence"][50], abs=1e-4)


@pytest.mark.parametrize("model", ["mean", "author_mean"])
def test_models_without_attention_are_explained_by_contributions(
    workshop: Workshop, dataset: PostDataset, model: str
) -> None:
    run = workshop.run(dataset, model, model=model)
    author = (
        run.parts.merge(dataset.posts, on="post_id").query("part == 'train'")["author_id"].iloc[0]
    )
    told = explain(run, Draft(caption=CAPTION, author=author))
    assert told.contributions.index.tolist() == ["metadata"]
    moved = told.contributions.loc["metadata"].abs().sum() > 0
    assert moved == (model == "author_mean")
    assert told.base["valence"] == pytest.approx(
        MeanOfTraining.load(run.folder / "baselines" / "mean").means[0], abs=1e-5
    )
    assert told.region_effects is None
    assert not told.attention_notes
    json.dumps(told.to_dict(), allow_nan=False)
    print_explanation(told, Console(file=io.StringIO()))


def test_console_begins_with_the_answer_and_names_scales(explanation: Explanation) -> None:
    stream = io.StringIO()
    print_explanation(explanation, Console(file=stream, width=200))
    lines = stream.getvalue().splitlines()
    assert lines[0] == explanation.prediction["answer"]
    assert lines[0].startswith("About ")
    heading = next(line for line in lines if line.startswith("part "))
    assert heading.split()[1] == "likes"
    (last,) = (line for line in lines if line.startswith("prediction "))
    likes = next(each for each in explanation.readings if each.name == "likes")
    assert last.split()[1] == likes.shown(explanation.outcome["likes"])


def test_changes_too_small_to_be_shown_have_no_bar(explanation: Explanation) -> None:
    stream = io.StringIO()
    still = still_of(explanation)
    print_explanation(still, Console(file=stream, width=200))
    text = stream.getvalue()
    assert "█" not in text
    assert "None of the 8 words changes the prediction by as much as is shown." in text
    assert "No part of the picture changes the prediction by as much as is shown." in text
    assert "What facts add" not in text


def test_nothing_is_drawn_of_changes_too_small_to_be_shown(
    explanation: Explanation, tmp_path: Path
) -> None:
    assert draw_explanation(still_of(explanation), tmp_path) == []


def still_of(explanation: Explanation) -> Explanation:
    """An explanation in which next to nothing changes the prediction."""
    assert explanation.region_effects is not None
    names = explanation.targets
    words, facts = explanation.words.copy(), explanation.facts.copy()
    words[names] *= 1e-9
    facts[names] *= 1e-9
    return replace(
        explanation,
        contributions=explanation.contributions * 1e-9,
        words=words,
        facts=facts,
        region_effects={name: 1e-9 * grid for name, grid in explanation.region_effects.items()},
        regions=None,
    )


class TestAttention:
    """Shown where its ranks go with those of the effects."""

    def with_attention(self, explanation: Explanation, words: NDArray[np.float64]) -> Explanation:
        table = explanation.words.assign(attention=words / words.sum())
        return replace(explanation, words=table)

    def test_of_words(self, explanation: Explanation) -> None:
        sizes = explanation.sizes.to_numpy()
        alike = self.with_attention(explanation, sizes)
        against = self.with_attention(explanation, sizes.max() - sizes + 1e-9)
        assert alike.shows_word_attention
        assert not against.shows_word_attention
        assert any("attention to words" in note for note in against.attention_notes)
        assert alike.to_dict()["attention_agreement"]["words"]["shown"]
        assert against.to_dict()["words"][0]["attention"] is not None
        printed = []
        for told in (alike, against):
            stream = io.StringIO()
            print_explanation(told, Console(file=stream, width=200))
            printed.append(stream.getvalue())
        assert [re.search(r"^word .*attention", text, re.M) is not None for text in printed] == [
            *(True, False)
        ]

    def test_of_regions(self, explanation: Explanation) -> None:
        assert explanation.region_effects is not None
        name = explanation.headline[0]
        effects = np.arange(16.0).reshape(4, 4) * 1e3
        grid = np.kron(effects, np.ones((2, 2)))
        shown = replace(
            explanation,
            region_effects={key: effects for key in explanation.region_effects},
            regions=RegionWeights(grid.astype(np.float32), np.zeros(0, np.float32)),
        )
        assert name in explanation.targets
        assert shown.shows_region_attention
        turned = replace(
            shown, regions=RegionWeights(grid[::-1, ::-1].astype(np.float32), np.zeros(0))
        )
        assert not turned.shows_region_attention
        assert any("regions" in note for note in turned.attention_notes)


def test_draws_pictures_that_open(
    explanation: Explanation, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("why") / "new"
    paths = draw_explanation(explanation, folder)
    drawn = [path.stem for path in paths]
    assert [name for name in drawn if "regions" not in name] == ["contributions", "words", "facts"]
    assert ("regions_effect" in drawn) == (explanation.moving_regions() is not None)
    assert ("regions" in drawn) == explanation.shows_region_attention
    for path in paths:
        with Image.open(path) as picture:
            picture.load()
            assert min(picture.size) > 200
    assert sorted(folder.iterdir()) == sorted(paths)


@pytest.mark.parametrize("caption", [HOSTILE, "今天天气很好", "שלום עולם", "x" * 5000, "🎉" * 300])
def test_any_caption_is_explained_drawn_and_printed(
    run: Run, draft: Draft, caption: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    told = explain(run, Draft(draft.image, caption))
    if len(told.words) < 10:  # drawing takes a second
        assert draw_explanation(told, tmp_path_factory.mktemp("why"))
    stream = io.StringIO()
    print_explanation(told, Console(file=stream, width=200))
    assert "What each part of the post adds" in stream.getvalue()
    assert json.loads(json.dumps(told.to_dict(), allow_nan=False))["n"]["words"] == len(told.words)


class TestRegions:
    def test_effect_is_what_blurring_the_part_changes(self, run: Run, draft: Draft) -> None:
        """The second part of the third row: pixels 128 to 192 down, 64 to 128 across."""
        picture = Image.fromarray(load_image(Path(str(draft.image)), 256))
        mask = np.zeros((256, 256), dtype=np.uint8)
        mask[128:192, 64:128] = 255
        soft = Image.fromarray(mask).filter(ImageFilter.GaussianBlur(8))
        blurred = Image.composite(picture.filter(ImageFilter.GaussianBlur(64)), picture, soft)
        drafts = []
        for each in (picture, blurred):
            stream = io.BytesIO()
            each.save(stream, "PNG")
            drafts.append(replace(draft, image=stream.getvalue()))
        told = explain(run, drafts[0])
        before, after = run.predict(drafts)["valence"]
        assert told.region_effects is not None
        assert told.region_effects["valence"].shape == (REGIONS, REGIONS)
        assert abs(before - after) > 1e-3
        assert told.region_effects["valence"][2, 1] == pytest.approx(before - after, rel=0.1)

    def test_a_model_of_words_has_none(
        self, workshop: Workshop, dataset: PostDataset, draft: Draft
    ) -> None:
        run = workshop.run(dataset, "words-only", modalities=["caption"])
        told = explain(run, draft)
        assert told.region_effects is None
        assert "The model abmf reads no pictures." in told.notes


class TestSimilarPosts:
    def test_are_earlier_posts_alike_with_what_they_got(
        self, workshop: Workshop, dataset: PostDataset
    ) -> None:
        run = workshop.run(dataset, "similar-lines", "linear")
        last = dataset.posts["posted_at"].sort_values().index[-1]
        post, cover = dataset.posts.loc[[last]], dataset.cover_paths()[last]
        (told,) = explain_posts(run, post, [cover], dataset)
        assert told.similar is not None
        assert 0 < len(told.similar) <= 4
        assert told.post_id not in set(told.similar["post_id"])
        assert told.similar["likeness"].is_monotonic_decreasing
        known = dataset.posts.set_index("post_id")
        for row in told.similar.to_dict("records"):
            assert row["posted_at"] < post["posted_at"].iloc[0]
            assert row["likes"] == known.loc[row["post_id"], "likes"]
        history = run.attach_history(dataset.posts).set_index("post_id")
        usual = np.expm1(history.loc[told.similar["post_id"], "history.median10_likes"])
        np.testing.assert_allclose(told.similar["usual_likes"], usual)

    def test_the_same_post_published_before_is_the_most_alike(
        self, workshop: Workshop, dataset: PostDataset
    ) -> None:
        run = workshop.run(dataset, "similar-lines", "linear")
        row = int(np.flatnonzero([path is not None for path in dataset.cover_paths()])[3])
        again = Draft(dataset.cover_paths()[row], dataset.posts["caption"][row], followers=900)
        told = explain(run, again, dataset)
        assert told.similar is not None
        assert told.similar["post_id"].iloc[0] == dataset.posts["post_id"][row]
        assert told.similar["likeness"].iloc[0] == pytest.approx(1, abs=1e-3)

    def test_nothing_is_later_than_the_first_post(
        self, workshop: Workshop, dataset: PostDataset
    ) -> None:
        run = workshop.run(dataset, "similar-lines", "linear")
        first = dataset.posts["posted_at"].sort_values().index[0]
        (told,) = explain_posts(run, dataset.posts.loc[[first]], [None], dataset)
        assert told.similar is not None
        assert told.similar.empty
        json.dumps(told.to_dict(), allow_nan=False)


class TestFonts:
    def test_words_that_no_font_draws_are_left_out_and_the_font_is_named(
        self, explanation: Explanation, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(figures, "_drawn_characters", lambda: frozenset(map(chr, range(127))))
        assert figures.undrawable(["so good"]) == set()
        (font,) = figures.undrawable(["真夏の"])
        assert font.startswith("Noto Sans CJK (fonts-noto-cjk")
        texts = ["真夏の", *explanation.words["word"][1:]]
        words = explanation.words.assign(word=texts, likes=100.0 * explanation.words.index + 100)
        told = replace(explanation, words=words)
        note = missing_fonts(told)
        assert note is not None
        assert note.startswith("1 of the strongest words and facts")
        labels = [tick.get_text() for tick in draw_words(told).figure.axes[0].get_yticklabels()]
        assert "真夏の" not in labels
        assert len(labels) == len(told.moving_words(100)) - 1


def test_a_picture_that_cannot_be_read_is_a_note(run: Run) -> None:
    told = explain(run, Draft(b"not a picture", CAPTION))
    assert told.regions is None
    assert any("picture" in note for note in told.notes)


def test_no_posts_no_explanations(run: Run, dataset: PostDataset) -> None:
    assert explain_posts(run, dataset.posts.iloc[:0], []) == []


@given(st.text(max_size=60))
def test_every_token_belongs_to_a_word_that_it_touches(text: str) -> None:
    """Every visible character a token of its own; a text without a word has none."""
    (text,) = prepare([text])
    cuts = [i for i, character in enumerate(text) if not character.isspace()]
    offsets = [(i, i + 1) for i in cuts]
    words = words_of(text, offsets)
    if not words:
        assert not re.search(r"\w", text)
        return
    assert len(words.word_of_token) == len(offsets)
    for (start, end), word in zip(offsets, words.word_of_token, strict=True):
        assert words.spans[word][0] <= start
        assert end <= words.spans[word][1]
    weights = np.full(len(offsets), 1 / len(offsets))
    assert words.total(weights).sum() == pytest.approx(1)
    assert words.tokens.min() >= 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("今天天气很好,我们去公园玩吧!", ["今天天气", "很好", "我们", "去公园", "玩吧"]),
        (
            "夏の企画、お茶会を開催します!真夏のsale",
            ["夏の", "企画", "お茶会を", "開催します", "真夏の", "sale"],
        ),
        ("「空」が青い。", ["空」が", "青い"]),
        ("so (good) ... -- day!", ["so", "good", "day"]),
        ("ยินดี ครับ", ["ยินดี", "ครับ"]),
        ("... !?", []),
    ],
)
def test_words_are_neither_single_characters_nor_punctuation(
    text: str, expected: list[str]
) -> None:
    offsets = [(i, i + 1) for i, character in enumerate(text) if not character.isspace()]
    assert words_of(text, offsets).texts == expected


def test_long_captions_are_weighed_in_phrases() -> None:
    text = " ".join(f"word{number}" for number in range(200))
    offsets = [match.span() for match in re.finditer(r"\S+", text)]
    words = words_of(text, offsets)
    assert words.joined == 13
    assert words.tokens.tolist() == [13] * 15 + [5]
    assert words.texts[-1] == "word195 word196 word197 word198 word199"
    sixty = words_of(text, offsets[:60])
    assert sixty.joined == 2
    assert sixty.texts[:2] == ["word0 word1", "word2 word3"]
    assert words_of(text, offsets[:50]).joined == 1


def test_hashtags_are_looked_for_from_the_end() -> None:
    text = "good vibes and sun good vibes sun"
    offsets = [match.span() for match in re.finditer(r"\S+", text)]
    words = words_of(text, offsets, [("goodVibes", "good vibes"), ("sun", "sun")])
    assert words.texts == ["good", "vibes", "and", "sun", "#goodVibes", "#sun"]
    assert words.without_each()[4] == "good vibes and sun sun"
    assert words.word_of_token.tolist() == [0, 1, 2, 3, 4, 4, 5]


def test_a_leading_space_belongs_to_the_word_that_follows() -> None:
    words = words_of("so good", [(0, 2), (2, 5), (5, 7)])
    assert words.texts == ["so", "good"]
    assert words.word_of_token.tolist() == [0, 1, 1]
    assert words.without_each() == ["good", "so"]


class TestPopularityMap:
    def test_colours_follow_the_probabilities(self) -> None:
        picture = np.full((70, 140, 3), 128, dtype=np.uint8)
        grid = np.full((7, 7), 0.4)
        grid[0, 6] = 0.9
        drawn = popularity_map(picture, grid, ["sun", "😍"], [0.8, 0.2], 2)
        assert "0.40 to 0.90" in drawn.alternative
        assert "row 1, column 7 of 7 by 7" in drawn.alternative
        assert "n = 49 regions" in drawn.caption
        _, heated, scale, bars = drawn.figure.axes
        assert [bar.get_height() for bar in bars.patches] == [80.0, 20.0]
        shown = heated.images[0].get_array().astype(int)
        assert shown.shape == picture.shape
        # Yellow in the corner, blue elsewhere.
        assert shown[2, -3, 0] - shown[2, -3, 2] > 40
        assert shown[-3, 3, 2] > shown[-3, 3, 0]
        assert scale.get_ylim() == pytest.approx((0.4, 0.9))

    def test_even_probabilities_don_t_pretend(self) -> None:
        picture = np.full((30, 30, 3), 128, dtype=np.uint8)
        drawn = popularity_map(picture, np.full((7, 7), 0.5))
        *_, scale = drawn.figure.axes
        assert scale.get_ylim() == pytest.approx((0.45, 0.55))
        assert "Below" not in drawn.caption

    @pytest.mark.parametrize("words", ["encoder", "embedding"])
    def test_of_a_run(self, workshop: Workshop, dataset: PostDataset, words: str) -> None:
        run = workshop.run(dataset, f"dual-{words}", "dual_attention", words=words)
        cover = next(path for path in dataset.cover_paths() if path is not None)
        found = explain(run, Draft(cover, "Golden hour at the lake", author="nobody"))
        assert found.targets == ["popular"]
        total = found.base + found.contributions.sum()
        assert total["popular"] == pytest.approx(found.outcome["popular"], abs=1e-5)
        assert found.region_probabilities is not None
        assert found.region_probabilities.shape[0] == found.region_probabilities.shape[1]
        assert ((found.region_probabilities > 0) & (found.region_probabilities < 1)).all()
        assert found.words["word"].tolist() == ["golden", "hour", "at", "the", "lake"]
        received = found.words["attention"].sum()
        assert received == pytest.approx(1, abs=1e-5) if words == "encoder" else received < 1
        names = [path.name for path in draw_explanation(found, workshop.folder / f"why-{words}")]
        assert "popularity_map.png" in names
        assert "regions.png" not in names
        bare = explain(run, Draft(caption="Golden hour"))
        assert bare.region_probabilities is None
        assert any("No picture" in note for note in bare.notes)


class TestOtherTasks:
    @pytest.fixture(scope="class")
    def explained(
        self, task_runs: dict[str, Run], draft: Draft
    ) -> dict[str, tuple[Run, Explanation]]:
        return {task: (run, explain(run, draft)) for task, run in task_runs.items()}

    @pytest.mark.parametrize("task", OTHER_TASKS)
    def test_contributions_lead_to_what_is_read(
        self, explained: dict[str, tuple[Run, Explanation]], draft: Draft, task: str
    ) -> None:
        run, told = explained[task]
        row = run.predict([draft]).iloc[0]
        expected = {}
        for outcome in run.task.outcomes:
            if outcome.kind == "classes":
                shares = [row[f"{outcome.name}_probability_{label}"] for label in outcome.labels]
                expected[outcome.name] = np.dot(shares, range(1, len(shares) + 1))
            elif outcome.kind == "binary":
                expected[outcome.name] = row[f"{outcome.name}_probability"]
            elif outcome.name in run.model.targets:
                expected[outcome.name] = row[outcome.name]
        assert told.targets == list(expected)
        total = told.base + told.contributions.sum()
        for name, value in expected.items():
            assert total[name] == pytest.approx(value, abs=1e-4)
            assert told.outcome[name] == pytest.approx(value, abs=1e-4)

    @pytest.mark.parametrize("task", OTHER_TASKS)
    def test_is_printed_drawn_and_stable_as_json(
        self,
        explained: dict[str, tuple[Run, Explanation]],
        explanation: Explanation,
        task: str,
        tmp_path: Path,
    ) -> None:
        _, told = explained[task]
        state = json.loads(json.dumps(told.to_dict(), allow_nan=False))
        assert state["task"] == task
        assert state.keys() == explanation.to_dict().keys()
        assert list(state["contributions"]["units"]) == told.targets
        stream = io.StringIO()
        print_explanation(told, Console(file=stream, width=200))
        assert "What each part of the post adds" in stream.getvalue()
        drawn = [path.stem for path in draw_explanation(told, tmp_path)]
        assert drawn[0] == "contributions"
        moves = told.moving_regions() is not None
        assert ("regions_effect" in drawn) == moves

    @pytest.mark.parametrize("task", OTHER_TASKS)
    def test_what_a_draft_lacks_is_no_obstacle(
        self, task_runs: dict[str, Run], draft: Draft, task: str
    ) -> None:
        run = task_runs[task]
        bare = explain(run, Draft())
        assert any("No picture" in note for note in bare.notes)
        assert any("No caption" in note for note in bare.notes)
        for name in ("image", "caption"):
            np.testing.assert_allclose(bare.contributions.loc[name], 0, atol=1e-6)
        assert bare.region_effects is None
        json.dumps(bare.to_dict(), allow_nan=False)
        print_explanation(bare, Console(file=io.StringIO()))

    def test_models_that_read_neither_say_so(
        self, workshop: Workshop, dataset: PostDataset, draft: Draft
    ) -> None:
        run = workshop.run(dataset, "level-mean", "mean", task="level")
        told = explain(run, draft)
        assert "The model mean reads no pictures and no captions." in told.notes

    def test_trees_that_read_the_posts_themselves_don_t_see_what_is_hidden(
        self, workshop: Workshop, dataset: PostDataset, draft: Draft
    ) -> None:
        run = workshop.run(dataset, "level-trees", "pixelrec_catboost", trees=10)
        examples, _ = run.examples(*as_posts([draft, Draft()]))
        nothing = pd.DataFrame(True, range(2), ["image", "caption", "metadata"])
        first, second = run.model.matrix(hide(examples, nothing))
        np.testing.assert_array_equal(first, second)
