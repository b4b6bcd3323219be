import type { ConfigNode } from '../config/config-node';
import { parseDuration } from '../config/duration';

/** How a scheduler extender is called: upstream's Extender of KubeSchedulerConfiguration. */
export interface ExtenderConfiguration {
  urlPrefix: string;
  /** Appended to the prefix; "": the extender does not do this. */
  filterVerb: string;
  prioritizeVerb: string;
  preemptVerb: string;
  bindVerb: string;
  /** Of its scores. */
  weight: number;
  timeoutMs: number;
  /** It knows the nodes itself, and is told names only. */
  nodeCacheCapable: boolean;
  /** Only pods that ask for one of these are its business; none: all pods. */
  managedResources: ReadonlySet<string>;
  /** Of these the scheduler itself does not look whether they fit. */
  ignoredByScheduler: ReadonlySet<string>;
  /** Pods are scheduled without it while it cannot be reached. */
  ignorable: boolean;
  tls: ExtenderTls;
}

/** PEM files and data; data wins. */
export interface ExtenderTls {
  insecure: boolean;
  serverName: string;
  caFile: string;
  certFile: string;
  keyFile: string;
  caData: string;
  certData: string;
  keyData: string;
}

const defaultTimeout = '5s';

/** @throws ConfigError */
export function readExtender(node: ConfigNode): ExtenderConfiguration {
  const fields = node.fields(
    'urlPrefix',
    'filterVerb',
    'prioritizeVerb',
    'preemptVerb',
    'bindVerb',
    'weight',
    'enableHTTPS',
    'tlsConfig',
    'httpTimeout',
    'nodeCacheCapable',
    'managedResources',
    'ignorable',
  );
  const urlPrefix = fields.urlPrefix.text();
  if (!URL.canParse(urlPrefix) || !/^https?:$/.test(new URL(urlPrefix).protocol))
    fields.urlPrefix.fail('must be an http or https URL');
  const prioritizeVerb = fields.prioritizeVerb.text('');
  const weight = fields.weight.integer({ min: 0, max: 2 ** 31 - 1, fallback: 0 });
  if (prioritizeVerb !== '' && weight === 0) fields.weight.fail('must have a positive weight applied to it');
  const resources = fields.managedResources.items().map(item => {
    const { name, ignoredByScheduler } = item.fields('name', 'ignoredByScheduler');
    return { name: name.text(), ignored: ignoredByScheduler.truth(false) };
  });
  fields.enableHTTPS.truth(false);
  return {
    urlPrefix: urlPrefix.replace(/\/+$/, ''),
    filterVerb: fields.filterVerb.text(''),
    prioritizeVerb,
    preemptVerb: fields.preemptVerb.text(''),
    bindVerb: fields.bindVerb.text(''),
    weight,
    timeoutMs: parseDuration(fields.httpTimeout, defaultTimeout),
    nodeCacheCapable: fields.nodeCacheCapable.truth(false),
    managedResources: new Set(resources.map(({ name }) => name)),
    ignoredByScheduler: new Set(resources.filter(({ ignored }) => ignored).map(({ name }) => name)),
    ignorable: fields.ignorable.truth(false),
    tls: readTls(fields.tlsConfig),
  };
}

function readTls(node: ConfigNode): ExtenderTls {
  const fields = node.fields(
    'insecure',
    'serverName',
    'caFile',
    'certFile',
    'keyFile',
    'caData',
    'certData',
    'keyData',
  );
  const data = (field: ConfigNode): string => Buffer.from(field.text(''), 'base64').toString('utf8');
  return {
    insecure: fields.insecure.truth(false),
    serverName: fields.serverName.text(''),
    caFile: fields.caFile.text(''),
    certFile: fields.certFile.text(''),
    keyFile: fields.keyFile.text(''),
    caData: data(fields.caData),
    certData: data(fields.certData),
    keyData: data(fields.keyData),
  };
}
