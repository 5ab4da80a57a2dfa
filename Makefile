# The verbs. Every target is one line that calls the real tool; `make help` prints them.
# INVENTORY= chooses the fleet (default: the lab), LIMIT= narrows it to hosts or groups, HOSTS= narrows the lab, V=1 shows everything.
# OVERRIDE="reason" lets site and deploy change hosts in their market hours; an empty one is refused, not left out.
SHELL := /bin/bash
.DEFAULT_GOAL := help
INVENTORY ?= inventory/lab
PYTHON := .venv/bin/python
# The user's words reach the programs as typed: by the environment, where neither make reads `$` nor the shell quotes and blanks.
export FLEET_INVENTORY = $(value INVENTORY)
export FLEET_LIMIT = $(value LIMIT)
export FLEET_REASON = $(value REASON)
export FLEET_OVERRIDE = $(value OVERRIDE)
FLEET = --inventory "$$FLEET_INVENTORY" $(if $(value LIMIT),--limit "$$FLEET_LIMIT") $(if $(V),--verbose)
PLAY = $(PYTHON) -m fleet.run.playbook $(FLEET)
STAGES = $(PYTHON) -m tools.stages
# The word is given with the command, never by an environment that lasts; the shell reads nothing in it.
OVERRIDDEN = $(if $(filter command%,$(origin OVERRIDE)),--override "$$FLEET_OVERRIDE")
# An exported SECONDS is the shell's own clock, not the user's word.
LATENCY_OPTIONS = $(if $(filter command%,$(origin SECONDS)),--seconds $(SECONDS)) \
  $(if $(PEER),--peer $(PEER)) $(if $(SET_BASELINE),--set-baseline) $(if $(FORCE),--force)
export PATH := $(CURDIR)/.venv/bin:$(PATH)
# What the caller's shell says of Python, Ansible, pytest and languages is not for these verbs; a vault's password and an ssh key are.
KEPT := ANSIBLE_VAULT_% ANSIBLE_PRIVATE_KEY_FILE ANSIBLE_REMOTE_USER ANSIBLE_BECOME_PASSWORD_FILE ANSIBLE_CONNECTION_PASSWORD_FILE
unexport $(filter-out $(KEPT),$(filter ANSIBLE_% PYTHON% PYTEST_% VIRTUAL_ENV% CONDA_% MOLECULE_% LC_% LANG LANGUAGE,$(.VARIABLES)))
# Named, because Ansible passes over the file in a folder that others may write, and for one of the caller's home.
export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg
export LC_ALL := C.UTF-8

##@ Try it
.PHONY: lab lab-status lab-down
lab: setup ## start the virtual fleet, provision it, prove it (HOSTS=a,b  LAB_IMAGE=debian:12  V=1)
	@$(PYTHON) -m lab.containers up
lab-status: setup ## show the state of each host of the lab
	@$(PYTHON) -m lab.containers status
lab-down: setup ## remove the lab and the engine it started (HOSTS=a,b only these hosts)
	@$(PYTHON) -m lab.containers destroy

##@ Use it
.PHONY: secrets check-inventory check site deploy halt verify drift latency
secrets: setup ## write what an inventory's secrets lack: random values, encrypted
	@$(PYTHON) -m fleet.run.secrets "$$FLEET_INVENTORY"
check-inventory: setup ## find mistakes in an inventory before any host is touched
	@$(PYTHON) -m fleet.check "$$FLEET_INVENTORY"
check: setup ## dry run: what site would change, as a diff
	@$(PLAY) playbooks/site.yml --check --diff
site: setup ## bring every host to its declared state (OVERRIDE="reason"  in market hours, too)
	@$(PLAY) $(OVERRIDDEN) playbooks/site.yml
deploy: setup ## ship a new release of the trading services and nothing else; one that does not become ready is rolled back (OVERRIDE="reason")
	@$(PLAY) $(OVERRIDDEN) playbooks/deploy.yml
# No set-up, which may need a network, and no default: someone who halts the lab by mistake would believe that production is halted.
halt: ## deny every order and stop the services of every host of INVENTORY=, which has no default here (REASON="..."  LIMIT=hosts)
	$(if $(filter file,$(origin INVENTORY)),$(error say which fleet: make halt INVENTORY=inventory/production))
	@[ -x $(PYTHON) ] || { echo 'nobody was halted: no .venv here. Run `make setup`, or on each host `sudo station halt`' >&2; exit 2; }
	@$(PYTHON) -m fleet.halt --inventory "$$FLEET_INVENTORY" --limit "$$FLEET_LIMIT" --reason "$$FLEET_REASON"
verify: setup ## prove the state on the real hosts
	@$(PYTHON) -m fleet.run.verify $(FLEET)

drift: setup ## list the hosts that differ from the inventory or wait for a reboot
	@$(PLAY) playbooks/site.yml --check --expect-no-change
latency: setup ## measure a host's latency against its own baseline (LIMIT=host  PEER=host  SECONDS=n  SET_BASELINE=1  FORCE=1)
	@$(PYTHON) -m fleet.latency $(FLEET) $(LATENCY_OPTIONS)

##@ Work on it
.PHONY: setup lock new-role lint unit fleet kernel test-kernel kernel-hft kernel-trading test-onload test-migration faults short-faults test bench-bus bench-halt bench-site docs
setup: .venv/installed ## install the locked tools into .venv
# A clone that was moved, or whose Python an upgrade replaced, has programs that do not start: what is written there no longer holds.
STAMP := $(shell pwd -P; readlink -f .venv/bin/python)
ifneq ($(shell cat .venv/installed 2>/dev/null),$(STAMP))
.PHONY: .venv/installed
endif
.venv/installed: requirements/uv.txt requirements/dev.txt pyproject.toml requirements/setup.sh
	@requirements/setup.sh
lock: setup ## write requirements/*.txt again from pyproject.toml, with newer versions
	@requirements/lock.sh
new-role: setup ## write the skeleton of a role (NAME=x  GROUP=hosts that get it  PLAYBOOK=its layer)
	$(if $(NAME),,$(error say which: make new-role NAME=blackbox_exporter))
	@$(PYTHON) -m tools.new_role $(NAME) $(if $(GROUP),--group $(GROUP)) $(if $(PLAYBOOK),--playbook $(PLAYBOOK))
lint: setup ## every static check
	ruff check
	ruff format --check --quiet
	mypy
	lint-imports
	shellcheck requirements/*.sh roles/*/files/*.sh lab/vm/install.sh docs/how-to/*.sh molecule/fleet/vault-password .ci/run
	yamllint --strict .
	ansible-lint --offline --strict
	$(PYTHON) -m tools.lint
	$(PYTHON) -m fleet.check inventory/production --secrets inventory/secrets.yml.example
	$(PYTHON) -m fleet.check inventory/vm
	$(PYTHON) -m tools.pages --check
unit: setup ## tests that need no host
	@$(PYTHON) -m pytest -q --numprocesses auto --dist worksteal tests/unit
fleet: setup ## test the whole fleet on fresh hosts: dry run, converge, idempotence, verify, bad input, faults (removes a running lab)
	@$(STAGES) fleet
kernel: setup ## test the kernel layer in one virtual machine: the tuned state after a reboot, and a line that does not boot
	@$(STAGES) kernel
test-kernel: setup ## test all of the kernel layer in two virtual machines: every profile, latency, power cuts, bad input (not in `test`)
	@$(STAGES) test-kernel
kernel-hft kernel-trading: setup
	@$(STAGES) $@
test-onload: setup ## test kernel bypass with stand-ins for the vendor's packages, in a virtual machine (not in `test`: ten minutes of builds)
	@$(STAGES) test-onload
test-migration: setup ## bring the lab of an older commit to this one: nothing lost, nothing left behind (not in `test`; BEFORE=commit)
	@$(PYTHON) -m tests.migration $(if $(BEFORE),--before $(BEFORE))
faults: setup ## kill, stall and starve real services, cut their power, count the events lost (REPEAT=n  ONLY=fault,fault  SEED=n  JOBS=n)
	@$(PYTHON) -m tests.faults $(if $(REPEAT),--repeat $(REPEAT)) $(if $(ONLY),--only $(ONLY)) $(if $(SEED),--seed $(SEED)) $(if $(JOBS),--jobs $(JOBS))
short-faults: setup
	@$(PYTHON) -m pytest -q tests/faults
test: setup ## everything CI runs, each stage timed: lint, unit, fleet, kernel, short-faults
	@$(STAGES) test
bench-bus: setup ## measure event bus, journal and QuestDB against the bare clients (SECONDS=n  length of the 10,000 events/s test)
	@$(PYTHON) -m tests.performance.bus $(if $(filter command%,$(origin SECONDS)),--seconds $(SECONDS))
bench-halt: setup ## measure the kill switch beside plain ssh, on the lab and two addresses where nothing answers
	@$(PYTHON) -m tests.performance.halt
bench-site: setup ## measure a site.yml that changes nothing: Ansible's defaults, our settings, Mitogen
	@$(PYTHON) -m tests.performance.site
docs: setup ## write the generated pages of docs/reference
	@$(PYTHON) -m tools.pages

.PHONY: help
help:
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo; echo "  start with: sudo make lab"
