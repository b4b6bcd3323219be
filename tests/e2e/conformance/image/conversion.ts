interface Place {
  apiVersion: string;
  host?: string;
  port?: string;
  hostPort?: string;
}

interface Review {
  apiVersion: string;
  kind: string;
  request: { uid: string; desiredAPIVersion: string; objects: Place[] };
}

/** Converts between v1, which says `hostPort: "HOST:PORT"`, and v2, which says `host` and `port`. */
export function convertReview({ apiVersion, kind, request }: Review): object {
  const convertedObjects = request.objects.map(object => convert(object, request.desiredAPIVersion));
  return { apiVersion, kind, response: { uid: request.uid, result: { status: 'Success' }, convertedObjects } };
}

function convert({ host = '', port = '', hostPort, ...rest }: Place, desired: string): Place {
  if (desired.endsWith('/v1')) return { ...rest, apiVersion: desired, hostPort: hostPort ?? `${host}:${port}` };
  const [ownHost = host, ownPort = port] = hostPort?.split(':') ?? [];
  return { ...rest, apiVersion: desired, host: ownHost, port: ownPort };
}
