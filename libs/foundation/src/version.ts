/** The version of Kubernetes that every process says it is. */
export const kubernetesVersion = 'v1.36.0+naru';
