"""Experiments: every published row loads, says what was published, and learns from two batches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from evoked.errors import DataError, SettingsError
from evoked.experiments import Experiment, PublishedTable, load_table, published_tables
from evoked.models import model_class
from evoked.models.gradient_boosting import GradientBoosting
from evoked.testing.examples import random_examples
from evoked.testing.networks import small_network_examples
from evoked.training import TrainingSettings

TABLES = [load_table(name) for name in published_tables()]
ROWS = [(table, experiment) for table in TABLES for experiment in table.experiments]
TWO_BATCHES = TrainingSettings(max_epochs=1, batch_size=8, device="cpu")


def test_tables_of_abmf_are_there() -> None:
    assert {"abmf/table6", "abmf/table7"} <= set(published_tables())


@pytest.mark.parametrize(
    ("table", "experiment"), ROWS, ids=[f"{table.name}-{row.name}" for table, row in ROWS]
)
def test_row_learns_from_two_batches(
    table: PublishedTable, experiment: Experiment, tmp_path: Path
) -> None:
    model = experiment.build()
    if isinstance(model, GradientBoosting):
        pytest.importorskip("catboost")
    # CatBoost takes CLIP's own projections for the cosine of image and text.
    built_in = experiment.settings.get("finetune") or experiment.model == "pixelrec_catboost"
    if "encoders" in experiment.needs and built_in:
        pytest.skip("its encoders are part of the model, and are downloaded")
    if model.rows == "viewings":
        examples, others, _ = small_network_examples(n_viewings=60)
    else:
        task = model.task.name
        examples, others = random_examples(16, task=task), random_examples(8, seed=1, task=task)
    model.fit(examples, others, folder=tmp_path, training=TWO_BATCHES)
    predicted = model.predict(examples)
    assert list(predicted) == list(model.task.columns)
    assert predicted.notna().all(axis=None)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_table_has_its_reference_and_says_whence_figures_come(table: PublishedTable) -> None:
    rows = {experiment.name: experiment for experiment in table.experiments}
    assert table.reference in rows
    full = table.as_published().reference
    for experiment in rows.values():
        assert bool(experiment.published) == bool(experiment.source)
    # The full model leads in every published column.
    best = rows[full].published
    for experiment in rows.values():
        for score, value in experiment.published.items():
            # Precision and recall (of all classes: accuracy) can be had at the other's cost.
            if score.endswith("precision") or score == "emotion accuracy" or score not in best:
                continue
            assert (value >= best[score]) if score.endswith("MAE") else (value <= best[score])


def test_both_tables_of_abmf_publish_the_same_full_model() -> None:
    tables = [table for table in TABLES if table.name.startswith("abmf/")]
    full = [table.select(["abmf_as_published"]).experiments[0] for table in tables]
    assert full[1].published.items() <= full[0].published.items()
    assert full[0].in_published_form().training == full[1].in_published_form().training
    ours = [table.select(["abmf"]).experiments[0] for table in tables]
    assert not ours[0].published
    assert ours[0].build().settings == ours[1].build().settings
    assert full[0].training == full[1].training
    assert full[0].features == full[1].features


def test_some_published_figures() -> None:
    rows = {experiment.name: experiment.published for _, experiment in ROWS}
    assert rows["mmbt"]["valence MAE"] == 0.652
    assert rows["text_bert"]["overall NDCG@10"] == 0.561
    assert rows["without_multi_task"]["overall AUC"] == 0.777


def test_rows_of_eijl_say_which_protocol_they_show() -> None:
    table = load_table("eijl/table2")
    for experiment in table.experiments:
        reads_likes = "likability.known" in experiment.build().features
        assert reads_likes == ("likes known" in experiment.label)
        assert reads_likes == bool(experiment.build().caution)
    published = [each.published["shares MAE"] for each in table.experiments[:8]]
    assert published == [234, 233, 223, 226, 222, 219, 199, 187]


@pytest.mark.parametrize(
    ("table", "row", "differing"),
    [
        ("hmg_emo/table2", "published", {"own_comment"}),
        ("hmg_emo/table2", "published_without_combination", {"own_comment", "adaptive"}),
        ("hmg_emo/table2", "published_comment_hidden", set()),
        (
            "hmg_emo/table2",
            "published_without_comments_and_combination",
            {"own_comment", "comments", "adaptive"},
        ),
        ("hmg_emo/table2", "comments_only", set()),
        ("hmg_emo/table3", "generated_comments", set()),
        ("hmg_emo/table4", "gat", {"own_comment", "comments"}),
        (
            "hmg_emo/table5",
            "with_negatives",
            {"own_comment", "comments", "adaptive", "negative_sampling"},
        ),
        ("pixelrec/table1", "bert_vit", set()),
        ("pixelrec/figures", "siglip_deberta", set()),
        ("pixelrec/figures", "clip_deberta", set()),
    ],
)
def test_rows_as_published_have_the_settings_that_the_model_calls_published(
    table: str, row: str, differing: set[str]
) -> None:
    experiment = next(each for each in load_table(table).experiments if each.name == row)
    model = model_class(experiment.model)
    kind: Any = model.Settings
    changes = {name: experiment.settings[name] for name in differing}
    assert kind(**experiment.settings) == kind.published(**changes)
    assert model.published_training in (None, experiment.training)


def test_the_training_that_a_model_calls_published_is_that_of_its_rows_as_published() -> None:
    rows = [row for table, row in ROWS if row.published]
    told = [row for row in rows if model_class(row.model).published_training is not None]
    assert {row.model for row in told} == {"hmg_emo", "comments_only"}
    for row in told:
        # Whatever the row is otherwise trained with.
        trained = row.with_group("training", {"learning_rate": 0.5, "clip": 3}).in_published_form()
        assert trained.training == model_class(row.model).published_training


def test_rows_of_hmg_emo_show_the_own_viewing_where_they_carry_published_figures() -> None:
    rows = [row for table, row in ROWS if table.name.startswith("hmg_emo/")]
    for row in rows:
        if row.model == "hmg_emo":
            assert row.settings.get("own_comment", False) == bool(row.published)


def test_rows_that_hmg_emo_is_held_against_weigh_and_keep_as_it_does() -> None:
    table = load_table("hmg_emo/table2")
    fair = ("hmg_emo", "comments_only_balanced", "viewing_boosting", "without_combination")
    settings: list[Any] = [row.build().settings for row in table.experiments if row.name in fair]
    assert len(settings) == len(fair)
    assert {(each.class_balance, each.keep) for each in settings} == {(0.3, "macro_f1")}
    networks = [row.training for row in table.experiments if row.name in fair[:2]]
    assert networks[0] == networks[1]


@pytest.mark.parametrize("name", ["dual_attention/table1", "dual_attention/table2"])
def test_figures_of_dual_attention_stand_beside_the_papers_networks(name: str) -> None:
    parts = {"fusion", "environment", "explicit_attention", "implicit_attention"}
    for row in load_table(name).experiments:
        if row.model == "gradient_boosting":
            continue
        kind: Any = model_class(row.model).Settings
        own = {key: value for key, value in row.settings.items() if key in parts}
        assert (kind(**row.settings) == kind.published(**own)) == bool(row.published), row.name


def test_rows_are_selected_in_the_tables_order() -> None:
    chosen = TABLES[0].select(["abmf", "mmbt"])
    assert [experiment.name for experiment in chosen.experiments] == ["mmbt", "abmf"]
    with pytest.raises(SettingsError, match=r"no row resnet.*its rows are visual_cnn"):
        TABLES[0].select(["resnet"])


def test_a_setting_of_one_row_is_replaced() -> None:
    changed = TABLES[0].with_setting("gradient_boosting", "trees", 7)
    assert {e.name: e.settings for e in changed.experiments if e.settings} == {
        "abmf_as_published": {"matching_weight": 0.0},
        "gradient_boosting": {"trees": 7},
    }
    assert changed.select(["gradient_boosting"]).experiments[0].build().settings.trees == 7
    with pytest.raises(SettingsError, match="has no row resnet"):
        TABLES[0].with_setting("resnet", "trees", 7)


def test_training_is_changed_in_every_row() -> None:
    changed = TABLES[0].with_training(max_epochs=3)
    assert {experiment.training.max_epochs for experiment in changed.experiments} == {3}
    patience = {experiment.training.patience for experiment in TABLES[0].experiments}
    assert {experiment.training.patience for experiment in changed.experiments} == patience


def test_unknown_table_is_told_which_there_are() -> None:
    with pytest.raises(SettingsError, match=r"abmf/table6, abmf/table7"):
        load_table("abmf/table5")
    with pytest.raises(SettingsError, match="no table is called"):
        load_table("../abmf/table6")


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / "paper" / "table1" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


HEAD = "title: T\nsource: S\nreference: mean\nrows: [mean]\n"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("name: mean\nlabel: Mean\nmodel: mean\nspeed: 3\n", "speed"),
        ("name: Mean of all\nlabel: Mean\nmodel: mean\n", "name"),
        ("name: mean\nlabel: Mean\nmodel: mean\ntraining: {max_epochs: 0}\n", "max_epochs"),
        ("- a list\n", "mapping"),
        ("name: [\n", "not a YAML file"),
        ("name: other\nlabel: Mean\nmodel: mean\n", "orders the rows"),
        ("!!python/object/apply:os.system ['true']\n", "not a YAML file"),
    ],
)
def test_mistakes_name_file_and_field(row: str, message: str, tmp_path: Path) -> None:
    write(tmp_path, "defaults.yaml", HEAD)
    write(tmp_path, "author2025_mean_data.yaml", row)
    with pytest.raises(DataError, match=message) as error:
        load_table("paper/table1", tmp_path)
    assert ".yaml" in str(error.value)


def test_rows_own_settings_stand_over_shared_ones(tmp_path: Path) -> None:
    shared = "experiment:\n  model: mean\n  training: {max_epochs: 5, patience: 2}\n"
    write(tmp_path, "defaults.yaml", HEAD + shared)
    write(
        tmp_path,
        "author2025_mean_data.yaml",
        "name: mean\nlabel: Mean\ntraining: {max_epochs: 7}\n",
    )
    (experiment,) = load_table("paper/table1", tmp_path).experiments
    assert (experiment.training.max_epochs, experiment.training.patience) == (7, 2)


def test_unknown_model_or_setting_is_refused() -> None:
    with pytest.raises(SettingsError, match="no model is called"):
        Experiment(name="a", label="A", model="nonsense").build()
    with pytest.raises(SettingsError, match="depth"):
        Experiment(name="a", label="A", model="abmf", settings={"depth": 3}).build()


def test_rows_of_pixelrec_say_what_was_published_and_what_leaks() -> None:
    collapsed = {row.name: row for row in load_table("pixelrec/table1").experiments}
    # Frozen encoders are ours: rows on them carry no figures.
    assert [name for name, row in collapsed.items() if row.published] == ["bert_vit"]
    assert collapsed["bert_vit"].published["level accuracy"] == 0.3594
    figures = {row.name: row for row in load_table("pixelrec/figures").experiments}
    assert not figures["regressor"].published
    assert figures["siglip_deberta"].published == {"log_popularity R2": 0.2033}
    assert figures["clip_deberta"].published == {"log_popularity R2": 0.1284}
    assert figures["siglip_deberta"].training.precision == "fp16"
    for row in load_table("pixelrec/table2").experiments:
        leaks = row.settings.get("as_published", False)
        assert ("LEAKS" in row.label) == leaks == bool(row.build().caution)
        assert bool(row.published) == leaks
        if leaks:
            # Ours are of five folds: so are the figures beside them.
            assert (row.published["level accuracy"], row.published["level macro F1"]) == (
                0.4382,
                0.253,
            )
            assert all(
                figure in row.remarks[0]
                for figure in ("± 0.0029", "± 0.0022", "0.4318", "0.2471", "0.4528")
            )


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_table_as_published_has_the_papers_rows_alone_in_published_settings(
    table: PublishedTable,
) -> None:
    form = table.as_published()
    own = {each.name: each for each in table.experiments}
    assert [row.name for row in form.experiments] == [
        name for name, row in own.items() if row.published
    ]
    assert form.reference in {row.name for row in form.experiments}
    for row in form.experiments:
        kind: Any = model_class(row.model).Settings
        if hasattr(kind, "published"):
            before = own[row.name]
            changes = {**before.settings, **before.as_published.settings}
            assert row.build().settings == kind.published(**changes)
        else:
            assert any("no published settings" in sentence for sentence in row.differs)


def test_abmf_as_published_is_the_papers() -> None:
    row = load_table("abmf/table6").as_published().select(["abmf_as_published"]).experiments[0]
    settings, training = row.build().settings.model_dump(), row.training
    assert (settings["width"], settings["finetune"], settings["matching_weight"]) == (1024, True, 0)
    assert (settings["normalise"], settings["modality_dropout"]) == (False, 0)
    assert (training.learning_rate, training.batch_size, training.max_epochs) == (3e-5, 32, 85)
    assert (training.clip, training.schedule, training.warmup) == (0, "constant", 0)
    assert "resnext101_32x8d" in row.features.image_encoder
    assert any("names no loss" in sentence for sentence in row.differs)
    augmentation = load_table("abmf/table7").as_published()
    fresh = {each.name: each.build().settings.augment for each in augmentation.experiments}
    assert [name for name, augmented in fresh.items() if not augmented] == ["without_augmentation"]
    views = {each.name: each.features.views for each in augmentation.experiments}
    assert views.pop("without_augmentation") == 1
    assert set(views.values()) == {4}


def test_a_row_as_published_says_what_was_put_in_place_of_the_papers() -> None:
    form = load_table("abmf/table6").as_published().select(["mmbt"])
    before = form.experiments[0].differs
    changed = form.with_features(image_encoder="lite1", views=4).with_training(max_epochs=2)
    (row,) = changed.with_setting("mmbt", "width", 16).experiments
    assert row.differs[len(before) :] == (
        "image_encoder is lite1, not timm:resnext101_32x8d?image_size=299",
        "max_epochs is 2, not 85",
        "width is 16",
    )
    assert not load_table("abmf/table6").with_training(max_epochs=2).experiments[0].differs


def test_what_a_row_runs_names_model_encoders_and_budget() -> None:
    row = load_table("abmf/table6").select(["abmf_as_published"]).experiments[0]
    assert row.runs == (
        "abmf: ABMFSettings(matching_weight=0.0); encoders lite0, builtin (frozen), 2 views; "
        "at most 6 epochs at 0.002"
    )
    assert "(fine-tuned), 4 views" in row.in_published_form().runs
