// kafkajs: one message after another, done when it is written.
import { install } from 'graceshut';
import { bulk, consumerOf } from './bulk.mjs';

const gs = install();
const messages = await gs.kafkajs(consumerOf()).messages({ topics: [process.env.TOPIC], fromBeginning: true });
for await (const message of messages) {
  await bulk([message]);
  messages.done(message);
}
