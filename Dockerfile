# syntax=docker/dockerfile:1
# Two small images of static programs, for amd64 and arm64:
#
#   docker buildx build --target daemon   --platform linux/amd64,linux/arm64 --tag spreadd .
#   docker buildx build --target operator --platform linux/amd64,linux/arm64 --tag spread-operator .
#
# Both architectures are compiled on the machine that builds: zig is the C compiler and linker for musl.

FROM --platform=$BUILDPLATFORM rust:1.95-bookworm AS build
ARG ZIG_VERSION=0.15.1
ARG ZIGBUILD_VERSION=0.20.1
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3-pip \
    && pip install --break-system-packages --no-cache-dir ziglang==${ZIG_VERSION} \
    && rm -rf /var/lib/apt/lists/*
RUN cargo install --locked --version ${ZIGBUILD_VERSION} cargo-zigbuild
WORKDIR /source
COPY rust-toolchain.toml ./
RUN rustup target add x86_64-unknown-linux-musl aarch64-unknown-linux-musl
COPY . .
ARG TARGETARCH
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/source/target,id=target-${TARGETARCH} \
    case "${TARGETARCH}" in \
        amd64) triple=x86_64-unknown-linux-musl ;; \
        arm64) triple=aarch64-unknown-linux-musl ;; \
        *) echo "no image for ${TARGETARCH}: only amd64 and arm64" >&2; exit 1 ;; \
    esac \
    && cargo zigbuild --locked --release --target ${triple} --package spreadd --package spread-tools --package spread-operator \
    && mkdir /programs \
    && cd target/${triple}/release \
    && cp spreadd spread-exchange spread-flood spread-monitor spread-user spread-operator /programs/ \
    && mkdir --mode=1777 /empty

# What both have: nothing but a folder for sockets, and a user that is a number, so that a kubelet sees that it is not root.
FROM scratch AS base
COPY --from=build /empty /tmp
ENV PATH=/usr/local/bin
USER 65532:65532

FROM base AS daemon
COPY --from=build /programs/spreadd /programs/spread-exchange /programs/spread-flood /programs/spread-monitor /programs/spread-user /usr/local/bin/
EXPOSE 4803/tcp 4803/udp
ENTRYPOINT ["spreadd"]
CMD ["-c", "/etc/spread/spread.conf"]

FROM base AS operator
COPY --from=build /programs/spread-operator /usr/local/bin/
EXPOSE 8080/tcp
ENTRYPOINT ["spread-operator"]
