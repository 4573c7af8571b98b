"""Extraction: every content once, bad pictures set aside, killed runs resumed."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from evoked.errors import DataError, SettingsError
from evoked.features.cache import FeatureCache
from evoked.features.captions import prepare
from evoked.features.catalog import FeatureSettings
from evoked.features.encoders import image_encoder, object_encoder, text_encoder
from evoked.features.extract import extract, extract_posts, fingerprints
from evoked.features.packing import packed_type
from evoked.features.table import FeatureTable
from evoked.posts.dataset import PostDataset
from evoked.posts.images import augmented_view, load_image

SETTINGS = FeatureSettings()
IMAGE_NAMES = ["image.map", "image.vector", "image.objects", "affect.face", "image.pixels"]
TEXT_NAMES = ["caption.tokens", "caption.vector", "caption.ids"]


def picture(seed: int, size: int = 64, kind: str = "PNG") -> bytes:
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (8, 8, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(coarse).resize((size, size)).save(stream, kind)
    return stream.getvalue()


def posts_of(captions: Sequence[str | None]) -> pd.DataFrame:
    ids = [f"p{number}" for number in range(len(captions))]
    return pd.DataFrame({"post_id": ids, "caption": pd.Series(captions, dtype=object)})


def whole(table: FeatureTable) -> dict[str, np.ndarray]:
    return {name: value.numpy() for name, value in table.take(np.arange(len(table))).items()}


def assert_same(table: FeatureTable, other: FeatureTable) -> None:
    for name, values in whole(other).items():
        np.testing.assert_array_equal(whole(table)[name], values, err_msg=name)


@pytest.fixture
def cache(tmp_path: Path) -> FeatureCache:
    return FeatureCache(tmp_path / "cache")


def test_pictures_are_encoded_as_the_encoder_does(cache: FeatureCache) -> None:
    sources = [picture(0), None, picture(1)]
    table, problems = extract_posts(posts_of([None] * 3), sources, IMAGE_NAMES, cache=cache)
    assert problems == []
    batch = whole(table)
    encoder, objects = image_encoder("builtin"), object_encoder("builtin")
    for row in (0, 2):
        pixels = load_image(sources[row], encoder.image_size)[None]
        expected = encoder.encode(pixels)
        step = np.abs(expected.map[0]).max() / 127  # of packed vectors, at most
        np.testing.assert_allclose(batch["image.map"][row], expected.map[0], 2e-3, step / 2)
        # Kept in half precision.
        np.testing.assert_allclose(batch["image.vector"][row], expected.vector[0], 2e-3, 1e-4)
        np.testing.assert_array_equal(batch["image.pixels"][row], pixels[0])
        tokens = objects.encode(pixels).tokens[0]
        kept = batch["image.objects"][row][batch["image.objects.mask"][row]]
        np.testing.assert_allclose(kept, tokens, rtol=2e-3, atol=1e-4)
    for name in IMAGE_NAMES:
        assert batch[f"{name}.present"].tolist() == [True, False, True]
        assert not batch[name][1].any()


def test_captions_are_encoded_as_the_encoder_does(cache: FeatureCache) -> None:
    captions = [
        "A sunny day 😀 at the sea",
        None,
        "",
        "rain again, all day long",
        float("nan"),
        "ok",
    ]
    table, _ = extract_posts(posts_of(captions), [None] * 6, TEXT_NAMES, cache=cache)  # type: ignore[arg-type]
    batch = whole(table)
    encoder = text_encoder("builtin", SETTINGS.max_tokens)
    for row in (0, 3, 5):
        text = prepare([captions[row]])  # type: ignore[list-item]
        expected = encoder.encode(text)
        mask = batch["caption.tokens.mask"][row]
        np.testing.assert_allclose(
            batch["caption.tokens"][row][mask], expected.tokens[0], rtol=2e-2, atol=2e-2
        )
        np.testing.assert_allclose(batch["caption.vector"][row], expected.vector[0], 2e-2, 2e-3)
        ids, ids_mask = encoder.token_ids(text)
        np.testing.assert_array_equal(
            batch["caption.ids"][row][batch["caption.ids.mask"][row]], ids[ids_mask].numpy()
        )
    for name in TEXT_NAMES:
        assert batch[f"{name}.present"].tolist() == [True, False, False, True, False, True]


def test_equal_contents_are_computed_once(cache: FeatureCache, tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(picture(0))
    seen: list[tuple[str, int, int]] = []
    table, _ = extract_posts(
        posts_of(["same words"] * 4),
        [file, picture(0), picture(1), None],
        ["image.vector", "caption.vector"],
        cache=cache,
        progress=lambda *call: seen.append(call),
    )
    assert seen[0] == ("pictures", 0, 2)
    assert seen[-1] == ("captions", 1, 1)
    batch = whole(table)
    np.testing.assert_array_equal(batch["image.vector"][0], batch["image.vector"][1])
    assert (batch["image.vector"][0] != batch["image.vector"][2]).any()
    assert batch["caption.vector.present"].all()


def test_a_second_run_computes_nothing(
    cache: FeatureCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = (posts_of(["one", "two"]), [picture(0), picture(1)], [*IMAGE_NAMES, *TEXT_NAMES])
    first, _ = extract_posts(*arguments, cache=cache)

    def refuse(*_: object) -> None:
        raise AssertionError("computed again")

    monkeypatch.setattr("evoked.features.extract.load_image", refuse)
    second, _ = extract_posts(*arguments, cache=FeatureCache(cache.folder))
    assert_same(second, first)


def test_the_table_maps_the_cache(cache: FeatureCache) -> None:
    table, _ = extract_posts(posts_of(["a"]), [picture(0)], ["image.map"], cache=cache)
    assert isinstance(table.columns["image.map"].data, np.memmap)  # type: ignore[attr-defined]


def test_changed_picture_under_the_same_name(cache: FeatureCache, tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    results = []
    for seed in (0, 1):
        file.write_bytes(picture(seed))
        table, _ = extract_posts(posts_of(["a"]), [file], ["image.vector"], cache=cache)
        results.append(whole(table)["image.vector"])
    assert (results[0] != results[1]).any()


def test_bad_pictures_sink_nothing(cache: FeatureCache, tmp_path: Path) -> None:
    text = tmp_path / "words.jpg"
    text.write_text("not a picture")
    jpeg = picture(0, 256, "JPEG")
    sources = [
        picture(1),
        text,
        tmp_path / "missing.jpg",
        jpeg[: len(jpeg) // 2],
        b"",
        jpeg,
        text,
    ]
    for _ in range(2):  # the second time from the cache
        table, problems = extract_posts(posts_of([None] * 7), sources, IMAGE_NAMES, cache=cache)
        assert [problem.post_id for problem in problems] == ["p1", "p2", "p3", "p4", "p6"]
        assert "words.jpg" in problems[0].message
        present = table.columns["image.map"].present
        assert present.tolist() == [True, False, False, False, False, True, False]


def test_views(cache: FeatureCache) -> None:
    settings = FeatureSettings(views=3)
    table, _ = extract_posts(
        posts_of(["a", "b"]), [picture(0), None], ["image.vector", "image.pixels"], settings,
        cache=cache,
    )  # fmt: skip
    original = load_image(picture(0), 224)
    for view in range(3):
        batch = table.take([0, 1], view=[view, view])
        np.testing.assert_array_equal(batch["image.pixels"][0], augmented_view(original, view))
        assert batch["image.vector.present"].tolist() == [True, False]
    # The first view is what one view alone gives, from the same cache.
    single, _ = extract_posts(posts_of(["a"]), [picture(0)], ["image.vector"], cache=cache)
    np.testing.assert_array_equal(whole(single)["image.vector"][0], whole(table)["image.vector"][0])


def test_no_posts(cache: FeatureCache) -> None:
    table, problems = extract_posts(posts_of([]), [], [*IMAGE_NAMES, *TEXT_NAMES], cache=cache)
    assert len(table) == 0
    assert problems == []


def test_posts_without_anything(cache: FeatureCache) -> None:
    table, _ = extract_posts(
        posts_of([None] * 2), [None] * 2, [*IMAGE_NAMES, *TEXT_NAMES], cache=cache
    )
    batch = table.take([0, 1])
    for name in [*IMAGE_NAMES, *TEXT_NAMES]:
        assert not batch[f"{name}.present"].any()


@pytest.mark.parametrize(
    "caption",
    ["😀" * 100_000, "שלום עולם", "a\0b\0c", "\ud800 lone surrogate", "日本語の説明"],
    ids=["emoji", "right-to-left", "null", "surrogate", "japanese"],
)
def test_odd_captions(cache: FeatureCache, caption: str) -> None:
    table, _ = extract_posts(posts_of([caption, "fine"]), [None, None], TEXT_NAMES, cache=cache)
    batch = whole(table)
    assert np.isfinite(batch["caption.tokens"]).all()
    assert batch["caption.vector.present"][1]


def test_regions_of_networks_are_packed_and_vectors_kept_in_half_precision(
    cache: FeatureCache,
) -> None:
    pytest.importorskip("timm")
    settings = FeatureSettings(image_encoder="timm:resnet18?pretrained=false&image_size=64")
    table, _ = extract_posts(
        posts_of([None] * 2), [picture(0), picture(1)], ["image.map", "image.vector"], settings,
        cache=cache,
    )  # fmt: skip
    kinds = {name: column.data.dtype for name, column in table.columns.items()}  # type: ignore[attr-defined]
    assert kinds == {"image.map": packed_type(512), "image.vector": np.float16}
    assert table.widths == {"image.map": 512, "image.vector": 512}
    assert np.isfinite(whole(table)["image.map"]).all()


def test_regions_and_words_keep_their_direction(cache: FeatureCache) -> None:
    """And what was just computed is what the cache gives later."""
    captions, names = ["A sunny day at the sea #waves", "Why?"], ["image.map", "caption.tokens"]
    pictures = [picture(0), picture(1)]
    table, _ = extract_posts(posts_of(captions), pictures, names, cache=cache)
    again, _ = extract_posts(posts_of(captions), pictures, names, cache=cache)
    assert_same(again, table)
    batch, encoder = whole(table), image_encoder(SETTINGS.image_encoder)
    maps = encoder.encode(np.stack([load_image(each, encoder.image_size) for each in pictures])).map
    texts = text_encoder(SETTINGS.text_encoder, SETTINGS.max_tokens)
    tokens = np.concatenate(texts.encode(prepare(captions)).tokens)
    words = batch["caption.tokens"][batch["caption.tokens.mask"]]
    for found, exact in ((batch["image.map"], maps), (words, tokens)):
        lengths = np.linalg.norm(found, axis=-1) * np.linalg.norm(exact, axis=-1)
        assert ((found * exact).sum(axis=-1) >= 0.9999 * lengths).all()


def test_rows_that_are_not_finite_are_absent(
    cache: FeatureCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    from evoked.features.encoders.lite_image import LiteImageEncoder

    encode = LiteImageEncoder.encode

    def broken(self: LiteImageEncoder, images: np.ndarray) -> object:
        features = encode(self, images)
        features.vector[0, 0] = np.nan
        return features

    monkeypatch.setattr(LiteImageEncoder, "encode", broken)
    table, _ = extract_posts(
        posts_of([None] * 2), [picture(0), picture(1)], ["image.vector"], cache=cache
    )
    assert table.columns["image.vector"].present.tolist() == [False, True]


def test_one_picture_per_post(cache: FeatureCache) -> None:
    with pytest.raises(DataError, match="1 pictures for 2 posts"):
        extract_posts(posts_of(["a", "b"]), [None], ["image.vector"], cache=cache)


def test_emotion_read_in_captions(cache: FeatureCache) -> None:
    from evoked.features.affect import text_reader

    captions = ["What a wonderful day", None, "她今天很高兴", "I am afraid of this"]
    table, _ = extract_posts(posts_of(captions), [None] * 4, ["affect.text"], cache=cache)
    batch = whole(table)
    # Nothing to read, and a language that the reader doesn't know.
    assert batch["affect.text.present"].tolist() == [True, False, False, True]
    expected = text_reader().predict([captions[0], captions[3]])
    np.testing.assert_allclose(batch["affect.text"][[0, 3]], expected, rtol=1e-2, atol=1e-2)


def test_fitted_and_unknown_features_are_refused(cache: FeatureCache) -> None:
    with pytest.raises(SettingsError, match="FeaturePipeline"):
        extract_posts(posts_of(["a"]), [None], ["metadata"], cache=cache)
    with pytest.raises(SettingsError, match="no feature"):
        extract_posts(posts_of(["a"]), [None], ["image.smell"], cache=cache)


def test_fingerprints_name_every_feature() -> None:
    names = [*IMAGE_NAMES, *TEXT_NAMES]
    found = fingerprints(names, SETTINGS)
    assert sorted(found) == sorted(names)
    shorter = fingerprints(names, FeatureSettings(max_tokens=64))
    assert {name for name in names if found[name] != shorter[name]} == set(TEXT_NAMES)


def test_captions_are_prepared_by_the_chosen_steps(cache: FeatureCache) -> None:
    settings = FeatureSettings(text_steps=("lower", "urls"))
    assert settings == FeatureSettings(text_steps=("urls", "lower"))  # the order is ours
    posts = posts_of(["#goodVibes at https://t.co/x", "A sunny day"])
    names = ["caption.tokens", "affect.text"]
    usual, _ = extract_posts(posts, [None, None], names, SETTINGS, cache=cache)
    table, _ = extract_posts(posts, [None, None], names, settings, cache=cache)
    encoder = text_encoder(settings.text_encoder, settings.max_tokens)
    expected = encoder.encode(["#goodvibes at"]).tokens[0].astype(np.float16)
    batch = whole(table.select([0]))
    # Off by a 254th of the largest value beside it, which is about three.
    np.testing.assert_allclose(batch["caption.tokens"][0], expected, rtol=1e-2, atol=2e-2)
    assert whole(usual.select([0]))["caption.tokens"].shape != batch["caption.tokens"].shape
    # The emotion reader reads texts as those that it was fitted on.
    np.testing.assert_array_equal(whole(table)["affect.text"], whole(usual)["affect.text"])

    changed, before = (fingerprints([*TEXT_NAMES, "affect.text"], s) for s in (settings, SETTINGS))
    assert {name for name, found in changed.items() if found != before[name]} == set(TEXT_NAMES)


def test_disk_full_while_caching(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(DataError, match="EVOKED_CACHE"):
        extract_posts(
            posts_of(["a"]), [picture(0)], ["image.vector"], cache=FeatureCache(tmp_path / "cache")
        )


KILLED = """
import sys
from pathlib import Path
from evoked.features import extract as module
from evoked.features.cache import FeatureCache
from evoked.posts.dataset import PostDataset
module._IMAGES_PER_BATCH = module._TEXTS_PER_BATCH = 4
module.extract(
    PostDataset(Path({posts!r})), {names!r}, cache=FeatureCache(Path({cache!r})),
    progress=lambda *call: print(*call, flush=True),
)
"""


@pytest.fixture
def dataset(tmp_path: Path) -> PostDataset:
    images = tmp_path / "pictures"
    images.mkdir()
    for number in range(12):
        (images / f"{number}.png").write_bytes(picture(number))
    posts = posts_of([f"caption number {number}" for number in range(12)])
    posts["images"] = [[f"{number}.png", "other.png"] for number in range(12)]
    return PostDataset.create(tmp_path / "posts", {"posts": posts}, images=images)


@pytest.mark.parametrize(
    ("stage", "names"),
    [
        ("pictures", ["image.map", "image.vector"]),
        pytest.param("captions", ["caption.tokens", "caption.vector"], marks=pytest.mark.slow),
    ],
)
def test_kill_9_during_extraction(
    dataset: PostDataset, tmp_path: Path, stage: str, names: list[str]
) -> None:
    folder = tmp_path / "killed"
    code = KILLED.format(posts=str(dataset.folder), names=names, cache=str(folder))
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        for line in run.stdout:
            name, done, total = line.split()
            if name == stage and 0 < int(done) < int(total):
                time.sleep(0.01)  # into the next batch
                run.send_signal(signal.SIGKILL)
                break
    assert run.wait() == -signal.SIGKILL

    steps: list[tuple[str, int, int]] = []
    resumed, _ = extract(
        dataset, names, cache=FeatureCache(folder), progress=lambda *call: steps.append(call)
    )
    begun_at = next(done for name, done, _ in steps if name == stage)
    assert begun_at > 0
    clean, _ = extract(dataset, names, cache=FeatureCache(tmp_path / "clean"))
    for name, values in whole(clean).items():
        np.testing.assert_allclose(
            whole(resumed)[name].astype(float), values.astype(float), 2e-2, 2e-3, err_msg=name
        )


def test_covers_only(dataset: PostDataset, cache: FeatureCache) -> None:
    """'other.png', the second picture of each carousel, does not exist and is not asked for."""
    _, problems = extract(dataset, ["image.vector"], cache=cache)
    assert problems == []


def test_real_posts(shared_data: Path, cache: FeatureCache) -> None:
    files = sorted((shared_data / "instaloader_sample").rglob("*.jpg"))[:6]
    if not files:
        pytest.skip("no pictures in instaloader_sample")
    table, problems = extract_posts(
        posts_of(["words"] * len(files)), files, ["image.map", "affect.face"], cache=cache
    )
    assert problems == []
    assert table.columns["image.map"].present.all()
