import { controllers } from '../registry';
import { selectControllers } from './selection';

const names = (...wanted: string[]) => selectControllers(controllers, wanted).map(({ name }) => name);

test('the star is all, a minus takes away, a bare name is that one', () => {
  expect(names('*')).toHaveLength(controllers.length);
  expect(names('*', '-deployment')).not.toContain('deployment-controller');
  expect(names('deployment', 'replicaset-controller')).toEqual(['deployment-controller', 'replicaset-controller']);
});

test('an unknown name is refused', () => {
  expect(() => names('*', '-nonsense')).toThrow('"nonsense" is not in the list of known controllers');
});
