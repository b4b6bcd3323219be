export { eventually } from './eventually';
export { ServerProcess, freePort } from './server-process';
