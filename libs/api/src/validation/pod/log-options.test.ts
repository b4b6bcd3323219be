import { parsePodLogOptions } from './log-options';

const parse = (query: string) => parsePodLogOptions(new URLSearchParams(query), 'web');

test('what is asked of a log is read as upstream reads it', () => {
  expect(
    parse('follow&previous=0&timestamps=true&tailLines=0&sinceTime=2026-01-02T03:04:05%2B01:00&stream=Stderr'),
  ).toEqual({
    follow: true,
    previous: false,
    timestamps: true,
    tailLines: 0,
    sinceTime: Date.UTC(2026, 0, 2, 2, 4, 5),
    stream: 'Stderr',
  });
});

test.each([
  ['tailLines=-1', 'PodLogOptions "web" is invalid: tailLines: Invalid value: -1: must be greater than or equal to 0'],
  ['limitBytes=0', 'limitBytes: Invalid value: 0: must be greater than 0'],
  ['sinceSeconds=0', 'sinceSeconds: Invalid value: 0: must be greater than 0'],
  ['sinceSeconds=1&sinceTime=2026-01-02T03:04:05Z', 'at most one of `sinceTime` or `sinceSeconds` may be specified'],
  ['stream=both', 'stream: Unsupported value: "both": supported values: "All", "Stdout", "Stderr"'],
  ['tailLines=few', 'strconv.ParseInt: parsing "few": invalid syntax'],
  ['tailLines=99999999999999999999', 'value out of range'],
  ['sinceTime=yesterday', 'parsing time "yesterday"'],
])('%s is refused', (query, why) => expect(() => parse(query)).toThrow(why));
