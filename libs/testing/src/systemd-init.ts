/** Sockets and services that the bus takes; without it neither OCI runtimes nor the kubelet reach systemd. */
const units: Record<string, string> = {
  'dbus.socket': '[Socket]\nListenStream=/run/dbus/system_bus_socket',
  'dbus.service': `[Unit]
Requires=dbus.socket
[Service]
Type=notify
NotifyAccess=main
ExecStart=/usr/bin/dbus-daemon --system --address=systemd: --nofork --nopidfile --systemd-activation --syslog-only`,
  // What units wait for by default.
  ...Object.fromEntries(['sysinit', 'basic', 'shutdown'].map(name => [`${name}.target`, ''])),
};

/**
 * Lines of a first process that hands over to systemd, with nothing of this machine's own units: only the bus and a service that
 * runs the program.
 */
export function systemdInit(program: string): string {
  const all = {
    ...units,
    'script.service': `[Unit]\nRequires=dbus.socket\nAfter=dbus.socket\n[Service]\nType=oneshot\nExecStart=${program}`,
    'script.target': '[Unit]\nRequires=script.service',
  };
  const folder = '/usr/lib/systemd/system';
  const hidden = [folder, `${folder}-generators`, `${folder}-environment-generators`, '/etc/systemd'];
  const written = Object.entries(all).map(([name, text]) => {
    const unit = text.startsWith('[Unit]\n') ? text : `[Unit]\n${text}`;
    return `cat > ${folder}/${name} <<'UNIT'\n${unit.replace('[Unit]\n', '[Unit]\nDefaultDependencies=no\n')}\nUNIT`;
  });
  return [
    ...hidden.map(place => `mount -t tmpfs tmpfs ${place}`),
    'mkdir /etc/systemd/system',
    ...written,
    'exec /lib/systemd/systemd --unit=script.target --log-target=console',
  ].join('\n');
}
