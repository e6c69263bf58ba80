// What every Node consumer of the suite has in common: one bulk request; a message that says so blocks the loop for 3 s; where the
// broker is, and the word for the runner when there are partitions.
import { Kafka, logLevel } from 'kafkajs';

const { BOOTSTRAP, GROUP, NAME, SINK, SESSION_MS, HEARTBEAT_MS } = process.env;

export function consumerOf() {
  const kafka = new Kafka({ clientId: NAME, brokers: [BOOTSTRAP], logLevel: logLevel.ERROR });
  const times = { sessionTimeout: Number(SESSION_MS), heartbeatInterval: Number(HEARTBEAT_MS), maxWaitTimeInMs: 500 };
  const consumer = kafka.consumer({ groupId: GROUP, ...times });
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    if (Object.values(payload.memberAssignment).flat().length) console.log('ready');
  });
  return consumer;
}

export async function bulk(messages) {
  const values = messages.map((m) => m.value.toString());
  if (values.some((v) => v.includes('"block"'))) {
    console.log('BLOCK');
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 3000);
  }
  const body = values.map((v) => `{"index":{"_id":"${JSON.parse(v).id}"}}\n${v}\n`).join('');
  const answer = await fetch(`${SINK}/_bulk`, { method: 'POST', body, headers: { 'content-type': 'application/x-ndjson' } });
  if (!answer.ok || (await answer.json()).errors) throw new Error(`the store said ${answer.status}`);
}
