#!/bin/sh
# Starts an api-server alone, with throw-away certificates, for development: dev.sh DIR [FLAGS...]
# DIR gets the certificates of every component, a kubeconfig (DIR/kubeconfig) and the data. NATS is optional:
# give --nats nats://127.0.0.1:4222 for a feed. PORT and GRPC_PORT choose the ports. The static token is "dev-token".
set -eu
here=$(cd "$(dirname "$0")" && pwd)
dir=${1:?usage: dev.sh DIR [FLAGS...]}
shift
port=${PORT:-6443}
grpc_port=${GRPC_PORT:-6444}
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)

new_key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1" 2>/dev/null; }
# issue NAME SUBJECT USAGE SAN
issue() {
  new_key "$dir/$1.key"
  printf 'extendedKeyUsage=%s\nkeyUsage=digitalSignature\n%s\n' "$3" "${4:+subjectAltName=$4}" >"$dir/$1.ext"
  openssl req -new -key "$dir/$1.key" -subj "$2" -out "$dir/$1.csr" 2>/dev/null
  openssl x509 -req -in "$dir/$1.csr" -CA "$dir/ca.crt" -CAkey "$dir/ca.key" -CAcreateserial -days 365 \
    -extfile "$dir/$1.ext" -out "$dir/$1.crt" 2>/dev/null
  rm -f "$dir/$1.csr" "$dir/$1.ext"
}

if [ ! -f "$dir/kubeconfig" ]; then
  new_key "$dir/ca.key"
  openssl req -x509 -new -key "$dir/ca.key" -subj /CN=naru-dev-ca -days 365 -out "$dir/ca.crt"
  issue apiserver /CN=kube-apiserver serverAuth \
    DNS:kubernetes,DNS:kubernetes.default.svc,DNS:localhost,IP:127.0.0.1,IP:10.96.0.1,IP:10.95.0.1
  issue apiserver-client /O=system:masters/CN=kube-apiserver clientAuth DNS:publisher.bus.naru
  issue admin /O=system:masters/CN=kubernetes-admin clientAuth
  issue scheduler /CN=system:kube-scheduler clientAuth DNS:reader.bus.naru
  issue controller-manager /CN=system:kube-controller-manager clientAuth DNS:reader.bus.naru
  issue kube-proxy /CN=system:kube-proxy clientAuth DNS:reader.bus.naru
  for node in node-1 node-2; do
    issue "$node" "/O=system:nodes/CN=system:node:$node" clientAuth DNS:reader.bus.naru
    issue "$node-serving" "/O=system:nodes/CN=system:node:$node" serverAuth "DNS:$node,IP:127.0.0.1"
  done
  new_key "$dir/sa.key"
  echo 'dev-token,dev,1,"system:masters"' >"$dir/tokens.csv"
  echo dev-join-secret >"$dir/join-secrets"
  kubectl config --kubeconfig "$dir/kubeconfig" set-cluster dev --server "https://127.0.0.1:$port" \
    --certificate-authority "$dir/ca.crt" --embed-certs >/dev/null
  kubectl config --kubeconfig "$dir/kubeconfig" set-credentials admin --client-certificate "$dir/admin.crt" \
    --client-key "$dir/admin.key" --embed-certs >/dev/null
  kubectl config --kubeconfig "$dir/kubeconfig" set-context dev --cluster dev --user admin >/dev/null
  kubectl config --kubeconfig "$dir/kubeconfig" use-context dev >/dev/null
fi

[ -n "${NO_BUILD:-}" ] || (cd "$here" && node ../../tools/build.mjs)
# shellcheck disable=SC2086 # NODE_FLAGS is a list
exec node ${NODE_FLAGS:-} "$here/../../dist/apps/api-server/main.js" \
  --listen "127.0.0.1:$port" --grpc-listen "127.0.0.1:$grpc_port" --data-dir "$dir/data" \
  --ca "$dir/ca.crt" --ca-key "$dir/ca.key" --certificate "$dir/apiserver.crt" --key "$dir/apiserver.key" \
  --client-certificate "$dir/apiserver-client.crt" --client-key "$dir/apiserver-client.key" \
  --service-account-key "$dir/sa.key" --token-file "$dir/tokens.csv" --join-token-file "$dir/join-secrets" "$@"
