import { X509Certificate } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import {
  Authority,
  busNames,
  createAuthority,
  createJoinSecret,
  createKey,
  isSignedBy,
  notAfter,
  writeSecretFile,
  type CertificateOptions,
} from '@naru/pki';

/** Certificates are made anew when they would end within this time. */
const renewBeforeMs = 30 * 86_400_000;

export interface ControlPlaneNames {
  /** Under which the api-server is reached, beside the names it always has. */
  apiServer: { dnsNames: string[]; ipAddresses: string[] };
  nats: { dnsNames: string[]; ipAddresses: string[] };
}

/** Every name that upstream's tools and pods use for the api-server of a cluster. */
const wellKnownNames = [
  'localhost',
  'kubernetes',
  'kubernetes.default',
  'kubernetes.default.svc',
  'kubernetes.default.svc.cluster.local',
];

interface Wanted extends CertificateOptions {
  /** Path of the pair without its ending, below the pki folder; the folder is that of the process. */
  file: string;
}

function wantedCertificates(names: ControlPlaneNames): Wanted[] {
  const client = (file: string, commonName: string, organizations: string[] = [], bus: string[] = []): Wanted => ({
    file,
    subject: { commonName, organizations },
    usages: ['client'],
    dnsNames: bus,
  });
  const { publisher, reader } = busNames;
  return [
    {
      file: 'api-server/serving',
      subject: { commonName: 'kube-apiserver' },
      usages: ['server'],
      dnsNames: [...new Set([...wellKnownNames, ...names.apiServer.dnsNames])],
      ipAddresses: ['127.0.0.1', ...names.apiServer.ipAddresses],
    },
    client('api-server/client', 'kube-apiserver', ['system:masters'], [publisher]),
    client('scheduler/client', 'system:kube-scheduler', [], [reader]),
    client('controller-manager/client', 'system:kube-controller-manager', [], [reader]),
    client('dns/client', 'system:dns', [], [reader]),
    client('metrics-server/client', 'system:metrics-server', [], [reader]),
    {
      file: 'metrics-server/serving',
      subject: { commonName: 'metrics-server' },
      usages: ['server'],
      // The aggregation layer asks for the name of the Service, whatever the address.
      dnsNames: ['metrics-server.kube-system.svc', 'metrics-server.kube-system.svc.cluster.local'],
    },
    client('admin/client', 'kubernetes-admin', ['system:masters'], [reader]),
    { file: 'nats/serving', subject: { commonName: 'nats' }, usages: ['server'], ...names.nats },
  ];
}

/** By what extension servers know the api-server; under an authority of its own, since they believe whom it names. */
const frontProxy: Wanted = {
  file: 'api-server/front-proxy-client',
  subject: { commonName: 'front-proxy-client' },
  usages: ['client'],
};

function isUsable(wanted: Wanted, file: string, authority: string): boolean {
  if (!existsSync(`${file}.crt`) || !existsSync(`${file}.key`)) return false;
  const pem = readFileSync(`${file}.crt`, 'utf8');
  const certificate = new X509Certificate(pem);
  return (
    isSignedBy(pem, authority) &&
    notAfter(pem) - Date.now() > renewBeforeMs &&
    (wanted.dnsNames ?? []).every(name => certificate.checkHost(name)) &&
    (wanted.ipAddresses ?? []).every(address => certificate.checkIP(address))
  );
}

/**
 * Makes what is missing of a control plane's keys and certificates below `folder`, one folder a process, so that each
 * process can be given its own and nothing else: authority/ca.{crt,key}, and for every process ca.crt and its pairs; the same for front-proxy-ca, of the api-server alone;
 * api-server/service-account.key and join-tokens. Answers with the PEM of the authority and the names of new files.
 */
export async function prepareCertificates(
  folder: string,
  names: ControlPlaneNames,
): Promise<{ authority: string; made: string[] }> {
  const made: string[] = [];
  const write = async (file: string, content: string): Promise<void> => {
    await writeSecretFile(path.join(folder, file), content);
    made.push(file);
  };
  const read = (file: string): string => readFileSync(path.join(folder, file), 'utf8');
  const has = (file: string): boolean => existsSync(path.join(folder, file));

  /** Issues what is missing under the authority in `authority/NAME.{crt,key}`; its certificate goes beside each pair. */
  const issue = async (name: string, commonName: string, wantedPairs: readonly Wanted[]): Promise<string> => {
    const file = `authority/${name}`;
    if (!has(`${file}.crt`)) {
      const pair = await createAuthority({ commonName });
      // The key first: a certificate without its key would be taken for a whole authority.
      await write(`${file}.key`, pair.key);
      await write(`${file}.crt`, pair.certificate);
    }
    const certificate = read(`${file}.crt`);
    let authority: Authority | undefined;
    for (const wanted of wantedPairs) {
      const own = path.join(path.dirname(wanted.file), `${name}.crt`);
      if (!has(own) || read(own) !== certificate) await write(own, certificate);
      if (isUsable(wanted, path.join(folder, wanted.file), certificate)) continue;
      authority ??= await Authority.load({ certificate, key: read(`${file}.key`) });
      const pair = await authority.issue(wanted);
      await write(`${wanted.file}.key`, pair.key);
      await write(`${wanted.file}.crt`, pair.certificate);
    }
    return certificate;
  };
  const certificate = await issue('ca', 'naru-ca', wantedCertificates(names));
  await issue('front-proxy-ca', 'front-proxy-ca', [frontProxy]);
  if (!has('api-server/service-account.key')) await write('api-server/service-account.key', createKey());
  if (!has('api-server/join-tokens')) await write('api-server/join-tokens', `${createJoinSecret()}\n`);
  return { authority: certificate, made };
}
