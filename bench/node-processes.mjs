// The processes of one node on this machine, and what they use. Shared by the benchmarks of nodes.
import fs from 'node:fs';

/** Process ids by name: runtime, kubelet, kube-proxy. `match` tells apart the nodes of clusters that share the machine. */
export function nodeProcesses(node, match = '') {
  const found = {};
  for (const pid of fs.readdirSync('/proc').filter(name => /^\d+$/.test(name))) {
    let line;
    try {
      line = fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').join(' ');
    } catch {
      continue;
    }
    const [, name] = /apps\/(runtime|kubelet|kube-proxy)\/main\.js /.exec(line) ?? [];
    if (name && line.includes(`/${node}/`) && line.includes(match)) found[name] = pid;
  }
  return found;
}

/** Megabytes, to a tenth. */
export function rssMb(pid) {
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / 102.4) / 10;
}

/** Seconds of processor time, its own and that of children it has waited for. */
export function cpuSeconds(pid) {
  const stat = fs.readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return [11, 12, 13, 14].reduce((sum, index) => sum + Number(fields[index]), 0) / 100;
}
