import { upCommand } from './up';

const up = (...args: string[]): Promise<number | void> => upCommand.run(['--cluster', 'not-there', ...args]);

test.each([
  [['--ip-family', 'both'], 'flag --ip-family: "both" is none of ipv4, ipv6, dual'],
  [['--ip-family', 'dual', '--cluster-cidr', '10.0.0.0/8'], 'as 10.244.0.0/16,fd00:10:244::/56 would'],
  [['--service-cidr', 'fd00::/112'], 'flag --service-cidr: fd00::/112 does not fit --ip-family=ipv4'],
])('%j is refused before anything is made', async (args, message) => {
  await expect(up(...args)).rejects.toThrow(message);
});
