"""EIJL's exploratory part: planted laws and coefficients come back, poor posts are survived."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from numpy.typing import NDArray
from scipy import optimize, special, stats
from typer.testing import CliRunner

from evoked.analysis.analyses import analyse_posts
from evoked.analysis.count_classes import popularity_by_class
from evoked.analysis.distribution import (
    LogNormalLaw,
    compare_laws,
    fit_log_normal,
    log_normal_test,
    positive_counts,
)
from evoked.analysis.interactions import (
    IMAGE,
    LIKES,
    TEXT,
    InteractionModels,
    interaction_models,
    likability_bands,
    popular_posts,
)
from evoked.analysis.sharing import (
    FACES,
    analyse_sharing,
    counts_together,
    sharing_of,
)
from evoked.cli.application import app
from evoked.errors import DataError, SettingsError
from evoked.posts.dataset import LOCK_FILE, PostDataset
from evoked.report import sharing_figures

NAN = np.nan


def _sharing_posts(n: int = 300, authors: int = 30) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    likes = np.round(rng.lognormal(4, 1, n))
    return pd.DataFrame(
        {
            "post_id": [f"p{i}" for i in range(n)],
            "author_id": [f"a{i % authors}" for i in range(n)],
            "likes": likes,
            "comments": rng.poisson(likes / 10),
            "shares": np.round(likes * rng.lognormal(-2, 0.5, n)),
            "saves": rng.poisson(likes / 5),
        }
    )


class TestLogNormal:
    def test_equals_direct_maximisation(self) -> None:
        counts = np.round(np.random.default_rng(1).lognormal(1.0, 1.2, 400))
        values = positive_counts(counts)

        def loss(point: NDArray[np.float64]) -> float:
            law = stats.norm(point[0], np.exp(point[1]))
            within = law.cdf(np.log(values + 0.5)) - law.cdf(np.log(values - 0.5))
            return float(-np.log(within / law.sf(np.log(0.5))).sum())

        best = optimize.minimize(loss, [1.0, 0.0], method="Nelder-Mead", options={"xatol": 1e-6})
        law = fit_log_normal(counts)
        assert law.location == pytest.approx(best.x[0], abs=0.02)
        assert law.scale == pytest.approx(np.exp(best.x[1]), abs=0.02)
        # Beside it scipy's own, of counts so large that rounding doesn't matter.
        large = np.round(np.random.default_rng(1).lognormal(9.0, 0.8, 400))
        shape, _, scale = stats.lognorm.fit(large, floc=0)
        assert fit_log_normal(large) == pytest.approx((np.log(scale), shape), abs=0.01)

    def test_law_is_a_distribution(self) -> None:
        law = LogNormalLaw(1.5, 0.9)
        assert law.cumulative([0.5, 1e9]) == pytest.approx([0, 1])
        k = np.arange(1, 60)
        assert law.quantiles(law.cumulative(k + 0.5) - 1e-9) == pytest.approx(k)
        sample = np.round(np.random.default_rng(0).lognormal(1.5, 0.9, 200_000))
        assert law.zeros == pytest.approx((sample == 0).mean(), abs=0.003)
        share = (sample[sample > 0] <= 3).mean()
        assert law.cumulative(3.5) == pytest.approx(share, abs=0.005)

    @pytest.mark.parametrize(("location", "scale", "n"), [(3.0, 1.0, 60), (0.7, 0.9, 150)])
    def test_size_is_nominal(self, location: float, scale: float, n: int) -> None:
        rng = np.random.default_rng(2)
        p = np.array(
            [
                log_normal_test(np.round(rng.lognormal(location, scale, n)), 39, seed=i).p
                for i in range(100)
            ]
        )
        # 5 % and 50 % of 100, give or take three standard deviations.
        assert (p <= 0.05).sum() <= 12
        assert 35 <= (p <= 0.5).sum() <= 65

    def test_the_naive_p_would_be_too_large(self) -> None:
        counts = np.round(np.random.default_rng(3).gamma(0.9, 60, 120)) + 1
        law = fit_log_normal(counts)
        naive = stats.kstest(np.log(counts), stats.norm(law.location, law.scale).cdf).pvalue
        assert log_normal_test(counts, 199).p < naive

    def test_power(self) -> None:
        rng = np.random.default_rng(4)
        of_laws = {
            "exponential": lambda: np.ceil(rng.exponential(40, 300)),
            "two kinds": lambda: np.round(np.exp(rng.normal(rng.choice([1.5, 5], 200), 0.5))),
        }
        for draw in of_laws.values():
            p = np.array([log_normal_test(draw(), 39, seed=i).p for i in range(20)])
            assert (p <= 0.05).mean() >= 0.8

    def test_best_law_wins(self) -> None:
        rng = np.random.default_rng(5)
        samples = {
            "log-normal": np.round(rng.lognormal(3, 1, 800)),
            "negative binomial": rng.negative_binomial(2, 0.05, 800),
            "Pareto": np.floor(0.5 * rng.random(800) ** (-1 / 0.9) + 0.5),
        }
        for name, counts in samples.items():
            table = compare_laws(counts)
            assert table["law"].iloc[0] == name
            assert table["aic_difference"].iloc[0] == 0
            assert set(table["n"]) == {int((counts > 0).sum())}

    def test_too_little(self) -> None:
        for counts in ([], [0.0] * 40, [3, 1, 4, 1, 5], [NAN, *[2.0] * 9]):
            with pytest.raises(DataError, match="at least 10"):
                log_normal_test(counts)
        with pytest.raises(DataError, match="all counts above zero are 7"):
            fit_log_normal([7] * 30)


class TestPopular:
    def test_fifth(self) -> None:
        popular, border = popular_posts(np.arange(100.0))
        assert (popular.sum(), border) == (20, 80)

    def test_ties_stay_together(self) -> None:
        popular, border = popular_posts([0, 0, 0, 0, 1, 1, 1, 9, 9, NAN])
        assert (popular.sum(), border) == (2, 9)

    def test_all_alike(self) -> None:
        popular, border = popular_posts([0, 0, NAN])
        assert not popular.any()
        assert np.isnan(border)

    def test_bands(self) -> None:
        bands = likability_bands([*range(9), NAN])
        assert bands[:9].tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
        assert np.isnan(bands[9])


def _variables(n: int, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            TEXT: rng.integers(-2, 3, n),
            IMAGE: (rng.random(n) < 0.4).astype(float),
            LIKES: rng.integers(0, 3, n),
        }
    )


def _columns(values: pd.DataFrame) -> NDArray[np.float64]:
    text, image, likes = values.to_numpy(dtype=np.float64).T
    parts = [np.ones(len(values)), text, image, likes, text * image, text * image * likes]
    return np.column_stack(parts)


def _of(models: InteractionModels, model: str, design: str = "Eq. 1") -> pd.DataFrame:
    terms = models.terms
    rows = terms[(terms["design"] == design) & (terms["model"] == model)]
    return rows.reset_index(drop=True)


class TestInteractions:
    def test_planted_coefficients_come_back(self) -> None:
        values = _variables(20_000)
        rng = np.random.default_rng(1)
        planted = {
            "linear": np.array([0.2, 0.02, -0.03, 0.1, 0.04, -0.03]),
            "logistic": np.array([-1.5, 0.2, -0.3, 0.6, 0.25, -0.2]),
        }
        for model, beta in planted.items():
            chance = _columns(values) @ beta
            chance = special.expit(chance) if model == "logistic" else chance
            found = _of(interaction_models(values, rng.random(len(values)) < chance), model)
            off = np.abs(found["coefficient"] - beta) / found["error"]
            assert off.max() < 3.5
            assert (found["low"] < found["coefficient"]).all()
        assert found["odds_ratio"][3] == pytest.approx(np.exp(found["coefficient"][3]))

    def test_equals_statsmodels(self) -> None:
        values = _variables(300)
        x = _columns(values)
        y = np.random.default_rng(2).random(300) < special.expit(x @ [-1, 0.2, 0.3, 0.4, 0.1, 0])
        models = interaction_models(values, y)
        linear = sm.OLS(y.astype(float), x).fit(cov_type="HC3")
        ours = _of(models, "linear")
        assert ours["coefficient"].tolist() == pytest.approx(linear.params.tolist())
        assert ours["error"].tolist() == pytest.approx(linear.bse.tolist())
        assert models.fits["r2"][0] == pytest.approx(linear.rsquared)
        logistic = sm.Logit(y.astype(float), x).fit(disp=0)
        ours = _of(models, "logistic")
        assert ours["coefficient"].tolist() == pytest.approx(logistic.params.tolist(), rel=1e-5)
        assert models.fits["r2"][1] == pytest.approx(logistic.prsquared)
        white = sm.Logit(y.astype(float), x).fit(disp=0, cov_type="HC0").bse
        assert ours["error"].tolist() == pytest.approx(white.tolist(), rel=0.1)

    def test_a_tiny_case_by_hand(self) -> None:
        """Of two groups: the line is the difference of shares, the logistic that of log odds."""
        faces = np.repeat([0.0, 1.0], 20)
        y = np.concatenate([np.arange(20) < 5, np.arange(20) < 10])
        models = interaction_models(pd.DataFrame({IMAGE: faces}), y)
        linear, logistic = _of(models, "linear"), _of(models, "logistic")
        assert linear["coefficient"].tolist() == pytest.approx([0.25, 0.25])
        # HC3: each group's squared residuals over (n - 1)².
        variance = 20 * 0.25 * 0.75 / 19**2 + 20 * 0.5 * 0.5 / 19**2
        assert linear["error"][1] == pytest.approx(np.sqrt(variance))
        assert logistic["coefficient"].tolist() == pytest.approx([np.log(1 / 3), np.log(3)])
        assert logistic["odds_ratio"][1] == pytest.approx(3)
        assert logistic["marginal_effect"][1] == pytest.approx(0.25)
        assert linear["marginal_effect"][1] == pytest.approx(0.25)
        r2 = 0.25**2 * 0.25 / (0.375 * 0.625)
        assert models.fits["r2"][0] == pytest.approx(r2)

    def test_marginal_effects(self) -> None:
        """Without products statsmodels' own; with them, what moving the variable changes."""
        values = _variables(600)
        x = _columns(values)
        y = np.random.default_rng(3).random(600) < special.expit(x @ [-1, 0.3, 0.4, 0.5, 0.3, -0.2])
        two = values[[TEXT, LIKES]]
        own = _of(interaction_models(two, y), "logistic")["marginal_effect"][1:]
        design = sm.add_constant(two.to_numpy(dtype=float))
        effects = sm.Logit(y.astype(float), design).fit(disp=0).get_margeff()
        assert own.tolist() == pytest.approx(effects.margeff.tolist(), rel=1e-4)
        found = _of(interaction_models(values, y), "logistic")
        beta = found["coefficient"].to_numpy()

        def chance(**changed: object) -> NDArray[np.float64]:
            return np.asarray(special.expit(_columns(values.assign(**changed)) @ beta))

        face = chance(**{IMAGE: 1.0}) - chance(**{IMAGE: 0.0})
        assert found["marginal_effect"][2] == pytest.approx(face.mean())
        step = 1e-5
        text = chance(**{TEXT: values[TEXT] + step}) - chance(**{TEXT: values[TEXT] - step})
        assert found["marginal_effect"][1] == pytest.approx(text.mean() / (2 * step), rel=1e-5)
        assert found["marginal_effect"][4:].isna().all()
        inside = (found["marginal_low"] < found["marginal_effect"])[1:4]
        assert inside.all()

    def test_authors_that_decide_their_posts_widen_errors(self) -> None:
        rng = np.random.default_rng(4)
        authors = np.repeat(np.arange(25), 20)
        by_author = _variables(25, 4).iloc[authors].reset_index(drop=True)
        y = (rng.random(25) < 0.3)[authors] ^ (rng.random(500) < 0.05)
        clustered = interaction_models(by_author, y, authors)
        alone = interaction_models(by_author, y)
        assert clustered.fits["errors"][0] == "CR3, 25 authors"
        wider = _of(clustered, "linear")["error"] / _of(alone, "linear")["error"]
        assert (wider > 2).all()
        # Bell and McCaffrey's, by leaving out each author in turn.
        x = _columns(by_author)
        line = np.linalg.lstsq(x, y.astype(float), rcond=None)[0]
        left = [
            np.linalg.lstsq(x[authors != a], y[authors != a].astype(float), rcond=None)[0] - line
            for a in range(25)
        ]
        assert _of(clustered, "linear")["error"].tolist() == pytest.approx(
            np.sqrt((np.array(left) ** 2).sum(axis=0)).tolist()
        )

    def test_false_positives_of_clustered_posts(self) -> None:
        rng = np.random.default_rng(5)
        authors = np.repeat(np.arange(30), 10)
        p = []
        for seed in range(40):
            text = pd.DataFrame({TEXT: _variables(30, seed)[TEXT].to_numpy()[authors]})
            y = rng.random(300) < rng.beta(0.5, 2, 30)[authors]
            rows = interaction_models(text, y, authors).terms
            p.append(rows[rows["term"] == TEXT]["p"].to_numpy())
        assert ((np.array(p) < 0.05).mean(axis=0) <= 0.15).all()

    def test_one_author_decides_a_term_alone(self) -> None:
        authors = np.repeat(np.arange(12), 10)
        values = _variables(120).assign(**{IMAGE: (authors == 3).astype(float)})
        y = np.random.default_rng(6).random(120) < 0.4
        models = interaction_models(values[[TEXT, IMAGE]], y, authors)
        found = _of(models, "linear").set_index("term")
        assert "one author alone decides it" in models.fits["note"][0]
        assert np.isnan(found.loc[IMAGE, "error"])
        assert np.isfinite(found.loc[IMAGE, "coefficient"])
        assert np.isfinite(found.loc[TEXT, "error"])

    def test_one_post_decides_a_term_alone(self) -> None:
        values = _variables(60).assign(**{IMAGE: np.arange(60) == 5})[[TEXT, IMAGE]]
        values.loc[5, TEXT] = 0
        models = interaction_models(values.astype(float), np.arange(60) % 3 == 0)
        found = _of(models, "linear").set_index("term")
        assert np.isnan(found.loc[IMAGE, "error"])
        assert np.isfinite(found.loc[TEXT, "error"])

    def test_separation(self) -> None:
        values = _variables(100)
        high, even = values[LIKES] == 2, np.arange(100) % 2 == 0
        overlapping = high ^ (np.random.default_rng(0).random(100) < 0.3)
        for y, separated in ((high, True), (high & even, True), (overlapping, False)):
            models = interaction_models(values[[TEXT, LIKES]], y)
            note, coefficients = models.fits["note"][1], _of(models, "logistic")["coefficient"]
            assert (f"{LIKES} separates" in note) == separated
            assert coefficients.isna().all() == separated
            assert _of(models, "linear")["coefficient"].notna().all()

    def test_one_cell_without_popular_posts_separates(self) -> None:
        faces = np.repeat([0.0, 1.0], [40, 10])
        y = (np.arange(50) % 3 == 0) & (faces == 0)
        fits = interaction_models(pd.DataFrame({IMAGE: faces}), y).fits
        assert f"{IMAGE} separates some of the posts" in fits["note"][1]

    def test_terms_without_information_are_left_out_and_named(self) -> None:
        values = _variables(200).assign(**{IMAGE: 0.0})
        y = np.random.default_rng(7).random(200) < 0.3
        fits = interaction_models(values, y).fits
        assert f"{IMAGE} (the same in all posts)" in fits["left_out"][0]
        always = values.assign(**{IMAGE: 1.0})
        left_out = interaction_models(always, y).fits["left_out"][0]
        assert f"{TEXT} × {IMAGE} (follows from the other terms)" in left_out
        fits = interaction_models(values[[LIKES]], y).fits
        assert fits["design"].tolist() == ["Eq. 1", "Eq. 1"]
        assert f"{TEXT} (unknown); {IMAGE} (unknown)" in fits["left_out"][0]

    def test_too_little(self) -> None:
        with pytest.raises(DataError, match="known for 5 posts"):
            interaction_models(_variables(5), [True, False, True, False, False])
        with pytest.raises(DataError, match="nothing differs"):
            interaction_models(_variables(50), np.zeros(50))
        with pytest.raises(DataError, match="the same in all"):
            interaction_models(_variables(50)[[TEXT]] * 0, np.arange(50) < 10)


class TestTogether:
    def test_equals_scipy(self) -> None:
        posts = _sharing_posts().drop(columns="author_id")
        posts.loc[:20, "shares"] = NAN
        table = counts_together(posts)
        assert len(table) == 6
        row = table[(table["first"] == "likes") & (table["second"] == "shares")].iloc[0]
        both = posts.dropna()
        known = stats.pearsonr(np.log1p(both["likes"]), np.log1p(both["shares"]))
        assert row["n"] == len(both)
        assert row[["r", "low", "high"]].tolist() == pytest.approx(
            [known[0], *known.confidence_interval()]
        )
        ranked = stats.spearmanr(both["likes"], both["shares"])
        assert row["spearman"] == pytest.approx(ranked.statistic)
        assert row["p"] == row["p_posts"] == pytest.approx(known.pvalue)
        assert (table["p_holm"] >= table["p"]).all()

    def test_missing_counts(self) -> None:
        posts = _sharing_posts().drop(columns=["saves", "shares"])
        assert counts_together(posts)[["first", "second"]].to_numpy().tolist() == [
            ["likes", "comments"]
        ]
        with pytest.raises(DataError, match="fewer than two"):
            counts_together(posts.drop(columns="likes"))


class TestClasses:
    def test_by_hand(self) -> None:
        counts = [1.0, 2, 3, 10, 20, 30, NAN, 5]
        classes = [0, 0, 0, 1, 1, 1, 1, NAN]
        table = popularity_by_class(counts, classes, FACES, draws=200)
        assert table["posts"].tolist() == [3, 4, 7]
        assert table["n"].tolist() == [3, 3, 6]
        assert table["mean"].tolist() == pytest.approx([2, 20, 11])
        assert table["median"].tolist() == pytest.approx([2, 20, 6.5])
        expected = stats.mannwhitneyu([1, 2, 3], [10, 20, 30]).pvalue
        assert table["p"][:2].tolist() == pytest.approx([expected] * 2)
        assert table["p_holm"][0] == pytest.approx(expected)  # one test, not two

    def test_finds_what_is_there_and_not_what_is_not(self) -> None:
        rng = np.random.default_rng(8)
        authors = np.repeat(np.arange(30), 10)
        names = ("a", "b", "c", "d", "e")
        planted = rng.integers(0, 5, 300)
        counts = rng.lognormal(2 + 0.5 * (planted == 4), 0.5)
        found = popularity_by_class(counts, planted, names, authors, draws=200)
        assert found["p_holm"][4] < 0.01
        assert found["low"][4] < found["mean"][4] < found["high"][4]
        # Authors who keep to a class and to a level of popularity: nothing is there.
        false = []
        for _ in range(40):
            own, level = rng.integers(0, 5, 30), rng.normal(2, 1, 30)
            counts = rng.lognormal(level[authors], 0.3)
            found = popularity_by_class(counts, own[authors], names, authors, draws=0)
            false.append([found["p"].iloc[-1] < 0.05, found["p_posts"].iloc[-1] < 0.05])
        robust, naive = np.mean(false, axis=0)
        assert robust <= 0.15
        assert naive > 0.5

    def test_empty(self) -> None:
        table = popularity_by_class([NAN, NAN], [0, NAN], FACES)
        assert table["n"].tolist() == [0, 0, 0]
        assert table["mean"].isna().all()


class TestSharing:
    def _emotion(self, n: int) -> NDArray[np.float64]:
        return np.random.default_rng(9).integers(0, 5, n).astype(float)

    def test_whole(self) -> None:
        posts = _sharing_posts()
        faces = np.arange(300) % 5 == 0
        found = sharing_of(posts, self._emotion(300), faces.astype(float), draws=50)
        assert not found.skipped
        assert list(found.tables) == [
            "counts",
            "laws",
            "text_emotion",
            "faces",
            "together",
            "interaction_terms",
            "interaction_fits",
        ]
        assert found.tables["faces"]["share"].tolist() == pytest.approx([0.8, 0.2, 1])
        assert "CR3, 30 authors" in set(found.tables["interaction_fits"]["errors"])
        published = found.tables["interaction_terms"]["published"].dropna()
        assert published.tolist() == [-0.030, -0.011, 0.235, 0.049, -0.057]
        values = found.tables["counts"].set_index("quantity")["value"]
        zeros = int((posts["shares"] == 0).sum())
        assert values["of these zero, left out of the fit"] == zeros
        assert found.test is not None
        assert found.test.n == 300 - zeros

    def test_what_is_planted_in_one_category_is_found_there_alone(self) -> None:
        rng = np.random.default_rng(4)
        category = np.repeat(["food", "travel", "few"], [600, 600, 40])
        emotion, faces = rng.integers(0, 5, 1240), rng.random(1240) < 0.5
        moved = 0.7 * (category == "food") * faces * (emotion - 2)
        posts = pd.DataFrame(
            {
                "post_id": np.arange(1240).astype(str),
                "author_id": rng.integers(0, 40, 1240).astype(str),
                "category": category,
                "likes": rng.poisson(np.exp(rng.normal(5, 1, 1240))),
                "shares": rng.poisson(np.exp(rng.normal(4, 0.7, 1240) + moved)),
            }
        )
        found = sharing_of(posts, emotion, faces, draws=20).tables["interaction_categories"]
        linear = found[found["model"] == "linear"].set_index(["category", "term"])
        assert set(found["category"]) == {"food", "travel"}
        product = f"{TEXT} × {IMAGE}"
        assert linear.loc[("food", product), "p_holm"] < 0.01
        assert linear.loc[("travel", product), "p_holm"] > 0.2
        # Popular among the category's own posts.
        assert (found["n"] == 600).all()
        one = sharing_of(posts.assign(category="food"), emotion, faces, draws=20)
        assert "interaction_categories" not in {**one.tables, **one.skipped}

    def test_another_count(self) -> None:
        posts = _sharing_posts().drop(columns="shares")
        unknown = np.full(300, NAN)
        found = sharing_of(posts, self._emotion(300), unknown, draws=20)
        assert "--popularity names another count" in found.skipped["counts"]
        assert set(found.tables) == {"text_emotion", "together"}
        found = sharing_of(posts, self._emotion(300), unknown, "likes", draws=20)
        terms = set(found.tables["interaction_terms"]["term"])
        assert terms == {"constant", TEXT}  # likes are the outcome itself
        with pytest.raises(SettingsError, match="reach"):
            sharing_of(posts, unknown, unknown, "reach")

    def test_one_author(self) -> None:
        posts = _sharing_posts().assign(author_id="me")
        found = sharing_of(posts, self._emotion(300), np.zeros(300), draws=50)
        fits = found.tables["interaction_fits"]
        assert set(fits["errors"]) == {"HC3"}
        assert "don't extend to other authors" in fits["note"][0]
        emotion = found.tables["text_emotion"]
        # Of one author, posts are what is drawn.
        assert emotion["p_posts"].notna().all()
        np.testing.assert_array_equal(emotion["p"], emotion["p_posts"])
        assert (emotion["high"] > emotion["low"])[:5].all()

    def test_all_zero(self) -> None:
        posts = _sharing_posts().assign(shares=0)
        found = sharing_of(posts, self._emotion(300), np.zeros(300), draws=50)
        assert "0 counts above zero" in found.skipped["laws"]
        assert "none is more popular" in found.skipped["interactions"]
        assert found.tables["counts"]["value"].tolist()[1:3] == [300, 300]

    @pytest.mark.parametrize("n", [0, 1, 5])
    def test_few_posts(self, n: int) -> None:
        posts = _sharing_posts().iloc[:n]
        found = sharing_of(posts, self._emotion(n), np.zeros(n), draws=20)
        assert "interactions" in found.skipped
        assert "laws" in found.skipped

    def test_posts_without_anything(self, tmp_path: Path) -> None:
        posts = pd.DataFrame({"post_id": ["a", "b"]})
        found = analyse_sharing(PostDataset.create(tmp_path / "posts", {"posts": posts}))
        assert not found.tables
        assert len(found.skipped) == 6

    def test_reads_captions_and_covers(self, tmp_path: Path) -> None:
        captions = ["I love it, wonderful!", "This is awful, I hate it.", "It is a table.", None]
        posts = _sharing_posts(4).assign(caption=captions)
        found = analyse_sharing(PostDataset.create(tmp_path / "posts", {"posts": posts}), draws=10)
        emotion = found.tables["text_emotion"].set_index("class")["posts"]
        assert emotion["very positive"] == emotion["very negative"] == emotion["neutral"] == 1
        assert emotion["all"] == 3
        assert "no post has a picture" in found.skipped["faces"]


def test_locked_pictures_leave_the_rest(tmp_path: Path) -> None:
    dataset = PostDataset.create(tmp_path / "posts", {"posts": _sharing_posts(80)})
    (dataset.folder / LOCK_FILE).write_text("{}")
    found = analyse_posts(dataset, draws=100)
    assert "the pictures are locked" in found.skipped["sharing_faces"]
    assert "sharing_counts" in found.tables


def test_figures() -> None:
    posts = _sharing_posts()
    emotion = np.random.default_rng(10).integers(0, 5, 300).astype(float)
    found = sharing_of(posts, emotion, np.arange(300) % 4 == 0, draws=50)
    assert found.test is not None
    tables = found.tables
    pictures = [
        sharing_figures.count_distribution(found.counts, found.test, "shares"),
        sharing_figures.text_emotion(tables["text_emotion"], "shares"),
        sharing_figures.counts_together(tables["together"]),
        sharing_figures.interactions(
            tables["interaction_terms"], tables["interaction_fits"], "shares"
        ),
    ]
    assert all("n = " in picture.caption for picture in pictures)
    assert f"n = {found.test.n} posts" in pictures[0].caption


def test_command(tmp_path: Path) -> None:
    dataset = PostDataset.create(tmp_path / "posts", {"posts": _sharing_posts(80)})
    out = tmp_path / "out"
    command = ["analyse", str(dataset.folder), "--out", str(out), "--draws", "100"]
    shown = CliRunner().invoke(app, [*command, "--popularity", "saves"])
    assert shown.exit_code == 0, shown.output
    assert "Among the fifth with most saves?" in shown.output
    assert (out / "tables" / "sharing_interaction_terms.csv").is_file()
    page = (out / "index.html").read_text()
    assert 'id="sharing_counts"' in page
    assert {path.stem for path in (out / "figures").glob("eijl*.png")} == {
        "eijl_figure2a_distribution",
        "eijl_figure3_counts",
        "eijl_table1_interactions",
    }


def test_real_posts(shared_data: Path, tmp_path: Path) -> None:
    from evoked.posts.importing import import_posts

    source = shared_data / "facebook_metrics" / "dataset_Facebook.csv"
    import_posts("csv", source, tmp_path / "posts")
    found = analyse_sharing(PostDataset(tmp_path / "posts"), draws=100)
    assert found.skipped.keys() == {"text_emotion", "faces"}
    together = found.tables["together"].set_index(["first", "second"])
    assert together.loc[("likes", "shares"), "n"] == 496
    assert together.loc[("likes", "shares"), "spearman"] > 0.8
