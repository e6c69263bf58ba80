package hosts;

import dev.graceshut.Graceshut;
import dev.graceshut.Phase;
import io.grpc.MethodDescriptor;
import io.grpc.Server;
import io.grpc.ServerServiceDefinition;
import io.grpc.netty.shaded.io.grpc.netty.NettyServerBuilder;
import io.grpc.stub.ServerCalls;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.InetSocketAddress;
import java.util.concurrent.TimeUnit;

public class GrpcCase {
    private static final MethodDescriptor.Marshaller<byte[]> BYTES = new MethodDescriptor.Marshaller<>() {
        public InputStream stream(byte[] value) {
            return new ByteArrayInputStream(value);
        }

        public byte[] parse(InputStream stream) {
            try {
                return stream.readAllBytes();
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }
    };

    public static void main(String[] args) throws Exception {
        var slow = MethodDescriptor.newBuilder(BYTES, BYTES).setType(MethodDescriptor.MethodType.UNARY).setFullMethodName("case.Case/Slow").build();
        var service = ServerServiceDefinition.builder("case.Case").addMethod(slow, ServerCalls.asyncUnaryCall((byte[] request, io.grpc.stub.StreamObserver<byte[]> answer) -> {
            try {
                Thread.sleep(1000);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
            answer.onNext(new byte[0]);
            answer.onCompleted();
        })).build();
        Server server = NettyServerBuilder.forAddress(new InetSocketAddress("127.0.0.1", Gs.PORT)).addService(service).build();
        if (!Gs.WITH) {
            Runtime.getRuntime().addShutdownHook(new Thread(() -> stop(server, 5000)));
            server.start();
            System.out.println("ready");
            server.awaitTermination();
            return;
        }
        Graceshut gs = Gs.install();
        gs.hook(Phase.DRAIN, "grpc", ctx -> stop(server, ctx.remaining().get().toMillis() - 500));
        server.start();
        System.out.println("ready");
        System.exit(gs.await());
    }

    private static void stop(Server server, long millis) {
        try {
            server.shutdown().awaitTermination(millis, TimeUnit.MILLISECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } finally {
            server.shutdownNow();
        }
    }
}
