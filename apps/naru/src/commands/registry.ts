import type { Command } from '../command';
import { agentLeaveCommand, agentPrepareCommand } from './agent';
import { downCommand } from './down';
import { hollowCommand } from './hollow';
import { imageCommand } from './image';
import { logsCommand } from './logs';
import { nodeCommand } from './node';
import { prepareCommand } from './prepare';
import { kubeconfigCommand, probeNodeCommand, tokenCommand, versionCommand } from './small';
import { statusCommand } from './status';
import { upCommand } from './up';

/** Every command, in the order of the help. */
export const commands: readonly Command[] = [
  upCommand,
  downCommand,
  statusCommand,
  logsCommand,
  nodeCommand,
  hollowCommand,
  imageCommand,
  kubeconfigCommand,
  tokenCommand,
  versionCommand,
  prepareCommand,
  agentPrepareCommand,
  agentLeaveCommand,
  probeNodeCommand,
];
