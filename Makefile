# Tasks for developers, such as `make demo` and `make test`. The environment is created on first use.

PYTHON ?= python3
VENV := .venv
BROWSERS = $(shell which chromium chromium-browser google-chrome chrome 2> /dev/null)
TOOLS = libfluidsynth3 fluid-soundfont-gm $(if $(BROWSERS),,chromium)
BIN := $(VENV)/bin
READY := $(VENV)/ready

.PHONY: demo demo-train real test coverage slow fuzz shuffle lint format bench readme figures docs package notebook tools clean

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt torch
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[app,dev,docs,metrics,onnx,ray]'
	$(BIN)/python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['optional-dependencies']['parity'])" \
	  | xargs $(BIN)/pip install --quiet --no-deps
	touch $@

# Separates a generated song that the bundled model was not trained on, and scores the stems.
demo: $(READY)
	rm -rf demo
	$(BIN)/auralflow synth demo/songs --tracks 3 --seconds 30 --seed 20261122
	AURALFLOW_OFFLINE=1 $(BIN)/auralflow separate SpectrogramNetSimple demo/songs/test --residual --save demo
	AURALFLOW_OFFLINE=1 $(BIN)/auralflow evaluate SpectrogramNetSimple demo/songs

# Generates songs, trains a small model on them, separates another song and scores the result.
demo-train: $(READY)
	rm -rf demo-train
	$(BIN)/auralflow synth demo-train/songs --tracks 6 --seconds 40
	$(BIN)/auralflow config SpectrogramNetSimple --save demo-train/model --vocals --drums --bass --other \
	  --num-hidden-channels 8 --dropout-p 0.1 --num-fft 2048 --window-size 2048 --hop-length 1024
	$(BIN)/auralflow train demo-train/model demo-train/songs --criterion complex-l1 --lr 0.005 --warmup-steps 10 \
	  --ema-decay 0.95 --batch-size 4 --max-samples 80 --max-epochs 8 --valid-samples 10 --min-delta 0.0001 \
	  --num-workers 1 --silent
	$(BIN)/auralflow separate demo-train/model demo-train/songs/test --residual --save demo-train
	$(BIN)/auralflow evaluate demo-train/model demo-train/songs

# Imports published weights of Spleeter, separates real songs with them and checks the scores. Whatever cannot be
# downloaded is skipped and named: see packaging/real.py.
real: $(READY)
	$(BIN)/python packaging/real.py

# One worker per core, up to eight. Tests in the same file run in the same worker, so that they share fixtures.
WORKERS ?= auto
PARALLEL = --numprocesses $(WORKERS) --maxprocesses 8 --dist loadfile
test: $(READY)
	$(BIN)/python -m pytest $(PARALLEL)

# The same, with line and branch coverage.
coverage: $(READY)
	$(BIN)/python -m pytest $(PARALLEL) --cov --cov-report=term

slow: $(READY)
	$(BIN)/python -m pytest -m slow

# Ten times as many random examples as `make test`, and new ones each time; also damages thousands of files. Each
# failure prints how to repeat it; FUZZ_FILES and FUZZ_SEED choose how many files and which.
FUZZ_FILES ?= 5000
FUZZ_SEED ?= $(shell date +%s)
fuzz: $(READY)
	$(BIN)/python -m pytest --hypothesis-profile=fuzz -m 'hypothesis and not slow' --timeout 3600
	AURALFLOW_FUZZ_FILES=$(FUZZ_FILES) AURALFLOW_FUZZ_SEED=$(FUZZ_SEED) \
	  $(BIN)/python -m pytest -m slow -rP --show-capture=stdout tests/fuzz

# The suite with modules, and the tests in each, in random order: no test may depend on another.
ORDER ?= $(shell date +%s)
shuffle: $(READY)
	$(BIN)/python -m pytest $(PARALLEL) --no-loadscope-reorder --random-order --random-order-seed=$(ORDER)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Those that need no model and no songs; the others say what they need.
BENCHMARKS := cluster data decode evaluate families separate synth train train_choices

bench: $(READY)
	for name in $(BENCHMARKS); do $(BIN)/python benchmarks/$$name.py || exit 1; done

# Regenerates the pages about commands and settings and the tables on other pages from the program, and the tables of
# models from their cards.
readme: $(READY)
	$(BIN)/python docs/tables.py
	$(BIN)/python docs/pretrained_tables.py
	$(BIN)/python docs/public_tables.py
	$(BIN)/python docs/reference_pages.py

# Redraws the figures of the documentation, and takes screenshots of the web page (needs Chromium: make tools).
figures: $(READY)
	$(BIN)/python docs/figures.py
	$(BIN)/python docs/app_pictures.py

# Builds the documentation to docs/_build; a warning, a broken link and a public name without documentation are errors.
# It needs no network.
docs: $(READY)
	$(BIN)/python -m sphinx -q -W --keep-going -b html docs docs/_build
	$(BIN)/python docs/check_links.py docs/_build
	$(BIN)/python docs/check_reference.py docs/_build

# Builds wheel and sdist, and tries them in clean environments with the oldest and the newest Python.
package: $(READY)
	$(BIN)/python packaging/check.py

# Runs the notebook from a clean kernel.
notebook: $(READY)
	$(BIN)/python -m pytest -m slow tests/test_notebook.py

# Installs programs without which some tests are skipped: Chromium for the web page, FluidSynth with a free soundfont
# for instruments. On Debian and Ubuntu, as root.
tools:
	dpkg --status $(TOOLS) > /dev/null 2>&1 || \
	  (apt-get update && apt-get install --yes --no-install-recommends $(TOOLS))

clean:
	rm -rf $(VENV) demo demo-train real dist docs/_build
