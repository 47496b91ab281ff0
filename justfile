# `just` lists the recipes. Each is a step of .ci/run, which works without `just`.

_default:
    @just --list

# Everything that decides whether a change lands
ci:
    bash .ci/run ci

# Formatting
fmt:
    bash .ci/run fmt

# Lints, warnings denied
clippy:
    bash .ci/run clippy

# API documentation, warnings denied
doc:
    bash .ci/run doc

# All tests
test:
    bash .ci/run test

# Benchmarks, built and run once
bench:
    bash .ci/run bench

# Every example
examples:
    bash .ci/run examples

# The digits by the convolutional network
cnn:
    bash .ci/run cnn

# Every f32 input of the unary functions (hours)
ulp-f32:
    bash .ci/run ulp_f32

# Properties of so many random programs, other ones each time
properties cases="100000":
    CASES={{cases}} bash .ci/run properties

# Mutation testing of ops, tape and sweep: so many mutants, or `all`
mutants count="440":
    COUNT={{count}} bash .ci/run mutants

# The book
book:
    mdbook build docs

# Fuzz one target under AddressSanitizer: `just fuzz program 60`
fuzz name seconds="60":
    NAME={{name}} TIME={{seconds}} bash .ci/run fuzz

# Fuzz every target
fuzz-all seconds="60":
    TIME={{seconds}} bash .ci/run fuzz_all

# The engine's tests under AddressSanitizer and LeakSanitizer
memcheck:
    bash .ci/run memcheck
