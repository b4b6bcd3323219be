import type { HttpRequest, HttpResponse } from '../rest/http';

/** Where a watch writes. */
export interface WatchSink {
  /** False: nothing more is to be written before `onDrain` is called. */
  write(chunk: Buffer): boolean;
  onDrain(callback: () => void): void;
  end(): void;
  /** Drops the connection with all that waits in it. */
  destroy(): void;
}

/** Chunks as HTTP/1.1 frames them, for as long as the chunk lives: many watches send the same one. */
const framed = new WeakMap<Buffer, Buffer>();
const lineEnd = Buffer.from('\r\n');

function frame(chunk: Buffer): Buffer {
  let frame = framed.get(chunk);
  if (!frame) {
    frame = Buffer.concat([Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, lineEnd]);
    framed.set(chunk, frame);
  }
  return frame;
}

/** The body of the response to a watch. Nothing may be written before its headers. */
export function responseSink({ httpVersionMajor, socket }: HttpRequest, response: HttpResponse): WatchSink {
  const overHttp1 = httpVersionMajor === 1;
  return {
    // Node would frame each chunk anew for each response, in three pieces.
    write: chunk => (overHttp1 && response.chunkedEncoding ? socket.write(frame(chunk)) : response.write(chunk)),
    onDrain(callback) {
      if (!overHttp1) return void response.on('drain', callback);
      socket.on('drain', callback);
      // The connection may go on to other requests.
      response.once('close', () => socket.off('drain', callback));
    },
    end: () => void response.end(),
    destroy: () => void response.destroy(),
  };
}
