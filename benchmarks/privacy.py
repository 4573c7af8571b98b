"""Encrypted counts: what rates and group figures on ciphertext cost, and how exact they are.

Followers are spread evenly over the orders of magnitude from 100 to a billion, the four counts are
log-normal shares of them, a tenth of them 0; eight groups. One party encrypts and decrypts, the
other computes with the evaluation keys only, as ``evoked privacy`` does it, files included.

Beside it a linear layer on encrypted features: 128 numbers of 8,192 posts, each number of all posts
in one ciphertext, to six outputs, against the same product in clear.

Run: ``OMP_NUM_THREADS=1 python benchmarks/privacy.py``; the last line is JSON.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from record import add_json_option, finish, table

from evoked.posts.dataset import PostDataset
from evoked.posts.privacy.aggregates import aggregate, compute_rates, reveal
from evoked.posts.privacy.ckks import SLOTS, Party
from evoked.posts.privacy.keys import KeyFolder, make_keys
from evoked.posts.privacy.protecting import protect
from evoked.posts.schema import ENGAGEMENT

GROUPS = 8
COLUMNS = ("followers", *ENGAGEMENT)
FEATURES, OUTPUTS = 128, 6
# Multiplications of a ResNet-50 for one picture of 224 × 224 pixels (He et al. 2016), and how many
# numbers its first layer gives, each of which would be a ciphertext of 0.5 MB.
RESNET_PRODUCTS, RESNET_FIRST_LAYER = 4.1e9, 64 * 112 * 112


def random_posts(n: int, seed: int) -> pd.DataFrame:
    """Posts whose followers span seven orders of magnitude."""
    random = np.random.default_rng(seed)
    followers = np.round(10 ** random.uniform(2, 9, n))
    counts = {
        name: np.round(followers * random.lognormal(median, 1, n) * (random.random(n) > 0.1))
        for name, median in zip(ENGAGEMENT, np.log([0.03, 0.01, 0.005, 0.003]), strict=True)
    }
    return pd.DataFrame(
        {
            "post_id": [f"post-{number}" for number in range(n)],
            "category": [f"group {number}" for number in random.integers(0, GROUPS, n)],
            "followers": followers,
            **counts,
        }
    )


class Clock:
    """Seconds by step, of wall clock and of this process."""

    def __init__(self) -> None:
        self.wall: dict[str, float] = {}
        self.processor: dict[str, float] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time a block."""
        wall, processor = time.perf_counter(), time.process_time()
        yield
        self.wall[name] = round(time.perf_counter() - wall, 3)
        self.processor[name] = round(time.process_time() - processor, 3)


def megabytes(*places: Path) -> float:
    """Size of files and folders."""
    files = [file for place in places for file in (place, *place.rglob("*")) if file.is_file()]
    return round(sum(file.stat().st_size for file in files) / 1e6, 1)


def fields(folder: Path, n: int, seed: int, clock: Clock) -> dict[str, Any]:
    """Encrypt, compute, decrypt; sizes and errors."""
    dataset = PostDataset.create(folder / "posts", {"posts": random_posts(n, seed)})
    with clock.step("keys"):
        make_keys(folder / "keys")
    keys = KeyFolder(folder / "keys")
    with clock.step("encrypt"):
        protect(dataset, folder / "protected", keys, pseudonyms=False)
    with clock.step("rates"):
        compute_rates(folder / "protected", folder / "rates.zip")
    with clock.step("group means and variances"):
        aggregate(folder / "protected", folder / "groups.zip", by="category")
    with clock.step("decrypt rates"):
        reveal(folder / "rates.zip", keys)
    with clock.step("decrypt group figures"):
        figures = reveal(folder / "groups.zip", keys)
    rates = reveal(folder / "rates.zip", keys, dataset)
    figures = reveal(folder / "groups.zip", keys, dataset)
    encrypted = folder / "protected" / "encrypted"
    return {
        "posts": n,
        "rates_computed": int(rates[[f"{name}_rate" for name in ENGAGEMENT]].notna().sum().sum()),
        "group_figures": 2 * len(figures),
        "max_relative_error": {
            "rates": float(rates.filter(like="_error").max().max()),
            "means": float(figures["mean_error"].max()),
            "variances": float(figures["variance_error"].max()),
        },
        "megabytes": {
            "secret key": megabytes(folder / "keys" / "fields.key"),
            "evaluation keys": megabytes(keys.evaluation),
            "encrypted counts": megabytes(*encrypted.glob("*.ciphertext")),
            "encrypted rates": megabytes(folder / "rates.zip"),
            "encrypted group figures": megabytes(folder / "groups.zip"),
        },
    }


def linear_layer(folder: Path, clock: Clock) -> dict[str, Any]:
    """128 encrypted features to six outputs, for 8,192 posts at once."""
    random = np.random.default_rng(0)
    features = random.uniform(-1, 1, (SLOTS, FEATURES))
    weights = random.normal(0, 1 / FEATURES, (FEATURES, OUTPUTS))
    owner, party = KeyFolder(folder / "keys").fields(), Party(folder / "keys" / "evaluation")
    with clock.step("layer: encrypt"):
        # One product needs two primes; more would make it dearer.
        columns = [party.drop_primes(owner.encrypt(column), 2) for column in features.T]
    with clock.step("layer: products and sums"):
        outputs = []
        for row in weights.T:
            total = None
            for column, weight in zip(columns, row, strict=True):
                total = party.add(total, party.weigh(column, np.full(SLOTS, weight)))
            outputs.append(total)
    with clock.step("layer: decrypt"):
        decrypted = np.stack([owner.decrypt(output) for output in outputs], axis=1)
    started = time.process_time()
    for _ in range(20):
        true = features @ weights
    plain = (time.process_time() - started) / 20
    steps = [name for name in clock.processor if name.startswith("layer")]
    seconds = sum(clock.processor[name] for name in steps)
    products = clock.processor["layer: products and sums"]
    return {
        "posts": SLOTS,
        "milliseconds_per_post": round(1e3 * seconds / SLOTS, 3),
        "milliseconds_per_post_in_clear": round(1e3 * plain / SLOTS, 6),
        "times_slower": round(seconds / plain),
        "max_error": float(np.abs(decrypted - true).max()),
        "hours_of_products_of_resnet50": round(
            products / (FEATURES * OUTPUTS) * RESNET_PRODUCTS / 3600
        ),
        "gigabytes_of_its_first_layer": round(RESNET_FIRST_LAYER * 0.5e-3),
    }


def tables_of(found: dict[str, Any], clock: Clock) -> dict[str, dict[str, Any]]:
    """The largest errors, the seconds of every step, and the sizes, as tables."""
    counts = found["fields"]
    errors = pd.DataFrame(
        counts["max_relative_error"].items(), columns=["largest relative error", "(target 1e-5)"]
    )
    seconds = pd.DataFrame(
        [(step, clock.wall[step], clock.processor[step]) for step in clock.wall],
        columns=["step", "seconds", "of the processor"],
    )
    sizes = pd.DataFrame(counts["megabytes"].items(), columns=["what", "MB"])
    return {
        "errors": table(errors, ".1e"),
        "seconds": table(seconds, ".2f"),
        "sizes": table(sizes, ".1f"),
    }


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--posts", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    add_json_option(parser)
    arguments = parser.parse_args()
    clock = Clock()
    with tempfile.TemporaryDirectory() as place:
        found = {
            "fields": fields(Path(place), arguments.posts, arguments.seed, clock),
            "linear_layer": linear_layer(Path(place), clock),
        }
    finish(
        arguments,
        {**found, "seconds": clock.wall, "processor_seconds": clock.processor},
        tables=tables_of(found, clock),
        code=["src/evoked/posts/privacy/ckks.py", "src/evoked/posts/privacy/aggregates.py"],
        libraries=("tenseal",),
    )


if __name__ == "__main__":
    main()
