// An ESME made of the npm package smpp: service messages to numbers that nobody else uses, until SIGTERM; it binds again when
// its session ends.
//
//     node esme_node.js PORT SYSTEM_ID SOURCE LOG      LOG: a line for each message, as tests/nodes/checker.py reads trips
'use strict';
const fs = require('fs');
const path = require('path');
const smpp = require(path.join(__dirname, '../../target/interop/node_modules/smpp'));

const EVERY_MS = 200;
const [port, who, source, log] = process.argv.slice(2);
const out = fs.openSync(log, 'a');
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
// CLOCK_MONOTONIC, as Python's time.monotonic().
const now = () => Number(process.hrtime.bigint()) / 1e9;
let ending = false;
process.on('SIGTERM', () => { ending = true; });

async function live() {
  const session = smpp.connect({ host: '127.0.0.1', port: Number(port) });
  let open = true;
  const closed = new Promise((resolve) => {
    session.on('close', () => { open = false; resolve(null); });
    session.on('error', () => { open = false; session.destroy(); resolve(null); });
  });
  session.on('enquire_link', (pdu) => session.send(pdu.response()));
  session.on('unbind', (pdu) => { session.send(pdu.response()); session.close(); });
  const ask = (command, options) => Promise.race([closed, new Promise((resolve) => session[command](options, resolve))]);
  const bound = await ask('bind_transceiver', { system_id: who, password: 'secret', interface_version: 0x34 });
  if (!bound || bound.command_status) throw new Error(`no bind: ${bound && bound.command_status}`);
  const node = bound.system_id.replace('SMSC-', '').replace(/\0/g, '');
  while (!ending && open) {
    const number = `86135${String(Math.floor(Math.random() * 1e8)).padStart(8, '0')}`;
    const trip = { node, who, n: null, kind: 'service', number, sent: now(), answered: null, status: null };
    const code = String(Math.floor(Math.random() * 1e4)).padStart(4, '0');
    const asked = ask('submit_sm', { source_addr: source, destination_addr: number, short_message: `您的包裹已到，取件码${code}。` });
    trip.n = session.sequence;
    const answer = await asked;
    if (answer) Object.assign(trip, { answered: now(), status: answer.command_status });
    fs.writeSync(out, JSON.stringify(trip) + '\n');
    await sleep(EVERY_MS);
  }
  if (open) await ask('unbind', {});
  session.destroy();
}

(async () => {
  while (!ending) {
    try {
      await live();
    } catch (fault) {
      console.log(fault.message);
    }
    await sleep(200);
  }
  process.exit(0);
})();
