// kafkajs: batches of 500 messages or 5 s, written, then committed.
import { install } from 'graceshut';
import { bulk, consumerOf } from './bulk.mjs';

const gs = install();
const consumer = gs.kafkajs(consumerOf());
await consumer.batches({ topics: [process.env.TOPIC], write: bulk, retry: 1, fromBeginning: true });
