// Makes what a Node process waits for come late, now and then and by a random time, to find code and tests that hold only
// while everything is quick. Never earlier than without it: whatever fails under it could fail on a slow machine.
//
//   NODE_OPTIONS="--require $PWD/tools/perturb.cjs" npx jest apps/kubelet
//
// NARU_PERTURB_MS: the longest delay (100). NARU_PERTURB_CHANCE: of one wait to be delayed (0.2).
'use strict';
const childProcess = require('node:child_process');
const fs = require('node:fs');
const http = require('node:http');
const http2 = require('node:http2');

const longestMs = Number(process.env.NARU_PERTURB_MS ?? 100);
const chance = Number(process.env.NARU_PERTURB_CHANCE ?? 0.2);
const { setTimeout: later } = globalThis;
/** What is longer runs out at once. */
const longestTimerMs = 2 ** 31 - 1;

/** Mostly none, often little, seldom the longest: in milliseconds. */
const delay = () => (Math.random() < chance ? Math.random() ** 3 * longestMs : 0);

/** Calls now, or later when a delay was drawn. */
function atSomeTime(call) {
  const ms = delay();
  if (ms === 0) call();
  else later(call, ms);
}

/** Replaces a function by one that keeps its properties (setTimeout has a variant for util.promisify). */
function replace(owner, name, make) {
  const original = owner[name];
  const replacement = make(original);
  Object.defineProperties(replacement, Object.getOwnPropertyDescriptors(original));
  owner[name] = replacement;
}

for (const timer of ['setTimeout', 'setInterval']) {
  replace(
    globalThis,
    timer,
    original =>
      (callback, ms, ...args) =>
        original(callback, Math.min((ms ?? 0) + delay(), Math.max(ms ?? 0, longestTimerMs)), ...args),
  );
}
// Files are asked for so often that each of them waits seldom.
for (const name of ['readFile', 'writeFile', 'rename', 'mkdir', 'rm', 'readdir', 'stat', 'open', 'unlink', 'symlink']) {
  replace(fs.promises, name, original => async (...args) => {
    const result = await original(...args);
    const ms = Math.random() < 0.1 ? delay() : 0;
    if (ms > 0) await new Promise(resolve => later(resolve, ms));
    return result;
  });
}

/** Emits the named events of every emitter of the kind late, each emitter's in their order. */
function emitLate(prototype, names) {
  const { emit } = prototype;
  const last = new WeakMap();
  prototype.emit = function (name, ...args) {
    if (!names.includes(name)) return emit.call(this, name, ...args);
    if (!last.has(this) && delay() === 0) return emit.call(this, name, ...args);
    const turn = (last.get(this) ?? Promise.resolve()).then(() => new Promise(resolve => later(resolve, delay())));
    last.set(
      this,
      turn.then(() => void emit.call(this, name, ...args)),
    );
    return true;
  };
}

emitLate(childProcess.ChildProcess.prototype, ['exit', 'close']);

/** A request goes out when it ends, and with it whatever the server does. */
function endLate(prototype) {
  const { end } = prototype;
  prototype.end = function (...args) {
    atSomeTime(() => end.apply(this, args));
    return this;
  };
}

endLate(http.ClientRequest.prototype);

replace(http2, 'connect', original => (...args) => {
  const session = original(...args);
  const { request } = session;
  session.request = function (...of) {
    const stream = request.apply(this, of);
    const { end, close } = stream;
    let waiting;
    stream.end = (...last) => {
      waiting?.();
      const ends = () => {
        if (waiting !== ends) return;
        waiting = undefined;
        end.apply(stream, last);
      };
      waiting = ends;
      if (stream.closed) ends();
      else atSomeTime(ends);
      return stream;
    };
    // Who closes a stream after its end counts on that; Node's memory would run out.
    stream.close = (...last) => {
      waiting?.();
      return close.apply(stream, last);
    };
    return stream;
  };
  return session;
});
