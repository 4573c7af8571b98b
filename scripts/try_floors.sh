#!/usr/bin/env bash
# Installs the oldest release that pyproject.toml allows of everything that evoked itself needs, in
# a throw-away environment outside the repository, and runs the quick part of the tests in it.
# What follows on the command line goes to pytest in place of that part.
set -euo pipefail
cd "$(dirname "$0")/.."

QUICK=(
  tests/affect/test_image.py tests/report/test_analysis_page.py tests/models/test_baselines.py
  tests/features/encoders/test_builtin_image.py tests/features/encoders/test_facial_expressions.py tests/models/test_linear.py
  tests/features/encoders/test_builtin_text.py tests/features/test_cache.py tests/cli/test_commands.py tests/posts/test_dataset.py
  tests/features/encoders/test_encoders.py tests/explain/test_posts.py tests/features/test_extract.py tests/layers/test_message_passing.py
  tests/features/test_hashtags.py tests/models/test_hmg_emo.py tests/posts/test_images.py tests/posts/test_importing.py
  tests/features/test_metadata.py tests/evaluation/test_metrics.py tests/models/test_contract.py tests/training/test_neighbours.py
  tests/runs/test_viewings.py tests/models/test_pixelrec.py tests/posts/privacy/test_privacy.py
  tests/posts/readers/test_contract.py tests/report/test_write.py tests/models/test_rmthg.py tests/features/test_sentiment.py
  tests/analysis/test_sharing.py tests/evaluation/test_splits.py tests/posts/synthetic/test_posts.py tests/targets/test_emotion_engagement.py
  tests/features/test_captions.py tests/features/test_topics.py tests/training/test_loop.py
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
