export { eventually } from './eventually';
export { within } from './within';
export { ServerProcess } from './server-process';
export { claimNumber, freePort, type ClaimedNumber } from './claims';
