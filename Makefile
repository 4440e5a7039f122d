# Two commands matter: `make demo` and `make test`. Each sets up what it needs.
VENV := .venv
PY := $(VENV)/bin/python
UV := $(VENV)/bin/uv
TORCH_BACKEND ?= auto
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)
export OMP_NUM_THREADS ?= 1
unexport PYTHONDONTWRITEBYTECODE  # tests start many processes: compile a module once, not in each

BUILD := scikit-build-core cmake ninja # in the environment itself, so that a build goes on from the last
PAGE := export/pointcmt_export/formats/web/page

.PHONY: help demo gpu test suite collected page lint format docs bench mutants sanitize clean
.DEFAULT_GOAL := help

help:  ## list what one can do here
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

# The constraint keeps torch at one version; the backend probe picks its CPU or CUDA build where
# the index of torch builds can be reached, and falls back to the default index where it cannot.
$(VENV)/.ready: pyproject.toml constraints.txt $(wildcard pointcmt/native/CMakeLists.txt pointcmt/native/src/*)
	test -x $(PY) || python3 -m venv $(VENV)
	test -x $(UV) || $(PY) -m pip install --quiet uv
	@backend=; if test -z "$$UV_FIND_LINKS" && UV_HTTP_TIMEOUT=5 UV_HTTP_RETRIES=0 $(UV) pip install \
	    --python $(PY) --quiet --dry-run --torch-backend=$(TORCH_BACKEND) -c constraints.txt torch \
	    2>/dev/null; then backend=--torch-backend=$(TORCH_BACKEND); fi; \
	$(UV) pip install --python $(PY) --quiet -c constraints.txt $(BUILD) && \
	$(UV) pip install --python $(PY) --quiet $$backend -c constraints.txt \
	    --no-build-isolation-package pointcmt -e '.[dev]'
	touch $@

demo: $(VENV)/.ready  ## train, export, verify and classify on the embedded shapes, in minutes
	env -u OMP_NUM_THREADS $(PY) examples/demo.py runs/demo

# Without npm or its registry the page's tests are skipped, and say so.
test:  ## every check: lint, types, layers, spelling, tests
	-$(MAKE) --no-print-directory -j 2 $(VENV)/.ready $(if $(shell command -v npm 2>/dev/null),page)
	$(MAKE) --no-print-directory -j 2 lint suite

suite: collected
	$(PY) -m pytest -n 2

# Two workers that start at once would each compile every module that the tests import.
collected: $(VENV)/.ready
	$(PY) -m pytest --collect-only -q >/dev/null

page: $(PAGE)/dist/index.html  ## build the page of --format web (npm brings what it is built from)

$(PAGE)/dist/index.html: $(wildcard $(addprefix $(PAGE)/,*.js package*.json src/* src/formats/*))
	cd $(PAGE) && npm ci --silent --ignore-scripts --fetch-retries=0 --fetch-timeout=60000 && \
	    npm run --silent build

lint: $(VENV)/.ready  ## style, types, layers and spelling
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(VENV)/bin/codespell

format: $(VENV)/.ready  ## rewrite the sources in the house style
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

docs: $(VENV)/.ready  ## build the pages and the API reference as a site in build/site
	$(VENV)/bin/mkdocs build --quiet

bench: $(VENV)/.ready  ## run the benchmarks that need neither a GPU nor a data set
	$(UV) pip install --python $(PY) --quiet -c constraints.txt -e '.[bench]'
	for name in data views ops students deploy; do $(PY) -m benchmarks.$$name || exit 1; done

gpu: $(VENV)/.ready  ## run what only a GPU can show, resumable; DATA=FOLDER of ModelNet40, MINUTES=30
	env -u OMP_NUM_THREADS $(PY) -m benchmarks.gpu --minutes $(or $(MINUTES),30) --data "$(DATA)"

mutants: $(VENV)/.ready  ## plant deliberate errors and see that the tests notice each
	$(PY) -m tests.mutants

# Each build is loaded into an ordinary Python, so the sanitizer's own library comes first.
export TSAN_OPTIONS ?= halt_on_error=1 ignore_noninstrumented_modules=1 die_after_fork=0
export ASAN_OPTIONS ?= detect_leaks=0
export UBSAN_OPTIONS ?= halt_on_error=1 print_stacktrace=1
sanitize: $(VENV)/.ready  ## run the native ops' tests under ThreadSanitizer and AddressSanitizer
	for kind in thread:tsan address,undefined:asan; do \
	    folder=build/sanitize-$${kind#*:}; \
	    $(UV) tool run --quiet cmake -S pointcmt/native -B $$folder \
	        -DPOINTCMT_SANITIZE=$${kind%:*} && \
	    $(UV) tool run --quiet cmake --build $$folder && \
	    POINTCMT_NATIVE=$$folder/_native.abi3.so \
	    LD_PRELOAD=$$($(CXX) -print-file-name=lib$${kind#*:}.so) \
	    $(PY) -m pytest tests/ops/native -qs --timeout 1800 || exit 1; \
	done

clean:  ## remove what the build made
	rm -rf $(VENV) build dist runs
