"""Explanations against independent computations, on a run whose stages are all real."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from rich.console import Console

from evoked.explain import Explanation, explain, explain_posts, print_explanation
from evoked.explain.drawing import draw_explanation
from evoked.explain.heat_maps import popularity_map
from evoked.explain.modalities import hide, modalities_of, shapley_values
from evoked.explain.words import words_of
from evoked.features.captions import prepare
from evoked.features.encoders import image_encoder, text_encoder
from evoked.features.table import Column, FeatureTable
from evoked.models import MeanOfTraining
from evoked.posts.dataset import PostDataset
from evoked.posts.drafts import Draft, as_posts
from evoked.posts.images import load_image
from evoked.runs.posts import Run
from evoked.targets import TARGETS
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
        shown = predicted[target if target in ("valence", "arousal") else f"{target}_standing"]
        assert total[target] == pytest.approx(shown, abs=1e-4)
    assert explanation.prediction["likes"] == pytest.approx(predicted["likes"], rel=1e-4)


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
    assert hidden.drop_duplicates().shape[0] == 1
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
        ["a", "breathtaking", "storm", "over", "the", "harbour", "honestly", "good", "vibes"]
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
    shorter = Draft(draft.image, prepare([CAPTION])[0].replace("breathtaking ", ""))
    before, after = run.predict([draft]).iloc[0], run.predict([shorter]).iloc[0]
    for column, target in (("valence", "valence"), ("likes_standing", "likes")):
        change = before[column] - after[column]
        assert words.loc["breathtaking", target] == pytest.approx(change, abs=2e-3)
    assert explain(run, draft).metadata.empty


def test_effect_of_a_fact_is_what_its_mean_changes(
    run: Run, draft: Draft, explanation: Explanation
) -> None:
    assert run.pipeline.metadata is not None
    examples, _ = run.examples(*as_posts([draft]))
    batch = examples.features.take([0])
    column = run.pipeline.metadata.names.index(explanation.metadata.index[0])
    with torch.inference_mode():
        before = run.model.network.eval()(batch).numpy()[0]
        batch["metadata"][0, column] = 0
        change = before - run.model.network(batch).numpy()[0]
    np.testing.assert_allclose(
        explanation.metadata.iloc[0][list(TARGETS)].astype(float), change, atol=1e-4
    )
    at_the_mean = explanation.metadata["value"] == 0
    assert (explanation.metadata.loc[at_the_mean, list(TARGETS)] == 0).all(axis=None)


def test_explaining_together_is_explaining_alone(run: Run, dataset: PostDataset) -> None:
    posts = dataset.select(range(3))
    together = explain_posts(run, posts.posts, posts.cover_paths(), history=dataset.posts)
    alone = explain_posts(
        run, posts.posts.iloc[[1]], posts.cover_paths()[1:2], history=dataset.posts
    )[0]
    pd.testing.assert_frame_equal(together[1].contributions, alone.contributions, atol=1e-4)
    pd.testing.assert_frame_equal(together[1].words, alone.words, atol=5e-3)


def test_with_history_a_post_gets_the_prediction_of_the_whole_dataset(
    run: Run, dataset: PostDataset
) -> None:
    everything = run.predict(dataset)
    explained = explain_posts(
        run, dataset.posts.iloc[[50]], dataset.cover_paths()[50:51], history=dataset.posts
    )[0]
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
    assert any("no attention" in note for note in told.notes)
    json.dumps(told.to_dict(), allow_nan=False)
    print_explanation(told, Console(file=io.StringIO()))


def test_console_begins_with_the_answer_and_names_scales(explanation: Explanation) -> None:
    stream = io.StringIO()
    print_explanation(explanation, Console(file=stream, width=200))
    lines = stream.getvalue().splitlines()
    assert lines[0] == explanation.prediction["answer"]
    assert lines[0].startswith("About ")
    (row,) = (line for line in lines if line.startswith("likes ("))
    assert re.match(
        rf"likes \((standing|percentile)\) +{explanation.base['likes'] * 100:.0f} ", row
    )
    assert row.endswith(f"{explanation.outcome['likes'] * 100:.0f}")


def test_changes_too_small_to_be_shown_have_no_bar(explanation: Explanation) -> None:
    stream = io.StringIO()
    still = replace(explanation, contributions=explanation.contributions * 1e-9)
    print_explanation(still, Console(file=stream, width=200))
    assert "█" not in stream.getvalue()


def test_draws_pictures_that_open(
    explanation: Explanation, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("why") / "new"
    paths = draw_explanation(explanation, folder)
    assert [path.stem for path in paths] == [
        *("contributions", "regions", "words", "words_regions", "metadata")
    ]
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
    assert "What each modality adds" in stream.getvalue()
    assert json.loads(json.dumps(told.to_dict(), allow_nan=False))["n"]["words"] == len(told.words)


def test_a_picture_that_cannot_be_read_is_a_note(run: Run) -> None:
    told = explain(run, Draft(b"not a picture", CAPTION))
    assert told.regions is None
    assert any("picture" in note for note in told.notes)


def test_no_posts_no_explanations(run: Run, dataset: PostDataset) -> None:
    assert explain_posts(run, dataset.posts.iloc[:0], []) == []


@given(st.text(max_size=60))
def test_every_token_belongs_to_a_word_that_it_touches(text: str) -> None:
    """Every visible character a token of its own."""
    cuts = [i for i, character in enumerate(text) if not character.isspace()]
    offsets = [(i, i + 1) for i in cuts]
    words = words_of(text, offsets)
    assert len(words.word_of_token) == len(offsets)
    for (start, end), word in zip(offsets, words.word_of_token, strict=True):
        assert words.spans[word][0] <= start
        assert end <= words.spans[word][1]
    if offsets:
        weights = np.full(len(offsets), 1 / len(offsets))
        assert words.total(weights).sum() == pytest.approx(1)
        assert words.tokens.min() >= 1


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
        assert names == ["contributions.png", "popularity_map.png", "words.png"]
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
        assert "What each modality adds" in stream.getvalue()
        drawn = [path.stem for path in draw_explanation(told, tmp_path)]
        assert drawn[0] == "contributions"
        assert ("regions_effect" in drawn) == (task == "level")

    def test_effect_of_a_region_is_what_the_others_in_its_place_change(
        self, explained: dict[str, tuple[Run, Explanation]], draft: Draft
    ) -> None:
        run, told = explained["level"]
        examples, _ = run.examples(*as_posts([draft]))
        regions = examples.features.take([0])["image.map"].numpy().copy()
        regions[0, 8] = np.delete(regions[0], 8, axis=0).mean(axis=0)
        columns = {**examples.features.columns, "image.map": Column.dense(regions)}
        changed = replace(examples, features=FeatureTable(columns))
        before, after = (
            (run.model.predict(each).to_numpy()[0] * [1, 2, 3, 4, 5]).sum()
            for each in (examples, changed)
        )
        assert told.region_effects is not None
        assert told.region_effects["level"][1, 1] == pytest.approx(before - after, abs=1e-4)

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
