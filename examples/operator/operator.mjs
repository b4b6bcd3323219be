// A small operator: turns each Site into a ConfigMap with its page and a Deployment that serves it.
//   KUBECONFIG=... node examples/operator/operator.mjs [NAMESPACE]
import './node20.mjs';

const k8s = await import('@kubernetes/client-node');
const namespace = process.argv[2] ?? 'default';
const group = 'example.naru.dev';
const version = 'v1';
const plural = 'sites';

const config = new k8s.KubeConfig();
config.loadFromDefault();
const sitesApi = config.makeApiClient(k8s.CustomObjectsApi);
const core = config.makeApiClient(k8s.CoreV1Api);
const apps = config.makeApiClient(k8s.AppsV1Api);

const sites = k8s.makeInformer(config, `/apis/${group}/${version}/namespaces/${namespace}/${plural}`, () =>
  sitesApi.listNamespacedCustomObject({ group, version, namespace, plural }),
);
const label = `${group}/site`;
const owned = `app.kubernetes.io/managed-by=site-operator`;
const deployments = k8s.makeInformer(
  config,
  `/apis/apps/v1/namespaces/${namespace}/deployments`,
  () => apps.listNamespacedDeployment({ namespace, labelSelector: owned }),
  owned,
);
const configMaps = k8s.makeInformer(
  config,
  `/api/v1/namespaces/${namespace}/configmaps`,
  () => core.listNamespacedConfigMap({ namespace, labelSelector: owned }),
  owned,
);

// One reconcile at a time for each Site; an event only marks it. What fails is tried again, later and later.
const marked = new Map();
let running = false;

function mark(name, delayMs = 0, attempt = 0) {
  if (name === undefined) return;
  setTimeout(() => {
    marked.set(name, attempt);
    void work();
  }, delayMs);
}

async function work() {
  if (running) return;
  running = true;
  for (const [name, attempt] of marked) {
    marked.delete(name);
    try {
      await reconcile(name);
    } catch (error) {
      console.error(`${name}: ${error.body ?? error.message}`);
      mark(name, Math.min(100 * 2 ** attempt, 10_000), attempt + 1);
    }
  }
  running = false;
}

async function reconcile(name) {
  const site = sites.get(name, namespace);
  // What it owned goes by its owner references.
  if (!site || site.metadata.deletionTimestamp) return;
  await ensure(configMaps, desiredConfigMap(site), {
    create: body => core.createNamespacedConfigMap({ namespace, body }),
    replace: body => core.replaceNamespacedConfigMap({ namespace, name, body }),
    same: (have, want) => have.data?.['index.html'] === want.data['index.html'],
  });
  await ensure(deployments, desiredDeployment(site), {
    create: body => apps.createNamespacedDeployment({ namespace, body }),
    replace: body => apps.replaceNamespacedDeployment({ namespace, name, body }),
    same: (have, want) =>
      have.spec.replicas === want.spec.replicas &&
      have.spec.template.spec.containers[0].image === want.spec.template.spec.containers[0].image,
  });
  await reportStatus(site, deployments.get(name, namespace));
}

async function ensure(informer, desired, { create, replace, same }) {
  const current = informer.get(desired.metadata.name, namespace);
  if (!current) await create(desired);
  else if (!same(current, desired))
    await replace({ ...desired, metadata: { ...desired.metadata, resourceVersion: current.metadata.resourceVersion } });
}

function metadataOf(site) {
  const { name, uid } = site.metadata;
  const owner = {
    apiVersion: `${group}/${version}`,
    kind: 'Site',
    name,
    uid,
    controller: true,
    blockOwnerDeletion: true,
  };
  const labels = { 'app.kubernetes.io/managed-by': 'site-operator', [label]: name };
  return { name, namespace, labels, ownerReferences: [owner] };
}

function desiredConfigMap(site) {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: metadataOf(site), data: { 'index.html': site.spec.content } };
}

function desiredDeployment(site) {
  const { name } = site.metadata;
  const page = { name: 'page', configMap: { name } };
  const container = { name: 'web', image: site.spec.image, volumeMounts: [{ name: 'page', mountPath: '/page' }] };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: metadataOf(site),
    spec: {
      replicas: site.spec.replicas,
      selector: { matchLabels: { [label]: name } },
      template: { metadata: { labels: { [label]: name } }, spec: { containers: [container], volumes: [page] } },
    },
  };
}

async function reportStatus(site, deployment) {
  const { name, generation } = site.metadata;
  const ready = deployment?.status?.readyReplicas ?? 0;
  const isReady = ready >= site.spec.replicas;
  const status = {
    observedGeneration: generation,
    replicas: deployment?.status?.replicas ?? 0,
    selector: `${label}=${name}`,
    conditions: [
      { type: 'Ready', status: isReady ? 'True' : 'False', message: `${ready} of ${site.spec.replicas} are ready` },
    ],
  };
  if (JSON.stringify(status) === JSON.stringify(site.status)) return;
  const body = { ...site, status };
  await sitesApi.replaceNamespacedCustomObjectStatus({ group, version, namespace, plural, name, body });
}

const ownerOf = object => object.metadata?.labels?.[label];
for (const verb of ['add', 'update', 'delete']) {
  sites.on(verb, site => mark(site.metadata?.name));
  deployments.on(verb, object => mark(ownerOf(object)));
  configMaps.on(verb, object => mark(ownerOf(object)));
}
for (const informer of [sites, deployments, configMaps])
  informer.on('error', error => {
    console.error(`watch: ${error.message}`);
    setTimeout(() => void informer.start(), 1000);
  });

await Promise.all([configMaps.start(), deployments.start()]);
await sites.start();
console.log('watching');
