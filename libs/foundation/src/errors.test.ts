import { StatusError, isReason } from './errors';

test('an error crosses the wire as a Status and comes back the same', () => {
  const error = new StatusError('Invalid', 'bad', {
    details: { name: 'x', causes: [{ message: 'must be set', field: 'spec.a' }] },
  });
  const back = StatusError.fromStatus(JSON.parse(JSON.stringify(error.toStatus())));
  expect(back.toStatus()).toEqual(error.toStatus());
  expect(back.code).toBe(422);
  expect(isReason(back, 'Conflict', 'Invalid')).toBe(true);
});

test('a reason that nobody knows is an internal error that keeps its code', () => {
  expect(StatusError.fromStatus({ reason: 'Teapot', message: 'short and stout', code: 418 })).toMatchObject({
    reason: 'InternalError',
    code: 418,
  });
});
