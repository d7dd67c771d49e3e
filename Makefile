# `make help` lists the targets. Everything is installed into .venv, nothing outside of it.

VENV   ?= .venv
PYTHON ?= $(shell command -v python3 || command -v python)
DATA   ?= ../shared/data
RAW    ?= data/sample/synthetic.zip
PHOTOS ?= 2500 5000 10000

# The stages run `python`, and `dvc` must be found, so the environment comes first on PATH.
export PATH := $(abspath $(VENV))/bin:$(PATH)
# Tests run in parallel with one thread each, because torch's threads would compete.
PYTEST := -m pytest -n auto --dist worksteal
PIP := $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.DEFAULT_GOAL := help
.PHONY: help repro robustness export general audit install test slow reproduce fuzz bench check format \
  pythons browser clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

repro: install ## install, run the pipeline, print the report and the path of the plots page
	@surface-crack check
	dvc repro
	@dvc plots show >/dev/null
	@echo; cat metrics/report.txt
	@echo; echo "Plots: $(CURDIR)/dvc_plots/index.html"

robustness: install ## scores on test photos with blur, noise, bad light, ...; print the table
	dvc repro stages/optional/dvc.yaml:robustness
	@echo; cat metrics/robustness.txt

export: $(VENV)/.export ## write models/crack.onnx, which `inspect` can use without PyTorch
	dvc repro stages/optional/dvc.yaml:export

general: $(VENV)/.export ## retrain the model in the package, RAW=folder with its four archives
	rm -rf build/general && git clone -q . build/general && mkdir -p build/general/data/raw
	cp $(addprefix $(RAW)/,metu.zip sdnet.zip sdnet-more.zip drone.zip) build/general/data/raw/
	cp surface_crack/general/params.yaml build/general/params.yaml
	cd build/general && dvc repro && dvc repro stages/optional/dvc.yaml:export
	cp $(addprefix build/general/models/,crack.safetensors crack.onnx decision.json) surface_crack/general/
	mkdir -p surface_crack/general/metrics
	cp $(addprefix build/general/metrics/,calibrate.json data.json evaluate.json) surface_crack/general/metrics/
	cp build/general/plots/mistakes.png surface_crack/general/
	sed 's#](results.md)#](../../docs/results.md)#; s#](../data/#](../../data/#' \
	  build/general/docs/model_card.md > surface_crack/general/model_card.md

audit: install ## rank labels by how likely they are wrong, see data/audit
	dvc repro split
	surface-crack audit

install: $(VENV)/.pipeline ## create .venv and install the pipeline

test: $(VENV)/.test check ## lint, type checks and tests
	OMP_NUM_THREADS=1 $(VENV)/bin/python $(PYTEST) -m "not slow"

slow: $(VENV)/.test ## the slow tests, some on the real photos in DATA
	OMP_NUM_THREADS=1 SURFACE_CRACK_DATA="$(DATA)" $(VENV)/bin/python $(PYTEST) -m slow

reproduce: $(VENV)/.test ## run the pipeline in two clones and compare every byte
	$(VENV)/bin/python -m tests.support.reproduce

fuzz: $(VENV)/.test ## fuzz the parsers of params.yaml and zips, a minute each
	$(PIP) atheris
	$(VENV)/bin/python -m tests.support.fuzz params 60
	$(VENV)/bin/python -m tests.support.fuzz archive 60

bench: install ## measure speed on RAW=archive or the sample; WRITE=1 updates docs/performance.md
	@[ -e "$(RAW)" ] || dvc repro sample
	python -m bench.time_to_accuracy "$(RAW)" --epochs 4 8 16 $(WRITTEN)
	python -m bench.train_step $(WRITTEN)
	python -m bench.decoding "$(RAW)" $(WRITTEN)
	python -m bench.pipeline "$(RAW)" --rounds 2 $(WRITTEN)
	python -m bench.pipeline "$(RAW)" --rounds 1 --photos $(PHOTOS) $(WRITTEN)
	python -m bench.overhead $(WRITTEN)

WRITTEN := $(if $(WRITE),--write)

check: $(VENV)/.test ## lint and type checks
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy

format: $(VENV)/.test ## format the code
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

pythons: ## on Python 3.12 and 3.13, if installed: resolve dependencies, run tests without torch
	@for version in 3.12 3.13; do \
	  for found in python$$version $$HOME/.pyenv/versions/$$version.*/bin/python ""; do \
	    [ -n "$$found" ] && "$$found" --version >/dev/null 2>&1 && break; done; \
	  [ -n "$$found" ] || { echo "Python $$version is not installed: skipped"; continue; }; \
	  echo "Python $$version"; \
	  "$$found" -m venv $(VENV)-$$version && \
	  $(VENV)-$$version/bin/python -m pip install --quiet --dry-run -e ".[pipeline]" && \
	  $(VENV)-$$version/bin/python -m pip install --quiet -c constraints.txt \
	    -e . dvc filelock hypothesis matplotlib pandas pytest pytest-xdist scikit-learn && \
	  OMP_NUM_THREADS=1 $(VENV)-$$version/bin/python $(PYTEST) -q -m "not slow" || exit 1; \
	done

browser: ## install Debian's Chromium, for the tests of HTML pages
	command -v chromium >/dev/null || { $(SUDO) apt-get update -qq && $(SUDO) apt-get install -qq -y chromium >/dev/null; }

clean: ## remove the environment and caches, but not data, models and DVC's cache
	rm -rf $(VENV) $(VENV)-3.* .mypy_cache .pytest_cache .ruff_cache .hypothesis .fuzz dvc_plots

SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "Python 3.11 or newer is needed, got: $$($(PYTHON) --version 2>&1). Set PYTHON=..."; exit 1; }
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(VENV)/.pipeline: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) -e ".[pipeline]"
	@touch $@

$(VENV)/.export: pyproject.toml constraints.txt | $(VENV)/.pipeline
	$(PIP) -e ".[pipeline,export]"
	@touch $@

$(VENV)/.test: pyproject.toml constraints.txt | $(VENV)/.pipeline
	$(PIP) -e ".[pipeline,export,heic,test]"
	@touch $@
