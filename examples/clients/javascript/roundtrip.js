'use strict';
// Two sessions of the npm package `spread` talk through a daemon; exits 0 when every message came as it was sent.
//
//   node roundtrip.js PORT HOST

const spread = require('spread');

const [port, host] = [Number(process.argv[2]), process.argv[3]];
const GROUP = 'npm';
// The package leaves the last of two messages that come in one read until more comes: these bring it out.
const NUDGE = 'nudge';
const GIVE_UP_AFTER = 30000;

function fail(why) {
  console.error(why);
  process.exit(1);
}

setTimeout(() => fail('nothing moves any more'), GIVE_UP_AFTER);

function connect(user) {
  return new Promise((resolve) => {
    const connection = spread.createConnection(user, port, host, GROUP);
    const seen = [];
    connection.on('message', (group, text) => {
      if (group !== GROUP) fail(`${user} got a message for ${JSON.stringify(group)}`);
      if (text !== NUDGE) seen.push(text);
    });
    connection.on('close', () => fail(`the daemon ended the session of ${user}`));
    connection.on('error', (error) => fail(`${user}: ${error}`));
    connection.on('logined', () => {
      connection.join(GROUP);
      resolve({ user, connection, seen });
    });
  });
}

// Until all have seen so many messages.
async function arrived(sessions, count) {
  for (let turn = 1; sessions.some((session) => session.seen.length < count); turn += 1) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    if (turn % 20 === 0) sessions[0].connection.send(NUDGE, GROUP);
  }
}

async function main() {
  const alice = await connect('alice');
  alice.connection.send('alice is here', GROUP);
  await arrived([alice], 1);
  const bob = await connect('bob');
  bob.connection.send('bob is here', GROUP);
  // Bob's own join comes before his message, so from here on both are members.
  await arrived([bob], 1);
  await arrived([alice], 2);
  if (alice.seen.splice(0).join() !== 'alice is here,bob is here') fail('the greetings differ');
  if (bob.seen.splice(0).join() !== 'bob is here') fail('bob saw what was before him');

  const both = [alice, bob];
  const sent = [];
  for (let number = 0; number < 50; number += 1) {
    const text = number % 10 === 9 ? 'x'.repeat(2000 * number) : `grüße ${number} ✓`;
    both[number % 2].connection.send(text, GROUP);
    sent.push(text);
    await arrived(both, sent.length);
  }
  // A burst of both, without waiting in between: one order for both.
  for (let number = 0; number < 50; number += 1) {
    both[number % 2].connection.send(`burst ${number}`, GROUP);
  }
  await arrived(both, sent.length + 50);
  for (const { user, seen } of both) {
    if (JSON.stringify(seen.slice(0, sent.length)) !== JSON.stringify(sent)) {
      fail(`${user} did not see what was sent: ${JSON.stringify(seen).slice(0, 2000)}`);
    }
    if (new Set(seen.slice(sent.length)).size !== 50) fail(`${user} lost some of the burst`);
  }
  if (JSON.stringify(alice.seen) !== JSON.stringify(bob.seen)) fail('alice and bob saw different orders');
  console.log(`${alice.seen.length} messages came back to both sessions as they were sent, in one order`);
  process.exit(0);
}

main();
