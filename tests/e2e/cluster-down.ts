import { naru } from './cluster';

export default async function down(): Promise<void> {
  if (!process.env['NARU_E2E_REUSE']) await naru(['down', '--purge']);
}
