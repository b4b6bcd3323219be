import type { Pod } from '@naru/api';
import { parseResolvConf, podDns, type ClusterDns } from './dns';
import { hostsFile } from './hosts-file';

const cluster: ClusterDns = {
  servers: ['10.96.0.10'],
  domain: 'cluster.local',
  host: parseResolvConf('nameserver 192.0.2.1\nsearch example.org.\noptions ndots:2 rotate\n'),
};

const pod = (spec: Partial<NonNullable<Pod['spec']>>): Pod => ({
  metadata: { name: 'p', namespace: 'ns' },
  spec: { containers: [], ...spec },
});

describe('podDns', () => {
  it.each([
    [
      {},
      {
        servers: ['10.96.0.10'],
        searches: ['ns.svc.cluster.local', 'svc.cluster.local', 'cluster.local', 'example.org'],
        options: ['ndots:5'],
      },
    ],
    [{ hostNetwork: true }, cluster.host],
    [{ dnsPolicy: 'Default' }, cluster.host],
    [
      { dnsPolicy: 'None', dnsConfig: { nameservers: ['1.1.1.1'], options: [{ name: 'ndots', value: '1' }] } },
      { servers: ['1.1.1.1'], searches: [], options: ['ndots:1'] },
    ],
  ])('of %j', (spec, expected) => expect(podDns(pod(spec), cluster)).toEqual(expected));

  it('leads to the servers and the domain that the cluster has', () => {
    const other = { servers: ['10.0.0.9'], domain: 'lab.example', host: { servers: [], searches: [], options: [] } };
    expect(podDns(pod({}), other)).toEqual({
      servers: ['10.0.0.9'],
      searches: ['ns.svc.lab.example', 'svc.lab.example', 'lab.example'],
      options: ['ndots:5'],
    });
  });

  it('falls back to the resolver of the node without cluster DNS', () => {
    expect(podDns(pod({}), { ...cluster, servers: [] })).toEqual(cluster.host);
  });
});

describe('hostsFile', () => {
  it('names the pod by its domain and its aliases', () => {
    const input = pod({
      hostname: 'web-0',
      subdomain: 'web',
      hostAliases: [{ ip: '192.0.2.7', hostnames: ['db', 'db.example.org'] }],
    });
    const text = hostsFile(input, ['10.244.1.2'], 'cluster.local');
    expect(text).toContain('10.244.1.2\tweb-0.web.ns.svc.cluster.local\tweb-0\n');
    expect(text).toContain('192.0.2.7\tdb\tdb.example.org\n');
  });
});
