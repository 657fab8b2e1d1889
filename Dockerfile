# The images of Promcast. Each holds one program and what it needs to run, no shell and no package manager, and runs as a user
# that owns nothing, on a file system that need not be writable.
#
#     docker build --target gateway -t promcast-gateway .
#     docker build --target poller -t promcast-poller .
#     docker build --target dcgm-sim -t promcast-dcgm-sim .    # GPUs that do not exist, for a try-out
#
# The bases are pinned by version. Where builds must be the same byte for byte, pin them by digest.
ARG RUST_IMAGE=rust:1.95-bookworm
ARG NODE_IMAGE=node:24-bookworm-slim
ARG BASE_IMAGE=gcr.io/distroless/cc-debian12:nonroot

# --- programs --------------------------------------------------------------------------------------------------------
FROM ${RUST_IMAGE} AS programs
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY .cargo .cargo
COPY proto proto
COPY runtime runtime
COPY gateway gateway
COPY poller poller
COPY deploy/dcgm-sim deploy/dcgm-sim
COPY web/plain web/plain
# What the gateway serves at /openapi.json.
COPY docs/openapi.yaml docs/openapi.yaml
# The tests are a member of the workspace, and are not built here.
COPY tests/Cargo.toml tests/Cargo.toml
RUN mkdir tests/src && touch tests/src/lib.rs
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --locked --release -p promcast-gateway -p promcast-poller -p dcgm-sim \
    && mkdir /out \
    && cp target/release/promcast-gateway target/release/promcast-poller target/release/dcgm-sim /out/

# --- pages -----------------------------------------------------------------------------------------------------------
FROM ${NODE_IMAGE} AS pages
WORKDIR /src
COPY web/client web/client
COPY web/dashboard web/dashboard
RUN npm ci --no-audit --no-fund --prefix web/client \
    && npm run build --prefix web/client \
    && npm ci --no-audit --no-fund --prefix web/dashboard \
    && npm run build --prefix web/dashboard

# --- images ----------------------------------------------------------------------------------------------------------
FROM ${BASE_IMAGE} AS gateway
LABEL org.opencontainers.image.title="promcast-gateway" \
      org.opencontainers.image.description="Streams the results of PromQL queries to browsers" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=programs /out/promcast-gateway /usr/local/bin/promcast-gateway
COPY --from=pages /src/web/dashboard/dist /usr/share/promcast/pages
# The loopback interface of a container is of no use to anybody else. Who may see what must still be said (PROMCAST_AUTH_MODE).
ENV PROMCAST_HTTP_LISTEN=0.0.0.0:8080 \
    PROMCAST_ADMIN_LISTEN=0.0.0.0:8081 \
    PROMCAST_HTTP_PAGES=/usr/share/promcast/pages
EXPOSE 8080 8081
USER 65532:65532
# Whether it runs, not whether it is ready: what is restarted because NATS is away loses its streams for nothing.
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD ["/usr/local/bin/promcast-gateway", "healthcheck", "healthy"]
ENTRYPOINT ["/usr/local/bin/promcast-gateway"]

FROM ${BASE_IMAGE} AS poller
LABEL org.opencontainers.image.title="promcast-poller" \
      org.opencontainers.image.description="Asks Prometheus what gateways of Promcast want to know" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=programs /out/promcast-poller /usr/local/bin/promcast-poller
ENV PROMCAST_ADMIN_LISTEN=0.0.0.0:8082
EXPOSE 8082
USER 65532:65532
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD ["/usr/local/bin/promcast-poller", "healthcheck", "healthy"]
ENTRYPOINT ["/usr/local/bin/promcast-poller"]

FROM ${BASE_IMAGE} AS dcgm-sim
LABEL org.opencontainers.image.title="promcast-dcgm-sim" \
      org.opencontainers.image.description="Metrics of GPUs that do not exist, as dcgm-exporter writes them" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=programs /out/dcgm-sim /usr/local/bin/dcgm-sim
ENV DCGM_SIM_LISTEN=0.0.0.0:9400
EXPOSE 9400
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/dcgm-sim"]
