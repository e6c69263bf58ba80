"""librdkafka's own mock cluster as the broker: prints its address, fills a topic, and stays until its input ends."""

import sys

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic  # noqa: F401

producer = Producer({"test.mock.num.brokers": 1, "log_level": 0})
broker = next(iter(producer.list_topics(timeout=10).brokers.values()))
for n in range(int(sys.argv[1])):
    producer.produce("jobs", str(n).encode(), partition=0)
producer.flush(10)
print("%s:%d" % (broker.host, broker.port), flush=True)
sys.stdin.read()
