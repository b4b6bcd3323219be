import { readFileSync } from 'node:fs';
import path from 'node:path';
import { agentFlags } from '../agent/flags';
import { leave } from '../agent/join';
import { prepareAgent, type AgentRecord } from '../agent/prepare';
import { command } from '../command';

export const agentPrepareCommand = command({
  name: 'agent-prepare',
  usage: '--server URL --token T',
  summary: "join, and write down how the node's processes are started",
  hidden: true,
  flags: agentFlags,
  run: ({ flags }) => prepareAgent(flags),
});

export const agentLeaveCommand = command({
  name: 'agent-leave',
  usage: '',
  summary: 'take the Node of this machine out of the cluster',
  hidden: true,
  flags: { 'run-dir': agentFlags['run-dir'] },
  async run({ flags }) {
    const file = path.join(flags['run-dir'], 'agent.json');
    const { server, nodeName, pki } = JSON.parse(readFileSync(file, 'utf8')) as AgentRecord;
    await leave(new URL(server), nodeName, pki);
  },
});
