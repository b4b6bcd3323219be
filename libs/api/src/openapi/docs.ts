import { inflateRawSync } from 'node:zlib';
import { compressedDocs } from '../generated/docs';

/** Per type of the schema: its documentation, then that of each field. Unpacked for one document and then dropped. */
export function unpackDocs(): readonly (readonly string[])[] {
  return JSON.parse(inflateRawSync(Buffer.from(compressedDocs, 'base64')).toString()) as string[][];
}
