#!/usr/bin/env bash
# Installs the oldest release that pyproject.toml allows of everything that evoked itself needs, in
# a throw-away environment outside the repository, and runs the quick part of the tests in it.
# What follows on the command line goes to pytest in place of that part.
set -euo pipefail
cd "$(dirname "$0")/.."

QUICK=(
  tests/test_affect_image.py tests/test_analysis_page.py tests/test_baselines.py
  tests/test_builtin_image.py tests/test_facial_expressions.py tests/test_linear.py
  tests/test_builtin_text.py tests/test_cache.py tests/test_cli.py tests/test_dataset.py
  tests/test_encoders.py tests/test_explain.py tests/test_extract.py tests/test_graph_layers.py
  tests/test_hashtags.py tests/test_hmg_emo.py tests/test_images.py tests/test_importing.py
  tests/test_metadata.py tests/test_metrics.py tests/test_models.py tests/test_neighbours.py
  tests/test_network_run.py tests/test_pixelrec.py tests/test_privacy.py
  tests/test_readers_contract.py tests/test_report.py tests/test_rmthg.py tests/test_sentiment.py
  tests/test_sharing.py tests/test_splits.py tests/test_synthetic.py tests/test_targets.py
  tests/test_text.py tests/test_topics.py tests/test_training.py
)

place=$(mktemp -d "${TMPDIR:-/tmp}/evoked-floors.XXXXXX")
trap 'rm -rf "$place"' EXIT
"${PYTHON:-python3}" -m venv "$place"
python=$place/bin/python
"$python" -m pip install --quiet uv

# The tools that developers need (the extra 'dev') come at their newest: only users' floors count.
"$python" -m uv pip compile --quiet --resolution lowest-direct --extra all pyproject.toml \
  --output-file "$place/floors.txt"
"$python" -m uv pip install --quiet --python "$python" --constraint "$place/floors.txt" \
  --editable '.[all,dev]'

grep -v '^ *#' "$place/floors.txt"
OMP_NUM_THREADS=1 "$python" -m pytest -n 0 -p no:cacheprovider "${@:-${QUICK[@]}}"
