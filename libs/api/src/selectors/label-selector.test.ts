import { labelSelectorOf, parseLabelSelector, selectorFromMap } from './label-selector';

const web = { app: 'web', tier: 'front', n: '5' };

describe('parseLabelSelector', () => {
  test.each([
    ['', true],
    ['app=web', true],
    ['app==web', true],
    ['app = web , tier = front', true],
    ['app!=web', false],
    ['gone!=web', true],
    ['app', true],
    ['!app', false],
    ['!gone', true],
    ['tier in (front, back)', true],
    ['tier in (back)', false],
    ['tier notin (back,)', true],
    ['gone notin (back)', true],
    ['gone in ()', false],
    ['n>4', true],
    ['n<4', false],
    ['app=web,tier in (back)', false],
    ['in in (a)', false],
    ['app=', false],
  ])('%j answers %s', (text, expected) => {
    expect(parseLabelSelector(text).matches(web)).toBe(expected);
  });

  test.each([
    'app=web,',
    ',app',
    'app in web',
    'app in (a',
    'app=a=b',
    '!',
    'app web',
    '-x=1',
    'app=a b',
    'n>x',
    'app=b@d',
  ])('%j is refused as a bad request', text => {
    expect(() => parseLabelSelector(text)).toThrow(expect.objectContaining({ reason: 'BadRequest' }));
  });

  test('canonical form has sorted keys and values', () => {
    expect(parseLabelSelector('b in (z,a),!c,a==1').toString()).toBe('a=1,b in (a,z),!c');
  });

  test('a label called like a property of Object does not match by accident', () => {
    expect(parseLabelSelector('app').matches(undefined)).toBe(false);
  });
});

describe('labelSelectorOf', () => {
  test('an absent selector selects nothing, an empty one everything', () => {
    expect(labelSelectorOf(undefined).matches(web)).toBe(false);
    expect(labelSelectorOf({}).matches(web)).toBe(true);
  });

  test('labels and expressions must all hold', () => {
    const selector = labelSelectorOf({
      matchLabels: { app: 'web' },
      matchExpressions: [{ key: 'tier', operator: 'NotIn', values: ['back'] }],
    });
    expect(selector.matches(web)).toBe(true);
    expect(selector.matches({ ...web, tier: 'back' })).toBe(false);
  });
});

test('selectorFromMap demands every pair', () => {
  expect(selectorFromMap({ app: 'web' }).matches(web)).toBe(true);
  expect(selectorFromMap({ app: 'web', x: 'y' }).matches(web)).toBe(false);
});
