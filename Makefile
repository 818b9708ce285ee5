# make demo   install, run the embedded default sweep, print its table, write a report
# make test   lint, types, tests
# make faults the tests that kill, pause, fill, forget and guess, beyond those in make test
# make faults-in-brief  those of them that every submission must pass
# make chaos  kill something every few seconds until a sweep has ended; compare the tables
#             (CHAOS_STORE=bucket: with its store on an S3 server)
# make deploy the wheel and the exact versions for the machines of a cluster, beside deploy/node/osr.env
# make docs   the documentation as pages, in site/: open site/index.html, no server is needed
# make bench  speeds side by side; results go to benchmarks/results/
# make choices  the comparisons that defaults rest on, in some hours; results go there, too
# make gpu    on a machine with a GPU and torch, in pieces of nine minutes: measurements, and the plans
#             that `make gpu-plans` has written to gpu/ where osr is (docs/without_ray.md)

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
# Some files at a time: many tests wait for processes. Those of a file share what is slow to make.
BY_FILE := --dist loadfile --no-loadscope-reorder

.PHONY: demo test lint types faults faults-in-brief chaos deploy docs bench choices gpu gpu-plans clean

demo: $(INSTALLED)
	@$(BIN)/osr run digits
	@echo "Report:"
	@$(BIN)/osr report
	@echo "To type osr here: source .venv/bin/activate"

test: lint types
	$(BIN)/pytest --numprocesses 3 $(BY_FILE)

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(INSTALLED)
	$(BIN)/mypy
	$(BIN)/mypy docs/first_sweep.py
	MYPYPATH=docs/generated $(BIN)/mypy docs/generated

faults: $(INSTALLED)
	$(BIN)/pytest --numprocesses 2 $(BY_FILE) -m faults

faults-in-brief: $(INSTALLED)
	$(BIN)/pytest --numprocesses 2 $(BY_FILE) -m "faults and brief"

chaos: $(INSTALLED)
	$(BIN)/python -m tests.faults.chaos

deploy: $(INSTALLED)
	rm -rf build deploy/node/*.whl
	$(BIN)/python -m build --wheel --no-isolation --outdir deploy/node .
	cp requirements.lock deploy/node/

docs: $(INSTALLED)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "Pages: site/index.html"

bench: $(INSTALLED)
	$(BIN)/python -m benchmarks speeds

choices: $(INSTALLED)
	$(BIN)/python -m benchmarks choices

gpu-plans: $(INSTALLED)
	mkdir -p gpu
	for spec in gpu_cac gpu_pmal; do $(BIN)/osr plan $$spec --output gpu/$$spec.json || exit; done

gpu:
	$(PYTHON) -m benchmarks.gpu

$(INSTALLED): pyproject.toml requirements.lock
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --requirement requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

clean:
	rm -rf .venv build dist site *.egg-info .mypy_cache .ruff_cache .pytest_cache
