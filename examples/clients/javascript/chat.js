'use strict';
// A chat in one group, with the npm package `spread`:
//
//   npm ci && node chat.js alice chat 4803@localhost
//
// The package shows no membership and knows one service, UNRELIABLE; a daemon of this project delivers it in order.

const readline = require('readline');
const spread = require('spread');

const [user, group, address = '4803@localhost'] = process.argv.slice(2);
if (!group) {
  console.error('usage: node chat.js USER GROUP [PORT@HOST]');
  process.exit(2);
}
const [port, host] = address.split('@');

const connection = spread.createConnection(user, Number(port), host, group);
connection.on('logined', () => {
  console.log('connected');
  connection.join(group);
  const lines = readline.createInterface({ input: process.stdin });
  lines.on('line', (line) => connection.send(line, group));
  // The package has no disconnect and would connect again: the session ends with the process.
  lines.on('close', () => setTimeout(() => process.exit(0), 200));
});
connection.on('message', (to, text) => console.log(`${to}: ${text}`));
connection.on('error', (error) => {
  console.error(String(error));
  process.exit(1);
});
connection.on('close', () => {
  console.log('the connection ended');
  process.exit(1);
});
