"""The text emotion reader: fitting, reading, saving, scoring, and the one that is shipped."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from scipy import stats
from torch import nn

from evoked.affect import (
    TextEmotionReader,
    evaluate,
    evaluate_reader,
    fit_reader,
    fit_text,
    recipes_by_name,
    text_reader,
)
from evoked.affect._kept_weights import expanded
from evoked.affect._low_rank import add_low_rank, averaged, compressed, merge_low_rank
from evoked.affect._recipes import LOW_RANK, RECIPES, WHOLE
from evoked.affect.text import WEIGHTS_FILE
from evoked.errors import DataError, SettingsError
from evoked.features.affect import SHIPPED
from evoked.features.encoders._inference import bfloat16_is_fast
from evoked.features.encoders._sessions import without_torch
from evoked.posts.dataset import PostDataset
from evoked.posts.schema import SCALES, convert_scale

GOOD = ["wonderful", "lovely", "delightful", "joyful", "beautiful"]
BAD = ["terrible", "awful", "disgusting", "tragic", "hateful"]
THINGS = ["day", "dinner", "trip", "film", "letter", "song"]
TEXTS = [f"What a {word} {thing}." for word in GOOD + BAD for thing in THINGS]
RATINGS = np.array(
    [
        [2.0 if word in GOOD else -2.0, 5.0, np.nan]  # dominance was never rated
        for word in GOOD + BAD
        for _ in THINGS
    ]
)


ONE_MEMBER = [replace(LOW_RANK, members=1)]


@pytest.fixture(scope="module")
def reader() -> TextEmotionReader:
    return fit_text(TEXTS, RATINGS, recipes=ONE_MEMBER, epochs=3, seed=0)


def test_low_rank_difference_is_zero_at_first_and_can_be_merged() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 4))
    inputs = torch.randn(3, 6)
    plain = network(inputs)
    add_low_rank(network, rank=2)
    assert torch.equal(network(inputs), plain)
    trained = [name for name, each in network.named_parameters() if each.requires_grad]
    assert sorted(trained) == ["0.down", "0.up", "2.down", "2.up"]
    nn.init.normal_(network.get_parameter("0.up"))
    changed = network(inputs)
    assert not torch.allclose(changed, plain)
    merge_low_rank(network)
    assert type(network[0]) is nn.Linear
    torch.testing.assert_close(network(inputs), changed)


def test_a_low_rank_difference_is_kept_whole_and_what_did_not_change_not_at_all() -> None:
    torch.manual_seed(0)
    base = {"matrix": torch.randn(6, 5), "bias": torch.randn(5), "frozen": torch.randn(4, 4)}
    low = torch.randn(6, 2) @ torch.randn(2, 5)
    trained = base | {"matrix": base["matrix"] + low, "bias": torch.ones(5), "head": torch.eye(3)}
    kept = compressed(trained, base, rank=2)
    assert {name: tuple(each.shape) for name, each in kept.items()} == {
        "matrix.up": (6, 2),
        "matrix.down": (2, 5),
        "bias": (5,),
        "head": (3, 3),
    }
    again = expanded(kept, base)
    assert again.keys() == trained.keys()
    for name, weight in trained.items():
        torch.testing.assert_close(again[name], weight)


def test_of_a_difference_of_higher_rank_the_largest_part_is_kept() -> None:
    torch.manual_seed(0)
    base = {"matrix": torch.zeros(6, 5)}
    difference = torch.randn(6, 5)
    kept = expanded(compressed({"matrix": difference}, base, rank=3), base)["matrix"]
    missing = torch.linalg.svdvals(difference)[3:]
    torch.testing.assert_close((difference - kept).norm(), missing.norm())


def test_the_mean_of_differences_is_exact() -> None:
    torch.manual_seed(0)
    base = {"matrix": torch.randn(6, 5), "bias": torch.randn(5)}
    members = [
        compressed({name: torch.randn_like(each) for name, each in base.items()}, base, rank=2)
        for _ in range(3)
    ]
    together = expanded(averaged(members), base)
    alone = [expanded(member, base) for member in members]
    for name in base:
        expected = torch.stack([each[name] for each in alone]).mean(0)
        torch.testing.assert_close(together[name], expected)


def test_both_recipes_together_share_their_first_layers(tmp_path: Path) -> None:
    steps: list[tuple[str, int, int | None]] = []
    reader = fit_text(
        TEXTS,
        RATINGS,
        validation=(TEXTS[::5], RATINGS[::5]),
        recipes=[replace(LOW_RANK, members=1), replace(WHOLE, members=2)],
        epochs=2,
        progress=lambda *state: steps.append(state),
    )
    assert steps == [("fitting", done + 1, 16) for done in range(16)]
    unseen = reader.predict(["It was a splendid, lovely evening", "It was an awful, cruel evening"])
    assert unseen[0, 0] > unseen[1, 0] + 0.5
    reader.save(tmp_path)
    loaded = TextEmotionReader.load(tmp_path)
    np.testing.assert_array_equal(loaded.predict(TEXTS), reader.predict(TEXTS))
    shapes = {name: each.shape for name, each in load_file(tmp_path / WEIGHTS_FILE).items()}
    query = "encoder.layer.{}.attention.self.query.weight.up"
    # MiniLM's own in one group, the mean of two members' in the other.
    assert f"0.shared.{query.format(0)}" not in shapes
    assert shapes[f"1.shared.{query.format(1)}"] == (384, 2 * WHOLE.rank)
    assert f"1.members.0.layers.{query.format(1)}" not in shapes
    assert shapes[f"1.members.1.layers.{query.format(2)}"] == (384, WHOLE.rank)


def test_recipes_have_names() -> None:
    assert recipes_by_name([]) == RECIPES
    assert recipes_by_name(["whole", "whole"]) == (WHOLE,)
    with pytest.raises(SettingsError, match=r"no recipe 'half'; there are low-rank, whole"):
        recipes_by_name(["half"])


@pytest.mark.skipif(not without_torch(), reason="needs ONNX Runtime and no graphics card")
def test_the_graphs_and_their_twin_in_torch_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["What a wonderful day!", "今日は", None, "I have never been so sad " * 40]
    graphs = TextEmotionReader.load(SHIPPED / "text").predict(texts)
    monkeypatch.setattr("evoked.affect.text.without_torch", lambda: False)
    twin = TextEmotionReader.load(SHIPPED / "text").predict(texts)
    np.testing.assert_allclose(graphs, twin, atol=0.05 if bfloat16_is_fast() else 1e-4)


def test_learns_what_it_is_shown(reader: TextEmotionReader) -> None:
    unseen = reader.predict(["It was a splendid, lovely evening", "It was an awful, cruel evening"])
    assert unseen[0, 0] > unseen[1, 0] + 0.5


def test_a_dimension_without_ratings_is_unknown(reader: TextEmotionReader) -> None:
    readings = reader.predict(TEXTS)
    assert np.isfinite(readings[:, :2]).all()
    assert np.isnan(readings[:, 2]).all()


def test_the_same_seed_gives_the_same_reader(reader: TextEmotionReader) -> None:
    state = torch.get_rng_state()
    again = fit_text(TEXTS, RATINGS, recipes=ONE_MEMBER, epochs=3, seed=0)
    assert torch.equal(torch.get_rng_state(), state)
    assert again.fingerprint == reader.fingerprint
    np.testing.assert_array_equal(again.predict(TEXTS), reader.predict(TEXTS))


def test_a_saved_reader_reads_the_same(reader: TextEmotionReader, tmp_path: Path) -> None:
    reader.save(tmp_path / "reader")
    loaded = TextEmotionReader.load(tmp_path / "reader")
    np.testing.assert_array_equal(loaded.predict(TEXTS), reader.predict(TEXTS))
    assert loaded.fingerprint == reader.fingerprint
    assert sorted(path.name for path in (tmp_path / "reader").iterdir()) == [
        "reader.json",
        "weights.safetensors",
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format_version": 99}, "format version"),
        ({"base_sha256": "0" * 64}, "other MiniLM weights"),
        ({"weights_sha256": "0" * 64}, "missing or damaged"),
        ({"members": 2}, "not those of a text emotion reader"),
        ({"attentions": 0}, "not those of a text emotion reader"),
        ({"shared_layers": 3}, "not those of a text emotion reader"),
    ],
)
def test_a_folder_that_is_no_reader_is_refused(
    reader: TextEmotionReader, tmp_path: Path, change: dict[str, object], message: str
) -> None:
    reader.save(tmp_path)
    path = tmp_path / "reader.json"
    settings = json.loads(path.read_text()) | change
    settings["groups"][0] |= change
    path.write_text(json.dumps(settings))
    with pytest.raises(DataError, match=message):
        TextEmotionReader.load(tmp_path)


def test_ratings_of_another_shape_are_refused() -> None:
    with pytest.raises(DataError, match="expected one row per text"):
        fit_text(["one", "two"], np.zeros((2, 2)))


def test_texts_that_cannot_be_read_leave_nothing_to_learn() -> None:
    with pytest.raises(DataError, match="nothing to learn from"):
        fit_text(["", "今日は"], np.zeros((2, 3)))


def test_scores_are_those_of_independent_definitions() -> None:
    random = np.random.default_rng(0)
    truth = random.normal(size=(50, 3))
    predictions = truth + random.normal(size=(50, 3))
    truth[:5, 0], predictions[3:9, 0], truth[:, 2] = np.nan, np.nan, np.nan
    scores = evaluate(predictions, truth)
    assert list(scores) == ["valence", "arousal"]
    x, y = truth[9:, 0], predictions[9:, 0]
    assert scores["valence"]["n"] == 41
    assert scores["valence"]["pearson"] == pytest.approx(stats.pearsonr(x, y).statistic)
    assert scores["valence"]["mae"] == pytest.approx(np.abs(x - y).mean())
    concordance = 2 * np.cov(x, y, bias=True)[0, 1] / (x.var() + y.var() + (x - y).mean() ** 2)
    assert scores["valence"]["ccc"] == pytest.approx(concordance)


def _dataset(folder: Path) -> PostDataset:
    posts = pd.DataFrame(
        {
            "post_id": [str(i) for i in range(len(TEXTS))],
            "caption": TEXTS,
            "valence": RATINGS[:, 0],
            "arousal": RATINGS[:, 1],
            "split": np.resize(["train", "train", "test"], len(TEXTS)),
        }
    )
    return PostDataset.create(folder, {"posts": posts})


def test_a_reader_is_fitted_and_scored_on_a_dataset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evoked.affect.text_fitting.MIN_STEPS", 12)
    dataset = _dataset(tmp_path / "posts")
    fit_reader(dataset, tmp_path / "reader", recipes=ONE_MEMBER, seed=1)
    scores = evaluate_reader(dataset, split="test", reader=tmp_path / "reader")
    assert list(scores) == ["text"]
    assert list(scores["text"]) == ["valence", "arousal"]
    assert scores["text"]["valence"]["n"] == len(TEXTS) // 3
    assert scores["text"]["valence"]["pearson"] > 0.5


def test_a_part_without_ratings_is_refused(tmp_path: Path) -> None:
    dataset = _dataset(tmp_path / "posts")
    with pytest.raises(DataError, match="at least 10"):
        fit_reader(dataset, tmp_path / "reader", split="validation")
    with pytest.raises(DataError, match="none of the 0 posts in the part 'validation'"):
        evaluate_reader(dataset, split="validation")


def test_posts_without_ratings_are_nothing_to_score_against(tmp_path: Path) -> None:
    posts = pd.DataFrame({"post_id": ["1", "2"], "caption": TEXTS[:2]})
    dataset = PostDataset.create(tmp_path / "posts", {"posts": posts})
    with pytest.raises(DataError, match=r"none of the 2 posts has a rating.*valence, arousal"):
        evaluate_reader(dataset)


def test_rated_posts_that_cannot_be_read_are_nothing_to_score(tmp_path: Path) -> None:
    posts = pd.DataFrame({"post_id": ["1"], "caption": ["今日は"], "valence": [1.0]})
    dataset = PostDataset.create(tmp_path / "posts", {"posts": posts})
    with pytest.raises(DataError, match="can read none of the 1 rated posts"):
        evaluate_reader(dataset)


def test_the_shipped_reader_knows_good_from_bad_and_calm_from_excited() -> None:
    readings = text_reader().predict(
        [
            "I am so happy, this is the best day of my life!!!",
            "My dog died and I can't stop crying.",
            "The office is open from nine to five.",
            "OMG they are shooting at us, run!",
            "so in love 😍😍 #blessed #happyPlace",
            "this makes me sick 🤮 #disgusting",
        ]
    )
    valence, arousal, _ = readings.T
    assert valence[0] > 1 > valence[2] > valence[1]
    assert valence[4] > 0.5 > valence[5]
    assert min(arousal[0], arousal[3]) > arousal[2]


def test_what_cannot_be_read_is_unknown() -> None:
    unreadable = [
        "",
        None,
        "   ",
        "https://example.org",
        "今日はとてもいい天気です",
        "Привет, мир",
        "مرحبا",
    ]
    assert np.isnan(text_reader().predict(unreadable)).all()
    assert text_reader().predict([]).shape == (0, 3)


def test_readings_lie_on_the_scales_whatever_the_text() -> None:
    texts = ["😍" * 100_000, "kill " * 5_000, "!" * 50, "a\x00b", "\u202eLove\u202c", "12345"]
    readings = text_reader().predict(texts)
    for values, (lowest, highest) in zip(readings.T, SCALES.values(), strict=True):
        assert ((values >= lowest) & (values <= highest)).all()


def test_a_reading_does_not_depend_on_the_batch() -> None:
    texts = ["short", "a somewhat longer text about a walk in the rain " * 5, "what a joy!"]
    together = text_reader().predict(texts)
    alone = np.concatenate([text_reader().predict([text]) for text in texts])
    np.testing.assert_allclose(together, alone, atol=0.02)


def test_what_is_shipped_says_where_it_comes_from() -> None:
    readme = (SHIPPED / "README.md").read_text()
    assert "CC BY-SA 4.0" in readme
    assert "EmoBank" in readme
    assert (SHIPPED / "LICENSE.txt").is_file()
    size = sum(file.stat().st_size for file in SHIPPED.rglob("*"))
    # Five members: three change every layer, at 2 MB each, for without them arousal falls short.
    assert size < 8 * 2**20


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dimension", "least"),
    [("valence", 0.74), ("arousal", 0.54), ("dominance", 0.44)],
)
def test_the_shipped_reader_reaches_its_target_on_emobank(
    emobank_scores: dict[str, dict[str, float]], dimension: str, least: float
) -> None:
    assert emobank_scores[dimension]["pearson"] >= least


@pytest.fixture(scope="module")
def emobank_scores(shared_data: Path) -> dict[str, dict[str, float]]:
    table = pd.read_csv(shared_data / "emobank" / "emobank.csv")
    test = table[table["split"] == "test"]
    ratings = [
        convert_scale(test[column], (1, 5), SCALES[name])
        for column, name in zip("VAD", SCALES, strict=True)
    ]
    return evaluate(text_reader().predict(test["text"].tolist()), np.column_stack(ratings))
