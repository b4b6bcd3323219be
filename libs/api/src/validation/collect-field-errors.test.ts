import { collectFieldErrors } from './collect-field-errors';
import { invalid, invalidObject, required } from './field-error';

test('a validation without end is left when it has found more than is worth telling', () => {
  const errors = collectFieldErrors(found => {
    for (let index = 0; ; index++) found.push(required(`items[${index}]`));
  });
  expect(errors).toHaveLength(1_000);
  expect(errors.at(-1)).toEqual(required('items[999]'));
});

test('another failure of a validation is passed on', () => {
  const validate = (): void => {
    throw new TypeError('not a list');
  };
  expect(() => collectFieldErrors(validate)).toThrow(TypeError);
});

test('what is wrong is told until there is text enough, and always the first', () => {
  const large = 'x'.repeat(1 << 20);
  const errors = Array.from({ length: 1_000 }, (_, index) => invalid(`items[${index}]`, large, 'too large'));
  const error = invalidObject({ group: '', kind: 'ConfigMap' }, 'c', errors);
  expect(error.message).toBe(`ConfigMap "c" is invalid: items[0]: Invalid value: "${large}": too large`);
  expect(error.details?.causes).toHaveLength(1);
});
