import { eventually } from '@naru/testing';
import { naru } from './cluster';

export interface ProcessRow {
  name: string;
  node?: string;
  pid?: number;
  health: string;
}

/** The processes of the shared cluster. */
export async function processes(): Promise<ProcessRow[]> {
  const { stdout } = await naru(['status', '--output', 'json'], { anyCode: true });
  return (JSON.parse(stdout) as { processes: ProcessRow[] }).processes;
}

/** One that runs; throws where there is none. */
export const findProcess = (rows: ProcessRow[], name: string, node?: string): ProcessRow => {
  const row = rows.find(candidate => candidate.name === name && candidate.node === node);
  if (!row?.pid) throw new Error(`no process ${node ?? ''} ${name}`);
  return row;
};

/** kill -9, then waits for a new process that says it is well. */
export async function killAndRecover(name: string, node?: string): Promise<void> {
  const victim = findProcess(await processes(), name, node);
  process.kill(victim.pid as number, 'SIGKILL');
  await eventually(
    async () => {
      const next = findProcess(await processes(), name, node);
      expect(next.pid).not.toBe(victim.pid);
      expect(next.health).toBe('ok');
    },
    90_000,
    200,
  );
}
