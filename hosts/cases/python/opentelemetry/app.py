import os
import sys
import time

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult


class Exporter(SpanExporter):
    def export(self, spans):
        for span in spans:
            print("done", span.name)
        return SpanExportResult.SUCCESS


provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(Exporter()))
for number in range(3):
    print("begun", number)
    with provider.get_tracer("case").start_as_current_span(str(number)):
        pass
if os.environ.get("WITH"):
    import graceshut

    gs = graceshut.install(grace=8)
    gs.hook("final", provider.shutdown, name="telemetry")
    print("ready")
    sys.exit(gs.wait())
print("ready")
time.sleep(60)
