# graceshut: `make demo` and `make test` do all set-up on a machine that has Rust; the other languages
# take part as far as they are there: a C compiler, Python 3, Node, Go, a JDK with Maven.
#
#   make demo    the same service in six languages, stopped under load; timelines side by side
#   make test    everything: each language, the servers people run, conformance, header, layers, lints
#   make bench   graceshut beside its peers, as ratios
#   make conformance [SCENARIOS=DIR] [ONLY=name,...] [LANGUAGES=go,java] [UPDATE=1]   every scenario in every language
#   make test-wasm   WebAssembly hooks; make fuzz: registration of WebAssembly with arbitrary bytes, FUZZ_SECONDS=600
#   make test-rounds, make test-browser   rolling restarts behind haproxy and nginx; the HTML report in Chromium
#   make test-kafka [LANGUAGES=python,go] [ONLY=rolling,...] [RUNS=3]   consumers under SIGTERM with a real broker (kafka/README.md)
#   make test-containers   every service and `graceshut run` as PID 1 of real containers: podman
#   make test-hosts [ONLY=aiohttp,tsx] [LANGUAGES=python] [RUNS=3] [UPDATE=1]   servers, tools and libraries nobody wrote for, with
#                graceshut and without; make test-hosts-quick: two minutes of it
#   make install PREFIX=/usr/local   header, libraries, pkg-config and CMake files
#
# A toolchain that is missing is named and skipped; with CI=true that is a failure.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
T := target
PYTHON ?= python3
PREFIX ?= /usr/local
VENV := $(T)/venv
PY := $(VENV)/bin/python
NODEDIR := $(T)/node
STAGE := $(T)/stage
export CARGO_TERM_COLOR ?= never
export PIP_DISABLE_PIP_VERSION_CHECK := 1

have = $(shell command -v $(1) >/dev/null 2>&1 && echo yes)
HAVE_PYTHON := $(shell $(PYTHON) -c 'import venv, ensurepip' >/dev/null 2>&1 && echo yes)
HAVE_NODE := $(and $(call have,node),$(call have,npm))
HAVE_CC := $(call have,cc)
HAVE_GO := $(and $(call have,go),$(HAVE_CC))
HAVE_JAVA := $(and $(call have,javac),$(call have,mvn),$(HAVE_CC))
GOPROXY_DIR := $(T)/goproxy
GODIR := $(T)/go
# The module as its users get it, and what it needs from nowhere else. Without the checksum database: it knows no local module.
# Without the index of modules: Go takes a version for something that never changes, and ours changes with every build.
GO_PACKAGED := GODEBUG=goindex=0 GOPROXY=file://$(CURDIR)/$(GOPROXY_DIR) GONOSUMDB=* GONOSUMCHECK=1 GOFLAGS=-mod=mod
VERSION := $(shell sed -n 's/^version *= *"\(.*\)"/\1/p' Cargo.toml | head -n 1)

.PHONY: demo test bench install clean header fmt lint conformance fuzz \
	engine cli rust-service c-library c-library-wasm wheel npm node-packages adapters-node venv venv-adapters adapters-python go-archive go-module \
	java-native java-jar java-demo c-service node-service go-service \
	test-kafka kafka-python kafka-node kafka-go kafka-java kafka-baseline \
	test-rust test-run test-run-long test-containers test-rounds test-browser test-wasm test-c test-python test-python-all test-node \
	test-go test-java toolchains test-hosts test-hosts-quick hosts-python hosts-node hosts-go hosts-java

# --- artifacts -------------------------------------------------------------

# Whatever has the WebAssembly engine in it, but the wheel, in one call: each link takes one core for minutes, and so two are made
# at a time. What follows finds them made (wasm/tests/features.rs: with the same features).
engine:
	cargo build --release --locked -p graceshut-c -p graceshut-cli -p graceshut-demo -p graceshut-demo-service \
		$(if $(HAVE_NODE),-p graceshut-node --features graceshut-node/wasm) --features graceshut-c/wasm,graceshut-cli/wasm

cli:
	cargo build --release --locked -p graceshut-cli -p graceshut-demo --features graceshut-cli/wasm

rust-service:
	cargo build --release --locked -p graceshut-demo-service

# Header, .so, .a, .pc and CMake files, staged as `make install` would put them. In a folder of cargo's of its own: a library's file
# has no hash in its name, and so with and without WebAssembly would be linked anew in turns.
c-library:
	CARGO_TARGET_DIR="$(CURDIR)/$(T)/plain" $(MAKE) -C bindings-c install CARGO_FLAGS=--locked PREFIX="$(CURDIR)/$(STAGE)" >/dev/null

# The same with WebAssembly hooks.
c-library-wasm: c-library
	$(MAKE) -C bindings-c install CARGO_FLAGS="--locked --features wasm" PREFIX="$(CURDIR)/$(STAGE)-wasm" >/dev/null
	@size=$$(wc -c < $(STAGE)-wasm/lib/libgraceshut.so); echo "libgraceshut.so with WebAssembly: $$size bytes"; test $$size -le 10000000

AVENV := $(T)/venv-adapters
APY := $(AVENV)/bin/python

$(AVENV)/ready: bindings-python/requirements-adapters.txt
	$(PYTHON) -m venv $(AVENV)
	$(APY) -m pip install -q -r $<
	touch $@

venv-adapters: $(AVENV)/ready wheel
	$(APY) -m pip install -q --force-reinstall --no-deps $(T)/wheels/graceshut-*.whl

$(VENV)/ready: bindings-python/requirements-dev.txt
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install -q -r $<
	touch $@

venv: $(VENV)/ready

wheel: venv
	rm -f $(T)/wheels/graceshut-*.whl
	$(VENV)/bin/maturin build -q --release --locked -m bindings-python/Cargo.toml --out $(T)/wheels
	$(PY) -m pip install -q --force-reinstall --no-deps $(T)/wheels/graceshut-*.whl

npm:
	mkdir -p $(NODEDIR) $(T)/npm
	rm -f $(T)/npm/*.tgz
	cd bindings-node && npm run -s build
	cd bindings-node && npm pack --silent --pack-destination "$(CURDIR)/$(T)/npm" . ./npm/linux-x64-gnu >/dev/null
	test -f $(NODEDIR)/package.json || echo '{"private":true}' > $(NODEDIR)/package.json
	cd $(NODEDIR) && npm install --silent --no-audit --no-fund --no-save "$(CURDIR)"/$(T)/npm/graceshut-*.tgz

# The servers and frameworks of the adapter tests, pinned, beside the packed graceshut.
ADAPTERS := $(T)/adapters-node

node-packages: npm
	mkdir -p $(ADAPTERS)
	cp -r bindings-node/test/adapters/. $(ADAPTERS)
	cd $(ADAPTERS) && { cmp -s package-lock.json installed.lock || { npm ci --silent --no-audit --no-fund && cp package-lock.json installed.lock; }; }
	cd $(ADAPTERS) && npm install --silent --no-audit --no-fund --no-save "$(CURDIR)"/$(T)/npm/graceshut-*.tgz

# Every adapter with the real package, under load; writes $(T)/adapters-node.json and, with UPDATE=1, the table in the README.
adapters-node: cli node-packages
	cd $(ADAPTERS) && node types.mjs
	cd $(ADAPTERS) && GRACESHUT="$(CURDIR)/$(T)/release/graceshut" node run.mjs ../adapters-node.json "$(CURDIR)/bindings-node/README.md"
# The C library of this platform inside the Go module, without and with WebAssembly hooks (git does not keep them).
go-archive: c-library-wasm
	bindings-go/archive.sh $(STAGE)/lib/libgraceshut.a bindings-go/lib/linux_amd64/libgraceshut.a
	bindings-go/archive.sh $(STAGE)-wasm/lib/libgraceshut.a bindings-go/lib/linux_amd64_wasm/libgraceshut.a
	cp bindings-c/include/graceshut.h bindings-go/lib/linux_amd64/
	@wc -c bindings-go/lib/*/libgraceshut.a

# The module as a proxy serves it, and a folder that uses nothing but that.
go-module: go-archive
	rm -rf $(GOPROXY_DIR)
	cd bindings-go && go run ./internal/modzip v$(VERSION) . "$(CURDIR)/$(GOPROXY_DIR)"
	mkdir -p $(GODIR)
	rm -f $(GODIR)/go.mod $(GODIR)/go.sum
	GOMODCACHE="$(CURDIR)/$(GODIR)/cache" go clean -modcache
	cd $(GODIR) && go mod init demo 2>/dev/null && GOMODCACHE="$(CURDIR)/$(GODIR)/cache" $(GO_PACKAGED) go get github.com/graceshut/graceshut/bindings-go@v$(VERSION)

JAVADIR := $(T)/java
JAVA_CP := $(JAVADIR)/lib/*
MVN := mvn -B -ntp -q

java-native: c-library-wasm
	install -D $(STAGE)-wasm/lib/libgraceshut.so $(JAVADIR)/native/linux-x86_64/libgraceshut.so

# The jars, in the user's own Maven repository and, with what graceshut itself needs, in one folder.
java-jar: java-native
	cd bindings-java && $(MVN) install -DskipTests
	rm -rf $(JAVADIR)/lib && mkdir -p $(JAVADIR)/lib
	cd bindings-java && $(MVN) -pl graceshut dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$(CURDIR)/$(JAVADIR)/lib"
	cp bindings-java/*/target/graceshut*-0.1.0.jar $(JAVADIR)/lib/

java-demo: java-jar
	mkdir -p $(JAVADIR)/demo
	javac -d $(JAVADIR)/demo -cp "$(JAVA_CP)" examples/java/Service.java

# --- demo ------------------------------------------------------------------

# How the service of each language is started.
C_SERVICE := $(T)/demo/service
PYTHON_SERVICE := $(PY) examples/python/service.py
NODE_SERVICE := node $(NODEDIR)/service.mjs
GO_SERVICE := $(GODIR)/service
JAVA_SERVICE := java -cp $(JAVA_CP):$(JAVADIR)/demo Service

DEMO := $(if $(HAVE_CC),--service "c=$(C_SERVICE)",--missing "c=no C compiler (cc)") \
	--service "rust=$(T)/release/graceshut-demo-service" \
	$(if $(HAVE_PYTHON),--service "python=$(PYTHON_SERVICE)" --service "fastapi=$(APY) examples/python/fastapi_service.py",--missing "python=no python3 with venv") \
	$(if $(HAVE_NODE),--service "node=$(NODE_SERVICE)" --service "fastify=node $(ADAPTERS)/fastify-service.mjs",--missing "node=no node and npm") \
	$(if $(HAVE_GO),--service "go=$(GO_SERVICE)",--missing "go=no go, or no C compiler for cgo") \
	$(if $(HAVE_JAVA),--service "java=$(JAVA_SERVICE)",--missing "java=no JDK and Maven")

c-service: c-library-wasm
	mkdir -p $(T)/demo
	cc -O2 -pthread -o $(T)/demo/service examples/c/service.c -I$(STAGE)-wasm/include -L$(STAGE)-wasm/lib -lgraceshut -Wl,-rpath,$(CURDIR)/$(STAGE)-wasm/lib

node-service: npm
	cp examples/node/service.mjs $(NODEDIR)/

go-service: go-module
	cp examples/go/service.go $(GODIR)/
	cd $(GODIR) && GOMODCACHE="$(CURDIR)/$(GODIR)/cache" $(GO_PACKAGED) go build -tags graceshut_wasm -o service service.go

demo: engine cli rust-service $(if $(HAVE_CC),c-service) $(if $(HAVE_PYTHON),venv-adapters) $(if $(HAVE_NODE),node-packages node-service) \
		$(if $(HAVE_GO),go-service) $(if $(HAVE_JAVA),java-demo)
	mkdir -p $(T)/demo
	$(if $(HAVE_NODE),cp examples/node/fastify-service.mjs $(ADAPTERS)/)
	$(T)/release/graceshut-demo --graceshut $(T)/release/graceshut --out $(T)/demo/report.json \
		--hook examples/hooks/deregister.wasm $(DEMO)

comma := ,

# --- tests -----------------------------------------------------------------

TEST_PARTS := test-rust test-wasm $(if $(HAVE_CC),test-c) $(if $(HAVE_PYTHON),test-python adapters-python) $(if $(HAVE_NODE),test-node) \
	$(if $(HAVE_GO),test-go) $(if $(HAVE_JAVA),test-java) conformance

test: toolchains engine lint $(TEST_PARTS)
	@echo "make test: all parts passed"

toolchains:
	@missing="$(if $(HAVE_CC),,cc )$(if $(HAVE_PYTHON),,python3-with-venv )$(if $(HAVE_NODE),,node-and-npm )$(if $(HAVE_GO),,go )$(if $(HAVE_JAVA),,jdk-and-maven )"; \
	if [ -n "$$missing" ]; then \
		echo "skipped, because it is not on this machine: $$missing"; \
		if [ "$${CI:-}" = true ]; then echo "and this is CI, where nothing may be skipped"; exit 1; fi; \
	fi

lint:
	cargo fmt --all --check
	cargo clippy -q --workspace --all-targets --locked --features $(subst $(space),$(comma),$(WASM_CRATES:%=graceshut-%/wasm)) -- -D warnings

WASM_CRATES := c cli python node bench
empty :=
space := $(empty) $(empty)

# The peers of the bench bring features of their own, with which the engine would be compiled anew.
# `graceshut doctor --pid` looks at a live uvicorn, which is in that folder.
test-rust: $(if $(HAVE_PYTHON),$(AVENV)/ready)
	cargo test --workspace --locked --exclude graceshut-c --exclude graceshut-wasm --exclude graceshut-bench
	cargo test --locked -p graceshut-bench

# Twenty rolling restarts behind haproxy, and behind nginx: about a minute and a half. Needs both.
test-rounds:
	GS_BALANCER_ROUNDS=20 cargo test --locked -p graceshut-cli --test verify_more -- rolling_restarts --test-threads 1

# The page of `graceshut report --html` in a real browser. Needs Chromium (CHROMIUM=/usr/bin/chromium) and Node; with UPDATE=1 the
# pictures in docs/ are taken anew.
BROWSER := cli/tests/browser
test-browser:
	cargo build -q --locked -p graceshut-cli
	cd $(BROWSER) && npm ci --silent --no-audit --no-fund
	cd $(BROWSER) && GRACESHUT="$(CURDIR)/$(T)/debug/graceshut" UPDATE="$(UPDATE)" npm test

# WebAssembly hooks: the engine, the command, and the C library inside live hosts of five languages. Needs etcd, wat2wasm, clang
# with wasm-ld and wasi-libc, and for the projects of `graceshut hook new` npm, Go and Python with venv.
test-wasm:
	cargo test --locked -p graceshut-wasm
	cargo test --locked -p graceshut-cli --features wasm --test hook
	$(if $(HAVE_CC),cargo test --locked -p graceshut-c --test wasm_hosts)

# Registration of WebAssembly with arbitrary bytes, longer than in `make test-wasm` and from another seed each time.
FUZZ_SECONDS ?= 600
fuzz:
	GS_FUZZ_SECONDS=$(FUZZ_SECONDS) GS_FUZZ_SEED=$${GS_FUZZ_SEED:-$$(date +%s%N)} \
		cargo test --locked -p graceshut-wasm --test random -- --nocapture

# `graceshut run` alone; UPDATE=1 writes the table of README.md. Needs root, tini, dumb-init, catatonit and strace for all of it.
test-run:
	cd cli && UPDATE="$(UPDATE)" cargo test --locked --test run

# The long way: no TERM lost in 10,000 early ones, nothing left behind by 1,000 random rounds. A quarter of an hour.
test-run-long:
	cargo build --release --locked -p graceshut-cli
	cd cli && GS_EARLY=10000 GS_ROUNDS=1000 cargo test --release --locked --test run -- early:: rounds:: --test-threads=1

# Real containers, ended by `podman stop` and `podman kill`: `graceshut run`, then the service of each language, as PID 1 and under it.
# About three minutes. Needs podman with runc and busybox-static, as root.
test-containers: toolchains cli $(if $(HAVE_CC),c-service) $(if $(HAVE_PYTHON),wheel) $(if $(HAVE_NODE),node-service) $(if $(HAVE_GO),go-service) \
		$(if $(HAVE_JAVA),java-demo)
	cli/tests/containers/wrapper.sh $(T)/release/graceshut
	cli/tests/containers/services.sh $(T)/release/graceshut $(if $(HAVE_CC),"c=$(C_SERVICE)") $(if $(HAVE_PYTHON),"python=$(PYTHON_SERVICE)") \
		$(if $(HAVE_NODE),"node=$(NODE_SERVICE)") $(if $(HAVE_GO),"go=$(GO_SERVICE)") $(if $(HAVE_JAVA),"java=$(JAVA_SERVICE)")

# Consumers of every language under SIGTERM, with a real Kafka broker (kafka/README.md): four to six minutes a language. The broker's
# jars come from Maven Central.
KAFKA := $(T)/kafka
KVENV := $(T)/venv-kafka
KPY := $(KVENV)/bin/python
KAFKA_LANGUAGES = $(or $(subst $(comma), ,$(LANGUAGES)),$(if $(HAVE_PYTHON),python) $(if $(HAVE_NODE),node) $(if $(HAVE_GO),go) $(if $(HAVE_JAVA),java))

$(KVENV)/ready: kafka/requirements.txt
	$(PYTHON) -m venv $(KVENV)
	$(KPY) -m pip install -q -r $<
	touch $@

$(KAFKA)/ready: kafka/broker/pom.xml
	rm -rf $(KAFKA)/lib
	$(MVN) -f $< dependency:copy-dependencies -DoutputDirectory="$(CURDIR)/$(KAFKA)/lib" -DincludeScope=runtime
	touch $@

$(T)/opensearch/ready: kafka/store/pom.xml
	rm -rf $(T)/opensearch/lib
	$(MVN) -f $< dependency:copy-dependencies -DoutputDirectory="$(CURDIR)/$(T)/opensearch/lib" -DincludeScope=runtime
	touch $@

kafka-python: $(KVENV)/ready wheel
	$(KPY) -m pip install -q --force-reinstall --no-deps $(T)/wheels/graceshut-*.whl

kafka-node: npm

kafka-go: go-module

kafka-java: java-jar

kafka-baseline:

test-kafka: toolchains $(KVENV)/ready $(KAFKA)/ready $(if $(STORE),$(T)/opensearch/ready)
	$(MAKE) $(KAFKA_LANGUAGES:%=kafka-%)
	$(KPY) kafka/run.py --target "$(CURDIR)/$(T)" --languages "$(KAFKA_LANGUAGES)" $(if $(ONLY),--only "$(ONLY)") $(if $(RUNS),--runs $(RUNS)) $(if $(STORE),--store $(STORE))

test-c:
	cargo test --locked -p graceshut-c

test-python: wheel
	$(PY) -m pytest -q bindings-python/tests
	$(MAKE) -s -C bindings-python test-fast

# The servers and workers that programs really run on; UPDATE=1 writes the table into bindings-python/README.md.
adapters-python: cli venv-adapters
	$(AVENV)/bin/mypy --strict --config-file bindings-python/pyproject.toml bindings-python/python/graceshut
	cd bindings-python && UPDATE="$(UPDATE)" "$(CURDIR)/$(APY)" -m pytest -q adapters

# The wheel for an old glibc on every CPython found here, and what the published files hold: a quarter of an hour.
test-python-all: venv
	$(MAKE) -s -C bindings-python test-every test-packaging

test-node: adapters-node
	cd bindings-node && npm ci --silent --no-audit --no-fund && npm test

# What a test needs and the machine lacks is left out here, and said.
GO_LACKS := $(strip $(if $(HAVE_PYTHON),,TestGoAsAGuestInPython) $(if $(call have,pkg-config),,TestTheSystemsLibrary))
GO_TEST := go test -count=1 $(if $(GO_LACKS),-skip '^($(subst $(space),|,$(GO_LACKS)))$$')

# With the race detector as well; `adaptertest` is a module of its own, with the real gRPC and errgroup, and `franz` for consumers of Kafka.
test-go: cli c-library go-module
	$(if $(GO_LACKS),@echo "left out (no Python or no pkg-config): $(GO_LACKS)")
	cd bindings-go && unformatted="$$(gofmt -l . ../examples/go ../bench/scripts)" && { test -z "$$unformatted" || { echo "gofmt: $$unformatted"; exit 1; }; }
	cd bindings-go && go vet ./... && $(GO_TEST) ./... && $(GO_TEST) -race ./...
	cd bindings-go && go vet -tags graceshut_wasm . && go test -count=1 -tags graceshut_wasm -run Wasm .
	cd bindings-go/franz && go vet ./... && go test -count=1 ./... && go test -race -count=1 ./...
	cd bindings-go/adaptertest && go vet ./... && go test -count=1 ./...

# Also on a second JDK, where there is one beside the first.
test-java: cli java-jar
	cd bindings-java && mvn -B -ntp verify -Dgraceshut.root="$(CURDIR)"

# --- conformance -----------------------------------------------------------

LANGUAGES ?=
conformance: $(if $(HAVE_CC),c-library-wasm) $(if $(HAVE_PYTHON),wheel) $(if $(HAVE_NODE),npm) $(if $(HAVE_GO),go-module) \
		$(if $(HAVE_JAVA),java-jar)
	cargo build -q --locked -p graceshut-conformance
	$(T)/debug/graceshut-conformance --out $(T)/conformance.json $(if $(LANGUAGES),--languages $(LANGUAGES)) \
		$(if $(SCENARIOS),--scenarios "$(SCENARIOS)") $(if $(ONLY),--only $(ONLY)) $(if $(UPDATE),--readme README.md) \
		$(if $(filter true,$(CI)),--no-skip)

# --- hosts -----------------------------------------------------------------

# Real servers, workers, tools and libraries at pinned versions: each small program of hosts/cases is run with graceshut and without,
# and is never to end worse with it. Writes $(T)/hosts.json; UPDATE=1 the table of docs/coexistence.md. With ARTIFACTS=DIR the
# wheel, the npm packages, the C library and the jars of another build are taken, and nothing is built.
HOSTS := $(T)/hosts
ARTIFACTS ?=
FROM := $(or $(ARTIFACTS),$(T))
HOSTS_LANGUAGES := $(if $(LANGUAGES),$(subst $(comma), ,$(LANGUAGES)),python $(if $(HAVE_NODE),node) $(if $(HAVE_GO),go) $(if $(HAVE_JAVA),java) c)
HOSTS_NODE := $(HOSTS)/node
HOSTS_RUN = $(HOSTS)/venv/bin/python hosts/run.py --home $(HOSTS) --node $(HOSTS_NODE) --stage $(FROM)/stage --languages "$(subst $(space),$(comma),$(strip $(HOSTS_LANGUAGES)))" \
	$(if $(ONLY),--only "$(ONLY)") $(if $(RUNS),--runs $(RUNS)) $(if $(STORE),--store $(STORE)) $(if $(UPDATE),--page docs/coexistence.md)

$(HOSTS)/venv/%: hosts/%.txt
	test -x $(HOSTS)/venv/bin/python || $(PYTHON) -m venv $(HOSTS)/venv
	$(HOSTS)/venv/bin/python -m pip install -q -r $<
	touch $@

hosts-wheel: $(if $(ARTIFACTS),,wheel)
	test -x $(HOSTS)/venv/bin/python || $(PYTHON) -m venv $(HOSTS)/venv
	$(HOSTS)/venv/bin/python -m pip install -q --force-reinstall --no-deps $(FROM)/wheels/graceshut-*.whl

hosts-python: $(HOSTS)/venv/requirements hosts-wheel

hosts-node: $(if $(ARTIFACTS),,npm)
	mkdir -p $(HOSTS)/node
	cp hosts/node/package.json hosts/node/package-lock.json $(HOSTS)/node/
	cd $(HOSTS)/node && { cmp -s package-lock.json installed.lock || { npm ci --silent --no-audit --no-fund && cp package-lock.json installed.lock; }; }
	cd $(HOSTS)/node && npm install --silent --no-audit --no-fund --no-save "$(abspath $(FROM))"/npm/graceshut-*.tgz

hosts-go: $(if $(ARTIFACTS),,go-archive)
	mkdir -p $(HOSTS)/go
	cp hosts/go/go.mod $(HOSTS)/go/
	cd hosts/go && go build -o "$(CURDIR)/$(HOSTS)/go/hosts" .

hosts-java: $(if $(ARTIFACTS),,java-jar)
	mkdir -p $(HOSTS)/java/classes
	rm -rf $(HOSTS)/java/lib
	cd hosts/java && $(MVN) dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$(CURDIR)/$(HOSTS)/java/lib"
	cp $(FROM)/java/lib/*.jar $(HOSTS)/java/lib/
	cp hosts/java/src/log4j2.xml $(HOSTS)/java/classes/
	javac -proc:none -parameters -d $(HOSTS)/java/classes -cp "$(HOSTS)/java/lib/*" hosts/java/src/hosts/*.java

# The worker cases need redis-server, the case of asio its header (Debian: libasio-dev). A quarter of an hour.
test-hosts: $(patsubst %,hosts-%,$(filter python node go java,$(HOSTS_LANGUAGES))) $(HOSTS)/venv/requirements $(if $(filter c,$(HOSTS_LANGUAGES)),$(if $(ARTIFACTS),,c-library))
	$(HOSTS_RUN)

QUICK_NODE := $(HOSTS)/node-quick

# The worst of Python and Node: no packages but a few small ones.
test-hosts-quick: HOSTS_NODE := $(QUICK_NODE)
test-hosts-quick: $(HOSTS)/venv/requirements-quick hosts-wheel $(if $(HAVE_NODE),hosts-node-quick)
	$(HOSTS_RUN) --quick --languages python$(if $(HAVE_NODE),$(comma)node)

hosts-node-quick: $(if $(ARTIFACTS),,npm)
	mkdir -p $(QUICK_NODE)
	cp hosts/node-quick/package.json hosts/node-quick/package-lock.json $(QUICK_NODE)/
	cd $(QUICK_NODE) && { cmp -s package-lock.json installed.lock || { npm ci --silent --no-audit --no-fund && cp package-lock.json installed.lock; }; }
	cd $(QUICK_NODE) && npm install --silent --no-audit --no-fund --no-save "$(abspath $(FROM))"/npm/graceshut-*.tgz

# --- bench -----------------------------------------------------------------

bench: cli $(if $(HAVE_CC),c-library-wasm) $(if $(HAVE_PYTHON),venv-adapters) $(if $(HAVE_NODE),npm) $(if $(HAVE_GO),go-module) \
		$(if $(HAVE_JAVA),java-jar)
	mkdir -p $(T)/bench
	$(if $(HAVE_CC),for p in leave hang; do cc -O2 -o $(T)/bench/$$p bench/scripts/$$p.c -I$(STAGE)/include -L$(STAGE)/lib -lgraceshut -Wl$(comma)-rpath$(comma)$(CURDIR)/$(STAGE)/lib; done)
	cargo build --profile peers --locked -p graceshut-bench --features wasm
	cargo build --release --locked -p graceshut-c --lib --features tls --target-dir $(T)/tls
	$(if $(HAVE_NODE),cp bench/scripts/*.mjs $(NODEDIR)/)
	$(if $(HAVE_GO),cp bench/scripts/bench.go $(GODIR)/ && cd $(GODIR) && GOMODCACHE="$(CURDIR)/$(GODIR)/cache" $(GO_PACKAGED) go build -o bench bench.go)
	$(if $(HAVE_JAVA),mkdir -p $(JAVADIR)/bench && javac -d $(JAVADIR)/bench -cp "$(JAVA_CP)" bench/scripts/java/Bench.java)
	$(T)/peers/graceshut-bench --out $(T)/bench/results.json --command $(T)/release/graceshut --library $(STAGE)/lib/libgraceshut.so \
		--library-tls $(T)/tls/release/libgraceshut_c.so --library-wasm $(STAGE)-wasm/lib/libgraceshut.so \
		$(if $(HAVE_CC),--c-folder $(T)/bench) \
		$(if $(HAVE_PYTHON),--python $(PY) --python-adapters $(APY) --wheel $(T)/wheels/graceshut-*.whl) \
		$(if $(HAVE_NODE),--node node --node-folder $(NODEDIR) --tarball $(T)/npm/graceshut-[0-9]*.tgz --tarball-addon $(T)/npm/graceshut-linux-x64-gnu-*.tgz) \
		$(if $(HAVE_GO),--go $(GODIR)/bench) \
		$(if $(HAVE_JAVA),--java java --java-path "$(JAVA_CP):$(JAVADIR)/bench")

# --- the rest --------------------------------------------------------------

install:
	$(MAKE) -C bindings-c install PREFIX="$(PREFIX)" DESTDIR="$(DESTDIR)"

header:
	UPDATE=1 cargo test -q -p graceshut-c --test header

fmt:
	cargo fmt --all

clean:
	rm -rf $(T)
