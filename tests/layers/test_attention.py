"""Words that find their regions."""

import math

import torch

from evoked.layers.attention import WordRegionMatching

WIDTH = 8


def masks(posts: int, words: int = 4, regions: int = 5):
    return torch.ones(posts, words, dtype=torch.bool), torch.ones(posts, regions, dtype=torch.bool)


def test_matching_is_the_cross_entropy_of_the_own_picture():
    torch.manual_seed(0)
    matching = WordRegionMatching(WIDTH)
    words, regions = torch.randn(3, 4, WIDTH), torch.randn(3, 5, WIDTH)
    word_mask, region_mask = masks(3)
    word_mask[0, 3] = region_mask[1, 4] = False
    scores = torch.empty(3, 3)
    for i in range(3):
        importance = matching.importance(words[i][word_mask[i]])[:, 0].softmax(0)
        for j in range(3):
            pairs = words[i][word_mask[i]] @ regions[j][region_mask[j]].T / math.sqrt(WIDTH)
            scores[i, j] = (importance * pairs.exp().sum(1).log()).sum()
    expected = -(scores.log_softmax(1).diag() + scores.log_softmax(0).diag()).mean() / 2
    assert torch.isclose(matching(words, regions, word_mask, region_mask), expected)


def test_posts_that_lack_a_side_say_nothing_of_a_match():
    matching = WordRegionMatching(WIDTH)
    words, regions = torch.randn(3, 4, WIDTH), torch.randn(3, 5, WIDTH)
    word_mask, region_mask = masks(3)
    region_mask[2, 1:] = False
    with_it = matching(words, regions, word_mask, region_mask)
    assert torch.isclose(with_it, matching(words[:2], regions[:2], word_mask[:2], region_mask[:2]))
    word_mask[1, 1:] = False
    assert matching(words, regions, word_mask, region_mask) == 0


def test_matching_large_batches_in_parts_stays_a_mean_over_parts():
    torch.manual_seed(0)
    matching = WordRegionMatching(WIDTH)
    words, regions = torch.randn(32, 4, WIDTH), torch.randn(32, 5, WIDTH)
    parts = [
        matching(words[half], regions[half], *masks(16)) for half in (slice(16), slice(16, 32))
    ]
    assert torch.isclose(matching(words, regions, *masks(32)), sum(parts) / 2)
