/**
 * Names put into client certificates (DNS) by which the event bus knows what their owners may do: nats-server maps a
 * certificate to a user by these. Certificates of joining nodes get `reader`.
 */
export const busNames = {
  /** May publish the feed and manage its stream: the api-server. */
  publisher: 'publisher.bus.naru',
  /** May follow the feed: everybody else. */
  reader: 'reader.bus.naru',
} as const;
