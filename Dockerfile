# Builds the release binary, then runs it alone, not as root.
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked

FROM debian:bookworm-slim
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 --create-home --home-dir /var/lib/iofold iofold
COPY --from=build /src/target/release/iofold /usr/local/bin/iofold
USER iofold
WORKDIR /var/lib/iofold
ENV IOFOLD_LISTEN=0.0.0.0:8080
VOLUME /var/lib/iofold/data
EXPOSE 8080
ENTRYPOINT ["iofold"]
CMD ["serve"]
