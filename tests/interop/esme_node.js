// ESME made of the npm package smpp. Takes the arguments every ESME here takes (README.md).
'use strict';
const fs = require('fs');
const path = require('path');
const { parseArgs } = require('util');
const smpp = require(path.join(__dirname, '../../target/interop/node_modules/smpp'));

const STEP_MS_MAX = 10000;
const GSM_TEXT = '@ Consentry interop £5 {ok} €';
const UCS2_TEXT = '【互通测试】验证码123456，五分钟内有效。';
const LONG_TEXT = Array.from({ length: 16 }, (_, n) => `part of a long text ${String(n).padStart(2, '0')}`).join(' ');

const string = { type: 'string' };
const args = parseArgs({
  options: {
    port: string, 'system-id': string, password: string, source: string, destination: string,
    'smsc-log': string, 'foreign-source': string,
  },
}).values;

// TLS as the environment says: SMPP_CA with SMPP_SERVER_NAME, SMPP_CERTIFICATE and SMPP_KEY.
const of = (name) => fs.readFileSync(process.env[name]);
const TLS = process.env.SMPP_CA ? {
  tls: true, ca: of('SMPP_CA'), servername: process.env.SMPP_SERVER_NAME, cert: of('SMPP_CERTIFICATE'), key: of('SMPP_KEY'),
} : {};

smpp.addTLV('vendor_1400', { id: 0x1400, type: smpp.types.tlv.buffer });
smpp.addTLV('vendor_1401', { id: 0x1401, type: smpp.types.tlv.int32 });

class Failed extends Error {}
const ok = (step) => console.log(`ok ${step}`);
function expect(step, condition, what) {
  if (!condition) throw new Failed(`${step}: ${typeof what === 'string' ? what : JSON.stringify(what)}`);
  ok(step);
}

async function within(step, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Failed(`${step}: nothing within ${STEP_MS_MAX} ms`)), STEP_MS_MAX);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

function log() {
  const text = fs.existsSync(args['smsc-log']) ? fs.readFileSync(args['smsc-log'], 'utf8') : '';
  return text.slice(0, text.lastIndexOf('\n') + 1).split('\n').filter(Boolean).map((line) => JSON.parse(line))
    .filter((record) => record.system_id === args['system-id']);
}
const start = log().length;
const received = (...commands) => log().slice(start).filter((record) => commands.includes(record.command));

async function until(step, condition) {
  const poll = async () => {
    while (!condition()) await new Promise((resolve) => setTimeout(resolve, 10));
  };
  await within(step, poll());
}

async function connect(step) {
  const session = smpp.connect({ host: '127.0.0.1', port: Number(args.port), ...TLS });
  session.receipts = [];
  session.on('enquire_link', (pdu) => session.send(pdu.response()));
  session.on('deliver_sm', (pdu) => {
    session.receipts.push(pdu);
    session.send(pdu.response());
  });
  session.closed = new Promise((resolve) => session.on('close', resolve));
  await within(step, new Promise((resolve, reject) => {
    session.on(TLS.tls ? 'secureConnect' : 'connect', resolve);
    session.on('error', reject);
  }));
  return session;
}

const ask = (step, session, command, options = {}) =>
  within(step, new Promise((resolve) => session[command](options, resolve)));

async function bind(mode, password = args.password, systemId = args['system-id']) {
  const session = await connect(mode);
  const response = await ask(mode, session, mode, {
    system_id: systemId, password, system_type: 'INTEROP', interface_version: 0x34,
  });
  return [session, response];
}

async function unbind(step, session) {
  const response = await ask(step, session, 'unbind');
  expect(step, response.command === 'unbind_resp' && response.command_status === 0, response);
  session.close();
  await within(`${step}, close`, session.closed);
}

async function main() {
  const to = { source_addr: args.source, destination_addr: args.destination, dest_addr_ton: 1, dest_addr_npi: 1 };

  let [session, response] = await bind('bind_transceiver', 'wrong');
  expect('wrong password refused by the SMSC', response.command_status === smpp.ESME_RINVPASWD, response);
  session.destroy();

  if (args['foreign-source']) {
    [session, response] = await bind('bind_transceiver', args.password, 'nobody');
    expect('unknown system_id refused', response.command_status === smpp.ESME_RINVSYSID, response);
    session.destroy();
  }

  const [transmitter, txBound] = await bind('bind_transmitter');
  expect('bind_transmitter', txBound.command_status === 0 && txBound.system_id.startsWith('SMSC-'), txBound);
  const [receiver, rxBound] = await bind('bind_receiver');
  expect('bind_receiver', rxBound.command_status === 0, rxBound);

  async function submit(step, options, command = 'submit_sm') {
    const before = received(command).length;
    const answer = await ask(step, transmitter, command, { ...to, ...options });
    if (answer.command_status !== 0) throw new Failed(`${step}: status ${answer.command_status}`);
    await until(step, () => received(command).length > before);
    return [received(command)[before], answer];
  }
  async function message(step, text, options, command = 'submit_sm') {
    const [record, answer] = await submit(step, options, command);
    expect(step, record.text === text && record.source_addr === args.source, record);
    return [record, answer];
  }

  await message('submit_sm GSM', GSM_TEXT, { short_message: GSM_TEXT });
  await message('submit_sm UCS2', UCS2_TEXT, { short_message: UCS2_TEXT });

  const parts = LONG_TEXT.match(/.{1,152}/g);
  const answers = await Promise.all(parts.map((part, n) => ask('parts', transmitter, 'submit_sm', {
    ...to, short_message: { udh: Buffer.from([6, 8, 4, 0xbe, 0xef, parts.length, n + 1]), message: part },
  })));
  const before = received('submit_sm').length - parts.length;
  expect('submit_sm in parts, 16-bit reference', answers.every((answer) => answer.command_status === 0)
    && received('submit_sm').slice(before).map((record) => record.text).join('') === LONG_TEXT, received('submit_sm'));

  let [record] = await message('submit_sm with message_payload', LONG_TEXT, { message_payload: { message: LONG_TEXT } });
  expect('message_payload at the SMSC', record.in_payload, record);
  [record] = await message('data_sm', UCS2_TEXT, { message_payload: { message: UCS2_TEXT } }, 'data_sm');

  [record] = await submit('submit_sm with vendor parameters', {
    short_message: GSM_TEXT, vendor_1400: Buffer.from('00ff7f80', 'hex'), vendor_1401: 0xdeadbeef,
  });
  expect('vendor parameters at the SMSC', record.vendor && record.vendor['0x1400'] === '00ff7f80'
    && record.vendor['0x1401'] === 'deadbeef', record);

  const [, accepted] = await message('submit_sm asking for a receipt', GSM_TEXT,
    { short_message: GSM_TEXT, registered_delivery: 1 });
  await until('receipt', () => receiver.receipts.length);
  expect('receipt on the receiver', receiver.receipts[0].esm_class === 4
    && receiver.receipts[0].receipted_message_id === accepted.message_id && !transmitter.receipts.length,
  receiver.receipts[0]);

  const query = await ask('query_sm', transmitter, 'query_sm', { message_id: accepted.message_id, source_addr: args.source });
  expect('query_sm', query.command_status === 0 && query.message_state === 2, query);

  const many = {
    dest_address: [{ dest_addr_ton: 1, dest_addr_npi: 1, destination_addr: args.destination },
      { dest_addr_ton: 1, dest_addr_npi: 1, destination_addr: '8613800138001' }],
    short_message: UCS2_TEXT,
  };
  [record] = await submit('submit_multi', many, 'submit_multi');
  expect('submit_multi', record.text === UCS2_TEXT
    && record.destination_addr === `${args.destination},8613800138001`, record);

  if (args['foreign-source']) {
    const sent = received('submit_sm', 'data_sm', 'submit_multi').length;
    const foreign = { ...to, source_addr: args['foreign-source'] };
    const refused = [];
    refused.push(await ask('foreign source', transmitter, 'submit_sm', { ...foreign, short_message: GSM_TEXT }));
    refused.push(await ask('foreign source', transmitter, 'data_sm', { ...foreign, message_payload: { message: GSM_TEXT } }));
    refused.push(await ask('foreign source', transmitter, 'submit_multi', { ...foreign, ...many }));
    expect('foreign source refused in submit_sm, data_sm, submit_multi', refused.every((pdu) =>
      pdu.command_status === smpp.ESME_RINVSRCADR && pdu.command_length === 16), refused);
    await message('submit_sm after the refusals', GSM_TEXT, { short_message: GSM_TEXT });
    expect('foreign source not at the SMSC', received('submit_sm', 'data_sm', 'submit_multi').length === sent + 1, 'more arrived');
  }

  expect('enquire_link', (await ask('enquire_link', transmitter, 'enquire_link')).command_status === 0, 'refused');
  await unbind('unbind of the transmitter', transmitter);
  await unbind('unbind of the receiver', receiver);
}

main().then(() => process.exit(0), (error) => {
  console.log(`failed ${error instanceof Failed ? error.message : error.stack}`);
  process.exit(1);
});
