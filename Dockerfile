# One image for every process of Naru; docker-compose.yml says which container runs which.
ARG BASE_IMAGE=node:22-bookworm-slim

FROM ${BASE_IMAGE} AS build
WORKDIR /src
COPY tools/docker/certificates /usr/local/share/ca-certificates/
RUN apt-get update -qq \
 && apt-get install -y -qq --no-install-recommends ca-certificates \
 && update-ca-certificates
ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt NX_DAEMON=false NX_TUI=false
COPY package.json package-lock.json .npmrc buf.yaml buf.gen.yaml ./
COPY proto proto
COPY nx.json tsconfig.json ./
COPY tools tools
COPY apps apps
COPY libs libs
RUN npm ci --no-audit --no-fund --loglevel=error
RUN npx nx run-many -t build --output-style=stream \
 && find dist -name '*.map' -delete \
 && mkdir -p /opt/naru/apps/naru \
 && cp -r dist /opt/naru/dist \
 && touch /opt/naru/dist/.image \
 && cp -r apps/naru/bin /opt/naru/apps/naru/bin \
 && node tools/copy-natives.mjs /opt/naru
COPY naru /opt/naru/naru

FROM ${BASE_IMAGE}
# What a node needs; nats-server too, so that the whole cluster is one image. The same names as in the launcher.
RUN apt-get update -qq \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    ca-certificates crun conmon catatonit containernetworking-plugins nftables iptables iproute2 nats-server \
    conntrack socat util-linux procps kmod perl-base \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/*
COPY --from=build /opt/naru /opt/naru
RUN ln -s /opt/naru/naru /usr/local/bin/naru && mkdir -p /var/lib/naru /var/lib/cni
ENV NODE_ENV=production
WORKDIR /opt/naru
CMD ["naru", "help"]
