# The program on a base without shell or package manager, as a user that is not root:
#
#   docker build --tag whipcord .
#
# For engines from 20.10 on: no syntax of later ones. Where `rust` cannot be had, an image takes a program that is built already, on the same or
# an older C library: cargo build --release && docker build --build-arg PROGRAM=prebuilt --tag whipcord .
# (With DOCKER_BUILDKIT=0 the other stages are run too, used or not.)
#
# Nothing here is of one architecture, but linux/arm64 has not been seen working: --platform linux/arm64.

# The release that rust-toolchain.toml names, which is not brought along: it would fetch what only checks need.
ARG RUST_IMAGE=rust:1.95.0-bookworm
# Any with glibc of Debian 12 or newer, libgcc, and authorities (ca-certificates): without these servers run, and `whipcord sessions` does not.
ARG RUNTIME_IMAGE=gcr.io/distroless/cc-debian12:nonroot
# Where the program comes from: build or prebuilt.
ARG PROGRAM=build

# What decides which crates are built from elsewhere. Of the sources their roots alone, all empty: so the layer of dependencies below is made
# anew when a manifest changes, and not at each change of the sources.
FROM ${RUST_IMAGE} AS manifests
WORKDIR /src
COPY . .
RUN find crates -type f ! -name Cargo.toml ! -name lib.rs ! -name main.rs ! -name build.rs -delete \
    && mkdir -p tests/src tests/tests/interop tests/bench/src \
    && touch tests/src/lib.rs tests/tests/interop/main.rs tests/bench/src/main.rs \
    && find . -name '*.rs' -exec sh -c 'for file; do echo "fn main() { }" >"$file"; done' sh {} + \
    && find . -depth -type d -empty -delete

FROM ${RUST_IMAGE} AS build
WORKDIR /src
# A mirror of crates.io, as in sparse+https://crates.example.com/index/
ARG CARGO_REGISTRY=
RUN if [ -n "$CARGO_REGISTRY" ]; then \
        mkdir -p "${CARGO_HOME:-/usr/local/cargo}" \
        && printf '[source.crates-io]\nreplace-with = "mirror"\n[source.mirror]\nregistry = "%s"\n' "$CARGO_REGISTRY" \
            >>"${CARGO_HOME:-/usr/local/cargo}/config.toml"; \
    fi
COPY --from=manifests /src .
RUN cargo build --release --locked --package whipcord
COPY . .
# The sources are older than what was built of the empty ones, and cargo goes by time.
RUN find crates -name '*.rs' -exec touch {} + \
    && mkdir -p tests/src tests/tests/interop tests/bench/src \
    && cargo build --release --locked --package whipcord \
    && install -D target/release/whipcord /out/program/usr/local/bin/whipcord \
    # Functions keep their names in backtraces; their lines are 110 MB.
    && strip --strip-debug /out/program/usr/local/bin/whipcord
# Made by WORKDIR, for there is no shell in `prebuilt`.
WORKDIR /out/data/recordings

FROM scratch AS prebuilt
COPY target/release/whipcord /out/program/usr/local/bin/whipcord
WORKDIR /out/data/recordings

FROM ${PROGRAM} AS program

FROM ${RUNTIME_IMAGE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Whipcord" \
    org.opencontainers.image.description="Ingest for live video by WHIP (RFC 9725)" \
    org.opencontainers.image.source="https://github.com/whipcord/whipcord" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}"
COPY --from=program /out/program /
# A new volume takes the owner of the folder it is mounted over. Nothing else is written to.
COPY --from=program --chown=65532:65532 /out/data /
USER 65532:65532
WORKDIR /
EXPOSE 8080/tcp 8189/udp
ENTRYPOINT ["/usr/local/bin/whipcord"]
