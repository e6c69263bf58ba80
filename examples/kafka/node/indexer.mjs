// Orders from Kafka into a search index: written, then committed.
//
//   npm install graceshut kafkajs
//   BOOTSTRAP=127.0.0.1:9092 GROUP=indexer TOPIC=orders SINK=http://127.0.0.1:9200/orders node indexer.mjs
import { install } from 'graceshut';
import { Kafka } from 'kafkajs';

const { BOOTSTRAP, GROUP, TOPIC, SINK, NAME = 'indexer' } = process.env;

async function bulk(messages, { signal }) {
  const body = messages.map(({ value }) => `{"index":{"_id":"${JSON.parse(value).id}"}}\n${value}\n`).join('');
  const answer = await fetch(`${SINK}/_bulk`, { method: 'POST', body, signal, headers: { 'content-type': 'application/x-ndjson' } });
  if (!answer.ok || (await answer.json()).errors) throw new Error(`not all of the batch was taken: ${answer.status}`);
}

const gs = install();
// kafkajs cannot break off a fetch: leaving the group takes up to maxWaitTimeInMs.
const consumer = new Kafka({ clientId: NAME, brokers: [BOOTSTRAP] }).consumer({ groupId: GROUP, heartbeatInterval: 1000, maxWaitTimeInMs: 500 });
consumer.on(consumer.events.GROUP_JOIN, () => console.log('ready'));
await gs.kafkajs(consumer).batches({ topics: [TOPIC], fromBeginning: true, write: bulk, size: 500, seconds: 5 });
