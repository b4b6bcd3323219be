import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { cri } from '@naru/proto';
import { PullRecords, type PullRecordsDeps, type PullSecret } from './pull-records';

const image = 'reg.local:5000/team/app:v1';
const ref = 'sha256:abc';
const secret = (uid: string, credentialHash: string): PullSecret => ({
  uid,
  namespace: 'default',
  name: uid,
  credentialHash,
});

describe('records of pulled images', () => {
  let directory: string;
  beforeEach(() => (directory = fs.mkdtempSync(path.join(os.tmpdir(), 'pulled-'))));
  afterEach(() => fs.rmSync(directory, { recursive: true }));

  const open = (changes: Partial<PullRecordsDeps> = {}): PullRecords =>
    new PullRecords({ directory, policy: 'NeverVerifyPreloadedImages', allowlist: [], now: () => 0, ...changes });
  const pulled = (records: PullRecords, by: PullSecret | undefined): void => {
    records.begin(image);
    records.succeeded(image, ref, by);
  };
  const files = (name: string): string[] => fs.readdirSync(path.join(directory, name));

  it('let a pod use an image with the credentials that it was pulled with, and others not, also after a restart', () => {
    pulled(open(), secret('a', '1'));
    const records = open();
    expect(records.mayUse(image, ref, [])).toBe(false);
    expect(records.mayUse(image, ref, [secret('b', '2')])).toBe(false);
    expect(records.mayUse('reg.local:5000/other/app:v1', ref, [secret('a', '1')])).toBe(false);
    expect(records.mayUse(image, ref, [secret('b', '2'), secret('a', '1')])).toBe(true);
    // The same password in another secret, and another password in the same secret, count from now on.
    expect(records.mayUse(image, ref, [secret('c', '1')])).toBe(true);
    expect(records.mayUse('reg.local:5000/team/app:v2', ref, [secret('a', '9')])).toBe(true);
    expect(records.mayUse(image, ref, [secret('d', '9')])).toBe(true);
    const [name = ''] = files('pulled');
    expect(JSON.parse(fs.readFileSync(path.join(directory, 'pulled', name), 'utf8'))).toEqual({
      kind: 'ImagePulledRecord',
      apiVersion: 'kubelet.config.k8s.io/v1beta1',
      lastUpdatedTime: '1970-01-01T00:00:00Z',
      imageRef: ref,
      credentialMapping: {
        'reg.local:5000/team/app': { kubernetesSecrets: [secret('c', '1'), secret('a', '9'), secret('d', '9')] },
      },
    });
  });

  it('let everybody use what was pulled without credentials', () => {
    const records = open();
    pulled(records, secret('a', '1'));
    pulled(records, undefined);
    expect(records.mayUse(image, ref, [])).toBe(true);
  });

  it('of a pull that ended unobserved ask everybody for credentials', () => {
    open().begin(image);
    expect(open().mayUse(image, ref, [])).toBe(false);
    const records = open();
    records.recover([cri.Image.fromPartial({ id: ref, repoTags: [image] })]);
    expect(files('pulling')).toEqual([]);
    expect(records.mayUse(image, ref, [secret('a', '1')])).toBe(false);
    fs.writeFileSync(path.join(directory, 'pulled', files('pulled')[0] ?? ''), 'no json');
    expect(records.mayUse(image, ref, [])).toBe(false);
  });

  it('do not remember a pull that could not begin', () => {
    const records = open();
    const folder = path.join(directory, 'pulling');
    fs.rmdirSync(folder);
    fs.writeFileSync(folder, '');
    expect(() => records.begin(image)).toThrow('ENOTDIR');
    // Still an image that was here before any pull.
    expect(records.mayUse(image, ref, [])).toBe(true);
  });

  it('go with their image', () => {
    const records = open();
    pulled(records, secret('a', '1'));
    records.forget(ref);
    expect(files('pulled')).toEqual([]);
    pulled(records, secret('a', '1'));
    open().recover([]);
    expect(files('pulled')).toEqual([]);
  });

  it.each([
    ['NeverVerify', [], true, true],
    ['NeverVerifyPreloadedImages', [], true, false],
    ['NeverVerifyAllowlistedImages', ['reg.local:5000/team/*'], true, false],
    ['NeverVerifyAllowlistedImages', ['reg.local:5000/team/app'], true, false],
    ['NeverVerifyAllowlistedImages', ['reg.local:5000/tea'], false, false],
    ['AlwaysVerify', [], false, false],
  ])(
    'under the policy %s with %j let a preloaded image be used: %s, and a pulled one: %s',
    (policy, allowlist, preloaded, byOther) => {
      const records = open({ policy, allowlist });
      expect(records.mayUse(image, ref, [])).toBe(preloaded);
      pulled(records, secret('a', '1'));
      expect(records.mayUse(image, ref, [])).toBe(byOther);
    },
  );
});
