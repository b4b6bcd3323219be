import type { IncomingMessage, ServerResponse } from 'node:http';

/**
 * HTTP/1.1 and HTTP/2 (through Node's compatibility layer) look alike to handlers; what differs is decided by
 * `httpVersionMajor`.
 */
export type HttpRequest = IncomingMessage;
export type HttpResponse = ServerResponse;
