import { Client, credentials, Metadata, status, type ServiceError } from '@grpc/grpc-js';
import type { ProbeOutcome } from './http-probe';

/** grpc.health.v1.HealthCheckRequest { string service = 1; } */
export function encodeHealthRequest(service: string): Buffer {
  const name = Buffer.from(service);
  if (name.length === 0) return Buffer.alloc(0);
  const length: number[] = [];
  for (let rest = name.length; ; rest >>>= 7) {
    if (rest < 0x80) {
      length.push(rest);
      break;
    }
    length.push((rest & 0x7f) | 0x80);
  }
  return Buffer.concat([Buffer.from([0x0a, ...length]), name]);
}

/** grpc.health.v1.HealthCheckResponse { ServingStatus status = 1; }: a small varint. */
export function decodeHealthResponse(data: Buffer): number {
  return data[0] === 0x08 ? (data[1] ?? 0) : 0;
}

const serving = 1;
const statusNames = ['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN'];

/** One probe by the gRPC health checking protocol, without TLS, as upstream. */
export function probeGrpc(address: string, service: string, timeoutMs: number): Promise<ProbeOutcome> {
  const client = new Client(address, credentials.createInsecure(), { 'grpc.primary_user_agent': 'kube-probe/1.36' });
  return new Promise<ProbeOutcome>(resolve => {
    client.makeUnaryRequest(
      '/grpc.health.v1.Health/Check',
      encodeHealthRequest,
      decodeHealthResponse,
      service,
      new Metadata(),
      { deadline: Date.now() + timeoutMs },
      (error: ServiceError | null, answer?: number) => {
        if (!error) {
          const name = statusNames[answer ?? 0] ?? String(answer);
          const output = `service unhealthy (responded with "${name}")`;
          resolve(answer === serving ? { success: true, output: '' } : { success: false, output });
          return;
        }
        const output =
          error.code === status.UNIMPLEMENTED
            ? 'error: this server does not implement the grpc health protocol (grpc.health.v1.Health)'
            : error.code === status.DEADLINE_EXCEEDED
              ? `timeout: failed to connect service "${address}" within ${timeoutMs}ms: context deadline exceeded`
              : `error: health rpc probe failed: ${error.details || error.message}`;
        resolve({ success: false, output });
      },
    );
  }).finally(() => client.close());
}
