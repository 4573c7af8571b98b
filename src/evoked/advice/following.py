"""What a post is like that follows an advice, as a ledger keeps it."""

from __future__ import annotations

from typing import Any

from evoked.advice.actions import PICTURE, Action
from evoked.advice.advising import Advice
from evoked.advice.ledger import changed_facts, facts_of
from evoked.features.form import words_of
from evoked.posts.drafts import Draft
from evoked.runs.posts import Run

# Facts by which one can see that an action was followed, of those that a ledger keeps. Whether a
# caption has a short opening can't be seen from them.
_SHOWN_BY = {
    "question": "question marks",
    "emoji": "emoji",
    "mention": "mentions",
    "number": "hashtags",
    "length": "characters",
    "hour": "hour",
    "day": "weekday",
    "format": "format",
    "#": "tags",
    PICTURE: "picture",
}


def said_of(run: Run, advice: Advice) -> dict[str, dict[str, Any]]:
    """What an advice says of its draft, by post_id: see :func:`evoked.advice.ledger.keep`. Actions
    that nobody could see in the post are left out."""
    actions = []
    for each in advice.advised:
        action = each.action
        facts = _facts(run, advice.draft, action)
        if facts:
            kept = {"action": _kind(action), "facts": facts, "label": each.label}
            actions.append({**kept, "effect": [each.effect, each.low, each.high]})
    return {name: {"by": advice.by.column, "actions": actions} for name in advice.table["post_id"]}


def _kind(action: Action) -> str:
    """What an action is about, without the hashtag itself."""
    return "#" if action.about.startswith("#") else action.about


def _facts(run: Run, draft: Draft, action: Action) -> dict[str, Any]:
    """The fact that shows whether a post is what an action makes of the draft."""
    name = _SHOWN_BY.get(_kind(action))
    if name is None:
        return {}
    if action.edit is not None:
        changed = changed_facts(run, draft, action.edit(draft))
        return {name: changed[name]} if name in changed else {}
    if name == "format":
        return {name: action.after}
    if name == "mentions":
        return {name: 1.0}
    before = facts_of(run.draft_posts([draft])[0])[0]
    longer = action.form["characters"] - len(words_of(draft.caption or ""))
    return {name: before[name] + longer}
