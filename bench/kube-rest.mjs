// A minimal REST client for the benchmarks: it works against any Kubernetes API server that a kubeconfig names.
import { readFileSync } from 'node:fs';
import https from 'node:https';
import { parse } from 'yaml';

/**
 * Reads the current context of a kubeconfig (client certificate or token). `connections`: how many at most; one is taken by each watch.
 */
export function openKubeconfig(file, { connections = Infinity } = {}) {
  const config = parse(readFileSync(file, 'utf8'));
  const { context } = config.contexts.find(({ name }) => name === config['current-context']);
  const { cluster } = config.clusters.find(({ name }) => name === context.cluster);
  const { user } = config.users.find(({ name }) => name === context.user);
  const pem = (holder, key) =>
    holder[`${key}-data`] ? Buffer.from(holder[`${key}-data`], 'base64') : holder[key] && readFileSync(holder[key]);
  const agent = new https.Agent({
    keepAlive: true,
    maxSockets: connections,
    ca: pem(cluster, 'certificate-authority'),
    cert: pem(user, 'client-certificate'),
    key: pem(user, 'client-key'),
  });
  const headers = user.token ? { authorization: `Bearer ${user.token}` } : {};
  return new KubeRest(new URL(cluster.server), agent, headers);
}

class KubeRest {
  constructor(server, agent, headers) {
    Object.assign(this, { server, agent, headers });
  }

  /** Answers the parsed body; throws with the Status message otherwise. */
  call(method, path, body) {
    return new Promise((resolve, reject) => {
      const data = body && JSON.stringify(body);
      const request = https.request(
        {
          host: this.server.hostname,
          port: this.server.port,
          method,
          path,
          agent: this.agent,
          headers: { ...this.headers, 'content-type': 'application/json' },
        },
        response => {
          let text = '';
          response.setEncoding('utf8').on('data', chunk => (text += chunk));
          response.on('end', () =>
            response.statusCode < 400 ? resolve(JSON.parse(text)) : reject(new Error(`${method} ${path}: ${text}`)),
          );
        },
      );
      request.on('error', reject);
      request.end(data);
    });
  }

  /** Calls `onEvent({type, object})` for each event of a watch until the function returned is called. */
  watch(path, onEvent) {
    const request = https.request(
      {
        host: this.server.hostname,
        port: this.server.port,
        path: `${path}${path.includes('?') ? '&' : '?'}watch=1`,
        agent: this.agent,
        headers: this.headers,
      },
      response => {
        let rest = '';
        response.setEncoding('utf8').on('data', chunk => {
          const lines = (rest + chunk).split('\n');
          rest = lines.pop();
          for (const line of lines) if (line) onEvent(JSON.parse(line));
        });
      },
    );
    request.on('error', () => {});
    request.end();
    return () => request.destroy();
  }

  /**
   * Counts the events of a type that a watch tells, without reading the objects: `started` gives how many there were at first, `until(n)`
   * resolves with the milliseconds from the next one to the n-th.
   */
  count(path, type) {
    const mark = `{"type":"${type}"`;
    const bookmark = '"k8s.io/initial-events-end":"true"';
    let seen = 0;
    let firstAt;
    let rest = '';
    let onChange = () => {};
    let start;
    const started = new Promise(resolve => (start = resolve));
    const request = https.request(
      {
        host: this.server.hostname,
        port: this.server.port,
        path: `${path}&watch=1&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan`,
        agent: this.agent,
        headers: this.headers,
      },
      response => {
        response.setEncoding('latin1').on('data', chunk => {
          const text = rest + chunk;
          const end = text.lastIndexOf('\n') + 1;
          for (let at = text.indexOf(mark); at >= 0 && at < end; at = text.indexOf(mark, at + 1)) seen++;
          if (start && text.includes(bookmark)) {
            start(seen);
            start = undefined;
          } else if (!start && seen > 0) firstAt ??= performance.now();
          rest = text.slice(end);
          onChange();
        });
      },
    );
    request.on('error', () => {});
    request.end();
    const until = count =>
      new Promise(resolve => {
        onChange = () => seen >= count && resolve(performance.now() - firstAt);
        onChange();
      });
    return { started, until, stop: () => request.destroy() };
  }
}

export function quantile(values, q) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))];
}
