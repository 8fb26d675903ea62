# syntax=docker/dockerfile:1
# One image: the server (`docker run asgard`), and the runner of the serverless shape (/usr/local/bin/asgard-runner).

ARG RUST=1.95
ARG DEBIAN=bookworm

# --- the programs -------------------------------------------------------------------------------------------------------

FROM rust:${RUST}-slim-${DEBIAN} AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked -p asgard-bin --bin asgard -p asgard-lambda --bin runner && \
    install -D target/release/asgard /out/asgard && \
    install -D target/release/runner /out/asgard-runner

# --- Terraform, the modules, and the providers that they need ---------------------------------------------------------------

FROM debian:${DEBIAN}-slim AS terraform
ARG TERRAFORM=1.11.4
# hadolint ignore=DL3008 # Debian keeps only the newest version of a package; the release pins enough
RUN apt-get update && \
    apt-get install -y --no-install-recommends ca-certificates curl gnupg unzip && \
    rm -rf /var/lib/apt/lists/*
COPY infra/image/fetch-terraform infra/image/mirror-providers /usr/local/bin/
RUN fetch-terraform "${TERRAFORM}" /usr/local/bin
COPY modules /modules
RUN mirror-providers /modules /providers

# --- the image ----------------------------------------------------------------------------------------------------------

FROM debian:${DEBIAN}-slim
# The certificates are for whatever Asgard and Terraform's providers call; unzip for mirror-providers, in
# images that add modules to this one.
# hadolint ignore=DL3008
RUN apt-get update && \
    apt-get install -y --no-install-recommends ca-certificates unzip && \
    rm -rf /var/lib/apt/lists/* && \
    groupadd --gid 10001 asgard && \
    useradd --uid 10001 --gid 10001 --no-create-home --home-dir /data --shell /usr/sbin/nologin asgard && \
    install -d -o asgard -g asgard -m 0700 /data && \
    # Where Terraform looks before it asks a registry, which a mounted tree of modules may need. ASGARD_TF_PROVIDER_MIRROR=/providers
    # leaves it nothing else.
    mkdir -p /usr/local/share/terraform && \
    ln -s /providers /usr/local/share/terraform/plugins
COPY infra/image/mirror-providers /usr/local/bin/
COPY --from=terraform /usr/local/bin/terraform /usr/local/bin/
COPY --from=terraform /modules /modules
COPY --from=terraform /providers /providers
# A process whose program its user cannot read is closed to others of that user from its start on. These have the container's
# environment, as has a health check, and Terraform's modules run as the same user.
COPY --from=build --chmod=0711 /out/asgard /out/asgard-runner /usr/local/bin/

# No ASGARD_* variable: what is set here could not be set as a secret's ARN, or in a file. Without any, Asgard listens on port 8080 and keeps
# SQLite in the working folder, which is for one container with a volume that stays; set ASGARD_DATABASE_URL to PostgreSQL otherwise.
USER 10001:10001
WORKDIR /data
# Declared so that a read-only root gets both, with the rights that they have here. Fargate knows no other way to give a
# volume to a user that is not root.
VOLUME ["/data", "/tmp"]
EXPOSE 8080
STOPSIGNAL SIGTERM
# It sees the variables of the container and none of the arguments of `serve`: give another address or a file as ASGARD_BIND and
# ASGARD_CONFIG, or name them to a health check of your own.
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["asgard", "health"]
ENTRYPOINT ["asgard"]
CMD ["serve"]
