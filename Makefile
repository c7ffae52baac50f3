# `make demo` and `make test` do everything, set-up included; `make help` lists the rest.

PREFIX  ?= /usr/local
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
FUZZTIME ?= 30s

# One set of flags for building, testing and linting: what one of them has
# compiled the others need not compile again.
TAGS    := containers_image_openpgp,exclude_graphdriver_btrfs,netgo,osusergo
GOFLAGS := -trimpath -buildvcs=false -tags=$(TAGS)
# PKCS#11 keys of encrypted images are opened by dlopen, which a static program
# can do without; only the linker minds.
comma   := ,
NOWARN  := $(if $(shell ld --help 2>/dev/null | grep -e --no-warnings),-Wl$(comma)--no-warnings)
LDFLAGS := -s -w -X main.version=$(VERSION) -linkmode=external -extldflags "-static $(NOWARN)"
export GOFLAGS
export CGO_ENABLED := 1
# libzstd is where most of the time goes.
export CGO_CFLAGS := -g -O3

# The first stage of the nodes, one program for each architecture, embedded in rootcast.
NODE_ARCHS := amd64 arm64 ppc64le riscv64 s390x
INITS := $(NODE_ARCHS:%=convert/firststage/bin/rootcast-init-%.gz)
INIT_SOURCES := $(shell find cmd/rootcast-init $(addprefix convert/,node kmod extract xattrs statelite initrd/unxz) -name '*.go' ! -name '*_test.go') go.mod vendor/modules.txt

.PHONY: all install install-xcat-names test lint fuzz bench microbench vendor demo clean help

all: ## build bin/rootcast, one static file
	@hack/setup.sh build
	@$(MAKE) --no-print-directory $(INITS)
	@echo 'building bin/rootcast'
	@hack/alive.sh 'still compiling' go build -ldflags '$(LDFLAGS)' -o bin/rootcast ./cmd/rootcast

convert/firststage/bin/rootcast-init-%.gz: $(INIT_SOURCES)
	@echo 'building rootcast-init for $*'
	@CGO_ENABLED=0 GOARCH=$* hack/alive.sh 'still compiling' \
		go build -ldflags '-s -w' -o '$(@:.gz=)' ./cmd/rootcast-init
	@gzip -9nf '$(@:.gz=)'

install: ## install bin/rootcast below DESTDIR and PREFIX (/usr/local)
	@test -x bin/rootcast || $(MAKE) all
	install -D -m 0755 bin/rootcast '$(DESTDIR)$(PREFIX)/bin/rootcast'

install-xcat-names: ## install links by which rootcast answers to xCAT's names: lsdef, genimage and so on
	for name in lsdef mkdef chdef rmdef copycds genimage packimage liteimg rmimage imgexport imgimport; do ln -sfn rootcast '$(DESTDIR)$(PREFIX)'/bin/$$name || exit; done

test: all ## run all tests
	@hack/setup.sh test
	@hack/alive.sh 'still testing' go test -timeout 60m ./...

lint: ## golangci-lint with the import rules, gofumpt, shellcheck
	@hack/setup.sh lint
	@hack/lint.sh

fuzz: ## run each fuzz target for FUZZTIME (30s)
	@hack/setup.sh build
	@hack/fuzz.sh $(FUZZTIME)

bench: all ## measure against the tools that rootcast replaces; BENCH="-rows 1,2" for some
	@hack/setup.sh bench
	@PATH="$(CURDIR)/.cache/erofs/bin:$$PATH" go run ./hack/bench $(BENCH)

microbench: ## run the benchmarks of packages
	@hack/setup.sh build
	@hack/alive.sh 'still measuring' go test -run '^$$' -bench . -benchmem ./...

vendor: ## bring vendor/ in line with go.mod, after a change of it
	go mod tidy
	go mod vendor

demo: all ## recipe to login prompt: build, push, pull, convert, verify, boot; ARCH=arm64 for a node of another architecture
	@hack/setup.sh demo $(ARCH)
	@hack/demo.sh $(ARCH)

clean: ## remove bin/ and what the demo and the tests keep
	@hack/clean.sh

help: ## print this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 28
