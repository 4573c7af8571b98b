#!/usr/bin/env bash
# Installs the oldest release that pyproject.toml allows of everything that evoked itself needs, in
# a temporary environment outside the repository, and runs the quick part of the tests in it.
# Arguments go to pytest in place of that part.
set -euo pipefail
cd "$(dirname "$0")/.."

QUICK=(
  tests/affect/test_image.py
  tests/analysis/test_sharing.py
  tests/cli/test_commands.py
  tests/evaluation/test_metrics.py
  tests/evaluation/test_splits.py
  tests/explain/test_posts.py
  tests/features/encoders/test_descriptors.py
  tests/features/encoders/test_builtin_text.py
  tests/features/encoders/test_encoders.py
  tests/features/encoders/test_facial_expressions.py
  tests/features/test_cache.py
  tests/features/test_captions.py
  tests/features/test_extract.py
  tests/features/test_hashtags.py
  tests/features/test_metadata.py
  tests/features/test_sentiment.py
  tests/features/test_topics.py
  tests/layers/test_message_passing.py
  tests/models/test_baselines.py
  tests/models/test_contract.py
  tests/models/test_hmg_emo.py
  tests/models/test_linear.py
  tests/models/test_pixelrec.py
  tests/models/test_label_spreading.py
  tests/posts/privacy/test_privacy.py
  tests/posts/readers/test_contract.py
  tests/posts/synthetic/test_posts.py
  tests/posts/test_dataset.py
  tests/posts/test_images.py
  tests/posts/test_importing.py
  tests/report/test_analysis_page.py
  tests/report/test_write.py
  tests/runs/test_viewings.py
  tests/targets/test_emotion_engagement.py
  tests/training/test_loop.py
  tests/training/test_neighbours.py
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
