import type { ClientRequest } from 'node:http';

/**
 * Makes an answer 101 that was not asked for an error of the request. Node ends such a request without a word, and neither a deadline nor
 * a signal ends it a second time: whoever waits for its answer would wait for ever.
 */
export function refuseUpgrade(request: ClientRequest): void {
  request.once('upgrade', (_answer, socket) => {
    socket.destroy();
    request.emit('error', new Error('unexpected answer 101 Switching Protocols'));
  });
}
