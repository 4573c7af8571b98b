"""Generated comments, by a tiny LLaVA of real architecture that the tests make."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from evoked.cli import app
from evoked.errors import DataError, SettingsError
from evoked.features.comment_generation import SYNONYMS, CommentWriter, generate_comments
from evoked.posts.dataset import PostDataset
from evoked.posts.schema import MIKELS
from tests.support.examples import tamper_with_names

WORDS = ["what", "a", "lovely", "sad", "picture", "so", "much", "joy", "and", "fear", "here"]


@pytest.fixture(scope="module")
def llava(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with random weights, saved as transformers saves any other."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import (
        CLIPImageProcessor,
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
        PreTrainedTokenizerFast,
    )

    folder = tmp_path_factory.mktemp("llava")
    names = ["<unk>", "<s>", "</s>", "<image>", "USER", "ASSISTANT", *WORDS]
    tokenizer = Tokenizer(
        models.WordLevel({name: number for number, name in enumerate(names)}, unk_token="<unk>")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    LlavaProcessor(
        image_processor=CLIPImageProcessor(
            size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28}
        ),
        tokenizer=PreTrainedTokenizerFast(
            tokenizer_object=tokenizer,
            unk_token="<unk>",
            bos_token="<s>",
            eos_token="</s>",
            additional_special_tokens=["<image>"],
        ),
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
    ).save_pretrained(folder)
    small = {"hidden_size": 16, "intermediate_size": 16, "num_attention_heads": 2}
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(
            **small, num_hidden_layers=2, image_size=28, patch_size=14, projection_dim=16
        ),
        text_config=LlamaConfig(
            **small,
            num_hidden_layers=1,
            num_key_value_heads=2,
            vocab_size=len(names),
            bos_token_id=1,
            eos_token_id=2,
        ),
        image_token_index=names.index("<image>"),
    )
    torch.manual_seed(0)
    model = LlavaForConditionalGeneration(config)
    model.generation_config.suppress_tokens = [0, 1, 2, 3]  # random weights would often say nothing
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def writer(llava: Path) -> CommentWriter:
    return CommentWriter(llava, longest=6)


@pytest.fixture
def network(tmp_path: Path) -> PostDataset:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    random = np.random.default_rng(0)
    for name in ("a.png", "b.png"):
        Image.fromarray(random.integers(0, 255, (40, 50, 3), dtype=np.uint8)).save(pictures / name)
    (pictures / "damaged.png").write_bytes(b"no picture")
    posts = pd.DataFrame(
        {
            "post_id": ["a", "b", "damaged", "none"],
            "images": [["a.png"], ["b.png"], ["damaged.png"], []],
        }
    )
    viewings = pd.DataFrame(
        {
            "user_id": [f"user-{row}" for row in range(8)],
            "post_id": ["a", "a", "b", "b", "damaged", "none", "a", "lost"],
            "comment": ["how nice", None, " ", None, None, None, None, None],
            "emotion": ["awe", "awe", "fear", None, "fear", "fear", "sadness", "fear"],
        }
    )
    tables = {"posts": posts, "viewings": viewings}
    return PostDataset.create(
        tmp_path / "network", tables, images=pictures, provenance={"source": "here"}
    )


def test_missing_comments_are_written_and_marked(
    network: PostDataset, writer: CommentWriter, tmp_path: Path
) -> None:
    steps: list[tuple[str, int, int | None]] = []
    made = generate_comments(
        network, writer, tmp_path / "made", batch=2, progress=lambda *state: steps.append(state)
    )
    before, after = network.table("viewings"), made.dataset.table("viewings")
    assert made.written == 3
    assert after["generated"].tolist() == [False, True, True, False, False, False, True, False]
    assert after["comment"][0] == "how nice"
    for comment in after["comment"][[1, 2, 6]]:
        assert set(comment.split()) <= {*WORDS, "USER", "ASSISTANT"}
    pd.testing.assert_frame_equal(
        after.drop(columns=["comment", "generated"]), before.drop(columns=["comment", "generated"])
    )
    assert made.left == {
        "there is no picture": 2,
        "the emotion is unknown": 1,
        "the picture can't be read": 1,
    }
    assert steps == [("writing", 2, 4), ("writing", 4, 4)]
    description = made.dataset.description
    assert description["generated_comments"] == {"model": Path(writer.name).name, "seed": 0}
    assert description["provenance"] == {"source": "here"}
    assert [path.name for path in made.dataset.cover_paths() if path and path.is_file()] == [
        "a.png",
        "b.png",
        "damaged.png",
    ]


def test_names_of_pictures_reach_no_files_elsewhere(
    network: PostDataset, writer: CommentWriter, tmp_path: Path
) -> None:
    tamper_with_names(network.folder, ["a.png", "../../writer"])
    with pytest.raises(DataError, match=r"posts\.parquet, row 1, field images"):
        generate_comments(network, writer, tmp_path / "made")
    assert not (tmp_path / "made").exists()


def test_a_destination_has_one_writer(
    network: PostDataset, writer: CommentWriter, tmp_path: Path
) -> None:
    def write_there_too(*_: object) -> None:
        with pytest.raises(DataError, match=r"made: another run .* another destination"):
            generate_comments(network, writer, tmp_path / "made")
        refused.append("the second")

    refused: list[str] = []
    generate_comments(network, writer, tmp_path / "made", progress=write_there_too)
    assert set(refused) == {"the second"}


def test_the_same_seed_writes_the_same_and_another_call_goes_on(
    network: PostDataset, writer: CommentWriter, tmp_path: Path
) -> None:
    random = torch.get_rng_state()
    one = generate_comments(network, writer, tmp_path / "one").dataset.table("viewings")
    assert torch.equal(torch.get_rng_state(), random)
    two = generate_comments(network, writer, tmp_path / "two").dataset.table("viewings")
    pd.testing.assert_frame_equal(one, two)
    other = generate_comments(network, writer, tmp_path / "other", seed=1).dataset.table("viewings")
    assert one["comment"].tolist() != other["comment"].tolist()

    first = generate_comments(network, writer, tmp_path / "first", limit=1)
    assert (first.written, first.left["the limit was reached"]) == (1, 3)
    rest = generate_comments(first.dataset, writer, tmp_path / "rest")
    assert rest.written == 2
    assert rest.dataset.table("viewings")["generated"].sum() == 3


def test_the_model_sees_picture_and_feeling(writer: CommentWriter) -> None:
    assert writer._turns("Say something.") == "USER: <image>\nSay something. ASSISTANT:"
    pictures = [np.full((30, 30, 3), shade, dtype=np.uint8) for shade in (0, 255)]
    inputs = writer._processor(
        images=[Image.fromarray(picture) for picture in pictures],
        text=[writer._turns(text) for text in ("sad", "so much joy")],
        return_tensors="pt",
        padding=True,
    )
    assert inputs["attention_mask"][0, 0] == 0  # padded before the prompt
    states = writer._model(**inputs.to(writer._model.device, writer._model.dtype)).logits
    swapped = inputs | {"pixel_values": inputs["pixel_values"].flip(0)}
    assert not torch.equal(writer._model(**swapped).logits, states)


def test_a_template_of_the_checkpoint_is_used(writer: CommentWriter) -> None:
    template = (
        "{% for turn in messages %}{{ turn['role'] }}:{% for part in turn['content'] %}"
        "{{ '<image>' if part['type'] == 'image' else part['text'] }}{% endfor %}{% endfor %}"
    )
    writer._processor.chat_template = template
    try:
        assert writer._turns("Say something.") == "user:<image>Say something."
    finally:
        writer._processor.chat_template = None


def test_every_emotion_has_synonyms_of_its_own() -> None:
    assert tuple(sorted(SYNONYMS)) == tuple(sorted(MIKELS))
    everything = [word for words in SYNONYMS.values() for word in words]
    assert len(everything) == len(set(everything)) == 64


def test_refuses_what_it_cannot_do(
    network: PostDataset, writer: CommentWriter, llava: Path, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="lies in the dataset"):
        generate_comments(network, writer, network.folder / "inside")
    with pytest.raises(DataError, match="exists already"):
        generate_comments(network, writer, tmp_path)
    with pytest.raises(DataError, match="none of 1 viewings lacks a comment"):
        generate_comments(_commented(network, tmp_path), writer, tmp_path / "nothing")
    pickled, cut = shutil.copytree(llava, tmp_path / "pickled"), tmp_path / "cut"
    shutil.copytree(llava, cut)
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    with pytest.raises(SettingsError, match="safetensors"):
        CommentWriter(pickled)
    weights = load_file(cut / "model.safetensors")
    weights.popitem()
    save_file(weights, cut / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(SettingsError, match="lacks 1 of the network's weights"):
        CommentWriter(cut)


def _commented(network: PostDataset, folder: Path) -> PostDataset:
    return network.copy(folder / "commented", {"viewings": network.table("viewings").head(1)})


def test_command(network: PostDataset, llava: Path, tmp_path: Path) -> None:
    arguments = ["generate-comments", str(network.folder), str(tmp_path / "made")]
    result = CliRunner().invoke(app, [*arguments, "--model", str(llava), "--json"])
    assert result.exit_code == 0, result.output
    assert '"written": 3' in result.stdout
    assert PostDataset(tmp_path / "made").table("viewings")["generated"].sum() == 3
