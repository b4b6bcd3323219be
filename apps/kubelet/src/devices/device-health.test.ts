import { drahealth } from '@naru/proto';
import { SimulatedClock } from '@naru/testing';
import { DriverHealth, type DeviceId } from './device-health';

const driver = 'gpu.example.com';
const id = (device: string): DeviceId => ({ driver, pool: 'p', device });
const { HEALTHY, UNHEALTHY, UNKNOWN } = drahealth.HealthStatus;

describe('what drivers say of their devices', () => {
  const setUp = () => {
    const clock = new SimulatedClock();
    const changes: string[] = [];
    const health = new DriverHealth({
      clock,
      onChange: (_, isConcerned) => void changes.push(['a', 'b'].filter(device => isConcerned(id(device))).join()),
    });
    const tell = (told: Partial<Record<'a' | 'b', drahealth.HealthStatus>>, message = '', seconds = 0n) =>
      health.take(
        driver,
        Object.entries(told).map(([deviceName, status]) => ({
          ...{ device: { poolName: 'p', deviceName }, health: status, message },
          ...{ lastUpdatedTime: 0n, healthCheckTimeoutSeconds: seconds },
        })),
      );
    const pass = async (ms: number): Promise<void> => {
      const until = clock.now() + ms;
      while (await clock.step(until)) continue;
    };
    return { clock, changes, health, tell, pass };
  };

  it('is told on when it changes, and of the devices that it is about', () => {
    const { changes, health, tell } = setUp();
    expect(health.of(id('a'))).toEqual({ health: 'Unknown' });
    tell({ a: HEALTHY, b: UNKNOWN });
    tell({ a: HEALTHY, b: UNHEALTHY }, 'too hot');
    tell({ a: HEALTHY, b: UNHEALTHY }, 'too hot');
    expect(changes).toEqual(['a', 'a,b']);
    expect(health.of(id('b'))).toEqual({ health: 'Unhealthy', message: 'too hot' });
    expect(health.of({ ...id('b'), driver: 'other.example.com' })).toEqual({ health: 'Unknown' });
  });

  it('holds for as long as they say, and half a minute when they do not; then nothing is known', async () => {
    const { changes, health, tell, pass } = setUp();
    tell({ a: HEALTHY }, '', -5n);
    tell({ b: UNHEALTHY }, 'broken', 60n);
    changes.length = 0;
    await pass(29_000);
    expect(health.of(id('a')).health).toBe('Healthy');
    await pass(2_000);
    expect(changes).toEqual(['a']);
    expect(health.of(id('a'))).toEqual({ health: 'Unknown' });
    expect(health.of(id('b')).health).toBe('Unhealthy');
    await pass(30_000);
    expect(changes).toEqual(['a', 'b']);
    expect(health.of(id('b'))).toEqual({ health: 'Unknown' });
  });

  it('holds for years too', async () => {
    const { changes, health, tell, pass } = setUp();
    tell({ a: HEALTHY }, '', 10_000_000n);
    await pass(9_000_000_000);
    expect(health.of(id('a')).health).toBe('Healthy');
    await pass(2_000_000_000);
    expect(changes).toEqual(['a', 'a']);
  });

  it('is known of so many devices that a driver cannot fill the memory', () => {
    const { health } = setUp();
    const names = Array.from({ length: 5_000 }, (_, index) => `d${index}`);
    const told = { health: HEALTHY, message: '', lastUpdatedTime: 0n, healthCheckTimeoutSeconds: 0n };
    for (const poolName of ['p', 'other'])
      health.take(
        driver,
        names.map(deviceName => ({ ...told, device: { poolName, deviceName } })),
      );
    expect(names.filter(name => health.of(id(name)).health === 'Healthy')).toEqual([]);
    const known = names.filter(device => health.of({ ...id(device), pool: 'other' }).health === 'Healthy');
    expect(known).toEqual(names.slice(-4_096));
    health.stop();
  });

  it('is forgotten when the driver is gone, and shortened when it is too much', () => {
    const { changes, health, tell } = setUp();
    tell({ a: HEALTHY }, 'x'.repeat(1025));
    expect(health.of(id('a')).message).toBe(`${'x'.repeat(1021)}...`);
    health.clear(driver);
    expect(health.of(id('a'))).toEqual({ health: 'Unknown' });
    expect(changes).toEqual(['a', 'a']);
    health.stop();
  });
});
