// A worker in another language: the same stage as worker.py, with nothing but Node's own modules.
//
//     node worker.mjs HOST:PORT STAGE
//
// The protocol is described in ../protocol.py: frames of four bytes of length and JSON.

import net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

const [address, json] = process.argv.slice(2);
const stage = JSON.parse(json);
const colon = address.lastIndexOf(":");
const socket = net.connect(Number(address.slice(colon + 1)), address.slice(0, colon));
const asked = new Map(); // the requests without an answer, by their number
let received = Buffer.alloc(0);
let number = 0;

function send(message) {
  const body = Buffer.from(JSON.stringify(message));
  const head = Buffer.alloc(4);
  head.writeUInt32BE(body.length);
  socket.write(Buffer.concat([head, body]));
}

function call(operation, values) {
  number += 1;
  const id = number;
  send({ id, operation, ...values });
  return new Promise((resolve, reject) => asked.set(id, { resolve, reject }));
}

socket.on("data", (data) => {
  received = Buffer.concat([received, data]);
  while (received.length >= 4 && received.length >= 4 + received.readUInt32BE()) {
    const end = 4 + received.readUInt32BE();
    const message = JSON.parse(received.subarray(4, end));
    received = received.subarray(end);
    if (message.protocol) console.log("ready");
    const waiting = asked.get(message.id);
    asked.delete(message.id);
    if (message.error) waiting?.reject(new Error(message.error));
    else waiting?.resolve(message);
  }
});
socket.on("close", () => process.exit()); // the space is gone
process.stdin.on("end", () => process.exit()).resume(); // whoever started us is

send({ protocol: "tuplespace", version: 1 });
for (;;) {
  const { id: transaction } = await call("begin", { timeout: stage.transaction_seconds });
  try {
    const pattern = ["order", { type: "int" }, stage.takes, { type: "tuple" }];
    const timeout = stage.transaction_seconds / 2;
    const { id, fields } = await call("take", { pattern, timeout, transaction });
    const [, order, , workers] = fields;
    await call("write", { fields: ["working", stage.name, order], lease: 60, kept: [id] });
    await sleep(1000 * stage.work_seconds);
    const done = ["order", order, stage.makes, { tuple: [...workers.tuple, stage.name] }];
    await call("write", { fields: done, transaction });
    await call("commit", { transaction });
  } catch (error) {
    if (error.message === "TransactionEnded") continue; // too slow: it is somebody else's by now
    if (error.message !== "DeadlineExceeded") throw error;
    await call("abort", { transaction }); // there was no order for a while
  }
}
