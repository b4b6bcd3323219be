import fs from 'node:fs';
import path from 'node:path';

/** One call of a plugin. */
export interface PluginCall {
  plugin: string;
  command: string;
  containerId: string;
  input: Record<string, unknown>;
}

/** A CNI plugin that writes down how it is called and answers as it is told to; a program of its own, as plugins are. */
export class ScriptedPlugin {
  constructor(
    private readonly directory: string,
    readonly name: string,
    /** What it speaks; none: it does not know VERSION. */
    versions: string[] = ['0.4.0', '1.0.0', '1.1.0'],
  ) {
    fs.mkdirSync(directory, { recursive: true });
    const at = path.join(directory, name);
    const script = `#!/bin/sh
input=$(cat)
printf '{"plugin":"${name}","command":"%s","containerId":"%s","input":%s}\\n' "$CNI_COMMAND" "$CNI_CONTAINERID" "$input" >> ${directory}/calls
if [ -e ${at}.fail.$CNI_COMMAND ]; then cat ${at}.fail.$CNI_COMMAND; exit 1; fi
case $CNI_COMMAND in
VERSION) ${versions.length === 0 ? 'exit 1' : `echo '${JSON.stringify({ cniVersion: '1.1.0', supportedVersions: versions })}'`} ;;
ADD) echo '{"cniVersion":"1.1.0","ips":[{"address":"198.18.251.9/32"}],"from":"${name}"}' ;;
esac
`;
    fs.writeFileSync(at, script, { mode: 0o755 });
  }

  /** From now on it refuses a command. */
  refuse(command: string, code: number, msg: string): void {
    fs.writeFileSync(this.#refusal(command), JSON.stringify({ cniVersion: '1.1.0', code, msg }));
  }

  accept(command: string): void {
    fs.rmSync(this.#refusal(command));
  }

  #refusal(command: string): string {
    return path.join(this.directory, `${this.name}.fail.${command}`);
  }
}

/** All calls of the plugins of a directory so far, in their order. */
export function pluginCalls(directory: string): PluginCall[] {
  const file = path.join(directory, 'calls');
  if (!fs.existsSync(file)) return [];
  const lines = fs.readFileSync(file, 'utf8').split('\n').filter(Boolean);
  return lines.map(line => JSON.parse(line) as PluginCall);
}
