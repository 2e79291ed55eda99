// An SMSC made of the npm package smpp: accepts every bind (but the password "wrong"), answers what an ESME may ask,
// sends the receipt that registered_delivery asks for, and writes what it received as JSON lines.
//
//     node smsc_node.js PORT LOG      PORT 0 takes a free port; the first line printed is "PORT n"
'use strict';
const fs = require('fs');
const path = require('path');
const smpp = require(path.join(__dirname, '../../target/interop/node_modules/smpp'));

const [port, logFile] = process.argv.slice(2);
const log = fs.openSync(logFile, 'a');
const receivers = new Map(); // system_id -> session that may be sent deliver_sm
let messages = 0;

// The package hands out decoded text only; keep the octets it decoded for the log.
const octets = new WeakMap();
const decode = smpp.filters.message.decode;
smpp.filters.message.decode = function (value, skipUdh) {
  if (Buffer.isBuffer(value) && value.length) octets.set(this, value);
  return decode.call(this, value, skipUdh);
};

function record(session, pdu) {
  const body = pdu.short_message && pdu.short_message.message && pdu.short_message.message.length
    ? pdu.short_message : pdu.message_payload || {};
  const vendor = {};
  for (const key of Object.keys(pdu)) {
    if (/^\d+$/.test(key)) vendor['0x' + Number(key).toString(16)] = pdu[key].toString('hex');
  }
  fs.writeSync(log, JSON.stringify({
    command: pdu.command,
    system_id: session.system_id,
    sequence_number: pdu.sequence_number,
    source_addr: pdu.source_addr,
    destination_addr: pdu.destination_addr !== undefined ? pdu.destination_addr
      : (pdu.dest_address || []).map((d) => d.destination_addr).join(',') || undefined,
    data_coding: pdu.data_coding,
    esm_class: pdu.esm_class,
    text: typeof body.message === 'string' ? body.message : undefined,
    hex: octets.has(pdu) ? octets.get(pdu).toString('hex') : undefined,
    in_payload: pdu.message_payload !== undefined ? true : undefined,
    sar: pdu.sar_total_segments ? [pdu.sar_msg_ref_num, pdu.sar_segment_seqnum, pdu.sar_total_segments] : undefined,
    vendor: Object.keys(vendor).length ? vendor : undefined,
  }) + '\n');
}

function receipt(systemId, pdu, messageId, attempts = 20) {
  const session = receivers.get(systemId);
  if (!session) {
    if (attempts) setTimeout(receipt, 100, systemId, pdu, messageId, attempts - 1);
    return;
  }
  const when = new Date().toISOString().replace(/\D/g, '').slice(2, 12);
  session.deliver_sm({
    source_addr_ton: pdu.dest_addr_ton, source_addr_npi: pdu.dest_addr_npi, source_addr: pdu.destination_addr,
    dest_addr_ton: pdu.source_addr_ton, dest_addr_npi: pdu.source_addr_npi, destination_addr: pdu.source_addr,
    esm_class: 4, data_coding: 0,
    short_message: `id:${messageId} sub:001 dlvrd:001 submit date:${when} done date:${when} stat:DELIVRD err:000 text:-`,
    receipted_message_id: messageId, message_state: 2,
  });
}

// TLS as the environment says: SMPP_CERTIFICATE and SMPP_KEY.
const of = (name) => process.env[name] && fs.readFileSync(process.env[name]);
const server = smpp.createServer({ cert: of('SMPP_CERTIFICATE'), key: of('SMPP_KEY') }, (session) => {
  session.on('error', () => session.destroy());
  session.on('close', () => {
    if (receivers.get(session.system_id) === session) receivers.delete(session.system_id);
  });
  session.on('pdu', (pdu) => {
    if (pdu.command.startsWith('bind_') && !pdu.isResponse()) session.system_id = pdu.system_id;
    record(session, pdu);
    switch (pdu.command) {
      case 'bind_transmitter': case 'bind_receiver': case 'bind_transceiver':
        if (pdu.password === 'wrong') {
          session.send(pdu.response({ command_status: smpp.ESME_RINVPASWD }));
          return;
        }
        session.send(pdu.response({ system_id: 'SMSC-NODE', sc_interface_version: 0x34 }));
        if (pdu.command !== 'bind_transmitter') receivers.set(session.system_id, session);
        // An SMSC asks too, with a sequence number that an ESME's own request also carries.
        setTimeout(() => session.enquire_link(), 50);
        return;
      case 'submit_sm': case 'data_sm': {
        const messageId = `node-${(++messages).toString(16).padStart(6, '0')}`;
        session.send(pdu.response({ message_id: messageId }));
        if (pdu.registered_delivery & 1) setTimeout(receipt, 20, session.system_id, pdu, messageId);
        return;
      }
      case 'submit_multi':
        session.send(pdu.response({ message_id: `node-${(++messages).toString(16).padStart(6, '0')}`, unsuccess_sme: [] }));
        return;
      case 'query_sm':
        session.send(pdu.response({ message_id: pdu.message_id, final_date: '', message_state: 2, error_code: 0 }));
        return;
      case 'unbind':
        session.send(pdu.response());
        session.close();
        return;
      default: // enquire_link, cancel_sm, replace_sm; what it does not know is answered with generic_nack
        if (!pdu.isResponse()) session.send(pdu.response());
    }
  });
});
server.listen(Number(port), '127.0.0.1', () => console.log(`PORT ${server.address().port}`));
process.on('SIGTERM', () => process.exit(0));
