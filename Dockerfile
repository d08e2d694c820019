# Builds the release binary, then runs it alone, not as root.
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked

FROM debian:bookworm-slim
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 --user-group --create-home --home-dir /var/lib/iofold iofold \
 && install --directory --owner=iofold --group=iofold --mode=700 /var/lib/iofold/data
COPY --from=build /src/target/release/iofold /usr/local/bin/iofold
COPY script/entrypoint /usr/local/bin/entrypoint
WORKDIR /var/lib/iofold
ENV IOFOLD_LISTEN=0.0.0.0:8080 HOME=/var/lib/iofold
VOLUME /var/lib/iofold/data
EXPOSE 8080
# Starts as root only to take over a volume that was mounted as root's, and drops it at once.
ENTRYPOINT ["entrypoint"]
CMD ["serve"]
