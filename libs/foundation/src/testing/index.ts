export { eventually } from './eventually';
export { within } from './within';
export { ServerProcess, freePort } from './server-process';
