import { readFileSync } from 'node:fs';
import { writeSecretFile } from '@naru/pki';

export interface KubeconfigOptions {
  cluster: string;
  /** `https://HOST:PORT` */
  server: string;
  /** Files, PEM. Their content goes into the kubeconfig, so that it can be carried elsewhere. */
  ca: string;
  certificate: string;
  key: string;
}

/** Writes a kubeconfig for the administrator. It is JSON, which every reader of YAML understands. */
export async function writeKubeconfig(file: string, options: KubeconfigOptions): Promise<void> {
  const { cluster, server } = options;
  const data = (source: string): string => readFileSync(source).toString('base64');
  const user = `${cluster}-admin`;
  const content = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: cluster, cluster: { server, 'certificate-authority-data': data(options.ca) } }],
    users: [
      {
        name: user,
        user: { 'client-certificate-data': data(options.certificate), 'client-key-data': data(options.key) },
      },
    ],
    contexts: [{ name: cluster, context: { cluster, user, namespace: 'default' } }],
    'current-context': cluster,
    preferences: {},
  };
  await writeSecretFile(file, `${JSON.stringify(content, null, 2)}\n`);
}
