# `make demo` and `make test` work on a fresh Linux machine with Python 3.11 or
# 3.12 and a package index: no system libraries, no ffmpeg, no compiler.
# The first interpreter that really starts and has the right version.
PYTHON ?= $(shell for p in python3 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' \
	2>/dev/null && echo $$p && break; done)
VENV := .venv
RUN := $(VENV)/bin/python
STAMP := $(VENV)/.installed

.PHONY: setup demo test test-all lint types bench clean

setup: $(STAMP)

$(STAMP): requirements.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or 3.12 is needed and none was found;\
	 name one with make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --upgrade pip
	$(RUN) -m pip install --quiet --editable ".[dev,studio,whisper]"
	@# mediapipe and opencv-python bring builds of cv2 that need the system's
	@# libGL; the headless build of the same version replaces their files.
	$(RUN) -m pip install --quiet --force-reinstall --no-deps opencv-python-headless==5.0.0.93
	touch $@

# A file's tests share what they build, so a file stays with one worker.
PYTEST := $(RUN) -m pytest -n 2 --dist loadfile

test: setup
	$(PYTEST) -m "not heavy"

test-all: setup
	$(PYTEST)

lint: setup
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .

types: setup
	$(RUN) -m basedpyright --pythonpath $(RUN)

demo: setup
	$(RUN) train.py --config=configs/multi_id.py:draft_cpu --workdir=runs/demo \
	  --config.data.size=128 --config.train.steps=900 --config.train.max_minutes=3
	$(RUN) render.py --workdir=runs/demo --identity=demo_00 --frames=all --out=runs/demo/demo.mp4
	$(RUN) render.py --workdir=runs/demo --identity=demo_00 --audio=data/demo/demo_01/audio.wav --out=runs/demo/speech.mp4
	$(RUN) render.py --workdir=runs/demo --evaluate --max-frames=8
	@echo "The videos are runs/demo/demo.mp4 (re-enacted) and runs/demo/speech.mp4 (driven by"
	@echo "another voice); figures and pictures are in runs/demo/evaluation/*."

# Ratios on this machine, in under ten minutes; a JSON line each.
bench: setup
	@test -d data/demo || $(RUN) -c 'from lokitalk_jax import demo; demo.make_cast("data/demo")'
	$(RUN) -m benchmarks.hashgrid_speed --points=65536
	$(RUN) -m benchmarks.hashgrid_speed --points=1048576 --rounds=3 --forms=ours,unrolled,flat
	$(RUN) -m benchmarks.train_step_speed --data=data/demo/demo_00
	$(RUN) -m benchmarks.loader_speed --data=data/demo/demo_00
	$(RUN) -m benchmarks.scaling_on_paper
	$(RUN) -m benchmarks.time_to_quality --data=data/demo/demo_00 --preset=draft_cpu --minutes=1

clean:
	rm -rf $(VENV) runs/demo data/demo
