"""Encrypted counts: what rates and group figures on ciphertext cost, and how exact they are.

Followers are spread evenly over the orders of magnitude from 100 to a billion, the four counts are
log-normal shares of them, a tenth of them 0; eight groups. One party encrypts and decrypts, the
other computes with the evaluation keys only, as ``evoked privacy`` does it, files included.

Beside it a linear layer on encrypted features: 128 numbers of 8,192 posts, each number of all posts
in one ciphertext, to six outputs, against the same product in clear. The last line is JSON.

Run: ``OMP_NUM_THREADS=1 python benchmarks/privacy.py --out results/privacy.md``.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from evoked.files import write_text
from evoked.posts.dataset import PostDataset
from evoked.posts.privacy.aggregates import aggregate, compute_rates, reveal
from evoked.posts.privacy.ckks import DEGREE, PRIME_BITS, SECURITY_BITS, SLOTS, Party
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


def page(found: dict[str, Any], clock: Clock, command: str) -> str:
    """The results, as Markdown."""
    counts, layer = found["fields"], found["linear_layer"]
    hours = layer["hours_of_products_of_resnet50"]
    seconds = "\n".join(
        f"| {name} | {clock.wall[name]:.2f} | {clock.processor[name]:.2f} |" for name in clock.wall
    )
    errors = "\n".join(
        f"| {name} | {error:.1e} |" for name, error in counts["max_relative_error"].items()
    )
    sizes = "\n".join(f"| {name} | {size} |" for name, size in counts["megabytes"].items())
    return f"""# Privacy

`{command}`: TenSEAL {version("tenseal")}, Python {platform.python_version()}, one thread of a
machine that others used at the same time: processor time is the figure to trust.

CKKS, degree {DEGREE:,}, modulus of {sum(PRIME_BITS)} bits ({", ".join(map(str, PRIME_BITS))}):
{SECURITY_BITS} bit security by the homomorphic encryption standard, which allows 305 bits there
(438 for 128 bit security). ABMF states a "2048-bit key" (Table 3) and no further parameter.

## Rates and group figures on ciphertext

{counts["posts"]:,} posts: followers from 100 to a billion, four counts each, {GROUPS} groups;
{counts["rates_computed"]:,} rates, {counts["group_figures"]} means and variances.

| largest relative error | (target 1e-5) |
| --- | ---: |
{errors}

Decrypted figures are rounded to seven digits, which alone makes up to 5e-7.

| step | seconds | of the processor |
| --- | ---: | ---: |
{seconds}

| what | MB |
| --- | ---: |
{sizes}

## A linear layer on ciphertext

{FEATURES} features to {OUTPUTS} outputs, {layer["posts"]:,} posts at once (one post alone takes as
long as all of them): {layer["milliseconds_per_post"]:.2f} ms per post with encryption and
decryption, {layer["milliseconds_per_post_in_clear"] * 1e3:.2f} µs in clear:
{layer["times_slower"]:,} times as long. Largest error {layer["max_error"]:.1e}.

At this price the products of a ResNet-50 on pictures of 224 × 224 take {hours:,.0f} hours, for one
picture as for the 8,192 that ciphertexts hold at once ({hours / SLOTS:.2f} hours each), and what
its first layer gives takes {layer["gigabytes_of_its_first_layer"]} GB. That leaves out the maxima
and ReLUs between the layers, which ciphertexts don't have and which take many products each. So
pictures are locked where they are stored, and not computed on encrypted.
"""


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--posts", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="Markdown file to write")
    arguments = parser.parse_args()
    clock = Clock()
    with tempfile.TemporaryDirectory() as place:
        found = {
            "fields": fields(Path(place), arguments.posts, arguments.seed, clock),
            "linear_layer": linear_layer(Path(place), clock),
        }
    command = f"python benchmarks/privacy.py --posts {arguments.posts} --seed {arguments.seed}"
    text = page(found, clock, command)
    print(text)
    if arguments.out is not None:
        write_text(arguments.out, text)
    print(json.dumps(found | {"seconds": clock.wall, "processor_seconds": clock.processor}))


if __name__ == "__main__":
    main()
