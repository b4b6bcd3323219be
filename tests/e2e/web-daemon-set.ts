/** Fields of the pod that its environment tells, by the variable's name. */
type FieldVariables = Record<string, string>;

/** The manifest of a DaemonSet `web`: a pod of the example on every node, labelled `app: web`, whose answers name the node. */
export function webDaemonSet(hostPort: number, more: FieldVariables = {}): string {
  const fields = Object.entries({ NODE_NAME: 'spec.nodeName', ...more });
  return `
apiVersion: apps/v1
kind: DaemonSet
metadata: { name: web }
spec:
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec:
      terminationGracePeriodSeconds: 0
      containers:
        - name: main
          image: naru.dev/web:v1
          ports: [{ name: http, containerPort: 8080, hostPort: ${hostPort} }]
          readinessProbe: { httpGet: { port: http, path: /healthz } }
          env:
${fields.map(([name, fieldPath]) => `            - { name: ${name}, valueFrom: { fieldRef: { fieldPath: ${fieldPath} } } }`).join('\n')}
---`;
}

/** A Service of node ports, and a policy that lets nobody in to its pods. */
export const nodePortOfWeb = `
apiVersion: v1
kind: Service
metadata: { name: web }
spec: { type: NodePort, selector: { app: web }, ports: [{ name: http, port: 80, targetPort: http }] }
`;

export const nobodyReachesWeb = `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: nobody }
spec: { podSelector: { matchLabels: { app: web } }, policyTypes: [Ingress] }
`;

/** The node that an answer of those pods names. Throws when it is none of theirs. */
export function answeringNode(answer: string): string {
  const node = / on (\S+), /.exec(answer)?.[1];
  if (node === undefined) throw new Error(`no pod answered, but: ${answer}`);
  return node;
}
