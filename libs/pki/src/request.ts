import type { Pkcs10CertificateRequest } from '@peculiar/x509';
import { StatusError } from '@naru/foundation';
import { createKey, importKeyPair } from './keys';
import { fromJsonName, toExtension, toJsonName, type AlternativeNames, type Subject } from './names';
import { keyAlgorithm, loadX509 } from './x509';

export interface RequestOptions extends AlternativeNames {
  subject: Subject;
  /** PEM of an existing key to go on using; a new one is made without it. */
  key?: string;
}

/** A PKCS#10 request and the key that it was signed with, both PEM. The key never leaves the machine that made it. */
export async function createRequest(options: RequestOptions): Promise<{ request: string; key: string }> {
  const { Pkcs10CertificateRequestGenerator } = await loadX509();
  const key = options.key ?? createKey();
  const names = await toExtension(options);
  const request = await Pkcs10CertificateRequestGenerator.create({
    name: toJsonName(options.subject),
    keys: await importKeyPair(key),
    signingAlgorithm: keyAlgorithm,
    extensions: names ? [names] : [],
  });
  return { request: `${request.toString('pem')}\n`, key };
}

/** What a request asks for, after its signature was found good. */
export interface ReadRequest extends Required<AlternativeNames> {
  subject: Subject;
}

/** More than this is no request of ours or of any Kubernetes client. */
const maxRequestBytes = 16 * 1024;

/** Parses and verifies; BadRequest when it is malformed or not signed by the key it carries. */
export async function parseRequest(pem: string): Promise<Pkcs10CertificateRequest> {
  const refuse = (why: string, cause?: unknown): StatusError =>
    new StatusError('BadRequest', `Cannot read certificate request: ${why}`, { cause });
  if (pem.length > maxRequestBytes) throw refuse(`longer than ${maxRequestBytes} bytes`);
  const { Pkcs10CertificateRequest: Request } = await loadX509();
  let request: Pkcs10CertificateRequest;
  let genuine: boolean;
  try {
    request = new Request(pem);
    genuine = await request.verify();
  } catch (cause) {
    throw refuse('malformed PKCS#10', cause);
  }
  if (!genuine) throw refuse('its signature does not match its key');
  return request;
}

/** Subject and names that a PEM request asks for. Throws BadRequest as `parseRequest` does. */
export async function readRequest(pem: string): Promise<ReadRequest> {
  const request = await parseRequest(pem);
  const { SubjectAlternativeNameExtension } = await loadX509();
  // By OID and parsed again: the class lookup of the library does not find the extension inside requests.
  const raw = request.getExtension('2.5.29.17');
  const names = raw ? new SubjectAlternativeNameExtension(raw.rawData).names.toJSON() : [];
  const ofType = (type: string): string[] => names.filter(name => name.type === type).map(name => name.value);
  return {
    subject: fromJsonName(request.subjectName.toJSON()),
    dnsNames: ofType('dns'),
    ipAddresses: ofType('ip'),
  };
}
