declare module 'spdy-transport/lib/spdy-transport/protocol/spdy/dictionary' {
  /** The zlib dictionaries of header blocks, by the version of the protocol. */
  const dictionaries: Record<2 | 3 | 3.1, Buffer>;
  export default dictionaries;
}
