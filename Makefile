# make demo   install, run the embedded default sweep, print its table, write a report
# make test   lint, types, tests
# make faults the tests that kill, pause, fill, forget and guess, beyond those in make test
# make chaos  kill something every few seconds until a sweep has ended; compare the tables
#             (CHAOS_STORE=bucket: with its store on an S3 server)
# make deploy the wheel and the exact versions for the machines of a cluster, beside deploy/node/osr.env
# make bench  measurements side by side; results go to benchmarks/results/

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
# Two files at a time: many tests wait for processes. Those of a file share what is slow to make.
TWO_FILES := --numprocesses 2 --dist loadfile --no-loadscope-reorder

.PHONY: demo test lint types faults chaos deploy bench clean

demo: $(INSTALLED)
	@$(BIN)/osr run digits
	@echo "Report:"
	@$(BIN)/osr report

test: lint types
	$(BIN)/pytest $(TWO_FILES)

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(INSTALLED)
	$(BIN)/mypy

faults: $(INSTALLED)
	$(BIN)/pytest $(TWO_FILES) -m faults

chaos: $(INSTALLED)
	$(BIN)/python -m tests.faults.chaos

deploy: $(INSTALLED)
	rm -rf build deploy/node/*.whl
	$(BIN)/python -m build --wheel --no-isolation --outdir deploy/node .
	cp requirements.lock deploy/node/

bench: $(INSTALLED)
	$(BIN)/python -m benchmarks

$(INSTALLED): pyproject.toml requirements.lock
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --requirement requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

clean:
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
