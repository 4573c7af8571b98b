"""The tables on sharing as analyses: how each is made, read, and shown on the console."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pandas as pd

from evoked.analysis.base import Analysis, PostContext, Tables, table_of
from evoked.analysis.excerpts import (
    Excerpt,
    count_or_number,
    excerpt,
    one_decimal,
    three_decimals,
    two_decimals,
    whole,
)
from evoked.analysis.sharing import SharingAnalysis, analyse_sharing, large_categories
from evoked.evaluation.significance import p_value
from evoked.files import records


def sharing(context: PostContext) -> SharingAnalysis:
    """Everything that the posts show about sharing; ask for it with ``context.once(sharing)``."""
    return analyse_sharing(
        context.dataset,
        context.popularity,
        levelled=context.levels.posts,
        cache=context.cache,
        progress=context.progress,
        draws=context.draws,
        seed=context.seed,
    )


def _counts_summary(context: PostContext, tables: Tables) -> Iterator[Excerpt]:
    yield excerpt(
        f"{context.popularity.capitalize()} (EIJL, Figure 2a)",
        tables["sharing_counts"],
        {
            "quantity": str,
            "value": count_or_number,
            "low": count_or_number,
            "high": count_or_number,
        },
    )


def _class_summary(name: str, title: str) -> Callable[[PostContext, Tables], Iterator[Excerpt]]:
    """A function that shows the classes of a table with the mean of the count."""

    def summary(context: PostContext, tables: Tables) -> Iterator[Excerpt]:
        yield excerpt(
            f"{title}, mean {context.popularity} (95 %)",
            tables[name],
            {
                "class": str,
                "posts": whole,
                "share": two_decimals,
                "n": whole,
                "mean": one_decimal,
                "low": one_decimal,
                "high": one_decimal,
                "p": p_value,
                "p_holm": p_value,
            },
        )

    return summary


def _interaction_summary(context: PostContext, tables: Tables) -> Iterator[Excerpt | str]:
    terms, fits = tables["sharing_interaction_terms"], tables["sharing_interaction_fits"]
    yield _coefficients(terms, context.popularity)
    yield excerpt(
        "Fit of the models",
        fits,
        {
            "design": str,
            "model": str,
            "n": whole,
            "popular": whole,
            "r2": three_decimals,
            "published_r2": three_decimals,
            "errors": str,
        },
    )
    for row in records(fits[fits["design"] == "Eq. 1"]):
        for label, text in (("left out", row["left_out"]), ("note", row["note"])):
            if text:
                yield f"{row['model']}, {label}: {text}."
    if "likability" in set(terms["term"]):
        yield (
            "Likability is likes, which nobody knows before posting and which come from the same "
            "readers; a model without it shows what emotion explains alone."
        )


def _coefficients(terms: pd.DataFrame, popularity: str) -> Excerpt:
    """Eq. 1, linear and logistic side by side."""
    linear, logistic = (
        terms[(terms["design"] == "Eq. 1") & (terms["model"] == model)]
        for model in ("linear", "logistic")
    )
    both = linear.assign(
        linear=linear["coefficient"],
        odds=logistic["odds_ratio"].to_numpy(),
        odds_p=logistic["p"].to_numpy(),
        effect=logistic["marginal_effect"].to_numpy(),
    )
    return excerpt(
        f"Among the fifth with most {popularity}? (EIJL, Eq. 1, Table 1)",
        both,
        {
            "term": lambda term: term.replace(" emotion", ""),
            "linear": three_decimals,
            "p": p_value,
            "published": three_decimals,
            "odds": two_decimals,
            "odds_p": p_value,
            "effect": three_decimals,
        },
    )


COUNT_ANALYSIS = Analysis(
    name="sharing_counts",
    title="Popularity: how its count is distributed (EIJL, Figure 2a)",
    explanation=(
        "How the count that stands for popularity is distributed. A count k stands for everything "
        "from k − ½ to k + ½ of a log-normal variable; zeros are left out, and the fit allows for "
        "that. p: share of samples of the fitted law, each fitted anew, whose largest gap is as "
        "large as the one here. A large p is no proof of the law, least of all with few posts, and "
        "with thousands a small gap is enough for a small p. Posts are taken as independent. "
        "Popular posts are the fifth with most. published: Leng and Yan (2025), on posts of their "
        "own."
    ),
    compute=table_of(sharing, "counts"),
    summary=_counts_summary,
    rests_on_emotion=False,
)

LAW_ANALYSIS = Analysis(
    name="sharing_laws",
    title="Popularity: other laws of the count",
    explanation=(
        "The same counts under other laws, the best by Akaike's criterion first. A difference "
        "below 2 means little, one above 10 much."
    ),
    compute=table_of(sharing, "laws"),
    rests_on_emotion=False,
)

CAPTION_EMOTION_ANALYSIS = Analysis(
    name="sharing_text_emotion",
    title="Popularity: emotion of captions (EIJL, Figure 2b)",
    explanation=(
        "Emotion is read by SnowNLP (Chinese) or VADER (English, and emoji of other captions), not "
        "rated by people; classes are the fifths of polarity from −1 to 1. p: do the ranks of a "
        "class differ from the others' (for all: do those of any class)? It allows for the posts "
        "of one author resembling each other; p_posts takes posts as independent."
    ),
    compute=table_of(sharing, "text_emotion"),
    summary=_class_summary("sharing_text_emotion", "Emotion of captions"),
    rests_on_emotion=False,
)

FACE_ANALYSIS = Analysis(
    name="sharing_faces",
    title="Popularity: covers with faces (EIJL, Section 3)",
    explanation=(
        "Faces are found by a detector of frontal faces (Haar cascades), which misses many; the "
        "paper uses DeepFace. p is as for the emotion of captions."
    ),
    compute=table_of(sharing, "faces"),
    summary=_class_summary("sharing_faces", "Covers with faces"),
    rests_on_emotion=False,
)

COUNT_CORRELATION_ANALYSIS = Analysis(
    name="sharing_together",
    title="Likes, saves, comments and shares together (EIJL, Figure 3)",
    explanation=(
        "r: Pearson's correlation of log(1 + count) with Fisher's interval; spearman: Spearman's "
        "correlation of ranks. p allows for the posts of one author resembling each other; p_holm "
        "is corrected over the pairs. The paper shows its figures as colours alone; it says that "
        "likes go with shares more closely than comments do."
    ),
    compute=table_of(sharing, "together"),
    columns={
        "first": str,
        "second": str,
        "r": two_decimals,
        "low": two_decimals,
        "high": two_decimals,
        "spearman": two_decimals,
        "p_holm": p_value,
        "n": whole,
    },
    heading="Counts together, r of log(1 + count) (95 %) (EIJL, Figure 3)",
    rests_on_emotion=False,
)

INTERACTION_FIT_ANALYSIS = Analysis(
    name="sharing_interaction_fits",
    title="Popularity: emotion, faces and likes together (EIJL, Eq. 1, Table 1)",
    explanation=(
        "Is a post among the popular fifth, by text emotion (−2 to 2), image emotion (a face, 0 or "
        "1) and likability (thirds of likes: 0, 1, 2)? linear: the paper's model of an outcome of "
        "0 and 1; logistic: the one that such an outcome calls for, r2 is McFadden's. Caution: "
        "likes are unknown before posting and come from the readers who share, so likability "
        "nearly is the outcome; 'without likability' shows what is left without it. Eq. 1 has the "
        "product of all three but not those of likability with one emotion; 'all products' has. "
        "Large accounts have more of everything: nothing here is cause and effect."
    ),
    compute=table_of(sharing, "interaction_fits", "interactions"),
    left_out_as="sharing_interactions",
    rests_on_emotion=False,
)

INTERACTION_TERM_ANALYSIS = Analysis(
    name="sharing_interaction_terms",
    title="Popularity: coefficients (EIJL, Table 1)",
    explanation=(
        "marginal_effect: mean change in probability with one more of a variable (a face, a "
        "level), all its products included; products have none of their own; vif: variance "
        "inflation, above 10 a coefficient can hardly be separated from the others; p_holm: "
        "corrected over the terms of a model. A published_p of 0.001 means below 0.001. For text "
        "emotion × image emotion the paper's table has 0.049, its text −0.049."
    ),
    compute=table_of(sharing, "interaction_terms", "interactions"),
    summary=_interaction_summary,
    left_out_as="sharing_interactions",
    folded=True,
    rests_on_emotion=False,
)


def _has_categories(context: PostContext) -> bool:
    return len(large_categories(context.posts)) > 1


INTERACTION_CATEGORY_ANALYSIS = Analysis(
    name="sharing_interaction_categories",
    title="Popularity: coefficients by category (after EIJL, Eq. 1)",
    explanation=(
        "Eq. 1 on the posts of one category at a time, of those with 50 posts or more: popular is "
        "the fifth with most among the category's own posts, likability the thirds of its likes. "
        "p_holm: corrected over all terms and categories of a model. A term that is clear in one "
        "category and not in another need not differ between them: compare the intervals. The "
        "paper has no such table; it names types of products as future work."
    ),
    compute=table_of(sharing, "interaction_categories"),
    concerns=_has_categories,
    folded=True,
    rests_on_emotion=False,
)
