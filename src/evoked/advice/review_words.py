"""What a ledger shows, said to people who are no statisticians."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from evoked.advice.review import Drift, Followed, Orders, Ranges, Review

_CHANGES = {
    "lower": "posts get fewer {noun} than before",
    "higher": "posts get more {noun} than before",
    "wider": "its predictions of {noun} miss by further than they used to",
}
# Why lines are none of the posts that were given, and what to do, by
# :data:`evoked.advice.recognising.Unmatched`.
_UNMATCHED = {
    "author": "by an author of whom none of these posts is: give that account's posts, imported "
    "with --author NAME if the source does not say whose they are",
    "undated": "not to be found among posts without dates: import them with the date of each",
    "ahead": "dated in the future: give the posts once these have appeared",
    "backdated": "dated before the day on which it was kept, and only what was said before a post "
    "appeared counts: keep drafts first, with the time at which they will appear (--posted-at) or "
    "without one",
    "older": "kept after the newest of these posts appeared ({newest}): import the posts again "
    "once it has appeared",
    "unlike": "like none of the posts that have appeared since. If it was posted: a post is "
    "recognised by the draft's id (--name), its caption, its picture, or within an hour of its "
    "time (--posted-at), so keep drafts with one of them that stays as it is",
}
# Lines that are named, of each reason.
_SHOWN = 3
_UPDATE = "Let it learn from the posts that came: 'evoked update RUN POSTS'."


def sentences(review: Review) -> list[str]:
    """What a review shows; the last sentence says whether to trust the run."""
    if not review.kept:
        return [
            "Nothing has been kept yet: add --keep to 'evoked predict', 'evoked rank', 'evoked "
            "advise' or 'evoked when'."
        ]
    if not review.came:
        why = unmatched(review)
        return why or ["None of it can be checked yet: give the posts that have come since."]
    found = [_of_ranges(each) for each in review.ranges[:1]]
    # A number of which ranges fail goes unsaid nowhere.
    found += [_of_ranges(each) for each in review.ranges[1:] if not each.kept]
    if review.orders is not None:
        found.append(_of_orders(review.orders))
    found += [_of_advice(each) for each in review.advice[:1]]
    return [*found, *unmatched(review), verdict(review)]


def unmatched(review: Review) -> list[str]:
    """Which kept answers are none of the posts that were given, why, and what to do; a sentence
    for each reason."""
    found = []
    for why, text in _UNMATCHED.items():
        lines = review.table[review.table["unmatched"] == why]
        if len(lines):
            named = [f"{row.kind} of {row.kept_at:%Y-%m-%d %H:%M}" for row in lines.itertuples()]
            more = f" and {len(named) - _SHOWN} more" if len(named) > _SHOWN else ""
            newest = "" if review.newest is None else f"{review.newest:%Y-%m-%d}"
            number = "1 answer is" if len(named) == 1 else f"{len(named)} answers are"
            found.append(
                f"{number} {text.format(newest=newest)} ({', '.join(named[:_SHOWN])}{more})."
            )
    return found


def verdict(review: Review) -> str:
    """Whether to trust a run still."""
    if review.trust == "unknown":
        number = max((each.posts for each in review.ranges), default=0)
        posts = "1 post" if number == 1 else f"{number} posts"
        return (
            f"Too early to say whether to trust it: {posts} with a range came; from 10 on "
            "something shows, and 20 say more."
        )
    drift = review.current_drift
    if drift is not None:
        return (
            f"Don't trust it as it is: since about {_day(drift.since)} {_change(drift)}. {_UPDATE}"
        )
    if review.trust == "less":
        return _of_trust_in_order(review)
    ranges = f"its ranges of {review.ranges[0].name} hold"
    against = f"nothing speaks against trusting {'it' if _all_kept(review) else 'these'}"
    if review.drift:
        last = review.drift[-1]
        return (
            f"About {_day(last.since)} something changed: {_change(last)}. It has taken in new "
            f"posts since ({_day(review.updated_at)}), and {ranges}: {against}."
        )
    ranges = ranges.capitalize()
    if not review.watched:
        return (
            f"{ranges}: {against}. Whether posts have changed can't be watched, since too few "
            "posts were kept aside for testing when it was made."
        )
    return (
        f"{ranges}, and over {review.watched} posts nothing shows that they come otherwise than "
        f"before: {against}."
    )


def _all_kept(review: Review) -> bool:
    return all(each.kept for each in review.ranges)


def _of_ranges(ranges: Ranges) -> str:
    low, high = (f"{100 * share:.0f}" for share in (ranges.low, ranges.high))
    above = ranges.posts - ranges.too_high
    wide = ", so they are wider than they need be" if ranges.low > ranges.promised else ""
    return (
        f"Ranges of {ranges.name} that were to hold for {ranges.promised:.0%} held for "
        f"{ranges.held} of {ranges.posts} posts (so for {low} to {high} of 100){wide}; "
        f"{ranges.too_high} posts got less than predicted, {above} as much or more."
    )


def _of_trust_in_order(review: Review) -> str:
    """What to trust where ranges hold for fewer than promised."""
    ranges, orders = review.ranges[0], review.orders
    held = (
        f"its ranges held for {_of_100(ranges.held, ranges)} of 100 posts where "
        f"{ranges.promised * 100:.0f} were promised, fewer than bad luck explains"
    )
    if orders is not None and orders.low > 0.5:
        return f"Trust its order more than its ranges: {held}. {_UPDATE}"
    return f"Don't trust its ranges: {held}. {_UPDATE}"


def _of_orders(orders: Orders) -> str:
    low, high = (f"{100 * share:.0f}" for share in (orders.low, orders.high))
    text = (
        f"Of {orders.pairs} pairs of drafts that were both posted, {orders.right:.0f} came in the "
        f"order that it said (so {low} to {high} of 100"
        f"{'; chance gets 50' if orders.low <= 0.5 <= orders.high else ''})."
    )
    if orders.of_chances:
        better = "better" if orders.brier < 0.25 else "no better"
        text += (
            f" Its chances were {better} than a coin's (Brier score {orders.brier:.3f} over "
            f"{orders.of_chances} pairs; a coin's is 0.250)."
        )
    return text


def _of_advice(advice: Followed) -> str:
    posts = "1 post" if advice.followed == 1 else f"{advice.followed} posts"
    posts = f"{posts} did as advised, {advice.others} didn't"
    if math.isnan(advice.times):
        return f"{posts}: too few of either to say what following it does (5 each)."
    differs = "" if advice.low > 1 or advice.high < 1 else ": no difference that you could rely on"
    return (
        f"{posts}. Beside what was predicted of them, those that did got {advice.times:.2g} times "
        f"what the others got ({advice.low:.2g} to {advice.high:.2g}){differs}. That is no test: "
        "who follows an advice chooses when."
    )


def _change(drift: Drift) -> str:
    return _CHANGES[drift.kind].format(noun=drift.noun)


def _day(when: pd.Timestamp | None) -> str:
    assert when is not None
    return f"{when.day} {when:%B %Y}"


def _of_100(held: int, ranges: Ranges) -> str:
    return f"{100 * held / ranges.posts:.0f}"
