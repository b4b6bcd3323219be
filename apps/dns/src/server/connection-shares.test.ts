import { ConnectionShares } from './connection-shares';

describe('the shares of clients in the connections', () => {
  const add = (shares: ConnectionShares<string>, ...names: string[]): (string | undefined)[] =>
    names.map(name => shares.add(name.slice(0, 1), name));

  it('a client with its share gives up the one that it has used least lately', () => {
    const shares = new ConnectionShares<string>({ connections: 10, perClient: 2 });
    expect(add(shares, 'a1', 'a2', 'b1')).toEqual([undefined, undefined, undefined]);
    shares.touch('a', 'a1');
    expect(add(shares, 'a3')).toEqual(['a2']);
    expect([...shares]).toEqual(['a1', 'a3', 'b1']);
  });

  it('when all are taken the client with the most makes room for a new one', () => {
    const shares = new ConnectionShares<string>({ connections: 4, perClient: 3 });
    add(shares, 'a1', 'b1', 'b2', 'b3');
    expect(add(shares, 'c1')).toEqual(['b1']);
    expect([...shares]).toEqual(['a1', 'b2', 'b3', 'c1']);
  });

  it('one that has ended makes room itself, once', () => {
    const shares = new ConnectionShares<string>({ connections: 2, perClient: 2 });
    add(shares, 'a1', 'b1');
    shares.delete('a', 'a1');
    shares.delete('a', 'a1');
    expect(add(shares, 'c1', 'c2')).toEqual([undefined, 'c1']);
  });
});
