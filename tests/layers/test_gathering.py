"""Two processes, each with a share of a batch, learn what one learns from the whole batch."""

from __future__ import annotations

import multiprocessing
from datetime import timedelta
from pathlib import Path

import torch
from torch import Tensor, distributed, nn

from evoked.layers.attention import WordRegionMatching
from evoked.layers.gathering import gathered, share
from evoked.layers.losses import concordance_loss

WIDTH = 8
# Posts of the two processes, and the words of their longest texts.
POSTS, WORDS = (3, 2), (4, 6)


def batch() -> dict[str, Tensor]:
    """Five posts: words, regions, which of them exist, targets and their weights."""
    random = torch.Generator().manual_seed(0)
    words = torch.ones(5, 6, dtype=torch.bool)
    words[:3, 4:] = False  # the first process's texts are shorter
    return {
        "words": torch.randn(5, 6, WIDTH, generator=random) * words[..., None],
        "regions": torch.randn(5, 5, WIDTH, generator=random),
        "word mask": words,
        "region mask": torch.ones(5, 5, dtype=torch.bool),
        "targets": torch.randn(5, generator=random),
        "weights": torch.tensor([1.0, 0.5, 0.0, 1.0, 0.5]),
    }


def gradients(posts: dict[str, Tensor]) -> list[Tensor]:
    """Of a loss that compares the posts of a batch, in two ways."""
    torch.manual_seed(1)
    matching, project, head = (
        WordRegionMatching(WIDTH),
        nn.Linear(WIDTH, WIDTH),
        nn.Linear(WIDTH, 1),
    )
    words = project(posts["words"]) * posts["word mask"][..., None]
    predicted = head(words.mean(dim=1) * words.shape[1])[:, 0]
    loss = matching(words, posts["regions"], posts["word mask"], posts["region mask"])
    whole = (gathered(each) for each in (predicted, posts["targets"], posts["weights"]))
    (loss + concordance_loss(*whole)).backward()
    modules = (matching, project, head)
    return [
        each.grad for module in modules for each in module.parameters() if each.grad is not None
    ]


def of_process(number: int, meeting: Path) -> list[Tensor]:
    """The mean of both processes' gradients, as distributed training takes it."""
    distributed.init_process_group(
        "gloo", f"file://{meeting}", timedelta(minutes=5), rank=number, world_size=2
    )
    try:
        assert share() == (number, 2)
        first = sum(POSTS[:number])
        posts = {name: each[first : first + POSTS[number]] for name, each in batch().items()}
        for name in ("words", "word mask"):
            posts[name] = posts[name][:, : WORDS[number]]
        means = gradients(posts)
        for each in means:
            distributed.all_reduce(each)
        return [each / 2 for each in means]
    finally:
        distributed.destroy_process_group()


def test_shares_of_two_processes_teach_what_the_whole_batch_teaches(tmp_path: Path) -> None:
    expected = gradients(batch())
    spawning = multiprocessing.get_context("spawn")
    other = spawning.Process(target=of_process, args=(1, tmp_path / "meeting"))
    other.start()
    try:
        found = of_process(0, tmp_path / "meeting")
    finally:
        other.join()
    assert other.exitcode == 0
    assert len(found) == len(expected) == 6
    for one, two in zip(expected, found, strict=True):
        torch.testing.assert_close(two, one, atol=1e-6, rtol=1e-5)


def test_alone_nothing_is_gathered() -> None:
    rows = torch.ones(2, 3)
    assert share() == (0, 1)
    assert gathered(rows) is rows
