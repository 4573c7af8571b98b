"""What a model reads: features of n posts, taken a batch at a time.

A column leaves its rows where they are (usually in a memory-mapped cache) and copies only those of
a batch, so memory doesn't grow with the number of posts.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evoked.features.packing import channels_of, is_packed, unpack

if TYPE_CHECKING:
    import torch

FRESH_VIEWS = 2**31
"""As many views of a picture as there are seeds: hardly any is drawn twice."""

Arrays: TypeAlias = "dict[str, NDArray[Any]]"
Batch: TypeAlias = "dict[str, torch.Tensor]"


class FeatureColumn(Protocol):
    """A feature of n posts."""

    @property
    def width(self) -> int:
        """Length of a vector, or channels of a token."""

    @property
    def present(self) -> NDArray[np.bool_]:
        """Which posts have the feature, (n,)."""

    def arrays(self, rows: NDArray[np.int64], view: NDArray[np.int64] | None = None) -> Arrays:
        """Copies of a batch: the values under '', and the mask of tokens under 'mask'."""

    def take(self, rows: NDArray[np.int64], view: NDArray[np.int64] | None = None) -> Batch:
        """:meth:`arrays` as tensors."""

    def select(self, rows: NDArray[np.int64]) -> FeatureColumn:
        """The column restricted to ``rows``."""


@dataclass(frozen=True)
class Column:
    """Values of one fixed shape per post.

    Attributes
    ----------
    data
        (rows, …): the stored values, possibly memory-mapped and shared by many posts; their last
        axis may be packed, see :mod:`evoked.features.packing`.
    index
        int64, (n, views): row of ``data`` for each view of each post; -1 where there is none.
    """

    data: NDArray[np.generic]
    index: NDArray[np.int64]

    @classmethod
    def dense(cls, values: NDArray[np.generic], present: ArrayLike | None = None) -> Column:
        """A column that holds one row of ``values`` (n, …) per post."""
        index = np.arange(len(values), dtype=np.int64)
        if present is not None:
            index = np.where(np.asarray(present, dtype=bool), index, -1)
        return cls(values, index[:, None])

    @property
    def width(self) -> int:
        return channels_of(self.data)

    @property
    def present(self) -> NDArray[np.bool_]:
        return np.asarray(self.index[:, 0] >= 0)

    def arrays(self, rows: NDArray[np.int64], view: NDArray[np.int64] | None = None) -> Arrays:
        index = self._chosen(rows, view)
        values = self.data[np.maximum(index, 0)] if len(self.data) else self._blank(len(index))
        copied = _at_full_precision(np.ascontiguousarray(values))
        copied[index < 0] = 0
        return {"": copied}

    def take(self, rows: NDArray[np.int64], view: NDArray[np.int64] | None = None) -> Batch:
        return as_tensors(self.arrays(rows, view))

    def select(self, rows: NDArray[np.int64]) -> Column:
        return replace(self, index=self.index[rows])

    def compact(self) -> Column:
        """The same rows, only first views, with a copy of just the data that they refer to."""
        kept, index = np.unique(self.index[:, 0], return_inverse=True)
        absent = int(len(kept) > 0 and kept[0] < 0)
        return Column(self.data[kept[absent:]], index.astype(np.int64)[:, None] - absent)

    def followed_by(self, other: Column) -> Column:
        """These rows and those of another column of the same shape, only first views; the data are
        copied."""
        named = other.index[:, :1]
        shifted = np.where(named >= 0, named + len(self.data), -1)
        return Column(
            np.concatenate([self.data, other.data]), np.concatenate([self.index[:, :1], shifted])
        )

    def _chosen(self, rows: NDArray[np.int64], view: NDArray[np.int64] | None) -> NDArray[np.int64]:
        if view is None:
            return self.index[rows, 0]
        return self.index[rows, view % self.index.shape[1]]

    def _blank(self, n: int) -> NDArray[np.generic]:
        return np.zeros((n, *self.data.shape[1:]), dtype=self.data.dtype)


@dataclass(frozen=True)
class PictureColumn(Column):
    """Pixels, uint8 (rows, size, size, 3), of pictures that are augmented when they are asked for:
    each has any number of views, see :func:`evoked.posts.images.augmented_view`."""

    def arrays(self, rows: NDArray[np.int64], view: NDArray[np.int64] | None = None) -> Arrays:
        from evoked.posts.images import augmented_view  # imports the decoder of pictures

        arrays = super().arrays(rows)
        if view is not None:
            pixels = arrays[""]
            for place in np.flatnonzero(self.present[rows]):
                pixels[place] = augmented_view(pixels[place], int(view[place]))
        return arrays


@dataclass(frozen=True)
class RaggedColumn:
    """A sequence of tokens per post, of differing lengths.

    Attributes
    ----------
    data
        (total, channels), packed (total,), or (total,) for ids: all tokens, one text after the
        other.
    starts, lengths
        int64, (n,): where each post's tokens begin, and their number; a length of 0 means that
        the post lacks the feature.
    """

    data: NDArray[np.generic]
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]

    @property
    def width(self) -> int:
        is_vector = self.data.ndim > 1 or is_packed(self.data.dtype)
        return channels_of(self.data) if is_vector else 1

    @property
    def present(self) -> NDArray[np.bool_]:
        return np.asarray(self.lengths > 0)

    def arrays(self, rows: NDArray[np.int64], view: NDArray[np.int64] | None = None) -> Arrays:
        lengths = self.lengths[rows]
        longest = max(int(lengths.max(initial=0)), 1)
        positions = np.arange(longest)
        mask = positions < lengths[:, None]
        # All real tokens of the batch are copied in one step.
        tokens = _at_full_precision(self.data[(self.starts[rows][:, None] + positions)[mask]])
        padded = np.zeros((len(rows), longest, *tokens.shape[1:]), dtype=tokens.dtype)
        padded[mask] = tokens
        return {"": padded, "mask": mask}

    def take(self, rows: NDArray[np.int64], view: NDArray[np.int64] | None = None) -> Batch:
        return as_tensors(self.arrays(rows, view))

    def select(self, rows: NDArray[np.int64]) -> RaggedColumn:
        return replace(self, starts=self.starts[rows], lengths=self.lengths[rows])


class FeatureTable:
    """Features of n posts by name.

    Parameters
    ----------
    columns
        Feature columns by catalog name, all of n posts.
    """

    def __init__(self, columns: Mapping[str, FeatureColumn]) -> None:
        self.columns = dict(columns)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())).present)

    @property
    def widths(self) -> dict[str, int]:
        """Vector size or token channels of every feature."""
        return {name: column.width for name, column in self.columns.items()}

    @property
    def lengths(self) -> NDArray[np.int64] | None:
        """Number of tokens of each post in the first feature of varying length, (n,), or None."""
        for column in self.columns.values():
            if isinstance(column, RaggedColumn):
                return column.lengths
        return None

    def arrays(self, rows: ArrayLike, view: ArrayLike | None = None) -> Arrays:
        """Copies of the features of the posts at ``rows``.

        Parameters
        ----------
        rows
            Positions, (b,).
        view
            Which view of each picture to take, (b,); the original by default.

        Returns
        -------
        dict
            For every feature: ``name`` (b, …) float32 (or its stored integer type),
            ``name.present`` (b,) bool, and for ragged tokens ``name.mask`` (b, longest) bool.
            Absent features are zero.
        """
        chosen = np.asarray(rows, dtype=np.int64)
        views = None if view is None else np.asarray(view, dtype=np.int64)
        batch: Arrays = {}
        for name, column in self.columns.items():
            for part, values in column.arrays(chosen, views).items():
                batch[f"{name}.{part}" if part else name] = values
            batch[f"{name}.present"] = column.present[chosen]
        return batch

    def take(self, rows: ArrayLike, view: ArrayLike | None = None) -> Batch:
        """:meth:`arrays` as tensors."""
        return as_tensors(self.arrays(rows, view))

    def only(self, names: Collection[str]) -> FeatureTable:
        """The table with some of its features."""
        return FeatureTable({name: self.columns[name] for name in names})

    def select(self, rows: ArrayLike) -> FeatureTable:
        """The table restricted to ``rows`` (m,), without copying features."""
        chosen = np.asarray(rows, dtype=np.int64)
        return FeatureTable({name: column.select(chosen) for name, column in self.columns.items()})


def as_tensors(arrays: Arrays) -> Batch:
    """The same values for a network, not copied."""
    import torch  # takes more than a second to import, and many models are no networks

    return {name: torch.from_numpy(values) for name, values in arrays.items()}


def _at_full_precision(values: NDArray[np.generic]) -> NDArray[np.generic]:
    """Halves and packed vectors as floats of 32 bits; other types stay."""
    if is_packed(values.dtype):
        return unpack(values)
    if np.issubdtype(values.dtype, np.floating):
        return values.astype(np.float32, copy=False)
    return values
